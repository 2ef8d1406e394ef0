//! Operators that are wrong on purpose, to see that the oracles notice. Nothing of the shipped code is changed: the proxy changes
//! what the operator asks for on its way, so that the API server sees another operator.

use hyper::Method;
use securityhotfix::api::names::{self, Mark, SLOT};
use serde_json::{Value, json};

use super::name::operation;
use super::proxy::Call;
use super::replies;
use super::scenario::{HOTFIX, Scenario, WORKLOAD};
use super::world::text;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Its writes have no preconditions: no versions, no tests of marks and selectors, no uids.
    NoPreconditions,
    /// It believes to have written the latch, and has not.
    NoLatch,
    /// It believes to have returned the Service, and has not.
    NoSeal,
    /// It believes to have closed the candidate's pods, and has not.
    NoClose,
    /// It switches before it holds.
    SwitchFirst,
    /// It leaves the hotfix the owner of a candidate that is to serve.
    KeepsOwner,
    /// Its candidate has no readiness gate.
    NoGate,
    /// It changes the user's Deployment before the candidate is believed.
    FoldsEarly,
    /// It says Ready before the last vulnerable pod is gone.
    ClaimsEarly,
    /// It deletes the candidate before the attempt is over.
    DeletesEarly,
    /// It runs one check twice.
    ChecksTwice,
    /// It forgets what it had recorded of the scan.
    ForgetsScan,
}

/// What becomes of a call.
pub enum Rewritten {
    /// It goes on, changed or not, after these others.
    As(Vec<Call>),
    /// It does not go on; the operator is told that it was made.
    Swallowed,
}

impl Mutant {
    /// Every mutant, and the plan in which it shows: a scenario, and a fault where it shows only under one.
    pub const ALL: [(Self, &'static str, &'static str); 13] = [
        (Self::NoPreconditions, "happy", "happy/switch web#1/hold-past-successor"),
        (Self::NoPreconditions, "happy", "happy/hold web#1/hold-past-successor"),
        (Self::NoLatch, "verification-fails", ""),
        (Self::NoSeal, "verification-fails", ""),
        (Self::NoClose, "verification-fails", ""),
        (Self::SwitchFirst, "happy", ""),
        (Self::KeepsOwner, "happy", ""),
        (Self::NoGate, "happy", ""),
        (Self::FoldsEarly, "happy", ""),
        (Self::ClaimsEarly, "happy", ""),
        (Self::DeletesEarly, "happy", ""),
        (Self::ChecksTwice, "happy", ""),
        (Self::ForgetsScan, "happy", ""),
    ];

    /// Changes a call of this name.
    pub fn rewrite(self, name: &str, call: &mut Call) -> Rewritten {
        let mut more = Vec::new();
        match (self, name) {
            (Self::NoPreconditions, _) => call.set_if_any(without_preconditions(&call.json)),
            (Self::NoLatch, "record latch") | (Self::NoClose, "close pod") => return Rewritten::Swallowed,
            (Self::NoSeal, name) if name.starts_with("seal ") => return Rewritten::Swallowed,
            (Self::SwitchFirst, name) if name.starts_with("hold ") => more.extend(switch_of(call)),
            (Self::KeepsOwner, "resize green") => {
                let others = call.json.as_array().map(|operations| {
                    let stays = |operation: &&Value| !text(operation, "/path").ends_with("ownerReferences");
                    operations.iter().filter(stays).cloned().collect()
                });
                call.set_if_any(others.map(Value::Array));
            }
            (Self::NoGate, "create green") => {
                let mut green = call.json.clone();
                if let Some(pod) = green.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut) {
                    pod.remove("readinessGates");
                }
                call.set(green);
            }
            (Self::FoldsEarly, name) if name.starts_with("hold ") => {
                let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image",
                    "value": replies::image(Scenario::candidate(HOTFIX))}]);
                let blue = format!("/apis/apps/v1/namespaces/{}/deployments/{WORKLOAD}", namespace(call));
                more.push(call.aside(Method::PATCH, blue, "application/json-patch+json", patch));
            }
            (Self::ClaimsEarly, "record verified") => {
                call.change_status(|status| {
                    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
                        if text(condition, "/type") == "Ready" {
                            condition["status"] = "True".into();
                        }
                    }
                });
            }
            (Self::DeletesEarly, "delete preview") => {
                let path = format!("/apis/apps/v1/namespaces/{}/deployments/{}", namespace(call), call.object());
                more.push(call.aside(Method::DELETE, path, "application/json", json!({})));
            }
            (Self::ChecksTwice, name) if name.starts_with("create check analyze") => {
                let mut twin = call.json.clone();
                let name = format!("{}-2", text(&twin, "/metadata/name"));
                twin["metadata"]["name"] = name.into();
                more.push(call.aside(Method::POST, call.path().to_owned(), "application/json", twin));
            }
            (Self::ForgetsScan, "record staged") => {
                call.change_status(|status| {
                    if let Some(attempt) = status["attempt"].as_object_mut() {
                        attempt.remove("scannedAt");
                    }
                });
            }
            _ => {}
        }
        Rewritten::As(more)
    }
}

impl Call {
    fn set_if_any(&mut self, json: Option<Value>) {
        if let Some(json) = json {
            self.set(json);
        }
    }

    fn change_status(&mut self, change: impl Fn(&mut Value)) {
        let mut patch = self.json.clone();
        for operation in patch.as_array_mut().into_iter().flatten() {
            if text(operation, "/path") == "/status" {
                change(&mut operation["value"]);
            }
        }
        self.set(patch);
    }
}

fn namespace(call: &Call) -> &str {
    super::name::Namer::namespace(call.path())
}

/// The switch that a hold announces.
fn switch_of(hold: &Call) -> Option<Call> {
    let selector = operation(&hold.json, "test", "/spec/selector")?;
    let marks = hold.json.as_array()?.iter().filter(|it| text(it, "/path").contains("annotations"));
    let mark = marks
        .filter_map(|it| it.get("value"))
        .find_map(|value| value.as_str().or_else(|| value.get(names::MARK).and_then(Value::as_str)))?;
    let Mark::Hold(owner) = Mark::parse(mark) else { return None };
    let mut to = selector.clone();
    to[SLOT] = names::slot(&owner.uid, owner.attempt).into();
    let patch = json!([{"op": "replace", "path": "/spec/selector", "value": to}]);
    Some(hold.aside(Method::PATCH, hold.path().to_owned(), "application/json-patch+json", patch))
}

/// The body without whatever must be true for it to be carried out; `None` where there is no such thing.
fn without_preconditions(body: &Value) -> Option<Value> {
    if let Some(operations) = body.as_array() {
        let kept = operations.iter().filter(|operation| text(operation, "/op") != "test").cloned().collect();
        return Some(Value::Array(kept));
    }
    let mut body = body.clone();
    let object = body.as_object_mut()?;
    if object.remove("preconditions").is_some() {
        return Some(body);
    }
    // A patch of a pod's conditions: nothing else has a status and no kind.
    let patch = object.contains_key("status") && !object.contains_key("kind");
    (patch && object.remove("metadata").is_some()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preconditions_are_taken_out_of_every_kind_of_write() {
        let patch = json!([{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}]);
        assert_eq!(without_preconditions(&patch), Some(json!([{"op": "remove", "path": "/b"}])));
        let delete = json!({"kind": "DeleteOptions", "preconditions": {"uid": "u"}});
        assert_eq!(without_preconditions(&delete), Some(json!({"kind": "DeleteOptions"})));
        let pod = json!({"metadata": {"resourceVersion": "1"}, "status": {"conditions": []}});
        assert_eq!(without_preconditions(&pod), Some(json!({"status": {"conditions": []}})));
        assert_eq!(without_preconditions(&json!({"kind": "Job", "metadata": {}, "status": {}})), None);
        assert_eq!(without_preconditions(&Value::Null), None);
    }

    #[test]
    fn every_mutant_names_a_scenario_there_is() {
        for (mutant, scenario, plan) in Mutant::ALL {
            assert!(super::super::scenario::named(scenario).is_some(), "{mutant:?}");
            assert!(plan.is_empty() || plan.parse::<super::super::plan::Plan>().is_ok(), "{plan}");
        }
    }
}
