//! Who may do what to the candidate, its pods, the record, and what the operator may do to others.

use serde_json::{Value, json};

use crate::deed::{
    Case, Deed,
    Ends::{Done, NotAllowed, Refused},
    Who::{Administrator, Application, Editor, NodeController, Operator, ReplicaSetController},
    case,
};
use crate::objects::{
    DEPLOYMENTS, GREEN, HOTFIXES, OPEN, PODS, REPLICA_SETS, REPORTS, SERVICES, SLOT, green, green_pod,
    green_pod_without_gate, green_replica_set, pod_spec, service,
};

/// The candidate's Deployment and ReplicaSet.
pub fn candidate(replica_set: &str) -> Vec<Case> {
    const ONLY: &str = "only the operator writes it";
    let at = format!("{DEPLOYMENTS}/{GREEN}");
    let set = format!("{REPLICA_SETS}/{replica_set}");
    let scale = json!({"spec": {"replicas": 9}});
    let slotted = json!({"spec": {"template": {"metadata": {"labels": {SLOT: "x"}}}}});
    let gated = json!({"spec": {"template": {"spec": {"readinessGates": [{"conditionType": OPEN}]}}}});
    let note = json!({"metadata": {"annotations": {"note": "x"}}});
    vec![
        case("making a candidate", Editor, Deed::create(DEPLOYMENTS, green("other")).rehearsed(), Refused(ONLY)),
        case("making a candidate", Administrator, Deed::create(DEPLOYMENTS, green("other")).rehearsed(), Refused(ONLY)),
        case("making a candidate", Operator, Deed::create(DEPLOYMENTS, green("other")).rehearsed(), Done),
        case(
            "making its ReplicaSet",
            Editor,
            Deed::create(REPLICA_SETS, green_replica_set()).rehearsed(),
            Refused(ONLY),
        ),
        case("annotating it", Editor, Deed::merge(&at, note.clone()).rehearsed(), Refused(ONLY)),
        case("annotating its ReplicaSet", Editor, Deed::merge(&set, note.clone()).rehearsed(), Refused(ONLY)),
        case("annotating the workload", Editor, Deed::merge(format!("{DEPLOYMENTS}/web"), note).rehearsed(), Done),
        case("deleting it", Administrator, Deed::delete(&at).rehearsed(), Refused(ONLY)),
        case("deleting its ReplicaSet", Administrator, Deed::delete(&set).rehearsed(), Refused(ONLY)),
        case("deleting all of them", Administrator, Deed::delete(DEPLOYMENTS).rehearsed(), Refused(ONLY)),
        case("deleting it", Operator, Deed::delete(&at).rehearsed(), Done),
        case(
            "scaling it",
            Editor,
            Deed::merge(format!("{at}/scale"), scale.clone()).rehearsed(),
            Refused("Scale that one"),
        ),
        case(
            "scaling its ReplicaSet",
            Editor,
            Deed::merge(format!("{set}/scale"), scale.clone()).rehearsed(),
            Refused("Scale that one"),
        ),
        case(
            "scaling the workload",
            Editor,
            Deed::merge(format!("{DEPLOYMENTS}/web/scale"), scale.clone()).rehearsed(),
            Done,
        ),
        case("resizing it", Operator, Deed::merge(&at, scale).rehearsed(), Done),
        case(
            "giving the workload a slot",
            Editor,
            Deed::merge(format!("{DEPLOYMENTS}/web"), slotted).rehearsed(),
            Refused(ONLY),
        ),
        case(
            "giving the workload the gate",
            Editor,
            Deed::merge(format!("{DEPLOYMENTS}/web"), gated).rehearsed(),
            Refused(ONLY),
        ),
    ]
}

/// The candidate's pods, and the condition that keeps traffic from them.
pub fn pods(pod: &str, blue_pod: &str) -> Vec<Case> {
    const OWN: &str = "only its own ReplicaSet makes pods with them";
    const STAY: &str = "its labels, owner and images stay as they passed the gates";
    const GUARD: &str = "only the operator sets it";
    let at = format!("{PODS}/{pod}");
    let status = format!("{at}/status");
    let label = |key: &str, value: Value| json!({"metadata": {"labels": {key: value}}});
    let condition = |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True"}]}});
    let image = json!({"spec": {"containers": [{"name": "web", "image": "registry.example/evil:1"}]}});
    let disowned = json!([{"op": "remove", "path": "/metadata/ownerReferences"}]);
    let slotted = label(SLOT, json!("0123456789"));
    let mut gate_only = green_pod();
    gate_only["metadata"]["labels"] = json!({"app": "web"});
    vec![
        case("making such a pod", Editor, Deed::create(PODS, green_pod()).rehearsed(), Refused(OWN)),
        case("making such a pod", Administrator, Deed::create(PODS, green_pod()).rehearsed(), Refused(OWN)),
        case("making a pod with the gate", Editor, Deed::create(PODS, gate_only).rehearsed(), Refused(OWN)),
        case("making such a pod", ReplicaSetController, Deed::create(PODS, green_pod()).rehearsed(), Done),
        case(
            "making one that lost its gate",
            ReplicaSetController,
            Deed::create(PODS, green_pod_without_gate()),
            Refused("lost its slot label or its readiness gate"),
        ),
        case("rehearsing a pod", Operator, Deed::create(PODS, green_pod()).rehearsed(), Done),
        case(
            "rehearsing a pod whose gate is taken: the operator has to see it",
            Operator,
            Deed::create(PODS, green_pod_without_gate()).rehearsed(),
            Done,
        ),
        case("making a pod", Operator, Deed::create(PODS, green_pod()), Refused("it may only rehearse one")),
        case("relabelling it", Editor, Deed::merge(&at, label("app", json!("other"))).rehearsed(), Refused(STAY)),
        case("adding a label", Editor, Deed::merge(&at, label("tier", json!("x"))).rehearsed(), Refused(STAY)),
        case("taking its slot", Administrator, Deed::merge(&at, label(SLOT, Value::Null)).rehearsed(), Refused(STAY)),
        case("labelling itself", Application, Deed::merge(&at, label("role", json!("leader"))).rehearsed(), Done),
        case("taking its own slot", Application, Deed::merge(&at, label(SLOT, Value::Null)).rehearsed(), Refused(STAY)),
        case(
            "giving another pod a slot",
            Editor,
            Deed::merge(format!("{PODS}/{blue_pod}"), slotted).rehearsed(),
            Refused(STAY),
        ),
        case("changing its image", Editor, Deed::merge(&at, image).rehearsed(), Refused(STAY)),
        case("disowning it", Editor, Deed::patch(&at, disowned).rehearsed(), Refused(STAY)),
        case(
            "annotating it",
            Editor,
            Deed::merge(&at, json!({"metadata": {"annotations": {"note": "x"}}})).rehearsed(),
            Done,
        ),
        case("deleting it, as a drain does", Editor, Deed::delete(&at).rehearsed(), Done),
        case("opening it", Editor, Deed::merge(&status, condition(OPEN)).rehearsed(), NotAllowed),
        case("opening it", Administrator, Deed::merge(&status, condition(OPEN)).rehearsed(), Refused(GUARD)),
        case("opening it", NodeController, Deed::merge(&status, condition(OPEN)).rehearsed(), Refused(GUARD)),
        case("opening it", Operator, Deed::merge(&status, condition(OPEN)).rehearsed(), Done),
        case("saying it is ready", NodeController, Deed::merge(&status, condition("Ready")).rehearsed(), Done),
        case(
            "relabelling it through its status",
            Administrator,
            Deed::merge(&status, label("app", json!("other"))).rehearsed(),
            Refused("cannot be changed through its status"),
        ),
    ]
}

/// The record, and the status from which the operator goes on.
pub fn record() -> Vec<Case> {
    const EVIDENCE: &str = "is evidence: only the operator writes it";
    let at = format!("{HOTFIXES}/web");
    let report = format!("{REPORTS}/web");
    let verdict = json!({"status": {"observedGeneration": 7}});
    let reason = json!({"spec": {"reason": "nothing happened"}});
    let abort = json!({"metadata": {"annotations": {"securityhotfix.dev/abort": "1/changed my mind"}}});
    vec![
        case(
            "writing a status",
            Editor,
            Deed::merge_custom(format!("{at}/status"), verdict.clone()).rehearsed(),
            NotAllowed,
        ),
        case(
            "writing a status",
            Administrator,
            Deed::merge_custom(format!("{at}/status"), verdict.clone()).rehearsed(),
            Refused(EVIDENCE),
        ),
        case("writing a status", Operator, Deed::merge_custom(format!("{at}/status"), verdict).rehearsed(), Done),
        case("asking for an end", Editor, Deed::merge_custom(&at, abort).rehearsed(), Done),
        case(
            "rewriting the record",
            Administrator,
            Deed::merge_custom(&report, reason.clone()).rehearsed(),
            Refused(EVIDENCE),
        ),
        case("rewriting the record", Editor, Deed::merge_custom(&report, reason.clone()).rehearsed(), NotAllowed),
        case("deleting the record", Editor, Deed::delete(&report).rehearsed(), NotAllowed),
        case("continuing the record", Operator, Deed::merge_custom(&report, reason).rehearsed(), Done),
        case("deleting the record", Operator, Deed::delete(&report).rehearsed(), NotAllowed),
    ]
}

/// What the operator may do to what is not its own.
pub fn operator() -> Vec<Case> {
    const IMAGES: &str = "may change images, and nothing else";
    const OWN: &str = "only objects that carry the label securityhotfix.dev/slot";
    let at = format!("{DEPLOYMENTS}/web");
    let container = |fields: Value| {
        let mut container = json!({"name": "web", "image": "registry.example/web:2"});
        container.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    };
    let fold_back = json!([
        {"op": "test", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/web:1"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/web:2"},
    ]);
    let preview = |labels: Value| Deed::create(SERVICES, service("preview", &labels)).rehearsed();
    let replaced = json!([{"op": "replace", "path": "/spec/template/spec", "value": pod_spec()},
                          {"op": "add", "path": "/spec/template/spec/hostNetwork", "value": true}]);
    vec![
        case("folding back", Operator, Deed::patch(&at, fold_back).rehearsed(), Done),
        case(
            "forgetting its own writes",
            Operator,
            Deed::patch(&at, json!([{"op": "remove", "path": "/metadata/managedFields/0"}])).rehearsed(),
            Done,
        ),
        case(
            "changing a command",
            Operator,
            Deed::merge(&at, container(json!({"command": ["sh"]}))).rehearsed(),
            Refused(IMAGES),
        ),
        case(
            "changing environment",
            Operator,
            Deed::merge(&at, container(json!({"env": [{"name": "A", "value": "2"}]}))).rehearsed(),
            Refused(IMAGES),
        ),
        case(
            "adding a container",
            Operator,
            Deed::merge(&at, json!({"spec": {"template": {"spec": {"containers": [{"name": "two", "image": "x"}]}}}}))
                .rehearsed(),
            Refused(IMAGES),
        ),
        case(
            "changing the service account",
            Operator,
            Deed::merge(&at, json!({"spec": {"template": {"spec": {"serviceAccountName": "x"}}}})).rehearsed(),
            Refused(IMAGES),
        ),
        case("reaching for the node", Operator, Deed::patch(&at, replaced).rehearsed(), Refused(IMAGES)),
        case(
            "restarting it",
            Operator,
            Deed::merge(&at, json!({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}})).rehearsed(),
            Refused(IMAGES),
        ),
        case("scaling it", Operator, Deed::merge(&at, json!({"spec": {"replicas": 0}})).rehearsed(), Refused(IMAGES)),
        case("deleting the workload", Operator, Deed::delete(&at).rehearsed(), Refused(OWN)),
        case("making a Service", Operator, preview(json!({})), Refused(OWN)),
        case("making the preview", Operator, preview(json!({SLOT: "0123456789"})), Done),
        case("deleting a Service", Operator, Deed::delete(format!("{SERVICES}/web")).rehearsed(), Refused(OWN)),
        case("reading a Secret", Operator, Deed::get("/api/v1/namespaces/shop/secrets/any"), NotAllowed),
        case("reading another namespace's pods", Operator, Deed::get(format!("{PODS}/any")), NotAllowed),
    ]
}
