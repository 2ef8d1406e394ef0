//! What can go wrong while a hotfix is looked at, shaped by what is done next.

use std::time::Duration;

use thiserror::Error;

use super::backoff;
use crate::effect::EffectError;

/// Why a look at a hotfix did not come to its end.
#[derive(Debug, Error)]
pub enum Trouble {
    /// The API server was late, away or failing. It is tried again soon.
    #[error("{0}")]
    Transient(String),
    /// The API server, or an admission rule, said no. It is tried again less often, until somebody changes something.
    #[error("{0}")]
    Refused(String),
    /// A check cannot be run as it is written. It is tried again less often, until somebody mends it.
    #[error("{0}")]
    Unrunnable(String),
    /// Others changed what was to be written again and again. It is tried again soon.
    #[error("{action} met another writer {times} times in a row")]
    Contended {
        /// The action's short name.
        action: &'static str,
        /// How often.
        times: u32,
    },
    /// The operator refused a write of its own. It is tried again rarely, on a fresh look.
    #[error("{action} was not written, because it would break an invariant: {why}")]
    Violation {
        /// The action's short name.
        action: &'static str,
        /// Which one, in a sentence.
        why: String,
    },
    /// The code failed. It is tried again rarely.
    #[error("the operator failed: {0}")]
    Panicked(String),
    /// It took too long.
    #[error("it was not done within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl Trouble {
    /// The category, for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Transient(_) => "transient",
            Self::Refused(_) | Self::Unrunnable(_) => "refused",
            Self::Contended { .. } => "contended",
            Self::Violation { .. } => "violation",
            Self::Panicked(_) => "panicked",
            Self::TimedOut(_) => "timed_out",
        }
    }

    /// The longest to leave the hotfix alone.
    pub fn delay_max(&self) -> Duration {
        match self {
            Self::Transient(_) | Self::Contended { .. } | Self::TimedOut(_) => backoff::TRANSIENT_MAX,
            Self::Refused(_) | Self::Unrunnable(_) | Self::Violation { .. } | Self::Panicked(_) => backoff::REFUSED_MAX,
        }
    }
}

impl From<EffectError> for Trouble {
    fn from(error: EffectError) -> Self {
        match error {
            EffectError::Refused { .. } => Self::Refused(error.to_string()),
            EffectError::Unrunnable { .. } => Self::Unrunnable(error.to_string()),
            EffectError::Transient { .. } => Self::Transient(error.to_string()),
        }
    }
}
