//! The status of a `SecurityHotfix`: what cannot be observed again, and what people read.
//!
//! Everything that can be derived from the cluster is derived; kept are the facts that would be lost: which
//! digests were meant, what blue was before us, which steps were announced before they were made, which
//! verdicts were reached on which evidence, and when traffic moved.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions::{Condition, Reason};
use super::time::Moment;

/// How many ended attempts the status remembers; the report keeps them all.
pub const ATTEMPT_HISTORY_MAX: usize = 10;

/// What the operator records of a hotfix.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityHotfixStatus {
    /// The generation of the spec this status speaks of; -1 before the operator has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the rollout stands, for people only: derived, and never decided upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Which side the workload's Services send new connections to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Side>,
    /// What is true of the hotfix, one entry a type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The current attempt, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// Ended attempts before the current one, newest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<AttemptSummary>,
    /// Commands given by annotation that were carried out, or refused, already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled: Option<Handled>,
    /// What a hotfix that is gone left on this workload, while it is taken away; nothing of it is destroyed before this is
    /// written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leftover: Option<Leftover>,
}

/// What a hotfix that is gone left behind: a candidate, and Services that may send traffic to it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// UID of that hotfix; absent where nothing tells it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hotfix: Option<String>,
    /// Its name, where its candidate tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// The attempt that made the candidate; 0 where nothing tells it any more.
    #[serde(default)]
    pub attempt: i64,
    /// The slot of the candidate.
    #[schemars(length(max = 63))]
    pub slot: String,
    /// The first read in which its Services and pods were sealed and no Service had a ready endpoint of the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_from: Option<Moment>,
}

/// Where a rollout stands, in one word for people. New words may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Waits to begin.
    Pending,
    /// The running images and the candidate are scanned.
    Scanning,
    /// The candidate starts, without traffic.
    Staging,
    /// The candidate is checked, without traffic.
    Analyzing,
    /// A person's decision is awaited.
    AwaitingApproval,
    /// The candidate grows to full size and takes the traffic.
    Promoting,
    /// The candidate serves and is checked.
    Verifying,
    /// The patched image goes into the user's own Deployment, and the Services go back to it.
    FoldingBack,
    /// The last vulnerable pod is gone.
    Remediated,
    /// The traffic goes back and the candidate is removed.
    RollingBack,
    /// The traffic is back on the Deployment's own pods.
    RolledBack,
    /// A gate failed before any traffic moved, or the fold-back was undone by somebody.
    Failed,
    /// A person rejected the candidate.
    Rejected,
    /// A person ended the attempt before any traffic moved.
    Cancelled,
    /// The owner deployed another image meanwhile.
    Superseded,
    /// The workload ran the patched image before we began.
    AlreadyPatched,
}

/// One of the two sides of a blue-green rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The user's own Deployment.
    Blue,
    /// The candidate.
    Green,
    /// The traffic is moving from one to the other.
    Moving,
}

/// The gates, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Before any candidate pod exists.
    Scan,
    /// Against the staged candidate.
    Analyze,
    /// While the candidate serves.
    Verify,
}

/// One run of a hotfix through the gates.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counts from 1.
    pub number: i64,
    /// When it began.
    pub started_at: Moment,
    /// How many attempts the operator began by itself since a person last asked, this one included; bounded by 3.
    #[serde(default)]
    pub automatic: i32,
    /// Name of the policy it runs under.
    pub policy: String,
    /// The patched images with the digests they were resolved to.
    #[schemars(length(max = 16))]
    pub images: Vec<ResolvedImage>,
    /// The running workload as it was when the attempt began.
    pub blue: Blue,
    /// The Services that select the workload, in the order they are switched; written before the first is touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub services: Vec<RecordedService>,
    /// The candidate, once it was staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<GreenRecord>,
    /// The verdicts reached so far, with their evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub verdicts: Vec<VerdictRecord>,
    /// When the scan gate passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<Moment>,
    /// When the candidate's containers were ready at staging size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_at: Option<Moment>,
    /// When the analysis gate passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzed_at: Option<Moment>,
    /// When the approval gate passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Moment>,
    /// The announcement, made before the first write to a Service, that this attempt may move traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoting_at: Option<Moment>,
    /// When the last Service was switched to the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_at: Option<Moment>,
    /// When every endpoint of every Service was the candidate's. The soak counts from here, or from a later moment where the
    /// candidate was not checked all the time since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converged_at: Option<Moment>,
    /// When `spec.suspend` held the attempt last. Deadlines count from its end, where that is later than the step they are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// When the candidate served last while it could not be checked, since the policy or one of its checks was missing or could
    /// not be used. The soak counts from its end, where that is later than the convergence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<Unchecked>,
    /// The point of no return: the candidate is believed, and from here there is no way but forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Moment>,
    /// Set once and for good when the attempt must end; nothing is destroyed before it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latch: Option<Latch>,
    /// The Service whose selector is set again after somebody had put it back, at the version it is set again at. Present
    /// once in an attempt: the second time people win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassert: Option<Reassertion>,
    /// How often the patched image may be written into the user's Deployment: once, and once more when it was taken out.
    #[serde(default)]
    pub folds: i32,
    /// Generation of the user's Deployment at which the last of these writes was announced: a later one that still has the
    /// old image was put back by somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold_generation: Option<i64>,
    /// The first read in which Services and pods were sealed and no Service had a ready endpoint of the candidate. The drain
    /// counts from here, and nothing of this attempt can take traffic any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_from: Option<Moment>,
    /// When the attempt was over and nothing of it was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Moment>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// A time in which `spec.suspend` held the attempt before its next step.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// When it was seen to be true.
    pub since: Moment,
    /// When it was seen to be false again; absent while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// A time in which the candidate served and could not be checked.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unchecked {
    /// When that was seen.
    pub since: Moment,
    /// When it was seen that it can be checked again; absent while it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// A patched image with the digests that stand for it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedImage {
    /// The container it is for.
    #[schemars(length(max = 63))]
    pub container: String,
    /// What the candidate's template says: repository and digest.
    #[schemars(length(max = 512))]
    pub image: String,
    /// Every digest a kubelet may report for it: the resolved one, its child manifests, and their configs.
    #[schemars(length(min = 1, max = 64), inner(length(max = 80)))]
    pub digests: Vec<String>,
}

/// The running workload when an attempt began.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blue {
    /// UID of the Deployment.
    pub uid: String,
    /// `pod-template-hash` of its active ReplicaSet.
    pub template_hash: String,
    /// UID of that ReplicaSet.
    pub replica_set: String,
    /// Replicas asked for.
    pub replicas: i32,
    /// The images of the containers the hotfix names, as the template has them.
    #[schemars(length(max = 16))]
    pub images: BTreeMap<String, String>,
    /// The images its pods ran, by digest: each is scanned as a baseline. Container, `repository@digest`.
    #[schemars(length(max = 64))]
    pub baseline: Vec<BaselineImage>,
}

/// An image a pod of blue ran.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineImage {
    /// The container it ran in.
    #[schemars(length(max = 63))]
    pub container: String,
    /// Repository and digest.
    #[schemars(length(max = 512))]
    pub image: String,
}

/// A Service as its owner wrote it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedService {
    /// Its name.
    pub name: String,
    /// Its UID: a Service of the same name made later is another one.
    pub uid: String,
    /// Its owner's selector.
    #[schemars(length(max = 64))]
    pub selector: BTreeMap<String, String>,
}

/// A selector that is set again.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reassertion {
    /// Name of the Service.
    pub service: String,
    /// Its resourceVersion when it was decided.
    pub resource_version: String,
    /// Who had put the selector back, as its managedFields tell.
    #[schemars(length(max = 128))]
    pub by: String,
}

/// The candidate.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GreenRecord {
    /// Name of the candidate's Deployment.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `pod-template-hash` of its ReplicaSet.
    pub template_hash: String,
}

/// The word of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VerdictWord {
    /// The check passed.
    Pass,
    /// The check failed.
    Fail,
    /// The check proved nothing; it is run again a few times and then fails the gate.
    Inconclusive,
}

/// A verdict with its evidence.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerdictRecord {
    /// The gate.
    pub gate: Gate,
    /// The check.
    #[schemars(length(max = 63))]
    pub check: String,
    /// What it looked at. Example: `web: candidate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub subject: Option<String>,
    /// What came of it.
    pub verdict: VerdictWord,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// SHA-256 of the raw report, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub evidence: Option<String>,
    /// Tool and data base that produced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub tool: Option<String>,
    /// The Job that ran it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub job: Option<String>,
    /// When it was reached.
    pub at: Moment,
}

/// Why an attempt must end.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latch {
    /// The reason, as conditions and events have it.
    pub reason: Reason,
    /// What happened, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When it was seen.
    pub at: Moment,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The last vulnerable pod is gone.
    Remediated,
    /// Traffic may have moved, and is back.
    RolledBack,
    /// A gate failed before traffic moved, or the fold-back was undone.
    Failed,
    /// A person rejected it.
    Rejected,
    /// A person ended it before traffic moved.
    Cancelled,
    /// The owner deployed another image, and the attempts are used up.
    Superseded,
    /// The owner deployed another image; the next attempt begins from the scan.
    Restarted,
    /// The workload ran the patched image before we began.
    AlreadyPatched,
}

/// An ended attempt, in short.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptSummary {
    /// Its number.
    pub number: i64,
    /// When it began.
    pub started_at: Moment,
    /// When it was over.
    pub finished_at: Moment,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// Commands given by annotation that were handled.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handled {
    /// The last value of `securityhotfix.dev/abort` that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub abort: Option<String>,
    /// The last value of `securityhotfix.dev/retry` that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub retry: Option<String>,
}
