//! x
use crate::act::Act;
use crate::intern::Intern;
use crate::picture::View;
use crate::state::State;
use securityhotfix::plan::{Action, Observed};

/// A protocol or planner that is broken on purpose.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// What is broken; empty for the planner as it is.
    pub name: &'static str,
    /// It reads in this order.
    pub order: Option<&'static [u8]>,
    /// It sees this instead.
    pub sees: Option<fn(&mut View, &Intern)>,
    /// It decides this instead.
    pub rewrites: Option<fn(&Observed, &mut Vec<Action>)>,
    /// These of its writes have no precondition.
    pub ignores: Option<fn(&Act) -> bool>,
    /// Its writes have another effect.
    pub effects: Option<fn(&mut State, &Act)>,
}

/// The planner as it is.
pub const NONE: Mutant = Mutant { name: "", order: None, sees: None, rewrites: None, ignores: None, effects: None };
