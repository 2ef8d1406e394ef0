//! Which pods of checks have not started, and why.
//!
//! It is remembered until they start: when a check's time runs out, Kubernetes removes its pod before the Job says that it
//! has ended. Memory only: losing it costs words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tracing::debug;

use super::error::ObserveError;
use super::json::{controller, text};
use super::outputs::Source;
use super::read;
use super::reads::{PODS, Reads, Which};
use crate::api::Phase;
use crate::api::names::HOTFIX_UID;
use crate::plan::observed::Hotfix;

/// The most Jobs of which it is remembered; beyond it all are forgotten, and seen again at the next look.
const JOBS_MAX: usize = 1024;

/// How long nobody asks again after a refusal. It lasts until a person changes a role, and a hotfix under way looks several
/// times a second; six calls a minute leave the audit log readable, and a check, which by default has ten minutes, still has
/// time to be told of once the right is back.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// What is remembered of the pods of checks, which are all in one namespace.
#[derive(Clone, Default)]
pub(super) struct Stuck(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Why pods have not started, by the UID of their Job.
    why: HashMap<String, String>,
    refused: Option<Instant>,
}

impl Stuck {
    /// Looks at the pods of a hotfix's checks in the phases in which there are some. They tell words only, so that nothing
    /// depends on a read that fails.
    pub(super) async fn look(&self, source: &Source, hotfix: &Hotfix) {
        if !matches!(hotfix.status.phase, Some(Phase::Scanning | Phase::Analyzing | Phase::Verifying)) {
            return;
        }
        if self.lock().is_paused(Instant::now()) {
            return;
        }
        let reads = Reads { client: &source.client, namespace: &source.namespace };
        match reads.all(PODS, Which::Labels(format!("{HOTFIX_UID}={}", source.id.uid))).await {
            Ok(pods) => self.saw(&pods, Timestamp::now()),
            Err(error) => {
                debug!(%error, "the pods of the checks cannot be read");
                if matches!(error, ObserveError::Denied(_)) {
                    self.lock().refused = Some(Instant::now());
                }
            }
        }
    }

    fn saw(&self, pods: &[Value], now: Timestamp) {
        let mut state = self.lock();
        state.refused = None;
        let known = &mut state.why;
        if known.len() + pods.len() > JOBS_MAX {
            known.clear();
        }
        for pod in pods {
            let Some(job) = controller(pod).and_then(|owner| text(owner, "/uid")) else { continue };
            match read::stuck(pod, now) {
                Some(why) => drop(known.insert(job.to_owned(), why)),
                None => drop(known.remove(job)),
            }
        }
    }

    /// Why the pod of this Job had not started when it was looked at last.
    pub(super) fn of(&self, job_uid: &str) -> Option<String> {
        self.lock().why.get(job_uid).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; should it ever, what it guards is only a memory.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_paused(&self, now: Instant) -> bool {
        self.refused.is_some_and(|at| now.saturating_duration_since(at) < REFUSED_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(state: &Value) -> Value {
        json!({
            "metadata": {"ownerReferences": [{"uid": "j", "controller": true}]},
            "spec": {"containers": [{"name": "check", "image": "r/trivy:9"}]},
            "status": {"containerStatuses": [{"name": "check", "state": state}]},
        })
    }

    #[test]
    fn why_a_pod_has_not_started_is_known_until_it_starts_and_when_it_is_gone() {
        let stuck = Stuck::default();
        stuck.saw(&[pod(&json!({"waiting": {"reason": "ErrImagePull"}}))], Timestamp::UNIX_EPOCH);
        stuck.saw(&[], Timestamp::UNIX_EPOCH);
        assert_eq!(stuck.of("j").as_deref(), Some("ErrImagePull (image r/trivy:9)"));
        assert_eq!(stuck.of("another"), None);
        stuck.saw(&[pod(&json!({"running": {}}))], Timestamp::UNIX_EPOCH);
        assert_eq!(stuck.of("j"), None);
    }

    #[test]
    fn after_a_refusal_nobody_asks_until_the_pause_is_over_or_it_was_answered() {
        let (stuck, refused) = (Stuck::default(), Instant::now());
        let is_paused = |after| stuck.lock().is_paused(refused + after);
        assert!(!is_paused(Duration::ZERO), "nothing was refused");
        stuck.lock().refused = Some(refused);
        assert!(is_paused(Duration::ZERO) && is_paused(REFUSED_PAUSE / 2));
        assert!(!is_paused(REFUSED_PAUSE));
        stuck.saw(&[], Timestamp::UNIX_EPOCH);
        assert!(!is_paused(Duration::ZERO), "it was answered");
    }
}
