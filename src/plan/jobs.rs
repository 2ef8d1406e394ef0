//! Check Jobs: what they are called, what they run, and which found ones count.
//!
//! A Job's name is a hash of everything it was made for, and its labels repeat all of it. A Job found again counts only if
//! every label matches, so that neither an old run nor a forged one is ever taken for evidence.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api::names;
use crate::api::time::{Duration, positive};
use crate::api::{Attempt, CheckContainer, CheckVolume, Gate, GateCheck, Resources};

use super::observed::{Check, Map, Observed};
use super::preflight;

/// How long an ended Job is kept when nothing deletes it, in seconds: long enough for a person to read its log.
const KEPT_SECONDS: i32 = 3600;

/// Where the runner is mounted.
const RUNNER: &str = "/runner";

/// The label that says what a Job is.
pub const CHECK: &str = "securityhotfix.dev/check";

/// What one run of a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// In a word or two: the container and the side, or the address.
    pub role: String,
    /// The image to scan, where one is scanned.
    pub image: Option<String>,
}

impl Subject {
    /// A patched image.
    pub fn candidate(container: &str, image: &str) -> Self {
        Self { role: format!("{container}/candidate"), image: Some(image.to_owned()) }
    }

    /// An image that runs today.
    pub fn baseline(container: &str, image: &str) -> Self {
        Self { role: format!("{container}/baseline"), image: Some(image.to_owned()) }
    }

    /// The address of a test.
    pub fn address(address: &str) -> Self {
        Self { role: format!("address/{address}"), image: None }
    }
}

/// Everything one check Job is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    labels: BTreeMap<String, String>,
    subject: Subject,
}

impl Identity {
    /// The Job's name: `check-` and twenty hex digits of a hash over its labels.
    pub fn name(&self) -> String {
        let mut hash = Sha256::new();
        for (key, value) in &self.labels {
            hash.update(format!("{key}={value}\n"));
        }
        format!("check-{}", names::hex(&hash.finalize(), 20))
    }

    /// The labels it carries.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }
}

/// What a Job must be made for to count in this run of this check.
pub fn identity(
    o: &Observed,
    attempt: &Attempt,
    gate: Gate,
    entry: &GateCheck,
    check: &Check,
    subject: &Subject,
    run: u32,
) -> Identity {
    let images: String = attempt.images.iter().map(|image| format!("{}={};", image.container, image.image)).collect();
    let arguments: String = entry.args.iter().map(|(key, value)| format!("{key}={value};")).collect();
    let labels = [
        (names::HOTFIX_UID, o.hotfix.uid.clone()),
        (names::HOTFIX_NAME, o.hotfix.name.clone()),
        (names::HOTFIX_NAMESPACE, o.hotfix.namespace.clone()),
        (names::ATTEMPT, attempt.number.to_string()),
        ("securityhotfix.dev/gate", format!("{gate:?}").to_lowercase()),
        (CHECK, entry.check.clone()),
        ("securityhotfix.dev/check-uid", check.uid.clone()),
        ("securityhotfix.dev/check-generation", check.generation.to_string()),
        ("securityhotfix.dev/subject", hashed(&subject.role)),
        ("securityhotfix.dev/image", hashed(subject.image.as_deref().unwrap_or(""))),
        ("securityhotfix.dev/digests", hashed(&images)),
        ("securityhotfix.dev/arguments", hashed(&arguments)),
        ("securityhotfix.dev/run", run.to_string()),
    ];
    Identity {
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        subject: subject.clone(),
    }
}

/// True when a found Job was made for exactly this.
pub fn counts(identity: &Identity, found: &Map) -> bool {
    identity.labels.iter().all(|(key, value)| found.get(key) == Some(value))
}

/// Host and port a test is pointed at: the preview before the switch, the first Service of production after it.
pub fn target_address(o: &Observed, attempt: &Attempt) -> Option<String> {
    let service = if attempt.converged_at.is_some() {
        o.recorded_services(attempt).into_iter().next()?
    } else {
        o.own_preview(&names::slot(&o.hotfix.uid, attempt.number))
            .or_else(|| o.blue.as_ref().and_then(|blue| preflight::selecting(o, blue).into_iter().next()))?
    };
    let port = service.ports.first().and_then(|port| port.get("port")).and_then(Value::as_i64)?;
    Some(format!("{}.{}.svc:{port}", service.name, o.hotfix.namespace))
}

/// Replaces `$(ARG_<NAME>)` by the policy's arguments.
pub fn expand(text: &str, entry: &GateCheck) -> String {
    entry
        .args
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$(ARG_{})", name.to_uppercase()), value))
}

/// The Job of one run of a check.
pub fn job(
    o: &Observed,
    attempt: &Attempt,
    entry: &GateCheck,
    container: &CheckContainer,
    timeout: Duration,
    identity: &Identity,
) -> Value {
    let labels = identity.labels();
    let deadline = positive(timeout).as_secs().max(1);
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": identity.name(),
            "namespace": o.settings.checks_namespace,
            "labels": labels,
        },
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": pod(o, attempt, entry, container, identity),
            },
        },
    })
}

fn pod(o: &Observed, attempt: &Attempt, entry: &GateCheck, container: &CheckContainer, identity: &Identity) -> Value {
    let locked = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    let runner = json!({"name": "hotfix-runner", "mountPath": RUNNER});
    let read_only_runner = json!({"name": "hotfix-runner", "mountPath": RUNNER, "readOnly": true});
    let mounts: Vec<Value> = std::iter::once(read_only_runner)
        .chain(container.volumes.iter().map(|volume| {
            json!({"name": volume.name, "mountPath": volume.mount_path, "readOnly": volume.read_only && volume.empty_dir.is_none()})
        }))
        .collect();
    let volumes: Vec<Value> = std::iter::once(json!({"name": "hotfix-runner", "emptyDir": {"sizeLimit": "256Mi"}}))
        .chain(container.volumes.iter().map(volume))
        .collect();
    let secrets: Vec<Value> = container.image_pull_secrets.iter().map(|name| json!({"name": name})).collect();
    let arguments: Vec<&String> = container.command.iter().chain(&container.args).collect();
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "imagePullSecrets": secrets,
        "volumes": volumes,
        "initContainers": [{
            "name": "runner",
            "image": o.settings.runner_image,
            "command": ["/hotfix-operator", "install-runner", format!("{RUNNER}/hotfix-operator")],
            "securityContext": locked,
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            "volumeMounts": [runner],
        }],
        "containers": [{
            "name": "check",
            "image": container.image,
            "command": [format!("{RUNNER}/hotfix-operator"), "run-check", "--"],
            "args": arguments,
            "env": environment(o, attempt, entry, container, identity),
            "securityContext": locked,
            "resources": resources(container.resources.as_ref()),
            "volumeMounts": mounts,
        }],
    })
}

/// What every check is told, before what the administrator adds.
fn environment(
    o: &Observed,
    attempt: &Attempt,
    entry: &GateCheck,
    container: &CheckContainer,
    identity: &Identity,
) -> Vec<Value> {
    let baseline = attempt.blue.baseline.first().map_or("", |baseline| baseline.image.as_str());
    let candidate = attempt.images.first().map_or("", |image| image.image.as_str());
    let mut env = vec![
        ("CANDIDATE_IMAGE".to_owned(), candidate.to_owned()),
        ("BASELINE_IMAGE".to_owned(), baseline.to_owned()),
        ("ADVISORY_IDS".to_owned(), o.hotfix.spec.advisory.ids.join(",")),
        ("HOTFIX_NAME".to_owned(), o.hotfix.name.clone()),
        ("HOTFIX_NAMESPACE".to_owned(), o.hotfix.namespace.clone()),
    ];
    match &identity.subject.image {
        Some(image) => env.push(("IMAGE".to_owned(), image.clone())),
        None => env.push(("TARGET_ADDRESS".to_owned(), target_address(o, attempt).unwrap_or_default())),
    }
    env.extend(entry.args.iter().map(|(name, value)| (format!("ARG_{}", name.to_uppercase()), value.clone())));
    env.extend(container.env.iter().map(|variable| (variable.name.clone(), variable.value.clone())));
    env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn volume(volume: &CheckVolume) -> Value {
    let mut built = json!({"name": volume.name});
    if let Some(source) = &volume.config_map {
        built["configMap"] = json!({"name": source.name});
    } else if let Some(source) = &volume.secret {
        built["secret"] = json!({"secretName": source.secret_name});
    } else if let Some(source) = &volume.persistent_volume_claim {
        built["persistentVolumeClaim"] = json!({"claimName": source.claim_name, "readOnly": volume.read_only});
    } else {
        let limit = volume.empty_dir.as_ref().and_then(|dir| dir.size_limit.clone()).unwrap_or_else(|| "1Gi".into());
        built["emptyDir"] = json!({"sizeLimit": limit});
    }
    built
}

fn resources(asked: Option<&Resources>) -> Value {
    match asked {
        Some(asked) => json!({"limits": asked.limits, "requests": asked.requests}),
        None => json!({
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        }),
    }
}

/// A label value for a text that may be longer than one, or have other characters.
fn hashed(text: &str) -> String {
    names::hex(&Sha256::digest(text), 40)
}
