//! The pure half: which bytes an action is. No choice is made here that the action does not carry.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Place;
use super::patch::{Patch, mark_pointer};
use crate::api::names::{FINALIZER, MANAGER, OPEN};
use crate::api::{GROUP, VERSION};
use crate::cluster::{Call, Verb};
use crate::plan::action::{Action, Annotations, Ownership, Target, Versioned};

/// The call that carries out `action`.
// One arm an action, each a sentence: cut in pieces it would no longer read as the table it is.
#[allow(clippy::too_many_lines)]
pub fn request(action: &Action, place: &Place, now: Timestamp) -> Call {
    let own = format!("/apis/{GROUP}/{VERSION}");
    let ns = place.namespace.as_str();
    let hotfix = || object(&own, ns, "securityhotfixes", &place.hotfix);
    let service = |service: &Versioned| object(CORE, ns, "services", &service.name);
    match action {
        Action::Record { resource_version, status } => json_patch(
            format!("{}/status", hotfix()),
            // Whole, so that what the new status does not have any more is gone.
            Patch::at_version(resource_version).add("/status", json!(status)),
        ),
        Action::AddFinalizer { resource_version, first } => {
            let patch = Patch::at_version(resource_version);
            let patch = if *first {
                patch.add("/metadata/finalizers", json!([FINALIZER]))
            } else {
                patch.add("/metadata/finalizers/-", json!(FINALIZER))
            };
            json_patch(hotfix(), patch)
        }
        Action::RemoveFinalizer { resource_version, index } => {
            let place = format!("/metadata/finalizers/{index}");
            json_patch(hotfix(), Patch::at_version(resource_version).test(&place, json!(FINALIZER)).remove(&place))
        }
        Action::Claim(lease) => create(collection(COORDINATION, ns, "leases"), lease),
        Action::Unclaim(target) => delete(&collection(COORDINATION, ns, "leases"), target),
        Action::OpenReport(report) => create(collection(&own, ns, "hotfixreports"), report),
        Action::WriteReport { name, resource_version, spec } => json_patch(
            object(&own, ns, "hotfixreports", name),
            Patch::at_version(resource_version).replace("/spec", json!(spec)),
        ),
        Action::CreateJob(job) => create(collection(BATCH, &place.checks_namespace, "jobs"), job),
        Action::DeleteJob(target) => delete(&collection(BATCH, &place.checks_namespace, "jobs"), target),
        Action::CreateGreen(green) => create(collection(APPS, ns, "deployments"), green),
        Action::ResizeGreen { green, replicas, ownership } => {
            let patch = Patch::of(green).replace("/spec/replicas", json!(replicas));
            let patch = match ownership {
                Ownership::Drop => patch.remove("/metadata/ownerReferences"),
                Ownership::Dropped => patch,
            };
            json_patch(object(APPS, ns, "deployments", &green.name), patch)
        }
        Action::DeleteGreen(target) => delete(&collection(APPS, ns, "deployments"), target),
        Action::CreatePreview(preview) => create(collection(CORE, ns, "services"), preview),
        Action::DeletePreview(target) => delete(&collection(CORE, ns, "services"), target),
        Action::CreateBudget(budget) => create(collection(POLICY, ns, "poddisruptionbudgets"), budget),
        Action::DeleteBudget(target) => delete(&collection(POLICY, ns, "poddisruptionbudgets"), target),
        Action::Hold { service: held, mark, selector, annotations } => {
            json_patch(service(held), Patch::of(held).test(SELECTOR, json!(selector)).add_mark(mark, *annotations))
        }
        Action::Switch { service: switched, mark, from, to } => json_patch(
            service(switched),
            Patch::of(switched)
                .test(&mark_pointer(), json!(mark))
                .test(SELECTOR, json!(from))
                .replace(SELECTOR, json!(to)),
        ),
        Action::Seal { service: sealed, was, mark, from, to, annotations } => {
            let patch = Patch::of(sealed);
            let (patch, annotations) = match was {
                // Where a mark is, there are annotations to write it into.
                Some(was) => (patch.test(&mark_pointer(), json!(was)), Annotations::Some),
                None => (patch, *annotations),
            };
            let patch = patch.test(SELECTOR, json!(from)).replace(SELECTOR, json!(to)).add_mark(mark, annotations);
            json_patch(service(sealed), patch)
        }
        Action::Unpin { service: pinned, from, to } => {
            json_patch(service(pinned), Patch::of(pinned).test(SELECTOR, json!(from)).replace(SELECTOR, json!(to)))
        }
        Action::Unmark { service: marked, mark, managers, annotations } => {
            let patch = Patch::of(marked);
            let patch = match (mark, annotations) {
                (Some(mark), Annotations::Some) => patch.test(&mark_pointer(), json!(mark)).remove(&mark_pointer()),
                (Some(mark), Annotations::None) => {
                    patch.test(&mark_pointer(), json!(mark)).remove("/metadata/annotations")
                }
                (None, _) => patch,
            };
            json_patch(service(marked), patch.remove_managers(MANAGER, managers))
        }
        Action::Open(pod) => pod_status(ns, pod, &[condition(OPEN, Truth::True, "HotfixOpened", pod, now)]),
        Action::Close(pod) => pod_status(
            ns,
            pod,
            &[
                condition(OPEN, Truth::False, "HotfixClosed", pod, now),
                // As the node controller does, so that no kubelet has to be alive for it to work.
                condition("Ready", Truth::False, "HotfixClosed", pod, now),
            ],
        ),
        Action::FoldBack { blue, images } => {
            let patch = images.iter().fold(Patch::of(blue), |patch, image| {
                let field = format!("{}/image", image.pointer);
                patch
                    .test(&format!("{}/name", image.pointer), json!(image.container))
                    .test(&field, json!(image.from))
                    .replace(&field, json!(image.to))
            });
            json_patch(object(APPS, ns, "deployments", &blue.name), patch)
        }
        Action::Disown { blue, managers } => {
            json_patch(object(APPS, ns, "deployments", &blue.name), Patch::of(blue).remove_managers(MANAGER, managers))
        }
    }
}

const CORE: &str = "/api/v1";
const APPS: &str = "/apis/apps/v1";
const BATCH: &str = "/apis/batch/v1";
const COORDINATION: &str = "/apis/coordination.k8s.io/v1";
const POLICY: &str = "/apis/policy/v1";
const SELECTOR: &str = "/spec/selector";

/// Path of a collection. Namespaces and names came from the API server, whose grammar for them needs no encoding.
fn collection(api: &str, namespace: &str, plural: &str) -> String {
    format!("{api}/namespaces/{namespace}/{plural}")
}

fn object(api: &str, namespace: &str, plural: &str, name: &str) -> String {
    format!("{}/{name}", collection(api, namespace, plural))
}

/// Every write says whose it is, and that unknown fields are an error rather than dropped.
fn write(verb: Verb, path: String, body: Value) -> Call {
    Call { verb, path, query: Vec::new(), body: Some(body) }
        .with("fieldManager", MANAGER)
        .with("fieldValidation", "Strict")
}

fn create(path: String, body: &Value) -> Call {
    write(Verb::Create, path, body.clone())
}

fn json_patch(target: String, patch: Patch) -> Call {
    write(Verb::JsonPatch, target, patch.into_value())
}

fn delete(collection: &str, target: &Target) -> Call {
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": target.uid},
        "propagationPolicy": "Background",
    });
    Call { verb: Verb::Delete, path: format!("{collection}/{}", target.name), query: Vec::new(), body: Some(options) }
}

#[derive(Clone, Copy)]
enum Truth {
    True,
    False,
}

/// A condition of a pod. Its message names the version it was written over, which no earlier condition can, so the
/// write always changes the pod and with it outdates every other write that is still in flight.
fn condition(kind: &str, truth: Truth, reason: &str, pod: &Versioned, now: Timestamp) -> Value {
    json!({
        "type": kind,
        "status": match truth { Truth::True => "True", Truth::False => "False" },
        "reason": reason,
        "message": format!("written by the security hotfix over version {}", pod.resource_version),
        "lastTransitionTime": seconds(now),
    })
}

/// A patch of a pod's conditions, which are merged by their type; uid and version in it are what it must still have.
fn pod_status(namespace: &str, pod: &Versioned, conditions: &[Value]) -> Call {
    let body = json!({
        "metadata": {"uid": pod.uid, "resourceVersion": pod.resource_version},
        "status": {"conditions": conditions},
    });
    write(Verb::StrategicPatch, format!("{}/status", object(CORE, namespace, "pods", &pod.name)), body)
}

/// RFC 3339 in UTC, in whole seconds: all that a Kubernetes time holds.
fn seconds(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
