//! Candidates whose clocks run apart, on a network that delays and loses: never two who believe to lead at the same moment,
//! and somebody leads when the trouble is over.
//!
//! Time is simulated, in microseconds that nobody in the simulation can read. Each candidate has a clock that runs faster or
//! slower than it, by up to 15 %. A call is answered late, or not at all; a write whose answer is lost was made, or will be up to
//! ten seconds later, or never. A watch shows things late, out of order, or not. A process may be frozen at any moment, killed, or
//! told to end; a new one follows under another name.

use proptest::prelude::*;

use super::*;

#[path = "simulation_world_tests.rs"]
mod world;

use world::{Belief, PEACE, TROUBLE, World};

impl World {
    /// Two who believed to lead at the same moment.
    fn split(&self) -> Option<(Belief, Belief)> {
        let pairs = self
            .beliefs
            .iter()
            .enumerate()
            .flat_map(|(i, one)| self.beliefs[..i].iter().map(move |other| (*other, *one)));
        pairs.into_iter().find(|(a, b)| a.who != b.who && a.from < b.to && b.from < a.to)
    }

    fn leaders_at_the_end(&self) -> usize {
        self.beliefs.iter().filter(|belief| belief.to > TROUBLE + PEACE).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn never_two_believe_to_lead_and_somebody_leads_in_the_end(seed: u64, candidates in 2_usize..=3) {
        let world = World::played(seed, candidates, Times::OURS);
        prop_assert!(world.split().is_none(), "{:?}", world.split());
        prop_assert_eq!(world.leaders_at_the_end(), 1);
    }
}

/// The simulation finds what it is there to find.
fn splits(times: Times) -> usize {
    (0..60).filter(|seed| World::played(*seed, 3, times).split().is_some()).count()
}

#[test]
fn a_leader_that_does_not_stop_before_its_lease_ends_is_found_out() {
    assert_eq!(splits(Times::OURS), 0);
    let stops_late = Times { stop: Duration::from_secs(7), ..Times::OURS };
    assert!(splits(stops_late) > 0);
}

#[test]
fn the_trouble_is_real() {
    let world = World::played(7, 3, Times::OURS);
    let leaders: std::collections::BTreeSet<_> = world.beliefs.iter().map(|belief| belief.who).collect();
    assert!(leaders.len() >= 4, "only {leaders:?} ever led");
}
