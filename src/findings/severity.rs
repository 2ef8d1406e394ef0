//! How bad a vulnerability is, on the one scale that thresholds use.
//!
//! Words and scores of several scales are brought to the bands of CVSS 3. What is not said, or not understood, stays
//! [`Severity::Unknown`], and that never counts as harmless.

use std::fmt;

use crate::api;

use super::cvss;

/// The severity of a finding. The order is the scale's, with what is unknown at its end, for sorting only: use
/// [`Severity::reaches`] to compare with a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Not said, or in words or vectors that are not understood.
    #[default]
    Unknown,
    /// Rated as without impact: a score of 0.0.
    None,
    /// Scores 0.1 to 3.9.
    Low,
    /// Scores 4.0 to 6.9.
    Medium,
    /// Scores 7.0 to 8.9.
    High,
    /// Scores 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// From a word of any scanner's scale, without regard to case.
    pub fn from_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "low" | "negligible" | "minor" | "unimportant" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" | "important" | "major" => Self::High,
            "critical" => Self::Critical,
            _ => Self::Unknown,
        }
    }

    /// From a CVSS 3 score between 0.0 and 10.0; anything else is unknown.
    pub fn from_score(score: f64) -> Self {
        // The comparisons are false for NaN, which therefore falls through to the end.
        if score == 0.0 {
            Self::None
        } else if score > 0.0 && score < 4.0 {
            Self::Low
        } else if (4.0..7.0).contains(&score) {
            Self::Medium
        } else if (7.0..9.0).contains(&score) {
            Self::High
        } else if (9.0..=10.0).contains(&score) {
            Self::Critical
        } else {
            Self::Unknown
        }
    }

    /// From a CVSS 3.0 or 3.1 vector. Other versions have other formulas and are unknown.
    pub fn from_vector(vector: &str) -> Self {
        cvss::base_score(vector).map_or(Self::Unknown, Self::from_score)
    }

    /// Whether it is at or above a threshold. What is unknown always is: nobody has said that it is harmless.
    pub fn reaches(self, threshold: Self) -> bool {
        self == Self::Unknown || self >= threshold
    }

    /// The worse of two ratings. A known rating is preferred to an unknown one, since both rate the same finding.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        self.max(other)
    }
}

impl From<api::Severity> for Severity {
    fn from(severity: api::Severity) -> Self {
        match severity {
            api::Severity::Low => Self::Low,
            api::Severity::Medium => Self::Medium,
            api::Severity::High => Self::High,
            api::Severity::Critical => Self::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown",
            Self::None => "None",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_scale_are_understood() {
        for (word, severity) in [
            ("CRITICAL", Severity::Critical),
            ("moderate", Severity::Medium),
            (" Important ", Severity::High),
            ("Negligible", Severity::Low),
            ("none", Severity::None),
            ("UNKNOWN", Severity::Unknown),
            ("harmless", Severity::Unknown),
            ("", Severity::Unknown),
        ] {
            assert_eq!(Severity::from_word(word), severity, "{word:?}");
        }
    }

    #[test]
    fn scores_fall_into_the_bands_of_cvss() {
        for (score, severity) in [
            (0.0, Severity::None),
            (0.1, Severity::Low),
            (3.9, Severity::Low),
            (4.0, Severity::Medium),
            (6.9, Severity::Medium),
            (7.0, Severity::High),
            (8.9, Severity::High),
            (9.0, Severity::Critical),
            (10.0, Severity::Critical),
            (10.1, Severity::Unknown),
            (-0.1, Severity::Unknown),
            (f64::NAN, Severity::Unknown),
            (f64::INFINITY, Severity::Unknown),
        ] {
            assert_eq!(Severity::from_score(score), severity, "{score}");
        }
    }

    #[test]
    fn what_is_unknown_reaches_every_threshold() {
        assert!(Severity::Unknown.reaches(Severity::Critical));
        assert!(Severity::High.reaches(Severity::High));
        assert!(!Severity::Medium.reaches(Severity::High));
        assert!(!Severity::None.reaches(Severity::Low));
    }

    #[test]
    fn vectors_of_other_versions_are_unknown() {
        assert_eq!(Severity::from_vector("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), Severity::Critical);
        assert_eq!(
            Severity::from_vector("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"),
            Severity::Unknown
        );
        assert_eq!(Severity::from_vector("AV:N/AC:L/Au:N/C:N/I:N/A:P"), Severity::Unknown);
    }
}
