//! What the planner looks at: one consistent-enough picture of a hotfix and everything it touches.
//!
//! The picture is taken in a fixed order, and the order is part of the protocol: pods, then the hotfix and the Services with
//! everything else, and neither the hotfix nor a Service of the workload has changed since before the pods were read.
//! Whatever is opened or switched was therefore seen before the latch could be set, and whatever pods a sealed Service
//! could still reach are in the list. Values here are facts; nothing here judges them.

mod evidence;
mod own;
mod production;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use evidence::{Content, Evidence, Output, Probe, Rehearsal, Resolution, Run, RunState};
pub use own::{Check, Claim, Hotfix, Namespace, Other, Policy, Report, StrayJob, Strays};
pub use production::{
    Autoscaler, Budget, Container, Endpoint, Manager, Open, Owns, Pod, ReplicaSet, Service, Slice, Workload,
};

/// Labels, annotations, or a selector of equality terms.
pub type Map = BTreeMap<String, String>;

/// Everything `decide` sees.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Every Service of the namespace, read with the hotfix.
    pub services: Vec<Service>,
    /// Every pod that carries blue's labels, or a slot of this hotfix or of a stray candidate. Read first.
    pub pods: Vec<Pod>,
    /// The hotfix itself, read after them, at the version it had before them; so are the Services that concern it.
    pub hotfix: Hotfix,
    /// Its namespace.
    pub namespace: Namespace,
    /// The policy chosen by the namespace, where it exists.
    pub policy: Option<Policy>,
    /// The checks named by that policy that exist, by name.
    pub checks: BTreeMap<String, Check>,
    /// Why policies or checks could not be read, where the look went on without them: whole sentences. They may be there.
    pub unread: Option<String>,
    /// The target Deployment.
    pub blue: Option<Workload>,
    /// The Deployment that has the candidate's name, whoever made it.
    pub green: Option<Workload>,
    /// The ReplicaSets controlled by either.
    pub replica_sets: Vec<ReplicaSet>,
    /// The EndpointSlices of the namespace that belong to a Service selecting blue, or recorded, or held by us.
    pub slices: Vec<Slice>,
    /// The PodDisruptionBudgets of the namespace.
    pub budgets: Vec<Budget>,
    /// The HorizontalPodAutoscalers that scale blue.
    pub autoscalers: Vec<Autoscaler>,
    /// Names of Services that a load balancer controller registers pods of by itself.
    pub pod_load_balancers: BTreeSet<String>,
    /// The Lease that claims blue.
    pub claim: Option<Claim>,
    /// The other hotfixes: those of the same target, and all of the namespace where anything seen here is of another one.
    /// Read after all that could be of one of them, so that what is of none of these is of one that is gone.
    pub others: Vec<Other>,
    /// What other hotfixes made for this workload, and may have left.
    pub strays: Strays,
    /// The check Jobs made for this hotfix, with what they printed once they ended.
    pub runs: Vec<Run>,
    /// The record.
    pub report: Option<Report>,
    /// What the operator found out itself, on the planner's wish.
    pub evidence: Evidence,
    /// What does not change while the operator runs.
    pub settings: Arc<Settings>,
}

/// What does not change while the operator runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Namespace in which check Jobs run.
    pub checks_namespace: String,
    /// The operator's own image: it carries the runner into check pods.
    pub runner_image: String,
    /// How long the API server works on a request before it gives it up: its `--request-timeout`.
    pub api_request_max: std::time::Duration,
}

impl Settings {
    /// What an API server is started with unless its administrator says otherwise.
    pub const API_REQUEST_MAX: std::time::Duration = std::time::Duration::from_secs(60);
}

/// The hotfix, as its record tells of it.
impl<'a> From<&'a Observed> for crate::report::Subject<'a> {
    fn from(observed: &'a Observed) -> Self {
        let Hotfix { name, namespace, uid, created_at, managers, spec, status, .. } = &observed.hotfix;
        Self { name, namespace, uid, created_at: *created_at, managers, spec, status }
    }
}
