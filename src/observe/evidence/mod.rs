//! What the operator finds out itself, in the background, while the planner wants to know it.
//!
//! Everything here is kept in memory only and bounded: losing it costs a repetition, never a decision. Nothing here
//! makes a reconcile wait: a task finds out, stores what it found and wakes the hotfix.

mod credentials;
mod probe;
mod registry;
mod registry_call;
mod rehearse;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::{HotfixId, Wake};
use crate::api::ImageChange;
use crate::plan::decision::Want;
use crate::plan::observed::{Evidence, Rehearsal, Resolution};
use probe::Probes;
pub use registry::{Registries, RegistriesError};

/// What reads the answers of registries, for whoever tries it with hostile ones.
pub mod untrusted {
    pub use super::credentials::{Credentials, Login};
    pub use super::registry::{Described, described, located, resolved, verified};
    pub use super::registry_call::{Bearer, Manifest};
}

/// How long a finding is shown. An attempt that begins later must ask anew, since a tag may have moved and admission may
/// have changed its mind.
const FRESH: Duration = Duration::from_secs(60);

/// How long a refusal of the registry, or the lack of a right, is shown: as long as the planner cares to wait before it
/// asks again, so that it
/// is not taken for something never asked.
const REFUSAL_SHOWN: Duration = Duration::from_secs(600);

/// Finds things out.
pub(super) struct Gatherer {
    client: Client,
    registries: Arc<Registries>,
    wake: Wake,
    probes: Probes,
    found: Arc<Mutex<HashMap<String, Found>>>,
}

/// What was found out, or is being, for one hotfix.
#[derive(Default)]
struct Found {
    resolution: Option<Finding<Vec<ImageChange>, Vec<Resolution>>>,
    rehearsal: Option<Finding<(String, Value), Rehearsal>>,
}

/// One question with its answer.
struct Finding<Q, A> {
    question: Q,
    /// The task that asks, while it does.
    asking: Option<Task>,
    answer: Option<(Instant, A)>,
}

/// A task that ends when nobody wants its answer any more.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<Q: PartialEq, A> Finding<Q, A> {
    /// True where the question is being asked, or was answered lately by something other than a refusal.
    fn answers(&self, question: &Q, settled: impl Fn(&A) -> bool) -> bool {
        let fresh = self.answer.as_ref().is_some_and(|(at, answer)| at.elapsed() < FRESH && settled(answer));
        self.question == *question && (self.asking.is_some() || fresh)
    }

    fn shown(&self, settled: impl Fn(&A) -> bool) -> Option<&A> {
        let (at, answer) = self.answer.as_ref()?;
        let limit = if settled(answer) { FRESH } else { REFUSAL_SHOWN };
        (at.elapsed() < limit).then_some(answer)
    }
}

impl Gatherer {
    pub(super) fn new(client: Client, registries: Arc<Registries>, wake: Wake) -> Self {
        let probes = Probes::new(Arc::clone(&wake));
        Self { client, registries, wake, probes, found: Arc::default() }
    }

    /// Finds out what is wanted, and stops asking pods that are not to be asked any more.
    pub(super) fn gather(&self, id: &HotfixId, wants: &[Want]) {
        for want in wants {
            match want {
                Want::Resolve(images) => self.resolve(id, images),
                Want::Rehearse { slot, green, pod } => self.rehearse(id, slot, green, pod),
                Want::Probe { .. } => {}
            }
        }
        self.probes.ask(id, wants);
        self.drop_outdated(&id.uid);
    }

    /// Forgets what is not shown any more: a hotfix that rests must not keep a Deployment and a pod in memory.
    fn drop_outdated(&self, uid: &str) {
        let mut all = lock(&self.found);
        let Some(found) = all.get_mut(uid) else { return };
        found.resolution.take_if(|finding| finding.asking.is_none() && finding.shown(all_resolved).is_none());
        found.rehearsal.take_if(|finding| finding.asking.is_none() && finding.shown(asked).is_none());
        if found.resolution.is_none() && found.rehearsal.is_none() {
            all.remove(uid);
        }
    }

    /// What was found out up to now.
    pub(super) fn found(&self, uid: &str) -> Evidence {
        let all = lock(&self.found);
        let found = all.get(uid);
        Evidence {
            resolution: found
                .and_then(|found| found.resolution.as_ref())
                .and_then(|finding| finding.shown(all_resolved))
                .cloned(),
            rehearsal: found
                .and_then(|found| found.rehearsal.as_ref())
                .and_then(|finding| finding.shown(asked))
                .cloned(),
            probes: self.probes.answers(uid),
            watched_since: None,
        }
    }

    pub(super) fn forget(&self, uid: &str) {
        lock(&self.found).remove(uid);
        self.probes.forget(uid);
    }

    fn resolve(&self, id: &HotfixId, images: &[ImageChange]) {
        let question = images.to_vec();
        let registries = Arc::clone(&self.registries);
        let asked = question.clone();
        let ask = async move { registries.resolve(&asked).await };
        self.find(id, question, ask, |found| &mut found.resolution, all_resolved as fn(&Vec<Resolution>) -> bool);
    }

    fn rehearse(&self, id: &HotfixId, slot: &str, green: &Value, pod: &Value) {
        let question = (slot.to_owned(), green.clone());
        let (client, namespace) = (self.client.clone(), id.namespace.clone());
        let (slot, green, pod) = (slot.to_owned(), green.clone(), pod.clone());
        let ask = async move { rehearse::rehearse(&client, &namespace, slot, green, pod).await };
        self.find(id, question, ask, |found| &mut found.rehearsal, asked as fn(&Rehearsal) -> bool);
    }

    /// Asks in the background, unless the same is being asked or was answered lately.
    fn find<Q, A>(
        &self,
        id: &HotfixId,
        question: Q,
        ask: impl Future<Output = A> + Send + 'static,
        place: fn(&mut Found) -> &mut Option<Finding<Q, A>>,
        settled: fn(&A) -> bool,
    ) where
        Q: PartialEq + Clone + Send + 'static,
        A: Send + 'static,
    {
        let mut all = lock(&self.found);
        let finding = place(all.entry(id.uid.clone()).or_default());
        if finding.as_ref().is_some_and(|finding| finding.answers(&question, settled)) {
            return;
        }
        let (found, wake, id, asked) = (Arc::clone(&self.found), Arc::clone(&self.wake), id.clone(), question.clone());
        let task = tokio::spawn(async move {
            let answer = ask.await;
            {
                let mut all = lock(&found);
                let finding = all.get_mut(&id.uid).and_then(|found| place(found).as_mut());
                // Another question was asked meanwhile, or the hotfix forgotten.
                let Some(finding) = finding.filter(|finding| finding.question == asked) else { return };
                finding.answer = Some((Instant::now(), answer));
                // This aborts the task it is in, which has nothing to wait for any more and so ends as usual.
                finding.asking = None;
            }
            wake(&id);
        });
        // The old answer to the same question stays to be seen until the new one is there.
        let answer = finding.take().filter(|old| old.question == question).and_then(|mut old| old.answer.take());
        *finding = Some(Finding { question, asking: Some(Task(task.abort_handle())), answer });
    }
}

// A Vec, since that is the answer's type.
#[allow(clippy::ptr_arg)]
fn all_resolved(resolutions: &Vec<Resolution>) -> bool {
    resolutions.iter().all(|resolution| resolution.outcome.is_ok())
}

/// Whether admission was asked at all.
fn asked(rehearsal: &Rehearsal) -> bool {
    rehearsal.denied.is_none()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held; should it ever, what it guards can be found out again.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(asked: u32, age: Duration) -> Finding<u32, bool> {
        let at = Instant::now().checked_sub(age).expect("the machine has been up for longer");
        Finding { question: asked, asking: None, answer: Some((at, true)) }
    }

    fn any<T>(_: &T) -> bool {
        true
    }

    #[test]
    fn an_answer_is_asked_for_again_once_it_is_old_or_was_a_refusal() {
        assert!(finding(1, Duration::ZERO).answers(&1, any));
        assert!(!finding(1, Duration::ZERO).answers(&2, any), "another question");
        assert!(!finding(1, FRESH).answers(&1, any), "too old");
        assert!(!finding(1, Duration::ZERO).answers(&1, |_| false), "a refusal");
    }

    #[test]
    fn a_refusal_is_shown_for_longer_than_a_finding() {
        assert!(finding(1, Duration::ZERO).shown(any).is_some());
        assert!(finding(1, FRESH).shown(any).is_none());
        assert!(finding(1, FRESH).shown(|_| false).is_some());
    }
}
