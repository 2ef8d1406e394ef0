//! `HotfixReport`: the record of a hotfix, which outlives it.

#![expect(clippy::duplicated_attributes, reason = "two columns have the same type")]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::hotfix::{Advisory, ImageChange};
use super::status::{AttemptSummary, BaselineImage, Latch, Outcome, ResolvedImage, Side, VerdictRecord};
use super::time::Moment;

/// How many moves of traffic one attempt's record holds: a Service is switched, set again at most once and sealed, pinned
/// and unpinned, so sixteen Services make at most this many.
pub const REPORT_MOVES_MAX: usize = 80;

/// The record of a hotfix: who asked for what, what was found, which digest went where, and when traffic moved.
///
/// Written by the operator alone; it has no owner, so it stays when the hotfix is deleted.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "securityhotfix.dev",
    version = "v1alpha1",
    kind = "HotfixReport",
    plural = "hotfixreports",
    shortname = "shfr",
    category = "security",
    namespaced,
    derive = "PartialEq",
    doc = "A HotfixReport is the record of a SecurityHotfix: what was asked for, what was scanned and found, which digest took traffic and when, and how long the exposure lasted. It outlives the hotfix.",
    printcolumn(name = "Hotfix", type_ = "string", json_path = ".spec.hotfix.name"),
    printcolumn(name = "Outcome", type_ = "string", json_path = ".spec.outcome"),
    printcolumn(name = "Closed", type_ = "string", json_path = ".spec.closedAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct HotfixReportSpec {
    /// The hotfix it is about.
    pub hotfix: HotfixRef,
    /// What was to be fixed.
    pub advisory: Advisory,
    /// The Deployment it was about.
    pub target: String,
    /// What was asked for.
    #[schemars(length(max = 16))]
    pub images: Vec<ImageChange>,
    /// Why, in the requester's words.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// Field managers that wrote the hotfix's spec, as the API server recorded them. It is not proof of a person.
    #[schemars(length(max = 16), inner(length(max = 128)))]
    pub requested_with: Vec<String>,
    /// When the hotfix was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Moment>,
    /// The current attempt, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptRecord>,
    /// Attempts before it, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<AttemptSummary>,
    /// How it ended; absent in a closed record of a hotfix that vanished before it came to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When the record was closed; absent while the hotfix is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    /// How long the vulnerable image could serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

/// Which hotfix a record is about.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HotfixRef {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What happened in one attempt.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// Its number.
    pub number: i64,
    /// When it began.
    pub started_at: Moment,
    /// The policy it ran under.
    pub policy: String,
    /// The patched images with the digests they were resolved to.
    #[schemars(length(max = 16))]
    pub images: Vec<ResolvedImage>,
    /// The images that ran before.
    #[schemars(length(max = 64))]
    pub baseline: Vec<BaselineImage>,
    /// Every verdict, with the hash of its raw report.
    #[schemars(length(max = 128))]
    pub verdicts: Vec<VerdictRecord>,
    /// Every move of traffic, in order.
    #[schemars(length(max = 80))]
    pub moves: Vec<TrafficMove>,
    /// Why it had to end early, where it had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latch: Option<Latch>,
}

/// One move of traffic.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficMove {
    /// The Services that moved.
    #[schemars(length(max = 16))]
    pub services: Vec<String>,
    /// Where to.
    pub to: Side,
    /// When it was complete.
    pub at: Moment,
}

/// How long the vulnerable image could serve. Times, not durations, so that nothing has to be trusted that cannot be added up.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// When the advisory was published, as the requester said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Moment>,
    /// When the hotfix was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Moment>,
    /// When new connections stopped reaching the vulnerable image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_connections_until: Option<Moment>,
    /// When the last vulnerable pod was gone. Absent: the exposure is still open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
}
