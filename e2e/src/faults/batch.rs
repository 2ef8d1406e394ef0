//! Which plans share a run: faults of one scenario that are far enough apart not to meet.
//!
//! A run takes most of its time for the rollout, not for its fault, so one run can carry several. What it must show is the same for
//! each: the laws, the end and the counts of a run without a fault. A run that goes wrong is taken apart, and each of its plans is
//! played alone.

use std::collections::BTreeMap;

use super::fault::{Fault, LISTS, LOGS, READS, WRITES};
use super::plan::{Plan, Sites};

/// The most plans in one run. Each may cost it ten seconds, and a gate of the scenarios has ten minutes, a run five.
const MOST: usize = 10;

/// At least so many writes lie between two faults of which one is a write's, so that the operator is over the first by then.
const APART: usize = 3;

/// The last write of the cut-over.
const CONVERGED: &str = "record converged";

/// How many faults there may be between the hold and the end of the cut-over: what was opened waits for seconds, and no longer. A read
/// that fails costs a quarter of a second, any other fault up to three.
const MOVING_MOST: usize = 3;

/// Where in its scenario's writes a plan's call is.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    write: bool,
    moving: bool,
    /// It is made good within a moment: a read that fails once.
    brief: bool,
}

/// Plans that share a run.
#[derive(Debug, Default)]
struct Group {
    places: Vec<Place>,
    plans: Vec<Plan>,
}

impl Group {
    fn takes(&self, plan: &Plan, place: Place) -> bool {
        let moving = || self.places.iter().chain([&place]).filter(|place| place.moving);
        let in_time = moving().count() <= MOVING_MOST && moving().filter(|place| !place.brief).count() <= 1;
        (!place.moving || in_time)
            && self.places.iter().all(|other| apart(place, *other))
            && self.plans.iter().all(|other| other.call != plan.call)
    }
}

/// Groups plans. Every plan is in one group, and their order decides who meets whom.
pub fn grouped(plans: &[Plan], sites: &BTreeMap<String, Sites>) -> Vec<Vec<Plan>> {
    let mut full = Vec::new();
    let mut open: BTreeMap<&str, Vec<Group>> = BTreeMap::new();
    for plan in plans {
        let Some(place) = sites.get(&plan.scenario).and_then(|sites| place(plan, sites)) else {
            full.push(vec![plan.clone()]);
            continue;
        };
        let groups = open.entry(&plan.scenario).or_default();
        let fits = groups.iter().position(|group| group.takes(plan, place));
        let mut group = fits.map_or_else(Group::default, |at| groups.remove(at));
        group.places.push(place);
        group.plans.push(plan.clone());
        if group.plans.len() == MOST {
            full.push(group.plans);
        } else {
            groups.push(group);
        }
    }
    full.extend(open.into_values().flatten().map(|group| group.plans));
    full
}

/// Where a plan's call is; `None` where it is to be played alone, since it takes the whole run for itself: a write that waits for the
/// successor's rest, a second operator, a spoiled log that has a check run once more, a kind of watches.
fn place(plan: &Plan, sites: &Sites) -> Option<Place> {
    let is_write = WRITES.contains(&plan.fault);
    let alone = plan.fault == Fault::Held
        || LOGS.contains(&plan.fault)
        || !(is_write || READS.contains(&plan.fault) || LISTS.contains(&plan.fault));
    if alone {
        return None;
    }
    let find = |call: &str, nth| sites.writes.iter().position(|(name, which)| name == call && *which == nth);
    let (at, write) = match plan.call.split_once(" after ") {
        Some((_, write)) => (find(write, 1)?, false),
        None => (find(&plan.call, plan.nth)?, true),
    };
    let hold = sites.writes.iter().position(|(name, _)| name.starts_with("hold "));
    let converged = find(CONVERGED, 1);
    let moving = hold.is_some_and(|hold| hold <= at) && converged.is_none_or(|converged| at <= converged);
    Some(Place { at, write, moving, brief: plan.fault == Fault::ReadFails })
}

fn apart(one: Place, other: Place) -> bool {
    let between = one.at.abs_diff(other.at);
    if one.write || other.write { between >= APART } else { between >= 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> BTreeMap<String, Sites> {
        let names = ["add finalizer", "claim", "record begun", "create green", "record staged", "hold web", "open pod"];
        let names = names.into_iter().chain(["switch web", CONVERGED, "record verified", "seal web", "delete green"]);
        let writes: Vec<(String, usize)> = names.map(|name| (name.to_owned(), 1)).collect();
        let reads = writes.iter().map(|(name, _)| format!("list pods after {name}")).collect();
        let sites = Sites { writes, reads, changed: Vec::new(), watches: vec!["watch pods".to_owned()] };
        [("happy".to_owned(), sites)].into()
    }

    #[test]
    fn every_plan_is_in_one_group_and_those_of_a_group_do_not_meet() {
        let sites = sites();
        let all = sites["happy"].plans("happy");
        let groups = grouped(&all, &sites);
        let mut members: Vec<Plan> = groups.iter().flatten().cloned().collect();
        members.sort();
        let mut wanted = all.clone();
        wanted.sort();
        assert_eq!(members, wanted);
        assert!(groups.len() * 2 < all.len(), "{} groups of {} plans", groups.len(), all.len());
        for group in groups.iter().filter(|group| group.len() > 1) {
            let places: Vec<Place> = group.iter().map(|plan| place(plan, &sites["happy"]).unwrap()).collect();
            assert!(group.len() <= MOST);
            let moving = || places.iter().filter(|place| place.moving);
            assert!(moving().count() <= MOVING_MOST, "{group:?}");
            assert!(moving().filter(|place| !place.brief).count() <= 1, "{group:?}");
            for (nth, one) in places.iter().enumerate() {
                assert!(places[..nth].iter().all(|other| apart(*one, *other)), "{group:?}");
            }
        }
    }

    #[test]
    fn what_takes_a_run_for_itself_is_alone() {
        let sites = sites();
        let words = ["claim#1/hold-past-successor", "record begun#1/handover", "watch pods/freeze", "unknown#1/409"];
        let plans: Vec<Plan> = words.iter().map(|word| format!("happy/{word}").parse().unwrap()).collect();
        assert!(grouped(&plans, &sites).iter().all(|group| group.len() == 1));
        let plans: Vec<Plan> =
            ["claim#1/409", "record staged#1/reset"].map(|word| format!("happy/{word}").parse().unwrap()).into();
        assert_eq!(grouped(&plans, &sites).len(), 1);
    }
}
