//! The base score of a CVSS 3.0 or 3.1 vector.
//!
//! Some formats carry vectors only. This is the base formula of the CVSS 3.1 specification, section 7, and nothing
//! else: temporal and environmental metrics are read over, since a report cannot know the reader's environment.

/// The base score, or nothing when the vector is not a complete and unambiguous CVSS 3.x base vector.
pub(super) fn base_score(vector: &str) -> Option<f64> {
    let metrics = vector.strip_prefix("CVSS:3.1/").or_else(|| vector.strip_prefix("CVSS:3.0/"))?;
    let base = Base::parse(metrics)?;
    Some(base.score())
}

/// The eight base metrics as the numbers of the specification's table.
struct Base {
    attack_vector: f64,
    attack_complexity: f64,
    privileges_required: f64,
    user_interaction: f64,
    scope: Scope,
    confidentiality: f64,
    integrity: f64,
    availability: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Unchanged,
    Changed,
}

impl Base {
    fn parse(metrics: &str) -> Option<Self> {
        const NAMES: [&str; 8] = ["AV", "AC", "PR", "UI", "S", "C", "I", "A"];
        let mut values: [Option<&str>; 8] = [None; 8];
        for metric in metrics.split('/') {
            let (name, value) = metric.split_once(':')?;
            if let Some(at) = NAMES.iter().position(|known| *known == name) {
                // A metric given twice leaves open which one is meant.
                if values[at].replace(value).is_some() {
                    return None;
                }
            }
        }
        let [av, ac, pr, ui, s, c, i, a] = values;
        let scope = match s? {
            "U" => Scope::Unchanged,
            "C" => Scope::Changed,
            _ => return None,
        };
        Some(Self {
            attack_vector: match av? {
                "N" => 0.85,
                "A" => 0.62,
                "L" => 0.55,
                "P" => 0.2,
                _ => return None,
            },
            attack_complexity: match ac? {
                "L" => 0.77,
                "H" => 0.44,
                _ => return None,
            },
            privileges_required: match (pr?, scope) {
                ("N", _) => 0.85,
                ("L", Scope::Unchanged) => 0.62,
                ("L", Scope::Changed) => 0.68,
                ("H", Scope::Unchanged) => 0.27,
                ("H", Scope::Changed) => 0.5,
                _ => return None,
            },
            user_interaction: match ui? {
                "N" => 0.85,
                "R" => 0.62,
                _ => return None,
            },
            scope,
            confidentiality: impact(c?)?,
            integrity: impact(i?)?,
            availability: impact(a?)?,
        })
    }

    fn score(&self) -> f64 {
        let iss = 1.0 - (1.0 - self.confidentiality) * (1.0 - self.integrity) * (1.0 - self.availability);
        let impact = match self.scope {
            Scope::Unchanged => 6.42 * iss,
            Scope::Changed => 7.52 * (iss - 0.029) - 3.25 * (iss - 0.02).powi(15),
        };
        if impact <= 0.0 {
            return 0.0;
        }
        let exploitability =
            8.22 * self.attack_vector * self.attack_complexity * self.privileges_required * self.user_interaction;
        let sum = match self.scope {
            Scope::Unchanged => impact + exploitability,
            Scope::Changed => 1.08 * (impact + exploitability),
        };
        round_up(sum.min(10.0))
    }
}

fn impact(value: &str) -> Option<f64> {
    match value {
        "H" => Some(0.56),
        "L" => Some(0.22),
        "N" => Some(0.0),
        _ => None,
    }
}

/// The smallest number with one decimal that is not below `value`, by way of whole numbers as the specification's
/// appendix A has it: floating point alone would round 4.02 up to 4.1 on one machine and not on another.
fn round_up(value: f64) -> f64 {
    let whole = (value * 100_000.0).round();
    if whole % 10_000.0 == 0.0 { whole / 100_000.0 } else { ((whole / 10_000.0).floor() + 1.0) / 10.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_have_their_published_scores() {
        for (vector, score) in [
            // CVE-2021-44228, CVE-2014-0160, CVE-2024-22195, CVE-2017-16137, CVE-2013-1937, CVE-2015-8252
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:L", 3.7),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L", 5.3),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
            ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
            ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/E:P/RL:O", 7.5),
        ] {
            let found = base_score(vector).expect(vector);
            assert!((found - score).abs() < 1e-9, "{vector}: {found}");
        }
    }

    #[test]
    fn what_is_not_a_whole_base_vector_has_no_score() {
        for vector in [
            "",
            "CVSS:3.1/",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/A:N",
            "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:2.0/AV:N/AC:L/Au:N/C:N/I:N/A:P",
            "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        ] {
            assert_eq!(base_score(vector), None, "{vector:?}");
        }
    }
}
