//! What is changed under the operator: every label, selector, owner and annotation it reads, on every object it reads it from,
//! and what it reads of their status.

use hotfix_e2e::faults::ground::ACCOUNTS;
use hotfix_e2e::faults::scenario::{HOTFIX, WORKLOAD};
use hotfix_e2e::faults::world::{Kind, World, label, list, text};
use securityhotfix::api::names::{ABORT, HOTFIX_UID, MARK, OPEN, RELEASE, RETRY, SLOT};
use securityhotfix::plan::jobs::{CHECK, GATE, ROLE, RUN};
use serde_json::{Value, json};

const SCANNED: &str = "record scanned";
const STAGED: &str = "record staged";
const HELD: &str = "hold web";
const SWITCHED: &str = "switch web";
const CONVERGED: &str = "record converged";
const FOLDED: &str = "fold back web";
const SEALED: &str = "seal web";

const ALL: &[&str] = &[SCANNED, STAGED, HELD, SWITCHED, CONVERGED, FOLDED, SEALED];
/// While the pods that are there are replaced by the fold-back.
const UNFOLDED: &[&str] = &[SCANNED, STAGED, HELD, SWITCHED, CONVERGED];
/// While there is a candidate.
const GREEN: &[&str] = &[STAGED, HELD, SWITCHED, CONVERGED, FOLDED, SEALED];
/// While a Service carries a mark.
const MARKED: &[&str] = &[HELD, SWITCHED, CONVERGED, FOLDED, SEALED];
/// While a Service has the slot.
const SLOTTED: &[&str] = &[SWITCHED, CONVERGED, FOLDED];
const PREVIEW: &[&str] = &[STAGED];

/// On which objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Service,
    Preview,
    Green,
    GreenSet,
    GreenPods,
    Blue,
    BlueSet,
    BluePod,
    Hotfix,
    Claim,
    Report,
    Jobs,
    JobPods,
    Budget,
    Slices,
    Namespace,
    Leader,
}

/// What is done to them.
#[derive(Clone, Copy)]
pub enum How {
    /// A merge patch.
    Merge(fn(&Value) -> Value),
    /// A strategic patch of the status.
    Status(fn(&Value) -> Value),
    Delete,
}

/// One thing that is changed.
#[derive(Clone, Copy)]
pub struct Garble {
    pub name: &'static str,
    pub on: On,
    pub how: How,
    /// After which writes it makes sense.
    pub phases: &'static [&'static str],
    /// Whether it takes the traffic away by itself, before the operator could do anything.
    pub cuts_traffic: bool,
}

const fn garble(name: &'static str, on: On, phases: &'static [&'static str], how: How) -> Garble {
    Garble { name, on, how, phases, cuts_traffic: false }
}

const fn cutting(name: &'static str, on: On, phases: &'static [&'static str], how: How) -> Garble {
    Garble { name, on, how, phases, cuts_traffic: true }
}

macro_rules! label_is {
    ($key:expr, $value:expr) => {
        How::Merge(|_| json!({"metadata": {"labels": {$key: $value}}}))
    };
}

macro_rules! annotation_is {
    ($key:expr, $value:expr) => {
        How::Merge(|_| json!({"metadata": {"annotations": {$key: $value}}}))
    };
}

const NONE: Value = Value::Null;
const FOREIGN: &str = "00000000-0000-4000-8000-000000000000";

const NO_OWNER: How = How::Merge(|_| json!({"metadata": {"ownerReferences": NONE}}));
/// A label by which an administrator chooses the policy.
pub const POLICY: &str = "securityhotfix.dev/policy";
/// Labels of EndpointSlices.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

const NO_FIELDS: How = How::Merge(|_| json!({"metadata": {"managedFields": [{}]}}));

/// Everything.
pub const GARBLES: &[Garble] = &[
    garble("mark removed", On::Service, MARKED, annotation_is!(MARK, NONE)),
    garble("mark of nobody", On::Service, ALL, annotation_is!(MARK, "mine")),
    garble("mark of another hotfix", On::Service, ALL, annotation_is!(MARK, format!("hold/{FOREIGN}/1"))),
    garble("mark of another attempt", On::Service, MARKED, How::Merge(another_attempt)),
    garble(
        "slot out of the selector",
        On::Service,
        SLOTTED,
        How::Merge(|_| json!({"spec": {"selector": {SLOT: NONE}}})),
    ),
    cutting(
        "slot of nobody in the selector",
        On::Service,
        ALL,
        How::Merge(|_| json!({"spec": {"selector": {SLOT: "0123456789"}}})),
    ),
    garble("managed fields emptied", On::Service, MARKED, NO_FIELDS),
    garble(
        "selector without the slot",
        On::Preview,
        PREVIEW,
        How::Merge(|_| json!({"spec": {"selector": {SLOT: NONE}}})),
    ),
    garble("hotfix uid removed", On::Preview, PREVIEW, label_is!(HOTFIX_UID, NONE)),
    garble("slot removed", On::Preview, PREVIEW, label_is!(SLOT, NONE)),
    garble("owner removed", On::Preview, PREVIEW, NO_OWNER),
    garble("deleted", On::Preview, PREVIEW, How::Delete),
    garble("hotfix uid removed", On::Green, GREEN, label_is!(HOTFIX_UID, NONE)),
    garble("hotfix uid of another", On::Green, GREEN, label_is!(HOTFIX_UID, FOREIGN)),
    garble("slot removed", On::Green, GREEN, label_is!(SLOT, NONE)),
    garble("owner removed", On::Green, GREEN, NO_OWNER),
    garble("managed fields emptied", On::Green, GREEN, NO_FIELDS),
    garble(
        "template changed",
        On::Green,
        GREEN,
        How::Merge(|_| json!({"spec": {"template": {"metadata": {"annotations": {"x.example/y": "z"}}}}})),
    ),
    cutting("deleted", On::Green, GREEN, How::Delete),
    // The user's Deployment may adopt it, and scales down what is not its newest.
    cutting("owner removed", On::GreenSet, GREEN, NO_OWNER),
    garble("template hash changed", On::GreenSet, GREEN, label_is!("pod-template-hash", "zzzz")),
    garble("revision removed", On::GreenSet, GREEN, annotation_is!("deployment.kubernetes.io/revision", NONE)),
    cutting("slot removed", On::GreenPods, GREEN, label_is!(SLOT, NONE)),
    cutting("slot of nobody", On::GreenPods, GREEN, label_is!(SLOT, "0123456789")),
    cutting("template hash removed", On::GreenPods, GREEN, label_is!("pod-template-hash", NONE)),
    garble("owner removed", On::GreenPods, GREEN, NO_OWNER),
    cutting(
        "closed by somebody",
        On::GreenPods,
        SLOTTED,
        How::Status(|_| {
            let closed = |kind: &str| json!({"type": kind, "status": "False", "reason": "Somebody"});
            json!({"status": {"conditions": [closed(OPEN), closed("Ready")]}})
        }),
    ),
    garble("managed fields emptied", On::Blue, ALL, NO_FIELDS),
    garble("revision removed", On::BlueSet, ALL, annotation_is!("deployment.kubernetes.io/revision", NONE)),
    garble("template hash changed", On::BlueSet, ALL, label_is!("pod-template-hash", "zzzz")),
    garble("owner removed", On::BlueSet, ALL, NO_OWNER),
    garble("owner removed", On::BluePod, ALL, NO_OWNER),
    garble("finalizer removed", On::Hotfix, ALL, How::Merge(|_| json!({"metadata": {"finalizers": NONE}}))),
    garble("managed fields emptied", On::Hotfix, ALL, NO_FIELDS),
    garble("abort of nothing", On::Hotfix, ALL, annotation_is!(ABORT, "why not")),
    garble("abort of another attempt", On::Hotfix, ALL, annotation_is!(ABORT, "7/why not")),
    garble("release of nothing", On::Hotfix, ALL, annotation_is!(RELEASE, "🔥")),
    garble("retry of what runs", On::Hotfix, ALL, annotation_is!(RETRY, "again")),
    garble(
        "holder changed",
        On::Claim,
        ALL,
        How::Merge(|_| json!({"spec": {"holderIdentity": format!("shop/other/{FOREIGN}")}})),
    ),
    garble("hotfix uid removed", On::Claim, ALL, label_is!(HOTFIX_UID, NONE)),
    garble("deleted", On::Claim, ALL, How::Delete),
    garble("hotfix uid removed", On::Report, ALL, label_is!(HOTFIX_UID, NONE)),
    garble("deleted", On::Report, ALL, How::Delete),
    garble("hotfix uid removed", On::Jobs, ALL, label_is!(HOTFIX_UID, NONE)),
    garble("gate of another", On::Jobs, ALL, label_is!(GATE, "verify")),
    garble("check of another", On::Jobs, ALL, label_is!(CHECK, "refuses")),
    garble("role of another", On::Jobs, ALL, label_is!(ROLE, "candidate")),
    garble("run of another", On::Jobs, ALL, label_is!(RUN, "9")),
    garble("deleted", On::Jobs, ALL, How::Delete),
    garble("owner removed", On::JobPods, ALL, NO_OWNER),
    garble("hotfix uid removed", On::Budget, MARKED, label_is!(HOTFIX_UID, NONE)),
    garble("slot removed", On::Budget, MARKED, label_is!(SLOT, NONE)),
    garble("deleted", On::Budget, MARKED, How::Delete),
    cutting("label of the workload removed", On::GreenPods, GREEN, label_is!("app", NONE)),
    cutting("opening taken back", On::GreenPods, SLOTTED, How::Status(|_| unopened())),
    garble("image of nobody", On::GreenPods, SLOTTED, How::Status(image_of_nobody)),
    garble("image of nobody", On::BluePod, UNFOLDED, How::Status(image_of_nobody)),
    garble("status emptied", On::Green, GREEN, How::Status(|_| emptied())),
    garble("status emptied", On::Blue, ALL, How::Status(|_| emptied())),
    garble("service removed", On::Slices, ALL, label_is!(SERVICE_NAME, NONE)),
    cutting("unready", On::Slices, ALL, How::Merge(|slice| endpoints(slice, "conditions", &json!({"ready": false})))),
    garble("pods removed", On::Slices, ALL, How::Merge(|slice| endpoints(slice, "targetRef", &NONE))),
    garble("managed by another", On::Slices, ALL, label_is!(MANAGED_BY, "somebody")),
    garble("policy removed", On::Namespace, ALL, label_is!(POLICY, NONE)),
    garble("policy of nobody", On::Namespace, ALL, label_is!(POLICY, "nobody")),
    garble("policy of another", On::Namespace, ALL, label_is!(POLICY, "passes-refuses")),
    garble("holder changed", On::Leader, ALL, How::Merge(|_| json!({"spec": {"holderIdentity": "somebody"}}))),
    garble("holder removed", On::Leader, ALL, How::Merge(|_| json!({"spec": {"holderIdentity": NONE}}))),
    garble("held for years", On::Leader, ALL, How::Merge(|_| held_for_years())),
    garble("deleted", On::Leader, ALL, How::Delete),
];

/// A pod whose opening was taken back, as its kubelet tells it.
fn unopened() -> Value {
    let gone = json!({"type": OPEN, "$patch": "delete"});
    let unready = json!({"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady"});
    json!({"status": {"conditions": [gone, unready]}})
}

fn image_of_nobody(pod: &Value) -> Value {
    let mut containers = pod.pointer("/status/containerStatuses").cloned().unwrap_or_default();
    for container in containers.as_array_mut().into_iter().flatten() {
        container["imageID"] = json!(format!("nobody@sha256:{}", "0".repeat(64)));
    }
    json!({"status": {"containerStatuses": containers}})
}

fn emptied() -> Value {
    json!({"status": {"observedGeneration": 0, "replicas": 0, "updatedReplicas": 0, "readyReplicas": 0, "availableReplicas": 0}})
}

fn endpoints(slice: &Value, field: &str, value: &Value) -> Value {
    let mut endpoints = slice.get("endpoints").cloned().unwrap_or_default();
    for endpoint in endpoints.as_array_mut().into_iter().flatten() {
        endpoint[field] = value.clone();
    }
    json!({"endpoints": endpoints})
}

/// Somebody who does not renew, but wants to be believed for years.
fn held_for_years() -> Value {
    json!({"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 100_000_000, "renewTime": "2099-01-01T00:00:00.000000Z"}})
}

/// The same mark, of the attempt after this one.
fn another_attempt(service: &Value) -> Value {
    let mark =
        service.pointer("/metadata/annotations").map_or("", |all| text(all, &format!("/{}", MARK.replace('/', "~1"))));
    let other = mark.rsplit_once('/').map_or(String::new(), |(rest, _)| format!("{rest}/2"));
    json!({"metadata": {"annotations": {MARK: other}}})
}

impl On {
    /// Where it is, for what the observer of a lane does not see.
    pub fn elsewhere(self, lane: &str, lease: &str) -> Option<String> {
        match self {
            Self::Namespace => Some(format!("/api/v1/namespaces/{lane}")),
            Self::Leader => Some(format!("/apis/coordination.k8s.io/v1/namespaces/{ACCOUNTS}/leases/{lease}")),
            _ => None,
        }
    }

    /// The objects it is about, with their kind.
    pub fn find(self, world: &World) -> Vec<(Kind, Value)> {
        let (kind, is): (Kind, fn(&Value) -> bool) = match self {
            Self::Service => (Kind::Service, |it| text(it, "/metadata/name") == WORKLOAD),
            Self::Preview => (Kind::Service, |it| text(it, "/metadata/name").contains("-hotfix-")),
            Self::Green => (Kind::Deployment, |it| text(it, "/metadata/name").contains("-hotfix-")),
            Self::GreenSet => (Kind::ReplicaSet, |it| label(it, SLOT).is_some()),
            Self::GreenPods => (Kind::Pod, |it| label(it, SLOT).is_some()),
            Self::Blue => (Kind::Deployment, |it| text(it, "/metadata/name") == WORKLOAD),
            Self::BlueSet => (Kind::ReplicaSet, |it| label(it, SLOT).is_none()),
            Self::BluePod => (Kind::Pod, |it| label(it, SLOT).is_none() && label(it, "app") == Some(WORKLOAD)),
            Self::Hotfix => (Kind::Hotfix, |it| text(it, "/metadata/name") == HOTFIX),
            Self::Claim => (Kind::Lease, |it| text(it, "/metadata/name").starts_with("hotfix-")),
            Self::Report => (Kind::Report, |_| true),
            Self::Jobs => (Kind::Job, |_| true),
            Self::JobPods => (Kind::Pod, |it| {
                list(it, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/kind") == "Job")
            }),
            Self::Budget => (Kind::Budget, |it| text(it, "/metadata/name").contains("-hotfix-")),
            Self::Slices => (Kind::Slice, |it| label(it, SERVICE_NAME) == Some(WORKLOAD)),
            Self::Namespace | Self::Leader => return Vec::new(),
        };
        let found = world.all(kind).filter(|it| is(it)).map(|it| (kind, it.clone()));
        if self == Self::BluePod { found.take(1).collect() } else { found.collect() }
    }
}
