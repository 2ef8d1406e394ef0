//! `SecurityCheck`: how to run one check, written by an administrator.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::time::Duration;

/// How to run one check. Exactly one of `scan`, `test` and `http` is set.
///
/// A check that runs a container gets by environment, and by `$(NAME)` in its arguments: `IMAGE` (scan: the image
/// to scan), `CANDIDATE_IMAGE`, `BASELINE_IMAGE`, `TARGET_ADDRESS` (host:port of the preview Service before the
/// switch, of the production Service after it), `ADVISORY_IDS` (comma-separated), `HOTFIX_NAME`,
/// `HOTFIX_NAMESPACE`, and each argument of the policy as `ARG_<NAME>`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "securityhotfix.dev",
    version = "v1alpha1",
    kind = "SecurityCheck",
    plural = "securitychecks",
    shortname = "schk",
    category = "security",
    derive = "PartialEq",
    doc = "A SecurityCheck says how to run one check: a scanner Job with an output format, a test Job, or an HTTP probe. HotfixPolicies name it in their gates.",
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.scan.format"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.scan.container.image", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name must have at most 63 characters: it is written into labels"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.scan), has(self.test), has(self.http)].filter(x, x).size() == 1").message("set exactly one of scan, test and http: a check is one thing"),
)]
pub struct SecurityCheckSpec {
    /// Scans an image with the administrator's container, once for each image that runs today and once for the candidate. The verdict comes from the report, never from the exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanCheck>,
    /// Runs a test against the candidate. The verdict comes from the Job's condition, and from its report when one is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestCheck>,
    /// Asks each candidate pod over HTTP, at the pod's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
}

/// A scanner and the format of what it prints.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanCheck {
    /// Format of the report on standard output. The report must show what was recognised, since a scanner that recognised nothing finds nothing: Trivy lists all packages by itself, osv-scanner needs `--all-packages`. With `--show-suppressed` Trivy shows findings that were hidden, which count all the same.
    pub format: ScanFormat,
    /// How long one scan may take. Default: 10m.
    #[serde(default = "ten_minutes")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("90s, 10m or 1h30m", "1s", "2h"))]
    pub timeout: Duration,
    /// What runs.
    pub container: CheckContainer,
}

/// The report formats of scanners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ScanFormat {
    /// `trivy image --format json`.
    TrivyJson,
    /// `osv-scanner scan image --format json --all-packages`.
    OsvScannerJson,
}

/// A test that runs against the candidate.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestCheck {
    /// Format of the report on standard output, when the test prints one. With it the report decides beside the exit code; without it the exit code alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportFormat>,
    /// How long the test may take. Default: 10m.
    #[serde(default = "ten_minutes")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("90s, 10m or 1h30m", "1s", "2h"))]
    pub timeout: Duration,
    /// What runs.
    pub container: CheckContainer,
}

/// The report formats of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ReportFormat {
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit XML.
    Junit,
}

/// An HTTP question to each candidate pod. The operator asks, at the pod's own address: a path and a port, never a host; no redirects; at most 64 KiB of the body are read.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// Path and query. `$(ARG_<NAME>)` is replaced by the policy's argument. Example: `/healthz`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::path())]
    pub path: String,
    /// Port of the pod.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Status codes that count as success. Default: [200].
    #[serde(default = "ok_status")]
    #[schemars(length(min = 1, max = 16), inner(range(min = 100, max = 599)))]
    #[x_kube(validation = rules::distinct(None, "a status code is listed twice: write each once, such as [200, 204]"))]
    pub statuses: Vec<i32>,
    /// Text the body must contain. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub body_contains: Option<String>,
    /// Time between two questions to one pod. Default: 2s.
    #[serde(default = "two_seconds")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("500ms, 2s or 1m", "200ms", "5m"))]
    pub interval: Duration,
    /// How long one answer may take. Default: 2s.
    #[serde(default = "two_seconds")]
    #[schemars(extend("maxLength" = 32))]
    #[x_kube(validation = rules::duration("500ms or 2s", "100ms", "30s"))]
    pub timeout: Duration,
    /// Consecutive successes of every pod that pass the check. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub successes: i32,
    /// Consecutive failures of one pod that fail the check. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub failures: i32,
}

/// What runs in a check's pod: a small type of ours, not a pod template. The pod has no API token, runs as a
/// non-root user on a read-only root file system without capabilities, and has a deadline.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckContainer {
    /// Image of the scanner or test; pin it by digest.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::image())]
    pub image: String,
    /// The program and its first arguments; required, since its standard output is captured by running it.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    #[x_kube(validation = rules::program())]
    pub command: Vec<String>,
    /// More arguments. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// More environment. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::distinct(Some("name"), "a variable is set twice: write each once"))]
    pub env: Vec<EnvVar>,
    /// Limits and requests. Default: requests 50m CPU and 64Mi, limits 1 CPU and 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Volumes and where they are mounted. Default: none; the root file system is read-only, so a scanner that writes needs an emptyDir.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(
        validation = rules::distinct(Some("name"), "two volumes have one name: give each a name of its own"),
        validation = rules::distinct(Some("mountPath"), "two volumes are mounted at one path: give each a mountPath of its own"),
    )]
    pub volumes: Vec<CheckVolume>,
    /// Names of Secrets of the checks' namespace that hold registry credentials. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    #[x_kube(
        validation = rules::names("Secret", "registry-login"),
        validation = rules::distinct(None, "a Secret is named twice: write each once"),
    )]
    pub image_pull_secrets: Vec<String>,
}

/// One environment variable of a check, in plain text.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::variable(), validation = rules::variable_is_free())]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Compute resources of a check.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::requests_within_limits())]
pub struct Resources {
    /// The most it may use, by resource name. Example: `{cpu: "1", memory: 1Gi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8, "additionalProperties" = {"type": "string", "maxLength": 64}))]
    #[x_kube(validation = rules::quantities(), validation = rules::resource_names())]
    pub limits: BTreeMap<String, String>,
    /// What is set aside for it, by resource name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8, "additionalProperties" = {"type": "string", "maxLength": 64}))]
    #[x_kube(validation = rules::quantities(), validation = rules::resource_names())]
    pub requests: BTreeMap<String, String>,
}

/// A volume of a check and where it is mounted. Exactly one source is set.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.configMap), has(self.secret), has(self.persistentVolumeClaim), has(self.emptyDir)].filter(x, x).size() == 1").message("set exactly one of configMap, secret, persistentVolumeClaim and emptyDir"),
)]
pub struct CheckVolume {
    /// Name of the volume.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rules::label("volume", "cache"))]
    pub name: String,
    /// Absolute path it is mounted at; `/runner` is taken.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::mount_path(), validation = rules::mount_elsewhere())]
    pub mount_path: String,
    /// True mounts it read-only; an emptyDir is always writable. Default: false.
    #[serde(default)]
    pub read_only: bool,
    /// A ConfigMap of the checks' namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// A Secret of the checks' namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
    /// A claim of the checks' namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<PvcSource>,
    /// A folder that lives as long as the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDirSource>,
}

/// A ConfigMap by name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name("ConfigMap", "scanner-rules"))]
    pub name: String,
}

/// A Secret by name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name("Secret", "registry-login"))]
    pub secret_name: String,
}

/// A PersistentVolumeClaim by name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PvcSource {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name("PersistentVolumeClaim", "trivy-db"))]
    pub claim_name: String,
}

/// An empty folder.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDirSource {
    /// The most it may hold. Default: 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rules::size())]
    pub size_limit: Option<String>,
}

fn seconds(n: u64) -> Duration {
    std::time::Duration::from_secs(n).into()
}

fn ten_minutes() -> Duration {
    seconds(600)
}

fn two_seconds() -> Duration {
    seconds(2)
}

fn three() -> i32 {
    3
}

fn ok_status() -> Vec<i32> {
    vec![200]
}
