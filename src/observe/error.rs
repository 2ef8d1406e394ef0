//! Why there is no picture, by what has to happen next.

use thiserror::Error;

use super::reads::Kind;
use crate::cluster::{CallError, ListError};

/// Why there is no picture of a hotfix. A picture with a hole is never given: what was not read could be what matters.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// The API server does not let the operator read something. An administrator must change its rights.
    #[error("{0}")]
    Denied(String),
    /// A kind is missing in the cluster. An administrator must install its definition.
    #[error("{0}")]
    Missing(String),
    /// An object cannot be read, or there are too many. A person must look at it.
    #[error("{0}")]
    Unreadable(String),
    /// The API server gave no answer, or a passing one: try again after a while.
    #[error("{what} could not be read: {source}")]
    Transient {
        /// What was read.
        what: String,
        /// What happened.
        source: CallError,
    },
    /// What was looked at changed again and again meanwhile: try again after a while.
    #[error("the hotfix or its target changed {0} times while it was looked at")]
    Restless(usize),
}

impl ObserveError {
    /// True where it lasts until a person changes something, so that people should read it in a condition.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Missing(_) | Self::Unreadable(_) => true,
            Self::Transient { .. } | Self::Restless(_) => false,
        }
    }

    /// What a failed call means, for what was read and how.
    pub(super) fn of_call(kind: Kind, verb: &str, namespace: &str, error: CallError) -> Self {
        let resource = kind.resource();
        match error.code() {
            403 => Self::Denied(format!(
                "The operator may not {verb} {resource}{}: its role lacks this rule, which the chart's roles have; \
                 install them again. The API server said: {error}.",
                kind.place(namespace),
            )),
            404 => Self::Missing(format!(
                "The cluster has no {resource}: install the definitions of the chart (crds/). It heals by itself then.",
            )),
            _ => Self::Transient { what: format!("{resource}{}", kind.place(namespace)), source: error },
        }
    }

    /// What a failed list means, for what was read.
    pub(super) fn of_list(kind: Kind, namespace: &str, error: ListError) -> Self {
        match error {
            ListError::Call(error) => Self::of_call(kind, "list", namespace, error),
            ListError::TooMany => Self::Unreadable(format!("Of {}{} {error}.", kind.resource(), kind.place(namespace))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::reads;
    use super::*;

    fn status(code: u16) -> CallError {
        let status = json!({"code": code, "message": "said so"});
        CallError::Status(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn a_denied_read_names_the_missing_rule() {
        let error = ObserveError::of_call(reads::BUDGETS, "list", "shop", status(403));
        assert!(error.needs_a_person());
        assert_eq!(
            error.to_string(),
            "The operator may not list poddisruptionbudgets.policy in namespace shop: its role lacks this rule, which \
             the chart's roles have; install them again. The API server said: said so (403)."
        );
    }

    #[test]
    fn a_missing_kind_is_not_taken_for_an_empty_one() {
        let error = ObserveError::of_call(reads::POLICIES, "list", "shop", status(404));
        assert!(
            matches!(&error, ObserveError::Missing(message) if message.contains("hotfixpolicies.securityhotfix.dev"))
        );
    }

    #[test]
    fn trouble_of_the_server_passes() {
        let error = ObserveError::of_call(reads::PODS, "list", "shop", status(503));
        assert!(!error.needs_a_person());
        assert_eq!(error.to_string(), "pods in namespace shop could not be read: said so (503)");
    }
}
