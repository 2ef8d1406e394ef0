//! What is changed under the operator: every label, selector, owner and annotation it reads, on every object it reads it from.

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
    garble("owner removed", On::GreenSet, GREEN, NO_OWNER),
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
];

/// The same mark, of the attempt after this one.
fn another_attempt(service: &Value) -> Value {
    let mark =
        service.pointer("/metadata/annotations").map_or("", |all| text(all, &format!("/{}", MARK.replace('/', "~1"))));
    let other = mark.rsplit_once('/').map_or(String::new(), |(rest, _)| format!("{rest}/2"));
    json!({"metadata": {"annotations": {MARK: other}}})
}

impl On {
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
        };
        let found = world.all(kind).filter(|it| is(it)).map(|it| (kind, it.clone()));
        if self == Self::BluePod { found.take(1).collect() } else { found.collect() }
    }
}
