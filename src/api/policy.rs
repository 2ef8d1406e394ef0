//! `HotfixPolicy`: what each gate runs and what fails it, written by an administrator.

use std::collections::BTreeMap;

use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::hotfix::Severity;
use super::rules;
use super::time::Duration;

/// Which checks each gate runs and what fails them, and the limits of a rollout.
///
/// A namespace chooses its policy by the label `securityhotfix.dev/policy`, else `default` is used. The requester
/// never chooses. A hotfix without a policy waits and says which one to create.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "securityhotfix.dev",
    version = "v1alpha1",
    kind = "HotfixPolicy",
    plural = "hotfixpolicies",
    shortname = "shfp",
    category = "security",
    derive = "PartialEq",
    doc = "A HotfixPolicy says which checks each gate runs and what fails them, which images may be rolled out, and the limits of a rollout. A namespace chooses one by its label securityhotfix.dev/policy, else the one named default is used.",
    printcolumn(name = "Soak", type_ = "string", json_path = ".spec.soak"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct HotfixPolicySpec {
    /// Which images may be rolled out.
    pub images: ImageRules,
    /// The checks of each gate.
    pub gates: Gates,
    /// How long the candidate serves all traffic, with its checks passing, before the hotfix is believed. Default: 5m.
    #[serde(default = "five_minutes")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("30s, 5m or 1h30m", "0s", "168h"))]
    pub soak: Duration,
    /// How long steps may take before the attempt fails.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Which images may be rolled out.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRules {
    /// Repositories a hotfix may take its images from, as hotfixes write them, without tag or digest; a `*` at the end, behind a slash, stands for any rest. Example: `[registry.example/shop/*]`.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 512)))]
    #[x_kube(
        validation = rules::repositories(),
        validation = rules::no_registry_alone(),
        validation = rules::distinct(None, "a repository is listed twice: write each once"),
    )]
    pub allow: Vec<String>,
}

/// The checks of each gate. A list may be empty only by being written so.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gates {
    /// Scans of the running images and the candidate, before any candidate pod exists. At least one.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = each_check_once())]
    pub scan: Vec<GateCheck>,
    /// Checks against the staged candidate, before it may take traffic.
    #[schemars(length(max = 16))]
    #[x_kube(validation = each_check_once())]
    pub analyze: Vec<GateCheck>,
    /// Checks while the candidate serves all traffic.
    #[schemars(length(max = 16))]
    #[x_kube(validation = each_check_once())]
    pub verify: Vec<GateCheck>,
}

/// One check of a gate.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateCheck {
    /// Name of the SecurityCheck to run.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rules::name("SecurityCheck", "trivy"))]
    pub check: String,
    /// Arguments, given to the check as `ARG_<NAME>` with the name in upper case. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    // `length` says nothing about maps, and without bounds the API server refuses the rule as too costly.
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 1024}))]
    #[x_kube(validation = rules::argument_names(), validation = rules::arguments_differ())]
    pub args: BTreeMap<String, String>,
    /// What fails a scan, beside the advisory being found in the candidate. Default: introduced findings of severity High and above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<FailOn>,
}

/// What fails a scan.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailOn {
    /// Findings of the candidate that no running image has fail the scan from this severity on. A finding of unknown severity counts as this bad.
    pub introduced: Severity,
}

/// How long steps may take.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// From the candidate's creation, or its growth to full size, until its containers are ready. Default: 10m.
    #[serde(default = "ten_minutes")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("90s, 10m or 1h30m", "1s", "24h"))]
    pub staging: Duration,
    /// From the switch until the Service's endpoints are the candidate's pods and nothing else; after it the traffic goes back. Default: 60s.
    #[serde(default = "one_minute")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("30s, 90s or 5m", "1s", "1h"))]
    pub convergence: Duration,
    /// From the start of the fold-back until the Deployment's own pods run the patched image; after it a condition says so and the hotfix goes on waiting, since there is no way but forward. Default: 30m.
    #[serde(default = "thirty_minutes")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("90s, 30m or 1h30m", "1s", "24h"))]
    pub fold_back: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { staging: ten_minutes(), convergence: one_minute(), fold_back: thirty_minutes() }
    }
}

/// What is asked and what is answered are told apart by the name of the check.
fn each_check_once() -> Rule {
    rules::distinct(
        Some("check"),
        "a gate names one check twice: to run it with other args write a second SecurityCheck",
    )
}

fn seconds(n: u64) -> Duration {
    std::time::Duration::from_secs(n).into()
}

fn five_minutes() -> Duration {
    seconds(300)
}

fn ten_minutes() -> Duration {
    seconds(600)
}

fn thirty_minutes() -> Duration {
    seconds(1800)
}

fn one_minute() -> Duration {
    seconds(60)
}
