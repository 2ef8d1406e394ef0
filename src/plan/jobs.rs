//! Check Jobs: what one looks like, and whether a found one counts.
//!
//! A check's container runs in the operator's own namespace for checks and never in the tenant's: there, whoever may edit
//! pods could write its result. It gets no API token, no privileges and no way out but its log. What it was made for is
//! in its name and again in its labels, and a Job counts only if all of them agree: one that somebody else made under
//! the name, or one made for another digest, run or generation of the check, proves nothing.
//!
//! This module builds and compares; when a Job is made, and what follows from what it printed, is decided elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::observed::{Check, Hotfix, Map, Observed, Run, Settings};
use super::preflight;
use crate::api::names::{self, hex};
use crate::api::{Attempt, CheckContainer, CheckVolume, EnvVar, Gate, Resources, SecurityCheckSpec};

/// Label: the gate a check Job runs for.
pub const GATE: &str = "securityhotfix.dev/gate";
/// Label: name of the SecurityCheck.
pub const CHECK: &str = "securityhotfix.dev/check";
/// Label: UID of the SecurityCheck.
pub const CHECK_UID: &str = "securityhotfix.dev/check-uid";
/// Label: generation of the SecurityCheck's spec.
pub const CHECK_GENERATION: &str = "securityhotfix.dev/check-generation";
/// Label: the container whose image is scanned.
pub const CONTAINER: &str = "securityhotfix.dev/container";
/// Label: `baseline`, `candidate` or `address`: what the check looks at.
pub const ROLE: &str = "securityhotfix.dev/role";
/// Label: the image or address the check looks at, and every image it is told of, hashed.
pub const SUBJECT: &str = "securityhotfix.dev/subject";
/// Label: the policy's arguments, hashed.
pub const ARGUMENTS: &str = "securityhotfix.dev/arguments";
/// Label: the number of the run, from 1.
pub const RUN: &str = "securityhotfix.dev/run";

/// Where the runner is in a check's pod. No volume of a check can be mounted there.
const RUNNER_FOLDER: &str = "/runner";
const RUNNER: &str = "/runner/hotfix-operator";
/// Where the program is in the operator's own image.
const OPERATOR: &str = "/hotfix-operator";

/// The user and group of check pods: the conventional `nonroot`, in no image's /etc/passwd a login.
const USER: i64 = 65_532;

/// Seconds a finished Job stays, for people to look at. The verdict does not need it any longer.
const TTL_SECONDS: i64 = 3_600;

/// Seconds between asking a check's command to end and ending it: it has nothing to hand over but its log.
const GRACE_SECONDS: i64 = 5;

/// Everything that makes one check Job the one it is.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Where it runs and who carries the runner.
    pub settings: &'a Settings,
    /// The hotfix it runs for.
    pub hotfix: &'a Hotfix,
    /// The attempt it runs for.
    pub attempt: &'a Attempt,
    /// The gate it runs for.
    pub gate: Gate,
    /// Name of the check.
    pub name: &'a str,
    /// The check.
    pub check: &'a Check,
    /// The policy's arguments.
    pub args: &'a BTreeMap<String, String>,
    /// What it looks at.
    pub subject: Subject<'a>,
    /// Host and port: of the preview Service before the switch, of the production Service after it.
    pub address: &'a str,
    /// The number of the run, from 1.
    pub run: u32,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An image that a container runs today.
    Baseline {
        /// The container.
        container: &'a str,
        /// Repository and digest.
        image: &'a str,
    },
    /// The patched image of a container.
    Candidate {
        /// The container.
        container: &'a str,
        /// Repository and digest.
        image: &'a str,
    },
    /// What answers at the address.
    Address,
}

impl<'a> Subject<'a> {
    fn container(self) -> Option<&'a str> {
        match self {
            Self::Baseline { container, .. } | Self::Candidate { container, .. } => Some(container),
            Self::Address => None,
        }
    }

    fn image(self) -> Option<&'a str> {
        match self {
            Self::Baseline { image, .. } | Self::Candidate { image, .. } => Some(image),
            Self::Address => None,
        }
    }

    fn role(self) -> &'static str {
        match self {
            Self::Baseline { .. } => "baseline",
            Self::Candidate { .. } => "candidate",
            Self::Address => "address",
        }
    }
}

/// What a check runs in a pod, and for how long; nothing for a check that runs in no pod.
pub fn container(spec: &SecurityCheckSpec) -> Option<(&CheckContainer, Duration)> {
    let scan = spec.scan.as_ref().map(|scan| (&scan.container, scan.timeout.get()));
    scan.or_else(|| spec.test.as_ref().map(|test| (&test.container, test.timeout.get())))
}

impl Order<'_> {
    /// The Job's name: `check-` and 20 hex digits of SHA-256 over everything that [`Order::labels`] holds.
    pub fn job_name(&self) -> String {
        format!("check-{}", hash(self.labels().iter().flat_map(|(key, value)| [key.as_str(), value.as_str()])))
    }

    /// The labels of the Job and its pod.
    pub fn labels(&self) -> Map {
        // An image is the same wherever the candidate answers.
        let subject = std::iter::once(self.subject.image().unwrap_or(self.address))
            .chain(self.candidates())
            .chain(["/"])
            .chain(self.baselines());
        let arguments = self.args.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let all = [
            ("app.kubernetes.io/managed-by", names::MANAGER.to_owned()),
            (names::HOTFIX_UID, self.hotfix.uid.clone()),
            (names::HOTFIX_NAME, self.hotfix.name.clone()),
            (names::HOTFIX_NAMESPACE, self.hotfix.namespace.clone()),
            (names::ATTEMPT, self.attempt.number.to_string()),
            (GATE, format!("{:?}", self.gate).to_lowercase()),
            (CHECK, self.name.to_owned()),
            (CHECK_UID, self.check.uid.clone()),
            (CHECK_GENERATION, self.check.generation.to_string()),
            (CONTAINER, self.subject.container().unwrap_or_default().to_owned()),
            (ROLE, self.subject.role().to_owned()),
            (SUBJECT, hash(subject)),
            (ARGUMENTS, hash(arguments)),
            (RUN, self.run.to_string()),
        ];
        all.into_iter().map(|(key, value)| (key.to_owned(), label_value(value))).collect()
    }

    /// Whether a found Job is the one that was ordered. One under its name that is not was made by somebody else.
    pub fn is_filled_by(&self, run: &Run) -> bool {
        run.job == self.job_name() && self.labels().iter().all(|(key, value)| run.labels.get(key) == Some(value))
    }

    /// The Job; nothing for a check that runs in no pod.
    pub fn job(&self) -> Option<Value> {
        let (check, timeout) = container(&self.check.spec)?;
        let labels = self.labels();
        Some(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": self.job_name(),
                "namespace": self.settings.checks_namespace,
                "labels": labels,
            },
            "spec": {
                "parallelism": 1,
                "completions": 1,
                // A check that is to be run again is another Job, with a number of its own.
                "backoffLimit": 0,
                "activeDeadlineSeconds": whole_seconds(timeout),
                "ttlSecondsAfterFinished": TTL_SECONDS,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": self.pod(check),
                },
            },
        }))
    }

    fn pod(&self, check: &CheckContainer) -> Value {
        let mut volumes = vec![json!({"name": "runner", "emptyDir": {"sizeLimit": "512Mi"}})];
        let mut mounts = vec![json!({"name": "runner", "mountPath": RUNNER_FOLDER, "readOnly": true})];
        for (at, volume) in check.volumes.iter().enumerate() {
            // Names of our own: one the administrator chose could be the runner's.
            let name = format!("volume-{at}");
            mounts
                .push(json!({"name": name, "mountPath": volume.mount_path, "readOnly": is_mounted_read_only(volume)}));
            volumes.push(volume_source(volume, &name));
        }
        let command: Vec<&str> =
            [RUNNER, "run-check", "--"].into_iter().chain(check.command.iter().map(String::as_str)).collect();
        json!({
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                // A data base volume is not walked through for every scan.
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "imagePullSecrets":
                check.image_pull_secrets.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "initContainers": [{
                "name": "runner",
                "image": self.settings.runner_image,
                "command": [OPERATOR, "install-runner", RUNNER],
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"cpu": "1", "memory": "128Mi"},
                },
                "securityContext": confined(),
                "volumeMounts": [{"name": "runner", "mountPath": RUNNER_FOLDER}],
            }],
            "containers": [{
                "name": "check",
                "image": check.image,
                "command": command,
                "args": check.args,
                "env": self.environment(&check.env),
                "resources": resources(check.resources.as_ref()),
                "securityContext": confined(),
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        })
    }

    /// The environment: ours first, so that the administrator's may refer to it by `$(NAME)`.
    fn environment(&self, more: &[EnvVar]) -> Vec<Value> {
        let listed = |images: &mut dyn Iterator<Item = &str>| images.collect::<Vec<_>>().join(",");
        let ours = [
            ("IMAGE", self.subject.image().unwrap_or_default().to_owned()),
            ("CANDIDATE_IMAGE", listed(&mut self.candidates())),
            ("BASELINE_IMAGE", listed(&mut self.baselines())),
            ("TARGET_ADDRESS", self.address.to_owned()),
            ("ADVISORY_IDS", self.hotfix.spec.advisory.ids.join(",")),
            ("HOTFIX_NAME", self.hotfix.name.clone()),
            ("HOTFIX_NAMESPACE", self.hotfix.namespace.clone()),
        ];
        let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
        let arguments =
            self.args.iter().map(|(name, value)| (format!("ARG_{}", name.to_ascii_uppercase()), value.clone()));
        let more = more.iter().map(|variable| (variable.name.clone(), variable.value.clone()));
        ours.chain(arguments)
            // Kubernetes would read a $( in a value as a reference, and what it names is not theirs to choose.
            .map(|(name, value)| (name, value.replace('$', "$$")))
            .chain(more)
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect()
    }

    /// The patched images: of the container that is scanned, else of all.
    fn candidates(&self) -> impl Iterator<Item = &str> {
        let images = self.attempt.images.iter().map(|image| (&*image.container, &*image.image));
        images.filter(|(container, _)| self.concerns(container)).map(|(_, image)| image)
    }

    /// The images that run today: of the container that is scanned, else of all.
    fn baselines(&self) -> impl Iterator<Item = &str> {
        let images = self.attempt.blue.baseline.iter().map(|image| (&*image.container, &*image.image));
        images.filter(|(container, _)| self.concerns(container)).map(|(_, image)| image)
    }

    fn concerns(&self, container: &str) -> bool {
        self.subject.container().is_none_or(|only| only == container)
    }
}

fn volume_source(volume: &CheckVolume, name: &str) -> Value {
    if let Some(source) = &volume.config_map {
        return json!({"name": name, "configMap": {"name": source.name}});
    }
    if let Some(source) = &volume.secret {
        return json!({"name": name, "secret": {"secretName": source.secret_name}});
    }
    if let Some(source) = &volume.persistent_volume_claim {
        return json!({"name": name, "persistentVolumeClaim": {"claimName": source.claim_name, "readOnly": volume.read_only}});
    }
    let limit = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_deref());
    json!({"name": name, "emptyDir": {"sizeLimit": limit.unwrap_or("1Gi")}})
}

/// A folder that lives as long as the check is of no use read-only.
fn is_mounted_read_only(volume: &CheckVolume) -> bool {
    volume.read_only && volume.empty_dir.is_none()
}

fn confined() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

fn resources(asked: Option<&Resources>) -> Value {
    let or =
        |asked: Option<&Map>, default: Value| asked.filter(|map| !map.is_empty()).map_or(default, |map| json!(map));
    json!({
        "requests": or(asked.map(|asked| &asked.requests), json!({"cpu": "50m", "memory": "64Mi"})),
        "limits": or(asked.map(|asked| &asked.limits), json!({"cpu": "1", "memory": "1Gi"})),
    })
}

fn whole_seconds(timeout: Duration) -> u64 {
    timeout.as_secs().saturating_add(u64::from(timeout.subsec_nanos() > 0)).max(1)
}

/// Why a Job that was ended at its deadline proves nothing, with what kept its pod from starting, where that is known.
pub fn late(job: &str, stuck: Option<&str>) -> String {
    let why = stuck.map_or_else(String::new, |stuck| format!("; its pod had not started: {stuck}"));
    format!("The check's Job {job} was ended at its deadline before it could report{why}.")
}

/// A value fit for a label: as it is, or hashed where it is too long or has other characters.
fn label_value(value: String) -> String {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let ends = [value.bytes().next(), value.bytes().next_back()];
    let fits = value.len() <= 63
        && value.as_bytes().iter().all(inner)
        && ends.into_iter().flatten().all(|byte| byte.is_ascii_alphanumeric());
    if fits { value } else { hash([value.as_str()]) }
}

/// 20 hex digits of SHA-256 over the parts, each with its length, so that no two lists of parts look alike.
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize(), 20)
}

/// Host and port a check is told of: before there is a candidate the first Service of production, the preview while the
/// candidate is analyzed, and nothing else, and the first Service again when it serves.
pub fn target_address(o: &Observed, attempt: &Attempt, gate: Gate) -> Option<String> {
    let service = match gate {
        Gate::Scan => o.blue.as_ref().and_then(|blue| preflight::selecting(o, blue).into_iter().next())?,
        Gate::Analyze => o.own_preview(&names::slot(&o.hotfix.uid, attempt.number))?,
        Gate::Verify => o.recorded_services(attempt).into_iter().next()?,
    };
    let port = service.ports.first().and_then(|port| port.get("port")).and_then(Value::as_i64)?;
    Some(format!("{}.{}.svc:{port}", service.name, o.hotfix.namespace))
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
