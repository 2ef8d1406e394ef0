//! `SecurityHotfix`: one change to one workload, asked for by a person or a pipeline.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::status::SecurityHotfixStatus;
use super::time::Moment;

/// What is asked for: this advisory, fixed by these images, in this Deployment.
///
/// The spec cannot be changed once written, except `suspend`: another image is another hotfix, with
/// gates and a record of its own.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "securityhotfix.dev",
    version = "v1alpha1",
    kind = "SecurityHotfix",
    plural = "securityhotfixes",
    shortname = "shf",
    category = "security",
    namespaced,
    status = "SecurityHotfixStatus",
    derive = "PartialEq",
    doc = "A SecurityHotfix rolls one patched image out to one running Deployment: scan, staging, analysis, approval, blue-green switch, verification, and back again by itself when something fails.",
    selectable = ".spec.target.name",
    selectable = ".status.phase",
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.target.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Traffic", type_ = "string", json_path = ".status.traffic"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Advisory", type_ = "string", json_path = ".spec.advisory.ids[0]", priority = 1),
    printcolumn(name = "Severity", type_ = "string", json_path = ".spec.advisory.severity", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.images[0].image", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name must have at most 63 characters: it is written into labels"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.advisory == oldSelf.advisory").message("advisory cannot be changed: create another SecurityHotfix").field_path(".advisory"),
    validation = Rule::new("self.target == oldSelf.target").message("target cannot be changed: create another SecurityHotfix").field_path(".target"),
    validation = Rule::new("self.images == oldSelf.images").message("images cannot be changed: another image is another SecurityHotfix, with gates of its own").field_path(".images"),
    validation = Rule::new("self.staging == oldSelf.staging").message("staging cannot be changed: create another SecurityHotfix").field_path(".staging"),
    validation = Rule::new("self.reason == oldSelf.reason").message("reason cannot be changed: it is part of the record").field_path(".reason"),
)]
pub struct SecurityHotfixSpec {
    /// What is being fixed. The ids say what the scan must find in the running image and must not find in the patched one.
    pub advisory: Advisory,
    /// The workload to fix, in the namespace of the SecurityHotfix.
    pub target: Target,
    /// The patched image of each container that changes. Containers not named here keep their image.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["container"]))]
    pub images: Vec<ImageChange>,
    /// How the candidate is staged before it may take traffic. Default: one replica.
    #[serde(default)]
    pub staging: Staging,
    /// Why, for the approver now and the auditor later. Example: `Jinja2 XSS, upgrade to 3.1.6`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = rules::said("say why, such as: Jinja2 XSS, upgrade to 3.1.6"))]
    pub reason: String,
    /// True holds the rollout before its next step, up to the moment it takes hold of the Services. Later it delays nothing, and a condition says so. Default: false.
    #[serde(default)]
    pub suspend: bool,
}

/// A published vulnerability.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advisory {
    /// Every id the vulnerability is known by (CVE, GHSA, DSA, ...): scanners use different ones, and one that matches is enough. Example: `[CVE-2024-22195, GHSA-h5c8-rqwp-cp95]`.
    #[schemars(length(min = 1, max = 16), inner(length(min = 3, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rules::advisories())]
    pub ids: Vec<String>,
    /// How bad it is. Default: told by `cvss`, else not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// CVSS vector. Example: `CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 256))]
    #[x_kube(validation = rules::cvss())]
    pub cvss: Option<String>,
    /// When it was published; the exposure told in the record counts from here too. Example: `2024-01-11T00:00:00Z`.
    // The API server takes a list for a time until a rule reads it, and no status of the object can be written then; and a
    // time in the year 9999 is beyond what can be reckoned with in every time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.getFullYear() >= 1990 && self.getFullYear() < 9999").message("publishedAt must be a time from 1990 on and before 9999"))]
    pub published_at: Option<Moment>,
    /// True when it is known to be exploited in the wild. Default: false.
    #[serde(default)]
    pub known_exploited: bool,
}

/// How bad a vulnerability is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 4.0 to 6.9.
    Medium,
    /// CVSS 7.0 to 8.9.
    High,
    /// CVSS 9.0 to 10.0.
    Critical,
}

/// The workload to fix.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Kind of the workload. Only Deployment is supported. Default: Deployment.
    #[serde(default)]
    pub kind: TargetKind,
    /// Name of the workload, in the namespace of the SecurityHotfix.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name("Deployment", "web"))]
    pub name: String,
}

/// The kinds of workload a hotfix can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetKind {
    /// `apps/v1` Deployment.
    #[default]
    Deployment,
}

/// The patched image of one container.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageChange {
    /// Name of the container or init container in the Deployment's template.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rules::label("container", "web"))]
    pub container: String,
    /// The patched image. A tag is resolved once, when the attempt begins, and only that digest is scanned, approved and run. Example: `registry.example/web@sha256:...`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::image())]
    pub image: String,
}

/// How the candidate is staged.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Staging {
    /// How many candidate pods run while they are analyzed, before there is traffic. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10))]
    pub replicas: i32,
}

impl Default for Staging {
    fn default() -> Self {
        Self { replicas: one() }
    }
}

fn one() -> i32 {
    1
}
