//! The rooms below, as one look uses them: observation and effect put side by side, and the complaints kept between.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tracing::warn;

use super::complaint::{Complaint, Said};
use super::ledger::Key;
use super::queue::Queue;
use super::trouble::Trouble;
use super::turn::{News, Rooms};
use crate::api::time::Moment;
use crate::api::{GROUP, SecurityHotfixStatus, VERSION};
use crate::cluster::{Call, send};
use crate::effect::{self, Effect, EffectError, Place};
use crate::observe::evidence::Registries;
use crate::observe::{self, HotfixId, ObserveError, Observer, Orphan};
use crate::plan::observed::{Observed, Settings};
use crate::plan::{Action, Want};

/// The real ones.
pub struct World {
    client: Client,
    settings: Arc<Settings>,
    observer: Observer,
    /// What was complained of, by the hotfix's UID; at most one entry for each hotfix in trouble.
    said: Mutex<HashMap<String, Said>>,
    /// What was complained of and could not be written, by the hotfix's UID; as many entries.
    unwritten: Mutex<HashMap<String, Complaint>>,
}

impl World {
    /// Rooms that read and write with `client`, and trigger through `queue` what was found out in the background.
    pub fn new(client: Client, settings: Settings, registries: Registries, queue: Queue) -> Self {
        let settings = Arc::new(settings);
        let wake = move |id: &HotfixId| queue.trigger(&Key::of(id));
        let observer = Observer::new(client.clone(), settings.clone(), Arc::new(registries), Arc::new(wake));
        Self { client, settings, observer, said: Mutex::default(), unwritten: Mutex::default() }
    }

    fn said(&self) -> MutexGuard<'_, HashMap<String, Said>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<String, Complaint>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a complaint over the conditions the hotfix has now.
    async fn write(&self, id: &HotfixId, complaint: &Complaint) -> Result<News, String> {
        let HotfixId { namespace, name, uid, target: _ } = id;
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/securityhotfixes/{name}");
        let hotfix = match send(&self.client, &Call::get(path)).await {
            Ok(hotfix) => hotfix,
            Err(error) if error.code() == 404 => return Ok(News::None),
            Err(error) => return Err(error.to_string()),
        };
        let text = |pointer: &str| hotfix.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("/metadata/uid") != *uid {
            return Ok(News::None);
        }
        let mut status: SecurityHotfixStatus = match hotfix.get("status") {
            Some(status) => serde_json::from_value(status.clone()).map_err(|error| error.to_string())?,
            None => SecurityHotfixStatus::default(),
        };
        let generation = hotfix.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        let now = Timestamp::now();
        let before = self.said().get(uid).cloned();
        let Some(said) = complaint.over(&status, before.as_ref(), generation, Moment::new(now)) else {
            return Ok(News::None);
        };
        status.conditions = said.written().to_vec();
        status.observed_generation = Some(generation);
        let resource_version = text("/metadata/resourceVersion");
        let record = Action::Record { resource_version, status: Box::new(status) };
        match self.perform(id, &record, now).await {
            Ok(Effect::Done) => {
                self.said().insert(uid.clone(), said);
                Ok(News::Told)
            }
            Ok(effect) => Err(format!("{effect:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Makes one write, and lets the observer know what became of it.
    async fn perform(&self, id: &HotfixId, action: &Action, now: Timestamp) -> Result<Effect, EffectError> {
        let answer = effect::carry_out(&self.client, action, &self.place(id), now).await;
        self.observer.wrote(id, answer.as_ref().ok().and_then(|answer| answer.object.as_ref()));
        answer.map(|answer| answer.effect)
    }

    /// The check Jobs of hotfixes that are gone, as [`observe::orphans`] proves it.
    pub async fn orphans(&self, within: Option<&str>, known: &BTreeSet<String>) -> Result<Vec<Orphan>, Trouble> {
        Ok(observe::orphans(&self.client, &self.settings.checks_namespace, within, known).await?)
    }

    fn place(&self, id: &HotfixId) -> Place {
        Place {
            namespace: id.namespace.clone(),
            hotfix: id.name.clone(),
            checks_namespace: self.settings.checks_namespace.clone(),
        }
    }
}

impl Rooms for World {
    async fn observe(&self, id: &HotfixId) -> Result<Option<Observed>, Trouble> {
        let mut observed = self.observer.observe(id).await?;
        if let Some(observed) = &mut observed {
            let conditions = &mut observed.hotfix.status.conditions;
            let mut said = self.said();
            match said.get(&id.uid) {
                Some(complaint) if complaint.covers(conditions) => *conditions = complaint.beneath(conditions),
                // The planner, or somebody else, has written others since.
                Some(_) => drop(said.remove(&id.uid)),
                None => {}
            }
        }
        Ok(observed)
    }

    fn gather(&self, id: &HotfixId, wants: &[Want]) {
        self.observer.gather(id, wants);
    }

    async fn complain(&self, id: &HotfixId, complaint: &Complaint) -> News {
        match self.write(id, complaint).await {
            Ok(news) => {
                self.unwritten().remove(&id.uid);
                news
            }
            // Where no condition can be written an event is all that people get: one for each complaint, not one for each try.
            Err(why) => {
                warn!(why, "the conditions could not be told what is wrong");
                let before = self.unwritten().insert(id.uid.clone(), complaint.clone());
                if before.as_ref() == Some(complaint) { News::None } else { News::Told }
            }
        }
    }

    fn settle(&self, id: &HotfixId) -> bool {
        self.unwritten().remove(&id.uid);
        self.said().remove(&id.uid).is_some()
    }

    fn forget(&self, uid: &str) {
        self.observer.forget(uid);
        self.said().remove(uid);
        self.unwritten().remove(uid);
    }

    async fn carry_out(&self, id: &HotfixId, action: &Action) -> Result<Effect, Trouble> {
        Ok(self.perform(id, action, Timestamp::now()).await?)
    }
}

impl From<ObserveError> for Trouble {
    fn from(error: ObserveError) -> Self {
        if error.needs_a_person() { Self::Refused(error.to_string()) } else { Self::Transient(error.to_string()) }
    }
}

#[cfg(test)]
#[path = "rooms_tests.rs"]
mod tests;
