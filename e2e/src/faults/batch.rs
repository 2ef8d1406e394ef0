//! Which plans share a run: faults of one scenario that are far enough apart not to meet.
//!
//! A run takes most of its time for the rollout, not for its fault, so one run can carry several. What it must show is the same for
//! each: the laws, the end and the counts of a run without a fault. A run that goes wrong is taken apart, and each of its plans is
//! played alone.

use std::collections::BTreeMap;

use super::fault::{Fault, LOGS};
use super::plan::{ALL_WATCHES, Plan, Sites};

/// The most plans in one run. Each may cost it ten seconds, and a gate of the scenarios has ten minutes, a run five.
const MOST: usize = 16;

/// At least so many writes lie between two faults of which one is a write's, so that the operator is over the first by then.
const APART: usize = 3;

/// How many faults there may be from the first opening to the last switch: what was opened waits for seconds, and no longer. A read
/// that fails costs a quarter of a second, any other fault up to three.
const MOVING_MOST: usize = 3;

/// How many kinds of watches may be disturbed beside other faults: most of what the operator hears comes as it should.
const STREAMS_MOST: usize = 2;

/// How many kinds of watches are frozen in one run. Each makes it wait up to half a minute again and again, where it has ten.
const FROZEN_MOST: usize = 4;

/// Where in its scenario's writes a plan's call is.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    write: bool,
    moving: bool,
    /// It is made good within a moment: a read that fails once.
    brief: bool,
}

/// What a plan takes up of a run.
#[derive(Debug, Clone, Copy)]
enum Takes {
    /// A kind of watches, frozen: nothing beside but other frozen ones.
    Frozen,
    /// A kind of watches.
    Stream,
    /// One moment.
    Moment(Place),
}

/// Plans that share a run.
#[derive(Debug, Default)]
struct Group {
    taken: Vec<Takes>,
    plans: Vec<Plan>,
}

impl Group {
    fn takes(&self, plan: &Plan, takes: Takes) -> bool {
        let count = |what: fn(&Takes) -> bool| self.taken.iter().filter(|taken| what(taken)).count();
        let frozen = count(|taken| matches!(taken, Takes::Frozen));
        let fits = match takes {
            Takes::Frozen => frozen == self.plans.len() && frozen < FROZEN_MOST,
            Takes::Stream => frozen == 0 && count(|taken| matches!(taken, Takes::Stream)) < STREAMS_MOST,
            Takes::Moment(place) => frozen == 0 && self.has_time_for(place),
        };
        fits && self.plans.len() < MOST && self.plans.iter().all(|other| other.call != plan.call)
    }

    fn has_time_for(&self, place: Place) -> bool {
        let places = || {
            self.taken.iter().filter_map(|taken| match taken {
                Takes::Moment(place) => Some(*place),
                Takes::Frozen | Takes::Stream => None,
            })
        };
        let moving = || places().chain([place]).filter(|place| place.moving);
        let in_time = moving().count() <= MOVING_MOST && moving().filter(|place| !place.brief).count() <= 1;
        (!place.moving || in_time) && places().all(|other| apart(place, other))
    }

    fn take(&mut self, plan: &Plan, takes: Takes) {
        self.taken.push(takes);
        self.plans.push(plan.clone());
    }
}

/// Groups plans. Every plan is in one group, and their order decides who meets whom.
pub fn grouped(plans: &[Plan], sites: &BTreeMap<String, Sites>) -> Vec<Vec<Plan>> {
    let mut full = Vec::new();
    let mut open: BTreeMap<&str, Vec<Group>> = BTreeMap::new();
    for plan in plans {
        let Some(takes) = sites.get(&plan.scenario).and_then(|sites| takes(plan, sites)) else {
            full.push(vec![plan.clone()]);
            continue;
        };
        let groups = open.entry(&plan.scenario).or_default();
        if let Some(group) = groups.iter_mut().find(|group| group.takes(plan, takes)) {
            group.take(plan, takes);
        } else {
            let mut group = Group::default();
            group.take(plan, takes);
            groups.push(group);
        }
    }
    full.extend(open.into_values().flatten().map(|group| group.plans));
    full
}

/// What a plan takes up of a run of its scenario; `None` where that is all of it: a write that waits for the successor's rest, a second
/// operator, every watch there is.
fn takes(plan: &Plan, sites: &Sites) -> Option<Takes> {
    match plan.fault {
        _ if plan.call == ALL_WATCHES => None,
        Fault::WatchFrozen => Some(Takes::Frozen),
        fault if fault.is_of_watches() => Some(Takes::Stream),
        _ => place(plan, sites).map(Takes::Moment),
    }
}

/// Where a plan's call is; `None` where it is to be played alone.
fn place(plan: &Plan, sites: &Sites) -> Option<Place> {
    if matches!(plan.fault, Fault::Held | Fault::Handover) {
        return None;
    }
    let find = |call: &str, nth| sites.writes.iter().position(|(name, which)| name == call && *which == nth);
    let (at, write) = match plan.call.split_once(" after ") {
        // After a log that proves nothing the check is run once more.
        Some((_, write)) => (find(write, 1)?, LOGS.contains(&plan.fault)),
        None => (find(&plan.call, plan.nth)?, true),
    };
    let moving = is_moving(at, sites);
    Some(Place { at, write, moving, brief: plan.fault == Fault::ReadFails })
}

/// Whether a place lies between the first opening of a cut-over and its last switch.
fn is_moving(at: usize, sites: &Sites) -> bool {
    let is = |place: usize, what: &str| sites.writes.get(place).is_some_and(|(name, _)| name.starts_with(what));
    let Some(held) = (0..=at).rfind(|place| is(*place, "hold ")) else { return false };
    let converged = (held..sites.writes.len()).find(|place| is(*place, "record converged"));
    let mut cut_over = held..converged.unwrap_or(sites.writes.len());
    // The second rollout of a scenario opens pods too, but they are no sites of their own.
    let opened = cut_over.clone().find(|place| is(*place, "open ")).unwrap_or(held);
    let switched = cut_over.rfind(|place| is(*place, "switch "));
    opened <= at && switched.is_some_and(|switched| at <= switched)
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
        let names =
            names.into_iter().chain(["switch web", "record converged", "record verified", "seal web", "delete green"]);
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
            let of = &sites["happy"];
            let places: Vec<Place> = group.iter().filter_map(|plan| place(plan, of)).collect();
            let streams = group.iter().filter(|plan| matches!(takes(plan, of), Some(Takes::Stream))).count();
            assert!(streams <= STREAMS_MOST && places.len() + streams == group.len(), "{group:?}");
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
    fn time_is_short_from_the_opening_to_the_switch_of_each_cut_over() {
        let first = ["record promoting", "hold web", "delete preview", "open pod", "switch web", "record converged"];
        let second = ["seal web", "hold web", "switch web", "record converged of later", "seal web"];
        let writes = first.into_iter().chain(second).map(|name| (name.to_owned(), 1)).collect();
        let sites = Sites { writes, ..Sites::default() };
        let moving: Vec<usize> = (0..sites.writes.len()).filter(|at| is_moving(*at, &sites)).collect();
        assert_eq!(moving, [3, 4, 7, 8]);
    }

    #[test]
    fn what_takes_a_run_for_itself_is_alone() {
        let sites = sites();
        let words = ["claim#1/hold-past-successor", "record begun#1/handover", "watch all/drop", "unknown#1/409"];
        let plans: Vec<Plan> = words.iter().map(|word| format!("happy/{word}").parse().unwrap()).collect();
        assert!(grouped(&plans, &sites).iter().all(|group| group.len() == 1));
        let share = |words: &[&str]| {
            let plans: Vec<Plan> = words.iter().map(|word| format!("happy/{word}").parse().unwrap()).collect();
            grouped(&plans, &sites).len()
        };
        assert_eq!(share(&["claim#1/409", "record staged#1/reset", "watch pods/drop", "watch services/410"]), 1);
        assert_eq!(share(&["watch pods/freeze", "watch services/freeze"]), 1);
        assert_eq!(share(&["watch pods/freeze", "watch services/drop", "claim#1/409"]), 2);
        assert_eq!(share(&["watch pods/coalesce", "watch pods/drop"]), 2);
    }
}
