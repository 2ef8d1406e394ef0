//! Figures: what is measured, and distributions of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::load::Micros;

/// What is measured. All are times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// From the completion of the last scan Job to the operator's next write.
    ScanToWrite,
    /// From the completion of the Job of a check of 5 s to the operator's next write.
    CheckOf5ToWrite,
    /// The same for a check of 60 s.
    CheckOf60ToWrite,
    /// From the end of a check's pod to the completion of its Job: the Job controller's share, for comparison.
    PodEndToJobEnd,
    /// How long the old version provably answered new connections after the new one did, at a healthy switch.
    MixedAtLeast,
    /// How long it can have been at most, as far as connections were made.
    MixedAtMost,
    /// Sick but ready: from the answer that decides to the operator's next write.
    SickToWrite,
    /// Sick but ready: from the answer that decides until the Service was written back.
    SickToBack,
    /// Sick but ready: from the answer that decides to the last answer a new connection got from the candidate.
    SickToLastAnswer,
    /// Sick but ready: from the Service being back to the last answer a new connection got from the candidate.
    SickBackToLastAnswer,
    /// Dead: from the pods' end until the API server was told that none is ready: the kubelet's share, for comparison.
    DeathToUnready,
    /// Dead: from the last pod being unready to the operator's next write.
    DeadToWrite,
    /// Dead: from the last pod being unready until the Service was written back.
    DeadToBack,
    /// Dead: from the last pod being unready to the end of the last request that was lost.
    DeadToLastLoss,
    /// Dead: from the last pod being unready to the last answer of the candidate. Negative when it was before.
    DeadToLastAnswer,
    /// The leader's pod is deleted: from the old leader's last write to the lease to the answer to the new one's claim.
    ToldNobodyLeads,
    /// From the deletion to the new leader's first write about the rollout.
    ToldToWrite,
    /// From the deletion, and a person's word in the same breath that ends the rollout, until the Service was written back.
    ToldToBack,
    /// The leader's process is killed: from the old leader's last write to the lease to the answer to the new one's claim.
    KilledNobodyLeads,
    /// From the kill to the answer to the new leader's claim.
    KilledToLead,
    /// From the kill to the new leader's first write about the rollout.
    KilledToWrite,
    /// From the kill, and a person's word in the same breath that ends the rollout, until the Service was written back.
    KilledToBack,
}

impl Measure {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 22] = [
        Self::ScanToWrite,
        Self::CheckOf5ToWrite,
        Self::CheckOf60ToWrite,
        Self::PodEndToJobEnd,
        Self::MixedAtLeast,
        Self::MixedAtMost,
        Self::SickToWrite,
        Self::SickToBack,
        Self::SickToLastAnswer,
        Self::SickBackToLastAnswer,
        Self::DeathToUnready,
        Self::DeadToWrite,
        Self::DeadToBack,
        Self::DeadToLastLoss,
        Self::DeadToLastAnswer,
        Self::ToldNobodyLeads,
        Self::ToldToWrite,
        Self::ToldToBack,
        Self::KilledNobodyLeads,
        Self::KilledToLead,
        Self::KilledToWrite,
        Self::KilledToBack,
    ];

    /// What a person reads.
    pub fn title(self) -> &'static str {
        match self {
            Self::ScanToWrite => "scans: Job complete -> operator's next write",
            Self::CheckOf5ToWrite => "check of 5 s: Job complete -> operator's next write",
            Self::CheckOf60ToWrite => "check of 60 s: Job complete -> operator's next write",
            Self::PodEndToJobEnd => "  (pod ended -> Job complete, Kubernetes' own)",
            Self::MixedAtLeast => "switch: both versions answered, at least",
            Self::MixedAtMost => "switch: both versions answered, at most",
            Self::SickToWrite => "sick: deciding answer -> operator's next write",
            Self::SickToBack => "sick: deciding answer -> Service back",
            Self::SickToLastAnswer => "sick: deciding answer -> candidate's last answer",
            Self::SickBackToLastAnswer => "sick: Service back -> candidate's last answer",
            Self::DeathToUnready => "  (processes killed -> pods unready, the kubelet's)",
            Self::DeadToWrite => "dead: pods unready -> operator's next write",
            Self::DeadToBack => "dead: pods unready -> Service back",
            Self::DeadToLastLoss => "dead: pods unready -> last request lost",
            Self::DeadToLastAnswer => "dead: pods unready -> candidate's last answer",
            Self::ToldNobodyLeads => "leader told to end: its last word -> another leads",
            Self::ToldToWrite => "leader told to end: pod deleted -> next one writes",
            Self::ToldToBack => "leader told to end: pod deleted -> Service back",
            Self::KilledNobodyLeads => "leader killed: its last word -> another leads",
            Self::KilledToLead => "leader killed: kill -> another leads",
            Self::KilledToWrite => "leader killed: kill -> next one writes",
            Self::KilledToBack => "leader killed: kill -> Service back",
        }
    }
}

/// All figures taken so far.
#[derive(Debug, Clone, Default)]
pub struct Figures(BTreeMap<Measure, Vec<f64>>);

impl Figures {
    /// Adds one.
    pub fn take(&mut self, measure: Measure, milliseconds: f64) {
        self.0.entry(measure).or_default().push(milliseconds);
    }

    /// Adds what another run has taken.
    pub fn extend(&mut self, other: Self) {
        for (measure, figures) in other.0 {
            self.0.entry(measure).or_default().extend(figures);
        }
    }

    /// One figure of each measure, where there is one: the line of a run.
    pub fn line(&self) -> String {
        let figures = Measure::ALL.into_iter().filter_map(|measure| {
            let first = self.0.get(&measure)?.first()?;
            Some(format!("{} {first:.0} ms", measure.title().trim()))
        });
        figures.collect::<Vec<_>>().join("; ")
    }

    /// The values of one measure, in the order they were taken.
    pub fn of(&self, measure: Measure) -> &[f64] {
        self.0.get(&measure).map_or(&[], Vec::as_slice)
    }

    /// The distribution of each measure that has figures.
    pub fn distributions(&self) -> Vec<(Measure, Distribution)> {
        let all = Measure::ALL.into_iter();
        all.filter_map(|measure| Some((measure, Distribution::of(self.of(measure))?))).collect()
    }
}

/// A distribution, in the unit of its values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// How many values.
    pub n: usize,
    /// The smallest.
    pub min: f64,
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The smallest that at least nine tenths do not exceed.
    pub p90: f64,
    /// The largest.
    pub max: f64,
}

impl Distribution {
    /// Of these values; none of no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let at = |index: usize| sorted.get(index).copied();
        let (low, high) = (at(n.checked_sub(1)? / 2)?, at(n / 2)?);
        let p90 = at((n * 9).div_ceil(10) - 1)?;
        Some(Self { n, min: at(0)?, median: f64::midpoint(low, high), p90, max: at(n - 1)? })
    }
}

/// The head of a table of distributions.
pub struct Head;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<54} {:>4} {:>8} {:>8} {:>8} {:>8}", "in milliseconds", "n", "min", "median", "p90", "max")
    }
}

/// One line of it.
pub struct Row(pub Measure, pub Distribution);

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(measure, Distribution { n, min, median, p90, max }) = self;
        write!(f, "{:<54} {n:>4} {min:>8.0} {median:>8.0} {p90:>8.0} {max:>8.0}", measure.title())
    }
}

/// From one moment to another, in milliseconds; negative when it is the other way round.
pub fn between(from: Timestamp, to: Timestamp) -> f64 {
    from.duration_until(to).as_secs_f64() * 1000.0
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A moment of the load generator's or the application's as a time stamp; the clock is the machine's one.
pub fn stamp(at: Micros) -> Timestamp {
    i64::try_from(at.0).ok().and_then(|at| Timestamp::from_microsecond(at).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_distribution() {
        assert_eq!(Distribution::of(&[]), None);
    }

    #[test]
    fn one_value_is_all_of_its_distribution() {
        let alone = Distribution { n: 1, min: 7.0, median: 7.0, p90: 7.0, max: 7.0 };
        assert_eq!(Distribution::of(&[7.0]), Some(alone));
    }

    #[test]
    fn nine_tenths_do_not_exceed_the_ninth_decile() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        let twenty = Distribution { n: 20, min: 1.0, median: 10.5, p90: 18.0, max: 20.0 };
        assert_eq!(Distribution::of(&values), Some(twenty));
        assert_eq!(Distribution::of(&[3.0, 1.0, 2.0]).map(|three| (three.median, three.p90)), Some((2.0, 3.0)));
    }

    #[test]
    fn a_moment_before_another_is_told_as_negative() {
        let (early, late) = (stamp(Micros(1_000_000)), stamp(Micros(1_002_500)));
        assert!((between(late, early) + 2.5).abs() < 1e-9);
    }
}
