//! Planners and protocols that are broken on purpose: an exploration that lets one of them pass proves nothing.
//!
//! Nothing of them is in the product. Each reads in another order, has a write without its precondition, is shown
//! something that is not so, or has its answer changed on the way out.

mod answers;
mod pictures;
mod protocol;

use securityhotfix::api::Attempt;
use securityhotfix::plan::{Action, Decision, Observed};

use crate::act::Act;
use crate::config::Config;
use crate::intern::Intern;
use crate::picture::View;
use crate::state::State;
use crate::worlds;

/// A protocol or planner that is broken on purpose.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// What is broken; empty for the planner as it is.
    pub name: &'static str,
    /// The law or invariant that this breaks.
    pub breaks: &'static str,
    /// The world in which it is caught, with its budgets for faults and moves.
    pub world: (&'static str, u8, u8),
    /// It reads in this order.
    pub order: Option<&'static [u8]>,
    /// It sees this instead.
    pub sees: Option<fn(&mut View, &Intern)>,
    /// It decides this instead.
    pub rewrites: Option<fn(&Observed, &mut Decision)>,
    /// These of its writes have no precondition.
    pub ignores: Option<fn(&Act) -> bool>,
    /// Its writes have another effect.
    pub effects: Option<fn(&mut State, &Act)>,
}

/// The planner as it is.
pub const NONE: Mutant = Mutant {
    name: "",
    breaks: "",
    world: ("core", 1, 1),
    order: None,
    sees: None,
    rewrites: None,
    ignores: None,
    effects: None,
};

/// What entries begin with, by the world they are caught in.
const READ: Mutant = Mutant { world: ("zombie", 1, 2), breaks: "nothing-after-the-acknowledgement", ..NONE };
const LATE: Mutant = Mutant { world: ("late", 1, 1), breaks: "nothing-after-the-acknowledgement", ..NONE };
const SEES: Mutant = Mutant { world: ("cutover", 0, 1), ..NONE };

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    [protocol::ALL, pictures::ALL, answers::ALL].into_iter().flatten()
}

/// The mutant of this name.
pub fn named(name: &str) -> Option<&'static Mutant> {
    all().find(|mutant| mutant.name == name)
}

/// Laws and invariants that a mutant breaks.
pub fn broken_by_some() -> Vec<&'static str> {
    let mut all: Vec<&str> = all().map(|mutant| mutant.breaks).collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Mutant {
    /// The world it is caught in.
    ///
    /// # Panics
    ///
    /// When there is no world of that name.
    #[must_use]
    pub fn config(&self) -> Config {
        let (name, faults, moves) = self.world;
        let world = worlds::named(name).unwrap_or_else(|| panic!("there is no world {name}"));
        Config { faults, moves, ..*world }
    }
}

/// Changes the attempt that the planner records.
fn forge(decision: &mut Decision, change: impl Fn(&mut Attempt)) {
    for action in &mut decision.actions {
        if let Action::Record { status, .. } = action
            && let Some(attempt) = &mut status.attempt
        {
            change(attempt);
        }
    }
}

fn drop_all(decision: &mut Decision, is: fn(&Action) -> bool) {
    decision.actions.retain(|action| !is(action));
}
