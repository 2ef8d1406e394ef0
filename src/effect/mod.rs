//! Carries out what the planner decided: each action becomes exactly one call to the API server.
//!
//! This module decides how an action is written in bytes and what an answer to it means. It never decides whether to
//! act, never reads, and never sends anything twice: what became of a write is told by the next observation.

mod answer;
mod patch;
mod request;

#[cfg(test)]
mod request_tests;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use thiserror::Error;

use crate::cluster::{CallError, send};
use crate::plan::action::Action;

pub use request::request;

/// Where an action takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace of the hotfix and of everything it touches but its check Jobs.
    pub namespace: String,
    /// Name of the hotfix.
    pub hotfix: String,
    /// Namespace of the check Jobs.
    pub checks_namespace: String,
}

/// What came of an action, where the answer is certain. In every case the next thing to do is to observe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is written.
    Done,
    /// There is nothing left to write to: the object is gone, or its namespace is going.
    Gone,
    /// Something the action had to rely on has changed; nothing was written.
    Conflict,
    /// An object of that name is there already, ours or not; nothing was written.
    AlreadyExists,
}

/// The answer to an action that has a certain one.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What came of it.
    pub effect: Effect,
    /// The object as it is written, where it is and the API server returned it.
    pub object: Option<Value>,
}

/// Why an action was not carried out, or may not have been.
#[derive(Debug, Error)]
pub enum EffectError {
    /// The API server, or an admission policy or webhook, said no; nothing was written. The same will be refused until
    /// somebody changes something, so people must be told.
    #[error("{action} was refused: {message}")]
    Refused {
        /// The action's short name.
        action: &'static str,
        /// What the API server said.
        message: String,
    },
    /// The API server can make no Job of what a SecurityCheck says; nothing was written. It will be refused until somebody
    /// mends the check, so people must be told which one it is.
    #[error("check {check} cannot be run, since the API server refuses its Job: {message}")]
    Unrunnable {
        /// Name of the SecurityCheck.
        check: String,
        /// What the API server said; it names the field.
        message: String,
    },
    /// No answer, or none that tells. It may have been written all the same: try again after a while, on a fresh look.
    #[error("{action} has no certain answer: {source}")]
    Transient {
        /// The action's short name.
        action: &'static str,
        /// What happened.
        source: CallError,
    },
}

/// Carries out one action, as of `now`.
pub async fn carry_out(client: &Client, action: &Action, place: &Place, now: Timestamp) -> Result<Answer, EffectError> {
    answer::read(action, send(client, &request(action, place, now)).await)
}
