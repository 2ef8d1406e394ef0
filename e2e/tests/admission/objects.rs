//! The objects the cases are about: a workload, its candidate as the operator makes it, and a hotfix.

use serde_json::{Value, json};

pub const SLOT: &str = "securityhotfix.dev/slot";
pub const OPEN: &str = "securityhotfix.dev/open";
pub const GREEN: &str = "web-hotfix-0b5f7c1e";

pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
pub const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
pub const PODS: &str = "/api/v1/namespaces/shop/pods";
pub const SERVICES: &str = "/api/v1/namespaces/shop/services";
pub const HOTFIXES: &str = "/apis/securityhotfix.dev/v1alpha1/namespaces/shop/securityhotfixes";
pub const REPORTS: &str = "/apis/securityhotfix.dev/v1alpha1/namespaces/shop/hotfixreports";
pub const CHECKS: &str = "/apis/securityhotfix.dev/v1alpha1/securitychecks";
pub const POLICIES: &str = "/apis/securityhotfix.dev/v1alpha1/hotfixpolicies";

/// A Service called `name` of the workload.
pub fn service(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
           "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

/// The pod of a workload.
pub fn pod_spec() -> Value {
    json!({"containers": [{"name": "web", "image": "registry.example/web:1", "env": [{"name": "A", "value": "1"}]}]})
}

/// The workload: nothing of ours on it.
pub fn blue() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec()},
        },
    })
}

/// A candidate called `name`: the workload's labels, the slot, the gate.
pub fn green(name: &str) -> Value {
    let labels = json!({"app": "web", SLOT: "0123456789"});
    let mut spec = pod_spec();
    spec["readinessGates"] = json!([{"conditionType": OPEN}]);
    let mut green = blue();
    green["metadata"] = json!({"name": name, "labels": labels});
    green["spec"]["selector"]["matchLabels"] = labels.clone();
    green["spec"]["template"] = json!({"metadata": {"labels": labels}, "spec": spec});
    green
}

/// A ReplicaSet with everything of the candidate's.
pub fn green_replica_set() -> Value {
    let mut set = green("copied");
    set["kind"] = json!("ReplicaSet");
    set
}

/// A pod of the candidate's template.
pub fn green_pod() -> Value {
    let template = &green("x")["spec"]["template"];
    let mut metadata = template["metadata"].clone();
    metadata["generateName"] = json!("web-");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// The same after something on the way took its gate.
pub fn green_pod_without_gate() -> Value {
    let mut pod = green_pod();
    pod["spec"].as_object_mut().expect("a pod has a spec").remove("readinessGates");
    pod
}

/// A hotfix of the workload.
pub fn hotfix(name: &str) -> Value {
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityHotfix",
        "metadata": {"name": name},
        "spec": {
            "advisory": {"ids": ["CVE-2024-22195"]},
            "target": {"name": "web"},
            "images": [{"container": "web", "image": "registry.example/web:2"}],
            "reason": "Jinja2",
        },
    })
}
