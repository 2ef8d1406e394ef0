//! The watches that are open while hotfixes are under way, shared among those that need the same.
//!
//! A watch is a trigger and nothing else: it carries metadata only, keeps no copy, and whoever is triggered reads
//! everything anew. A frozen or broken watch therefore slows a hotfix down and changes nothing else.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, NamespaceResourceScope};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::interest::{Interest, Scope};
use super::ledger::Key;
use super::metrics::{Counter, Metrics};
use super::queue::Queue;
use crate::api::names;

/// The open watches, and who is interested in what.
#[derive(Clone)]
pub struct Watches {
    client: Client,
    checks_namespace: String,
    queue: Queue,
    metrics: Arc<Metrics>,
    state: Arc<Mutex<State>>,
    open: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    interests: HashMap<Key, Arc<Interest>>,
    open: HashMap<Scope, Open>,
}

struct Open {
    task: AbortHandle,
    followers: HashMap<Key, Arc<Interest>>,
}

impl State {
    /// Takes `key` off every watch, and closes those that nobody follows any more.
    fn leave(&mut self, key: &Key, keep: &[Scope]) {
        let Some(interest) = self.interests.remove(key) else { return };
        for scope in interest.scopes().into_iter().filter(|scope| !keep.contains(scope)) {
            let Some(open) = self.open.get_mut(&scope) else { continue };
            open.followers.remove(key);
            if open.followers.is_empty() {
                open.task.abort();
                self.open.remove(&scope);
            }
        }
    }
}

impl Watches {
    /// None open yet; check Jobs will be watched in `checks_namespace`.
    pub fn new(client: Client, checks_namespace: String, queue: Queue, metrics: Arc<Metrics>) -> Self {
        Self { client, checks_namespace, queue, metrics, state: Arc::default(), open: Arc::default() }
    }

    /// How many are open, for the metrics page.
    pub fn count(&self) -> Arc<AtomicUsize> {
        self.open.clone()
    }

    /// This hotfix is under way and touches this.
    ///
    /// A change may have happened between the look that told the interest and now, so the hotfix is triggered whenever
    /// its interest is a new one.
    pub fn follow(&self, key: &Key, interest: Interest) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.interests.get(key).is_some_and(|before| **before == interest) {
            return;
        }
        let (scopes, interest) = (interest.scopes(), Arc::new(interest));
        state.leave(key, &scopes);
        for scope in scopes {
            let open = state.open.entry(scope).or_insert_with_key(|scope| Open {
                task: tokio::spawn(self.clone().run(scope.clone())).abort_handle(),
                followers: HashMap::new(),
            });
            open.followers.insert(key.clone(), interest.clone());
        }
        state.interests.insert(key.clone(), interest);
        self.open.store(state.open.len(), Ordering::Relaxed);
        drop(state);
        self.queue.trigger(key);
    }

    /// This hotfix rests, or is gone.
    pub fn unfollow(&self, key: &Key) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.leave(key, &[]);
        self.open.store(state.open.len(), Ordering::Relaxed);
    }

    async fn run(self, scope: Scope) {
        debug!(?scope, "watch opened");
        let all = watcher::Config::default;
        match &scope {
            Scope::Jobs => {
                let ours = all().labels(names::HOTFIX_UID);
                self.pump(&scope, self.stream::<Job>(&self.checks_namespace, ours)).await;
            }
            Scope::Services(ns) => self.pump(&scope, self.stream::<Service>(ns, all())).await,
            Scope::Slices(ns) => self.pump(&scope, self.stream::<EndpointSlice>(ns, all())).await,
            Scope::Deployments(ns) => self.pump(&scope, self.stream::<Deployment>(ns, all())).await,
            Scope::ReplicaSets(ns) => self.pump(&scope, self.stream::<ReplicaSet>(ns, all())).await,
            Scope::Pods(ns, selector) => {
                self.pump(&scope, self.stream::<Pod>(ns, all().labels(selector))).await;
            }
        }
    }

    fn stream<K>(&self, namespace: &str, config: watcher::Config) -> impl Stream<Item = Seen> + Send + use<K>
    where
        K: k8s_openapi::Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta>,
        K: Clone + Debug + Send + Sync + 'static,
    {
        let api = Api::<PartialObjectMeta<K>>::namespaced(self.client.clone(), namespace);
        watcher(api, config).default_backoff().filter_map(|event| async {
            match event {
                Ok(Event::Apply(object) | Event::Delete(object)) => Some(Seen::Changed(Box::new(object.metadata))),
                Ok(Event::InitDone) => Some(Seen::Listed),
                // What the list holds was looked at, or will be when it is complete.
                Ok(Event::Init | Event::InitApply(_)) => None,
                Err(error) => Some(Seen::Broke(error)),
            }
        })
    }

    async fn pump(&self, scope: &Scope, stream: impl Stream<Item = Seen> + Send) {
        let mut stream = std::pin::pin!(stream);
        let mut broken = false;
        while let Some(seen) = stream.next().await {
            match seen {
                Seen::Changed(object) => self.wake(scope, |interest| interest.touches(scope, &object)),
                Seen::Listed => {
                    broken = false;
                    // Whatever changed while nobody watched.
                    self.wake(scope, |_| true);
                }
                Seen::Broke(error) => {
                    self.metrics.count(Counter::WatchErrors, scope.kind());
                    // Once for each time it breaks: the stream tries again by itself, with growing delays.
                    if !std::mem::replace(&mut broken, true) {
                        warn!(?scope, %error, "a watch broke; hotfixes are looked at every half minute until it is back");
                    }
                }
            }
        }
    }

    fn wake(&self, scope: &Scope, worth: impl Fn(&Interest) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let followers = state.open.get(scope).into_iter().flat_map(|open| &open.followers);
        let woken: Vec<_> = followers.filter(|(_, interest)| worth(interest)).map(|(key, _)| key.clone()).collect();
        drop(state);
        self.queue.trigger_all(&woken);
    }
}

enum Seen {
    Changed(Box<ObjectMeta>),
    Listed,
    Broke(watcher::Error),
}

#[cfg(test)]
#[path = "watches_tests.rs"]
mod tests;
