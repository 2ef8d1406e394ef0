//! What `decide` answers.

use jiff::Timestamp;
use serde_json::Value;

use super::action::Action;
use crate::api::{Gate, HttpCheck, ImageChange, Reason};

/// The most actions one decision holds. Opens and closes of pods are independent of one another and go out together;
/// everything else comes alone. A candidate with more pods needs more rounds of the same reconcile.
pub const ACTIONS_MAX: usize = 32;

/// What is to be done now, what is missing to decide more, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// At most one action, or several opens or closes.
    pub actions: Vec<Action>,
    /// What the operator should find out for the next look.
    pub wants: Vec<Want>,
    /// What to tell people, once the actions are written.
    pub events: Vec<Note>,
    /// When to look again if nothing happens before; `None`: only when something does.
    pub wake: Option<Timestamp>,
}

/// Something the planner needs to know and the API server does not tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Ask the registry for the digests of these images.
    Resolve(Vec<ImageChange>),
    /// Let admission judge the candidate and one pod of its template, in a dry run.
    Rehearse {
        /// The slot they are made for.
        slot: String,
        /// The Deployment.
        green: Box<Value>,
        /// The pod.
        pod: Box<Value>,
    },
    /// Ask these pods over HTTP, again and again while this is wanted.
    Probe {
        /// The attempt.
        attempt: i64,
        /// The gate.
        gate: Gate,
        /// Name of the check and generation of its spec.
        check: (String, i64),
        /// What to ask; `$(NAME)` is expanded already.
        http: HttpCheck,
        /// UID and address of each pod.
        pods: Vec<(String, String)>,
    },
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Normal or Warning.
    pub weight: Weight,
    /// Why, as in conditions.
    pub reason: Reason,
    /// What was done. Example: `SwitchTraffic`.
    pub action: &'static str,
    /// What happened, in a sentence.
    pub text: String,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As expected.
    Normal,
    /// A person may have to look.
    Warning,
}
