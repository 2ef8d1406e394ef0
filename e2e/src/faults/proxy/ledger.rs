//! Every call of a run, and those that met their fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::faults::fault::Fault;
use crate::faults::name::{Class, Name};
use crate::faults::plan::{Plan, Sites};
/// What is told of a write that did not reach the API server.
pub const NOT_MADE: &str = " (not made)";

/// One call.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it does.
    pub name: Name,
    /// Which of that name.
    pub nth: usize,
    /// The write that was made last before it.
    pub after: String,
    /// What the API server answered; `None` where it was not asked.
    pub answered: Option<u16>,
    /// Whether it is a list that has changed since it was read before, or a watch that told of a change.
    pub changed: bool,
    /// When it came.
    pub at: Instant,
}

impl Entry {
    /// Whether it changed something.
    pub fn is_committed(&self) -> bool {
        self.name.class == Class::Write && self.answered.is_some_and(|code| (200..300).contains(&code))
    }

    /// The name of a read by what it came after.
    fn site(&self) -> String {
        format!("{} after {}", self.name.text, self.after)
    }
}

/// All calls of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    counts: BTreeMap<String, usize>,
    last_write: String,
    /// Which of the plans have been met.
    hits: BTreeSet<usize>,
}

impl Ledger {
    /// A call arrives. Gives its place, and the fault it is to meet.
    pub fn arrive(&mut self, name: Name, plans: &[Plan]) -> (usize, Option<Fault>) {
        let after = self.last_write.clone();
        let mut entry = Entry { name, nth: 0, after, answered: None, changed: false, at: Instant::now() };
        let called = if entry.name.class == Class::Read || entry.name.class == Class::Log {
            entry.site()
        } else {
            entry.name.text.clone()
        };
        let count = self.counts.entry(called.clone()).or_default();
        *count += 1;
        entry.nth = *count;
        let met = plans.iter().position(|plan| plan.call == called && plan.nth == entry.nth);
        self.hits.extend(met);
        self.entries.push(entry);
        (self.entries.len() - 1, met.and_then(|met| plans.get(met)).map(|plan| plan.fault))
    }

    /// Which of the writes that came for the first time the call in this place is, from 0; `None` for any other call.
    pub fn is_new(&self, place: usize) -> Option<usize> {
        let new = |entry: &Entry| entry.name.class == Class::Write && entry.nth == 1;
        self.entries.get(place).filter(|entry| new(entry))?;
        Some(self.entries.iter().take(place).filter(|entry| new(entry)).count())
    }

    /// The API server answered. Gives the name where this was the first write of it that was made.
    pub fn answered(&mut self, place: usize, code: u16) -> Option<String> {
        let entry = self.entries.get_mut(place)?;
        entry.answered = Some(code);
        if !entry.is_committed() {
            return None;
        }
        let name = entry.name.text.clone();
        self.last_write.clone_from(&name);
        (self.committed(&name) == 1).then_some(name)
    }

    /// A list has changed since it was read before, or a watch told of a change.
    pub fn changed(&mut self, place: usize) {
        if let Some(entry) = self.entries.get_mut(place) {
            entry.changed = true;
        }
    }

    /// The fault of a kind of watches, the plan in this place, has shown.
    pub fn interfered(&mut self, plan: usize) {
        self.hits.insert(plan);
    }

    /// Those of the plans whose call never came.
    pub fn missed(&self, plans: &[Plan]) -> Vec<Plan> {
        plans.iter().enumerate().filter(|(at, _)| !self.hits.contains(at)).map(|(_, plan)| plan.clone()).collect()
    }

    /// How many writes of this name were made.
    pub fn committed(&self, name: &str) -> usize {
        self.entries.iter().filter(|entry| entry.is_committed() && entry.name.text == name).count()
    }

    /// How many writes of each name were made.
    pub fn writes(&self) -> BTreeMap<String, usize> {
        let mut writes = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.is_committed()) {
            *writes.entry(entry.name.text.clone()).or_default() += 1;
        }
        writes
    }

    /// How many writes have arrived, made or not.
    pub fn attempted(&self) -> usize {
        self.entries.iter().filter(|entry| entry.name.class == Class::Write).count()
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.entries.len()
    }

    /// How many times hotfixes were looked at: each look reads the hotfix.
    pub fn looks(&self) -> usize {
        self.entries.iter().filter(|entry| entry.name.text == "get securityhotfixes").count()
    }

    /// How many times somebody took the lead, kept it or gave it up.
    pub fn leads(&self) -> usize {
        self.entries.iter().filter(|entry| entry.name.text.starts_with("lead: p")).count()
    }

    /// How many calls from this place on were answered so.
    pub fn answered_with(&self, code: u16, from: usize) -> usize {
        self.entries.iter().skip(from).filter(|entry| entry.answered == Some(code)).count()
    }

    /// Whether this call was answered so.
    pub fn is_answered_with(&self, code: u16, place: usize) -> bool {
        self.entries.get(place).is_some_and(|entry| entry.answered == Some(code))
    }

    /// When the last call came, the watches and those beside the work left out.
    pub fn last(&self) -> Option<Instant> {
        let counts = |entry: &&Entry| !matches!(entry.name.class, Class::Beside | Class::Watch);
        self.entries.iter().rev().find(counts).map(|entry| entry.at)
    }

    /// The sites of a fault-free run.
    pub fn sites(&self) -> Sites {
        let mut sites = Sites::default();
        for entry in &self.entries {
            match entry.name.class {
                // Of writes that go out together the first stands for all.
                Class::Write if entry.name.text.ends_with(" pod") && entry.nth > 1 => {}
                Class::Write => sites.writes.push((entry.name.text.clone(), entry.nth)),
                Class::Read | Class::Log if !entry.after.is_empty() => {
                    // A plan is about the first of its name.
                    if entry.changed && entry.nth == 1 {
                        sites.changed.push(entry.site());
                    }
                    sites.reads.push(entry.site());
                }
                // Where nothing changes a fault of the watch could not show.
                Class::Watch if entry.changed => sites.watches.push(entry.name.text.clone()),
                Class::Read | Class::Log | Class::Watch | Class::Beside => {}
            }
        }
        sites.reads.sort();
        sites.reads.dedup();
        sites.changed.sort();
        sites.changed.dedup();
        sites.watches.sort();
        sites.watches.dedup();
        sites
    }

    /// The writes from a place on, in a line each.
    pub fn told(&self) -> Vec<String> {
        let writes = self.entries.iter().filter(|entry| entry.name.class == Class::Write);
        writes
            .map(|entry| match entry.answered {
                Some(code) if (200..300).contains(&code) => entry.name.text.clone(),
                Some(code) => format!("{} ({code})", entry.name.text),
                None => format!("{}{NOT_MADE}", entry.name.text),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> Name {
        Name { class: Class::Write, text: text.into() }
    }

    fn read(text: &str) -> Name {
        Name { class: Class::Read, text: text.into() }
    }

    #[test]
    fn a_fault_is_met_once_by_the_call_it_is_for() {
        let plans = ["happy/seal web#2/500", "happy/claim#1/409"].map(|plan| plan.parse::<Plan>().unwrap());
        let mut ledger = Ledger::default();
        let met: Vec<_> = (0..4).map(|_| ledger.arrive(write("seal web"), &plans).1).collect();
        assert_eq!(met, [None, Some(Fault::Answer(500)), None, None]);
        assert_eq!(ledger.missed(&plans), plans[1..]);
        assert_eq!(ledger.arrive(write("claim"), &plans).1, Some(Fault::Answer(409)));
        assert_eq!(ledger.missed(&plans), []);
    }

    #[test]
    fn a_read_is_known_by_the_write_it_came_after() {
        let plans = ["happy/list pods after hold web#1/fail".parse().unwrap()];
        let mut ledger = Ledger::default();
        assert_eq!(ledger.arrive(read("list pods"), &plans).1, None);
        let (place, _) = ledger.arrive(write("hold web"), &[]);
        assert_eq!(ledger.answered(place, 200), Some("hold web".to_owned()));
        assert_eq!(ledger.arrive(read("list pods"), &plans).1, Some(Fault::ReadFails));
        assert_eq!(ledger.sites().reads, ["list pods after hold web"]);
    }

    #[test]
    fn a_write_is_new_when_it_comes_for_the_first_time() {
        let mut ledger = Ledger::default();
        let calls = [write("claim"), read("list pods"), write("claim"), write("hold web")];
        let places: Vec<usize> = calls.into_iter().map(|call| ledger.arrive(call, &[]).0).collect();
        let new: Vec<Option<usize>> = places.into_iter().map(|place| ledger.is_new(place)).collect();
        assert_eq!(new, [Some(0), None, None, Some(1)]);
    }

    #[test]
    fn only_what_was_made_is_counted() {
        let mut ledger = Ledger::default();
        for code in [409, 200, 201] {
            let (place, _) = ledger.arrive(write("claim"), &[]);
            ledger.answered(place, code);
        }
        ledger.arrive(write("claim"), &[]);
        assert_eq!((ledger.writes()["claim"], ledger.attempted()), (2, 4));
        assert_eq!(ledger.told(), ["claim (409)", "claim", "claim", "claim (not made)"]);
    }
}
