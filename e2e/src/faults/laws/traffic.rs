//! Where requests go, as the EndpointSlices say.

use securityhotfix::api::names::{OPEN, SLOT};
use serde_json::Value;

use super::{Change, attempt_of, has, image, uid};
use crate::faults::replies;
use crate::faults::scenario::Scenario;
use crate::faults::world::{Kind, World, condition, label, list, text};

/// The ready endpoints of a Service, by whose pods they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// The user's own.
    pub blue: usize,
    /// The candidate's.
    pub green: usize,
}

/// Pods that are ready endpoints of a Service; one that is gone already is a null.
fn reached<'a>(world: &'a World, service: &str) -> Vec<&'a Value> {
    let slices = world.all(Kind::Slice).filter(|slice| label(slice, "kubernetes.io/service-name") == Some(service));
    let ready = slices
        .flat_map(|slice| list(slice, "/endpoints"))
        .filter(|endpoint| endpoint.pointer("/conditions/ready").and_then(Value::as_bool) == Some(true));
    let pod = |endpoint: &Value| {
        let wanted = text(endpoint, "/targetRef/uid");
        world.all(Kind::Pod).find(|pod| uid(pod) == wanted).unwrap_or(&Value::Null)
    };
    ready.map(pod).collect()
}

/// How many of each side a Service reaches.
pub fn sides(world: &World, service: &str) -> Sides {
    let reached = reached(world, service);
    let green = reached.iter().filter(|pod| label(pod, SLOT).is_some()).count();
    Sides { blue: reached.len() - green, green }
}

pub(super) fn has_an_endpoint(change: &Change<'_>) -> Option<String> {
    change.facts.scenario.services.iter().find_map(|service| {
        let (before, after) = (reached(change.before, service), reached(change.after, service));
        if before.is_empty() || !after.is_empty() {
            return None;
        }
        // A candidate that dies by itself takes its traffic with it, until the seal gives it back.
        let candidates = before.iter().all(|pod| label(pod, SLOT).is_some());
        let died = candidates && before.iter().all(|pod| dead(change.after, pod));
        (!(change.facts.scenario.candidate_dies() && died))
            .then(|| format!("Service {service} lost its last ready endpoint"))
    })
}

/// Whether a pod's containers have died by themselves.
fn dead(world: &World, pod: &Value) -> bool {
    let now = world.get(Kind::Pod, text(pod, "/metadata/name"));
    now.is_none_or(|pod| condition(pod, "ContainersReady") == "False")
}

pub(super) fn passed_the_gates(change: &Change<'_>) -> Option<String> {
    change.facts.scenario.services.iter().find_map(|service| {
        let pods = reached(change.after, service);
        let slots = pods.iter().filter_map(|pod| label(pod, SLOT));
        let early = slots.into_iter().find(|slot| {
            let missing = |attempt: &Value| {
                ["scannedAt", "stagedAt", "analyzedAt", "promotingAt"].iter().any(|gate| !has(attempt, gate))
            };
            attempt_of(change.after, slot).is_some_and(missing)
        })?;
        Some(format!("Service {service} reaches the candidate {early} before its gates have passed"))
    })
}

pub(super) fn is_of_a_gated_digest(change: &Change<'_>) -> Option<String> {
    change.facts.scenario.services.iter().find_map(|service| {
        let pods = reached(change.after, service);
        let strange = pods.iter().filter(|pod| !pod.is_null()).find(|pod| !is_gated(change, pod))?;
        let image = image(&strange["spec"]);
        Some(format!(
            "Service {service} reaches {}, whose image {image} passed no gate",
            text(strange, "/metadata/name")
        ))
    })
}

/// Whether the pod runs what its owner deployed, or what a hotfix may serve where it serves.
fn is_gated(change: &Change<'_>, pod: &Value) -> bool {
    let image = image(&pod["spec"]);
    let Some(version) = replies::version(image) else { return false };
    if matches!(version, "v1" | "v1b") {
        return true;
    }
    let hotfixes: Vec<&Value> = change.after.all(Kind::Hotfix).collect();
    let asked = hotfixes.into_iter().find(|hotfix| Scenario::candidate(text(hotfix, "/metadata/name")) == version);
    // A hotfix that is deleted has left nothing of its candidate, but for what its owner keeps.
    let Some(hotfix) = asked else { return true };
    let attempt = hotfix.pointer("/status/attempt").unwrap_or(&Value::Null);
    // Somebody may take the slot off a pod of the candidate; it is one by its readiness gate.
    let gated = list(pod, "/spec/readinessGates").iter().any(|gate| text(gate, "/conditionType") == OPEN);
    let gate = if gated || label(pod, SLOT).is_some() { "promotingAt" } else { "verifiedAt" };
    has(attempt, gate) && has(attempt, "scannedAt")
}
