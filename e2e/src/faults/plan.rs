//! A plan: one scenario, one call in it, and what is done to that call. Which plans there are, and which of them a sample takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::dice::Dice;
use super::fault::{Fault, LISTS, LOGS, READS, WATCHES, WRITES};

/// How every watch is named at once.
pub const ALL_WATCHES: &str = "watch all";

/// One run with one fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plan {
    /// The scenario's name.
    pub scenario: String,
    /// The call's name, `all` for every watch.
    pub call: String,
    /// Which call of that name, from 1; 0 for a fault of every stream of a kind.
    pub nth: usize,
    /// What is done to it.
    pub fault: Fault,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scenario, self.call)?;
        if self.nth > 0 {
            write!(f, "#{}", self.nth)?;
        }
        write!(f, "/{}", self.fault)
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(scenario, rest)| Some((scenario, rest.rsplit_once('/')?)));
        let (scenario, (call, word)) = parts.ok_or_else(|| format!("{text:?} is no plan: SCENARIO/CALL#N/FAULT"))?;
        let (call, nth) = match call.rsplit_once('#') {
            Some((call, nth)) => (call, nth.parse().map_err(|_| format!("{nth:?} is no number"))?),
            None => (call, 0),
        };
        let fault = if nth == 0 && word == "410" { Fault::WatchGone } else { word.parse()? };
        Ok(Self { scenario: scenario.to_owned(), call: call.to_owned(), nth, fault })
    }
}

/// The calls of a scenario in which something can go wrong, as its fault-free runs made them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sites {
    /// Writes, in their order: name and which of that name.
    pub writes: Vec<(String, usize)>,
    /// Reads, each by its kind and the write it came after.
    pub reads: Vec<String>,
    /// Those of the reads that are lists and had changed since they were read before.
    pub changed: Vec<String>,
    /// Kinds of watches.
    pub watches: Vec<String>,
}

impl Sites {
    /// Every plan of a scenario.
    pub fn plans(&self, scenario: &str) -> Vec<Plan> {
        let plan = |call: &str, nth, fault| Plan { scenario: scenario.to_owned(), call: call.to_owned(), nth, fault };
        let mut plans = Vec::new();
        for (call, nth) in &self.writes {
            plans.extend(WRITES.into_iter().map(|fault| plan(call, *nth, fault)));
            if call.starts_with("record") {
                plans.push(plan(call, *nth, Fault::Handover));
            }
        }
        let mut known = BTreeSet::new();
        for call in self.reads_in_order() {
            // What a look does with an answer that fails is tried after every write. How long it takes, or may not be had at all,
            // matters by what is waited for, which is the same from one record to the next.
            let faults = READS
                .into_iter()
                .filter(|fault| *fault == Fault::ReadFails || known.insert((self.stretch(call), *fault)));
            plans.extend(faults.map(|fault| plan(call, 1, fault)));
            if call.starts_with("read log") {
                plans.extend(LOGS.into_iter().map(|fault| plan(call, 1, fault)));
            }
        }
        for call in &self.changed {
            plans.extend(LISTS.into_iter().map(|fault| plan(call, 1, fault)));
        }
        for kind in self.watches.iter().map(String::as_str).chain([ALL_WATCHES]) {
            plans.extend(WATCHES.into_iter().map(|fault| plan(kind, 0, fault)));
        }
        plans
    }
}

impl Sites {
    /// Reads by the place of the write they came after.
    fn reads_in_order(&self) -> Vec<&str> {
        let mut reads: Vec<&str> = self.reads.iter().map(String::as_str).collect();
        reads.sort_by_key(|call| self.after(call));
        reads
    }

    /// What is read, and between which two records; a read that came after none of the writes is one of its own.
    fn stretch<'a>(&self, call: &'a str) -> (&'a str, Option<usize>) {
        let Some(at) = self.after(call) else { return (call, None) };
        let records = self.writes.iter().take(at + 1).filter(|(name, _)| name.starts_with("record")).count();
        (call.split_once(" after ").map_or(call, |(what, _)| what), Some(records))
    }

    /// The place of the write a read came after.
    fn after(&self, call: &str) -> Option<usize> {
        let (_, write) = call.split_once(" after ")?;
        self.writes.iter().position(|(name, nth)| name == write && *nth == 1)
    }
}

impl Plan {
    /// Which of so many parts it belongs to, from 1: always the same one, whatever other plans there are.
    pub fn part(&self, parts: u64) -> u64 {
        // FNV-1a, since a library's hash may change with the library; mixed, since its low bits are weak.
        let hash = self
            .to_string()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Dice::new(hash).draw() % parts.max(1) + 1
    }

    /// Whether it is a pair of a write and one of the faults of writes.
    pub fn is_pair(&self, sites: &BTreeMap<String, Sites>) -> bool {
        let is_of = |sites: &Sites| sites.writes.iter().any(|(call, nth)| *call == self.call && *nth == self.nth);
        WRITES.contains(&self.fault) && sites.get(&self.scenario).is_some_and(is_of)
    }
}

/// The number of pairs of a write and a fault there are.
pub fn pairs(sites: &BTreeMap<String, Sites>) -> usize {
    sites.values().map(|sites| sites.writes.len()).sum::<usize>() * WRITES.len()
}

/// A sample of `count` plans, the same for the same seed: so spread that calls meet a fault before any meets a second one, and
/// that every scenario, every fault, reads and watches have their part.
pub fn sample(all: &[Plan], count: usize, seed: u64) -> Vec<Plan> {
    let mut dice = Dice::new(seed);
    // Each call's faults in drawn order, then round after round one of each call, calls in drawn order too.
    let mut calls: BTreeMap<(&str, &str, usize), Vec<&Plan>> = BTreeMap::new();
    for plan in all {
        calls.entry((&plan.scenario, &plan.call, plan.nth)).or_default().push(plan);
    }
    let is_write = |plans: &[&Plan]| {
        let of_writes = |plan: &&Plan| WRITES.contains(&plan.fault) && !READS.contains(&plan.fault);
        plans.iter().any(|plan| of_writes(plan) || plan.fault == Fault::Handover)
    };
    let mut writes: Vec<Vec<&Plan>> = Vec::new();
    let mut others: Vec<Vec<&Plan>> = Vec::new();
    for (_, mut plans) in calls {
        dice.shuffle(&mut plans);
        if is_write(&plans) { writes.push(plans) } else { others.push(plans) }
    }
    dice.shuffle(&mut writes);
    dice.shuffle(&mut others);
    let rounds = |lists: Vec<Vec<&Plan>>| {
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        let mut order = Vec::new();
        for round in 0..longest {
            order.extend(lists.iter().filter_map(|plans| plans.get(round).copied().cloned()));
        }
        order
    };
    let (writes, others) = (rounds(writes), rounds(others));
    // Of four plans three are about writes: that is where harm is done.
    let (mut writes, mut others) = (writes.into_iter(), others.into_iter());
    let mut chosen = Vec::new();
    let mut known = BTreeSet::new();
    while chosen.len() < count {
        let first = if chosen.len() % 4 == 3 { others.next() } else { writes.next() };
        let Some(plan) = first.or_else(|| writes.next()).or_else(|| others.next()) else { break };
        if known.insert(plan.clone()) {
            chosen.push(plan);
        }
    }
    chosen
}

/// A part of all plans, as `3/10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which one, from 1.
    pub which: u64,
    /// Of how many.
    pub of: u64,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(which, of)| Some((which.parse().ok()?, of.parse().ok()?)));
        let (which, of) = numbers
            .filter(|(which, of)| (1..=*of).contains(which))
            .ok_or_else(|| format!("{text:?} is no part: write 3/10 for the third of ten"))?;
        Ok(Self { which, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> Sites {
        Sites {
            writes: vec![("record begun".into(), 1), ("switch web".into(), 1), ("seal web".into(), 2)],
            reads: vec![
                "list pods after seal web".into(),
                "list pods after switch web".into(),
                "read log scan trivy candidate after claim".into(),
            ],
            changed: vec!["list pods after switch web".into()],
            watches: vec!["watch pods".into()],
        }
    }

    #[test]
    fn a_plan_is_read_as_it_is_written() {
        for plan in sites().plans("happy") {
            assert_eq!(plan.to_string().parse::<Plan>().as_ref(), Ok(&plan));
        }
        let plan: Plan = "happy/switch web#1/commit-and-drop".parse().unwrap();
        assert_eq!((plan.call.as_str(), plan.nth, plan.fault), ("switch web", 1, Fault::LostReply));
        for odd in ["", "happy", "happy/switch web", "happy/switch web#x/409", "happy/switch web#1/nothing"] {
            assert!(odd.parse::<Plan>().is_err(), "{odd}");
        }
    }

    #[test]
    fn every_write_meets_every_fault() {
        let plans = sites().plans("happy");
        assert_eq!(plans.len(), 3 * 13 + 1 + 3 * 3 + 4 + 1 + 2 * 5);
        assert_eq!(pairs(&[("happy".to_owned(), sites())].into()), 39);
        let sites = [("happy".to_owned(), sites())].into();
        assert_eq!(plans.iter().filter(|plan| plan.is_pair(&sites)).count(), 39);
    }

    #[test]
    fn a_read_fails_after_every_write_and_is_late_or_refused_once_between_two_records() {
        let writes = ["record begun", "claim", "hold web", "record staged"];
        let reads = ["list pods after hold web", "list pods after claim", "list pods after record staged"];
        let sites = Sites {
            writes: writes.into_iter().map(|name| (name.to_owned(), 1)).collect(),
            reads: reads.into_iter().chain(["get leases after nothing"]).map(str::to_owned).collect(),
            ..Sites::default()
        };
        let of = |fault| -> BTreeSet<String> {
            let plans =
                sites.plans("happy").into_iter().filter(|plan| plan.fault == fault && plan.call.contains(" after "));
            plans.map(|plan| plan.call).collect()
        };
        assert_eq!(of(Fault::ReadFails).len(), 4);
        let wanted = ["get leases after nothing", "list pods after claim", "list pods after record staged"];
        for fault in [Fault::ReadDelayed, Fault::Forbidden] {
            assert_eq!(of(fault), wanted.map(str::to_owned).into());
        }
    }

    #[test]
    fn every_plan_is_in_one_part_and_the_parts_are_of_a_size() {
        let all = sites().plans("happy");
        let sizes: Vec<usize> = (1..=3).map(|which| all.iter().filter(|plan| plan.part(3) == which).count()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), all.len());
        assert!(sizes.iter().all(|size| *size > all.len() / 6), "{sizes:?}");
        assert_eq!("3/10".parse(), Ok(Part { which: 3, of: 10 }));
        for odd in ["", "3", "0/10", "11/10", "a/b"] {
            assert!(odd.parse::<Part>().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_touches_every_call_first() {
        let all = sites().plans("happy");
        let chosen = sample(&all, 6, 7);
        assert_eq!(chosen, sample(&all, 6, 7));
        assert_ne!(chosen, sample(&all, 6, 8));
        let calls: BTreeSet<_> = chosen.iter().map(|plan| &plan.call).collect();
        assert!(calls.len() >= 4, "{calls:?}");
        assert_eq!(sample(&all, 1000, 7).len(), all.len(), "no plan twice");
    }
}
