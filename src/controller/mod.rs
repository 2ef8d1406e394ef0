//! The wiring: which hotfix is looked at when, what surrounds each look, and what the process tells about itself.
//!
//! It never decides anything about a hotfix: `plan` does. Watches are triggers, the queue holds names, and everything
//! kept in memory may be lost at any time.

pub mod args;
mod backoff;
mod command;
mod complaint;
mod definitions;
mod election;
mod events;
mod health;
mod interest;
mod ledger;
pub mod logging;
mod metrics;
pub mod operator;
mod permit;
mod queue;
mod reconcile;
mod recorders;
mod relist;
mod rooms;
#[cfg(test)]
mod script;
mod standing;
mod stop;
mod sweep;
mod trouble;
mod turn;
mod watches;
