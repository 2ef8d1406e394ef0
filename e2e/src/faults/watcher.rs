//! The independent observer: watches every kind of every lane with a client of its own and keeps what it sees, in order.
//!
//! It judges nothing. What it missed it says: a history with a gap proves nothing.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::Value;

use super::world::{Event, History, Kind, World, text, version};
use crate::lab::{Asked, LabError};

/// How often it is looked whether something awaited is so.
const LOOK: Duration = Duration::from_millis(50);

/// How long what was written may take to be seen, on a busy machine.
const CATCH_UP: Duration = Duration::from_secs(20);

/// The observer.
#[derive(Clone)]
pub struct Watcher {
    client: Client,
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    gaps: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct Seen {
    now: World,
    before: World,
    events: Vec<Event>,
}

/// The lane of a namespace: its own and that of its checks have the same.
pub fn lane_of(namespace: &str) -> &str {
    namespace.strip_suffix("-checks").unwrap_or(namespace)
}

impl Watcher {
    /// Begins to watch; returns when every kind has been listed.
    pub async fn start(client: Client) -> Result<Self, LabError> {
        let watcher = Self { client, seen: Arc::default(), gaps: Arc::default() };
        for kind in Kind::ALL {
            let api = watcher.api(kind, None);
            let begun = tokio::time::Instant::now();
            let listed = loop {
                // A kind that was defined a moment ago is not served at once.
                match api.list(&ListParams::default()).await {
                    Err(_) if begun.elapsed() < CATCH_UP => tokio::time::sleep(LOOK).await,
                    answer => break answer.asked(|| format!("listing {kind:?} for the observer"))?,
                }
            };
            let from = listed.metadata.resource_version.clone().unwrap_or_default();
            for object in listed.items {
                watcher.note(kind, &object, false);
            }
            let watcher = watcher.clone();
            tokio::spawn(async move { watcher.follow(kind, api, from).await });
        }
        Ok(watcher)
    }

    fn api(&self, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        let (group, api_version, name, plural) = kind.api();
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, api_version, name), plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn follow(&self, kind: Kind, api: Api<DynamicObject>, mut from: String) {
        loop {
            if let Err(why) = self.stream(kind, &api, &mut from).await {
                self.gap(format!("the observer's watch of {kind:?} broke at {from}: {why}"));
                // From here on nothing is whole any more; every plan that ends says so.
                return;
            }
        }
    }

    /// One watch, to its regular end.
    async fn stream(&self, kind: Kind, api: &Api<DynamicObject>, from: &mut String) -> Result<(), String> {
        let params = WatchParams::default().timeout(280);
        let stream = api.watch(&params, from).await.map_err(|error| error.to_string())?;
        let mut stream = pin!(stream);
        while let Some(event) = stream.try_next().await.map_err(|error| error.to_string())? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.note(kind, &object, false);
                    from.clone_from(&object.metadata.resource_version.unwrap_or_default());
                }
                WatchEvent::Deleted(object) => {
                    self.note(kind, &object, true);
                    from.clone_from(&object.metadata.resource_version.unwrap_or_default());
                }
                WatchEvent::Bookmark(mark) => from.clone_from(&mark.metadata.resource_version),
                WatchEvent::Error(status) => return Err(status.message),
            }
        }
        Ok(())
    }

    fn note(&self, kind: Kind, object: &DynamicObject, gone: bool) {
        let Ok(object) = serde_json::to_value(object) else { return };
        let lane = lane_of(text(&object, "/metadata/namespace")).to_owned();
        let event = Event { version: version(&object), kind, gone, object: Arc::new(object) };
        let mut seen = self.seen();
        let seen = seen.entry(lane).or_default();
        seen.now.apply(&event);
        seen.events.push(event);
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gap(&self, why: String) {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    /// Where its history has gaps.
    pub fn gaps(&self) -> Vec<String> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A history of this lane begins now.
    pub fn begin(&self, lane: &str) {
        let mut seen = self.seen();
        let seen = seen.entry(lane.to_owned()).or_default();
        seen.events.clear();
        seen.before = seen.now.clone();
    }

    /// Looks at what there is in a lane without copying it.
    pub fn look<T>(&self, lane: &str, look: impl FnOnce(&World) -> T) -> T {
        look(&self.seen().entry(lane.to_owned()).or_default().now)
    }

    /// What there is in a lane, as far as it was seen.
    pub fn now(&self, lane: &str) -> World {
        self.seen().get(lane).map(|seen| seen.now.clone()).unwrap_or_default()
    }

    /// Waits until it is so in a lane; false when it has not come about in time.
    pub async fn until(&self, lane: &str, patience: Duration, so: impl Fn(&World) -> bool) -> bool {
        let begun = tokio::time::Instant::now();
        loop {
            // A lane in which nothing was ever made has not been seen.
            let there = self.look(lane, &so);
            if there || begun.elapsed() > patience {
                return there;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The history of a lane up to now, whole: what the API server lists is what was seen last.
    pub async fn history(&self, lane: &str) -> Result<History, String> {
        let begun = tokio::time::Instant::now();
        loop {
            let listed = self.listed(lane).await.map_err(|error| error.to_string())?;
            if listed == self.now(lane).versions() {
                break;
            }
            if begun.elapsed() > CATCH_UP {
                return Err("the observer has not seen what the API server lists".to_owned());
            }
            tokio::time::sleep(LOOK).await;
        }
        let seen = self.seen();
        let Some(seen) = seen.get(lane) else { return Ok(History::default()) };
        let mut events = seen.events.clone();
        events.sort_by_key(|event| event.version);
        Ok(History { before: seen.before.clone(), events })
    }

    async fn listed(
        &self,
        lane: &str,
    ) -> Result<std::collections::BTreeMap<(Kind, super::world::Place), u64>, LabError> {
        let mut world = World::default();
        for namespace in [lane.to_owned(), format!("{lane}-checks")] {
            for kind in Kind::ALL {
                let listed = self.api(kind, Some(&namespace)).list(&ListParams::default()).await;
                for object in listed.asked(|| format!("listing {kind:?} of {namespace}"))?.items {
                    let object: Value = serde_json::to_value(&object).unwrap_or_default();
                    let event = Event { version: version(&object), kind, gone: false, object: Arc::new(object) };
                    world.apply(&event);
                }
            }
        }
        Ok(world.versions())
    }
}
