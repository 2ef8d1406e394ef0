//! The planner: what is to be done next, told from one picture of the cluster.
//!
//! Pure and total: no client, no clock, no randomness, no async. The same function decides in production, in the
//! explorer, in `plan` and in `explain`.

pub mod action;
pub mod decision;
pub mod facts;
pub mod observed;
pub mod selector;
pub mod step;

pub use action::Action;
pub use decision::{Decision, Note, Want, Weight};
pub use observed::Observed;
