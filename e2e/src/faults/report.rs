//! What came of a run of the suite, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::mutant::Mutant;
use super::plan::{self, Plan, Sites};

/// One broken oracle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The plan, or the scenario of a run without a fault.
    pub plan: String,
    /// What was expected and what was seen.
    pub what: String,
}

/// What came of one mutant.
#[derive(Debug, Clone)]
pub struct Killed {
    /// The mutant.
    pub mutant: Mutant,
    /// The scenario or plan it was played in.
    pub plan: String,
    /// What the oracles said; empty for one that lives.
    pub by: Vec<String>,
}

/// What came of it all.
#[derive(Debug, Default)]
pub struct Summary {
    /// Plans that were played.
    pub played: Vec<Plan>,
    /// Broken oracles.
    pub violations: Vec<Violation>,
    /// The calls of each scenario.
    pub sites: BTreeMap<String, Sites>,
    /// The mutants.
    pub mutants: Vec<Killed>,
    /// Versions of objects that were judged.
    pub versions: usize,
}

impl Summary {
    /// The share of pairs of a write and a fault that were played, in whole percent.
    pub fn covered(&self) -> usize {
        let all = plan::pairs(&self.sites);
        let met: BTreeSet<_> = self.played.iter().filter(|plan| plan.is_pair(&self.sites)).collect();
        (met.len() * 100).checked_div(all).unwrap_or(0)
    }

    /// How many mutants live.
    pub fn living(&self) -> usize {
        self.mutants.iter().filter(|mutant| mutant.by.is_empty()).count()
    }

    /// Whether everything was as it must be.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.living() == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sites: usize = self.sites.values().map(|sites| sites.writes.len()).sum();
        let (plans, violations) = (self.played.len(), self.violations.len());
        write!(f, "faults: plans={plans} violations={violations} write_sites={sites} covered={}%", self.covered())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_pairs_of_writes_and_faults() {
        let sites = Sites { writes: vec![("switch web".into(), 1)], ..Sites::default() };
        let played: Vec<Plan> =
            ["happy/switch web#1/409", "happy/switch web#1/kill-after", "happy/switch web#1/handover"]
                .map(|plan| plan.parse().unwrap())
                .into();
        let summary = Summary { played, sites: [("happy".to_owned(), sites)].into(), ..Summary::default() };
        assert_eq!(summary.to_string(), "faults: plans=3 violations=0 write_sites=1 covered=15%");
        assert!(summary.is_good());
    }
}
