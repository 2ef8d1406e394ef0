//! What one part of the planner answers before it is dressed as a decision.

use jiff::Timestamp;

use super::action::Action;
use super::decision::{Note, Want, Weight};
use crate::api::{Reason, SecurityHotfixStatus};

/// The next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Do this now.
    Act(Vec<Action>),
    /// Remember this now; conditions and phase are filled in later.
    Record(Box<SecurityHotfixStatus>, Vec<Note>),
    /// Nothing can be done before something changes.
    Wait(Wait),
}

/// What is waited for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wait {
    /// What is unusual about it, where something is.
    pub trouble: Option<Trouble>,
    /// What the operator should find out meanwhile.
    pub wants: Vec<Want>,
    /// When to look again though nothing happened.
    pub wake: Option<Timestamp>,
}

/// Something people should read about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// Who can end it.
    pub need: Need,
}

/// Who can end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A person has to change something.
    Person,
    /// It ends by itself, or a person chose it.
    Time,
}

impl Step {
    /// One action.
    pub fn act(action: Action) -> Self {
        Self::Act(vec![action])
    }

    /// Waits, looking again at `wake`.
    pub fn wait(wake: Option<Timestamp>) -> Self {
        Self::Wait(Wait { wake, ..Wait::default() })
    }

    /// Waits for what `wants` will tell.
    pub fn want(wants: Vec<Want>, wake: Option<Timestamp>) -> Self {
        Self::Wait(Wait { wants, wake, trouble: None })
    }

    /// Waits in trouble, looking again at `wake`.
    pub fn trouble(trouble: Trouble, wake: Option<Timestamp>) -> Self {
        Self::Wait(Wait { trouble: Some(trouble), wants: Vec::new(), wake })
    }
}

impl Trouble {
    /// A person has to change something.
    pub fn person(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), need: Need::Person }
    }

    /// It ends by itself.
    pub fn time(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), need: Need::Time }
    }
}

impl Note {
    /// As expected.
    pub fn normal(reason: Reason, action: &'static str, text: impl Into<String>) -> Self {
        Self { weight: Weight::Normal, reason, action, text: text.into() }
    }

    /// A person may have to look.
    pub fn warning(reason: Reason, action: &'static str, text: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, reason, action, text: text.into() }
    }
}

/// The earliest of several times to look again.
pub fn earliest(times: &[Option<Timestamp>]) -> Option<Timestamp> {
    times.iter().flatten().min().copied()
}
