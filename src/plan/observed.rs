//! What the planner looks at: one consistent-enough picture of a hotfix and everything it touches.
//!
//! The picture is taken in a fixed order, and the order is part of the protocol: Services, then pods, then the hotfix,
//! then everything else. Whatever is opened or switched was therefore seen before the latch could be set, and whatever
//! pods a sealed Service could still reach are in the list. The hotfix was not written while they were read.
//! Values here are facts; nothing in this file judges them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::time::Moment;
use crate::api::{
    Gate, HotfixPolicySpec, HotfixReportSpec, ResolvedImage, SecurityCheckSpec, SecurityHotfixSpec,
    SecurityHotfixStatus,
};
use crate::findings::{ScanReport, TestReport};

/// Labels, annotations, or a selector of equality terms.
pub type Map = BTreeMap<String, String>;

/// Everything `decide` sees.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Every Service of the namespace. Read first.
    pub services: Vec<Service>,
    /// Every pod that carries blue's labels, or a slot of this hotfix or of a stray candidate. Read after the Services.
    pub pods: Vec<Pod>,
    /// The hotfix itself, read after them, at the version it had before them.
    pub hotfix: Hotfix,
    /// Its namespace.
    pub namespace: Namespace,
    /// The policy chosen by the namespace, where it exists.
    pub policy: Option<Policy>,
    /// The checks named by that policy that exist, by name.
    pub checks: BTreeMap<String, Check>,
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

/// The hotfix.
#[derive(Clone, Debug, PartialEq)]
pub struct Hotfix {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read; every status write carries it.
    pub resource_version: String,
    /// Generation of its spec.
    pub generation: i64,
    /// When it was created.
    pub created_at: Option<Moment>,
    /// Set when it is being deleted.
    pub deleting: Option<Moment>,
    /// Its finalizers, in order.
    pub finalizers: Vec<String>,
    /// Its annotations in the project's own domain.
    pub annotations: Map,
    /// Field managers that wrote its spec.
    pub managers: Vec<String>,
    /// What is asked for.
    pub spec: SecurityHotfixSpec,
    /// What was recorded.
    pub status: SecurityHotfixStatus,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// True once its deletion began: nothing can be created in it any more.
    pub terminating: bool,
    /// Its policy label.
    pub policy: Option<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: HotfixPolicySpec,
}

/// A check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its UID.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// How it is run.
    pub spec: SecurityCheckSpec,
}

/// A Service.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the API has as a bool")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read.
    pub resource_version: String,
    /// Its selector; empty when it has none.
    pub selector: Map,
    /// Its labels.
    pub labels: Map,
    /// Its annotations, the mark included.
    pub annotations: Map,
    /// True when it is being deleted.
    pub deleting: bool,
    /// `spec.type`.
    pub type_: String,
    /// True when it has no cluster IP, so that clients resolve pods themselves.
    pub headless: bool,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// True when `internalTrafficPolicy` or `externalTrafficPolicy` is `Local`.
    pub local_traffic: bool,
    /// `spec.ports` as the API server gave it.
    pub ports: Vec<Value>,
    /// Its managedFields entries, in order.
    pub managers: Vec<Manager>,
}

/// An entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Name of the manager.
    pub name: String,
    /// Its place in the list, for a patch that removes it.
    pub index: usize,
    /// When it last wrote.
    pub at: Option<Moment>,
    /// True when it owns what this project also writes there: a Service's selector, a container's image.
    pub owns: Owns,
}

/// What a field manager owns, of what matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owns {
    /// The field this project also writes.
    Contested,
    /// Other fields only.
    Else,
}

/// A pod.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the API has as a bool")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read.
    pub resource_version: String,
    /// Its labels.
    pub labels: Map,
    /// UID of its controller.
    pub controller: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// True when it is being deleted.
    pub deleting: bool,
    /// True when it has ended, well or badly.
    pub ended: bool,
    /// Its readiness gates.
    pub gates: Vec<String>,
    /// Condition `ContainersReady`.
    pub containers_ready: bool,
    /// When it last changed, in whole seconds.
    pub containers_ready_since: Option<Moment>,
    /// Condition `Ready`.
    pub ready: bool,
    /// When `Ready` last changed.
    pub ready_since: Option<Moment>,
    /// Our condition, where it was ever written.
    pub open: Option<Open>,
    /// Its containers, init containers included.
    pub containers: Vec<Container>,
    /// True when it uses the host's network or a host port.
    pub host_ports: bool,
}

/// The state of our readiness gate on a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// True: open. False: closed for good.
    pub open: bool,
    /// When it was written.
    pub since: Option<Moment>,
}

/// A container of a pod, as specified and as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image in the pod's spec.
    pub image: String,
    /// What the kubelet says it runs; empty until it does.
    pub image_id: String,
    /// Why it waits, where it does. Example: `ImagePullBackOff`.
    pub waiting: Option<String>,
    /// How often it was restarted.
    pub restarts: i32,
}

/// A Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read.
    pub resource_version: String,
    /// Generation of its spec.
    pub generation: i64,
    /// The generation its controller has seen.
    pub observed_generation: i64,
    /// Its labels.
    pub labels: Map,
    /// Its annotations.
    pub annotations: Map,
    /// True when it is being deleted.
    pub deleting: bool,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.replicas`.
    pub replicas: i32,
    /// Its controller, where it has one: kind and name, for a message.
    pub controller: Option<String>,
    /// UIDs of all its owners.
    pub owners: Vec<String>,
    /// Its managedFields entries, in order.
    pub managers: Vec<Manager>,
    /// The object as the API server gave it: the candidate is built from it, unknown fields and all.
    pub raw: Arc<Value>,
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the Deployment that controls it.
    pub controller: String,
    /// Its `pod-template-hash`.
    pub template_hash: String,
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.replicas`: the pods it has.
    pub pods: i32,
    /// Its revision among its Deployment's.
    pub revision: i64,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The Service it is of.
    pub service: String,
    /// Who manages it.
    pub managed_by: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// UID of the pod behind it; `None` where the slice does not say.
    pub pod: Option<String>,
    /// Condition `ready`.
    pub ready: bool,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: Map,
    /// Its selector as it was written.
    pub selector: Value,
    /// Its spec as it was written.
    pub spec: Value,
}

/// A HorizontalPodAutoscaler that scales blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// Its metrics, as `type/target`. Example: `Resource/Utilization`, `External/Value`.
    pub metrics: Vec<String>,
}

/// The Lease that claims a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the hotfix that holds it.
    pub holder: String,
    /// Name of the hotfix that holds it.
    pub holder_name: String,
}

/// Another hotfix of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// True while it may still write: it has an attempt that is not finished.
    pub alive: bool,
    /// Number of its current or last attempt; 0 before its first.
    pub attempt: i64,
}

/// What other hotfixes made for this workload. Looked for only before the promotion, the only time it matters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strays {
    /// Deployments with the name that another hotfix's candidate of this workload has.
    pub candidates: Vec<Workload>,
    /// Check Jobs of those of these hotfixes that are gone.
    pub jobs: Vec<StrayJob>,
    /// The record of the one whose leavings are being taken away.
    pub report: Option<Report>,
}

/// A check Job of another hotfix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayJob {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the hotfix it was made for.
    pub hotfix: String,
}

/// A check Job.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the Job.
    pub job: String,
    /// Its UID.
    pub uid: String,
    /// Its labels: they repeat what it was made for, and it counts only if all of them match.
    pub labels: Map,
    /// Where it stands.
    pub state: RunState,
    /// Why its pod has not started, as Kubernetes says, where it says so. Example: `ErrImagePull: not found`. Visible text of
    /// at most 300 bytes.
    pub stuck: Option<String>,
}

/// Where a check Job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It runs, or waits to.
    Running,
    /// It has ended, and this is what it printed.
    Ended {
        /// When.
        at: Moment,
        /// What came of it.
        output: Output,
    },
}

/// What a check Job printed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Exactly one whole frame.
    Framed {
        /// Exit code of the check's command.
        exit_code: i32,
        /// SHA-256 of the report, in hex.
        sha256: String,
        /// The report, read by the format its check declares.
        content: Content,
        /// The end of its standard error, bounded, for messages.
        stderr: String,
    },
    /// No frame, more than one, or a broken one; the Job hit its deadline; its pod is gone. Why, in a sentence.
    Unusable(String),
}

/// A report, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A scanner's findings.
    Scan(Box<ScanReport>),
    /// A test's results.
    Test(Box<TestReport>),
    /// The check declares no format.
    None,
    /// It could not be read. Why, in a sentence.
    Malformed(String),
}

/// The record.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Version of this read.
    pub resource_version: String,
    /// UID of the hotfix it says it is about.
    pub hotfix_uid: String,
    /// What it says.
    pub spec: HotfixReportSpec,
}

/// What the operator found out itself. Kept in memory only: losing it costs a repetition, never a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// What the registry said of the patched images.
    pub resolution: Option<Vec<Resolution>>,
    /// What admission made of the candidate in a dry run.
    pub rehearsal: Option<Rehearsal>,
    /// What pods answered.
    pub probes: Vec<Probe>,
}

/// What the registry said of one patched image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The container it is for.
    pub container: String,
    /// The image as the hotfix asks for it.
    pub image: String,
    /// When it was asked.
    pub at: Moment,
    /// Its digests, or why there are none.
    pub outcome: Result<ResolvedImage, String>,
}

/// What admission made of the candidate and of one pod of its template in a dry run.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// The slot it was made for.
    pub slot: String,
    /// When it was tried.
    pub at: Moment,
    /// The Deployment as admission gave it back, or its refusal.
    pub green: Result<Value, String>,
    /// The pod as admission gave it back, or its refusal.
    pub pod: Result<Value, String>,
    /// Why admission was not even asked: a right the operator lacks. It says nothing about the candidate.
    pub denied: Option<String>,
}

/// How one pod answered one HTTP check in one gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The attempt it was asked in.
    pub attempt: i64,
    /// The gate it was asked for.
    pub gate: Gate,
    /// The check, with the generation of its spec.
    pub check: (String, i64),
    /// UID of the pod.
    pub pod: String,
    /// Consecutive successes up to now.
    pub successes: i32,
    /// Consecutive failures up to now.
    pub failures: i32,
    /// The last answer, in words.
    pub last: String,
}
