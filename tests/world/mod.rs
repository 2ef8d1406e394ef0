//! A small cluster in memory: the objects a rollout touches, the controllers that move them, and an API server that
//! carries out each of the planner's actions with its real precondition.
//!
//! It is a model to tell stories on, and to explore: a world is a value (clone it, compare it, throw it away), nothing is
//! global, and nothing in it draws a random number. Whoever holds a world chooses what happens next, one small step at a
//! time; time is a number that the holder moves.

#![allow(dead_code, reason = "each test binary uses the parts it needs")]

pub mod api;
pub mod arrange;
pub mod checks;
pub mod controllers;
pub mod laws;
pub mod operator;
pub mod people;
pub mod policy;
pub mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use securityhotfix::api::time::Moment;
use securityhotfix::plan::observed::{
    Autoscaler, Budget, Check, Claim, Hotfix, Manager, Map, Namespace, Owns, Pod, Policy, ReplicaSet, Report, Run,
    Service, Settings, Slice, Workload,
};
use serde_json::Value;

pub use operator::Operator;
pub use script::Script;

/// A cluster.
#[derive(Clone, Debug)]
pub struct World {
    /// What time it is.
    pub now: Timestamp,
    /// Counts up with every change; names, uids and resource versions are made from it.
    pub version: u64,
    pub namespace: Namespace,
    pub policy: Option<Policy>,
    pub checks: Arc<BTreeMap<String, Check>>,
    /// Why the operator cannot read policies or checks, where it goes on without.
    pub unread: Option<String>,
    pub hotfixes: BTreeMap<String, Hotfix>,
    /// What the operator remembers of each hotfix, by its name.
    pub operators: BTreeMap<String, Operator>,
    pub services: BTreeMap<String, Service>,
    /// Slices by the name of their Service.
    pub slices: BTreeMap<String, Slice>,
    /// Slices that no controller of ours manages.
    pub foreign_slices: Vec<Slice>,
    pub deployments: BTreeMap<String, Workload>,
    pub sets: BTreeMap<String, Set>,
    pub pods: BTreeMap<String, Pod>,
    /// When pods that are being deleted will be gone.
    pub leaving: BTreeMap<String, Timestamp>,
    pub budgets: BTreeMap<String, Budget>,
    pub autoscalers: Vec<Autoscaler>,
    pub pod_load_balancers: BTreeSet<String>,
    pub leases: BTreeMap<String, Claim>,
    pub reports: BTreeMap<String, Report>,
    pub jobs: BTreeMap<String, Job>,
    /// Owners by the uid of what they own, where the view does not say.
    pub owners: BTreeMap<String, String>,
    /// How everything that is not modelled behaves.
    pub script: Script,
    /// What the owner of each Service last wrote: selector and annotations.
    pub as_owned: BTreeMap<String, (Map, Map)>,
    pub settings: Arc<Settings>,
    /// The candidate that was created last, to be created once more by a write that comes late.
    pub last_green: Option<Arc<Value>>,
    /// Slots whose gates had passed, of hotfixes that are gone.
    pub passed: BTreeSet<String>,
    /// Hashes of templates, by uid and generation of their Deployment.
    hashes: BTreeMap<(String, i64), String>,
    /// Writes of the operator, by what they were.
    pub writes: BTreeMap<&'static str, usize>,
}

/// A ReplicaSet with what its view leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    pub view: ReplicaSet,
    pub selector: Map,
    pub template: Arc<Value>,
}

/// A check Job with what its view leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub run: Run,
    /// The hotfix it was made for, by uid.
    pub hotfix: String,
    /// What it scans.
    pub image: Option<String>,
    pub ends_at: Timestamp,
}

impl World {
    /// Counts one change and gives it a number nothing else has.
    pub fn tick(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// A new resource version.
    pub fn next_version(&mut self) -> String {
        self.tick().to_string()
    }

    /// A new uid; the first eight characters differ, as those of real ones do.
    pub fn next_uid(&mut self, kind: &str) -> String {
        format!("{:08x}-{kind}", self.tick())
    }

    /// The present, as objects record it.
    pub fn moment(&self) -> Moment {
        Moment::new(self.now)
    }

    /// The present in whole seconds, as conditions of pods and managedFields record it.
    pub fn second(&self) -> Moment {
        Moment::new(Timestamp::from_second(self.now.as_second()).unwrap())
    }

    /// The present and so many milliseconds.
    pub fn in_ms(&self, ms: i64) -> Timestamp {
        self.now.checked_add(SignedDuration::from_millis(ms)).unwrap()
    }

    /// Forgets the hashes of templates, after one was changed without a new generation.
    pub fn forget_hashes(&mut self) {
        self.hashes.clear();
    }

    /// The one hotfix of most stories.
    pub fn hotfix(&self) -> Option<&Hotfix> {
        self.hotfixes.values().next()
    }

    /// The Deployment every story is about.
    pub fn blue(&self) -> Option<&Workload> {
        self.deployments.get(arrange::BLUE)
    }

    /// The candidate of a hotfix, if there is one.
    pub fn green(&self) -> Option<&Workload> {
        self.deployments.values().find(|deployment| deployment.name != arrange::BLUE)
    }

    /// The pods a Deployment has through its ReplicaSets.
    pub fn pods_of<'a>(&'a self, deployment: &'a str) -> impl Iterator<Item = &'a Pod> {
        let uid = self.deployments.get(deployment).map(|deployment| deployment.uid.clone());
        self.pods.values().filter(move |pod| {
            self.set_of(pod).is_some_and(|set| uid.as_ref().is_some_and(|uid| set.view.controller == *uid))
        })
    }

    /// The ReplicaSet that controls a pod.
    pub fn set_of(&self, pod: &Pod) -> Option<&Set> {
        self.sets.values().find(|set| pod.controller.as_ref() == Some(&set.view.uid))
    }

    /// The Services people made, by name.
    pub fn production(&self) -> impl Iterator<Item = &Service> {
        self.services.values().filter(|service| !service.labels.contains_key(securityhotfix::api::names::SLOT))
    }

    /// The next time at which something happens by itself.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let jobs = self.jobs.values().filter(|job| job.is_running()).map(|job| job.ends_at);
        let wakes = self.operators.values().filter_map(|operator| operator.wake);
        jobs.chain(wakes).chain(self.leaving.values().copied()).filter(|at| *at > self.now).min()
    }
}

/// Notes who wrote an object, as managedFields do: one entry a manager, the contested field with whoever wrote it last.
pub fn written_by(managers: &mut Vec<Manager>, name: &str, owns: Owns, at: Moment) {
    if owns == Owns::Contested {
        for manager in managers.iter_mut().filter(|manager| manager.name != name) {
            manager.owns = Owns::Else;
        }
    }
    match managers.iter_mut().find(|manager| manager.name == name) {
        Some(manager) => {
            manager.at = Some(at);
            if owns == Owns::Contested {
                manager.owns = owns;
            }
        }
        None => managers.push(Manager { name: name.to_owned(), index: managers.len(), at: Some(at), owns }),
    }
    reindex(managers);
}

/// Gives every entry its place.
pub fn reindex(managers: &mut [Manager]) {
    for (index, manager) in managers.iter_mut().enumerate() {
        manager.index = index;
    }
}

/// A map of texts out of JSON.
pub fn map(value: Option<&Value>) -> Map {
    let object = value.and_then(Value::as_object);
    object.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}
