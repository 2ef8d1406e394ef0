//! Objects that have every field their kind has.

use hotfix_e2e::faults::replies::{REFUSES, REGISTRY, image};
use serde_json::{Value, json};

/// A hotfix of the Deployment `target`.
pub fn hotfix(name: &str, target: &str) -> Value {
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityHotfix", "metadata": {"name": name},
        "spec": {
            "advisory": {
                "ids": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"], "severity": "Medium", "knownExploited": true,
                "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "publishedAt": "2024-01-11T00:00:00Z",
            },
            "target": {"kind": "Deployment", "name": target},
            "images": [{"container": "web", "image": image("v2")}],
            "staging": {"replicas": 1},
            "reason": "Jinja2: attribute injection through the xmlattr filter; upgrade to 3.1.6",
            "suspend": false,
        },
    })
}

/// What a check runs, with all that can be said of it.
fn container(command: &[&str]) -> Value {
    json!({
        "image": format!("{REGISTRY}/check:1"), "command": command, "args": ["$(IMAGE)"],
        "env": [{"name": "LEVEL", "value": "all"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumes": [{"name": "cache", "mountPath": "/cache", "readOnly": false, "emptyDir": {"sizeLimit": "1Gi"}}],
        "imagePullSecrets": ["registry"],
    })
}

fn check(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityCheck", "metadata": {"name": name}, "spec": spec})
}

/// A scan.
pub fn scan(name: &str) -> Value {
    check(name, &json!({"scan": {"format": "TrivyJson", "timeout": "2m", "container": container(&["trivy", "image"])}}))
}

/// A test that always fails: a rollout with it comes to its end before it has traffic.
pub fn test(name: &str) -> Value {
    let mut test = json!({"timeout": "2m", "container": container(&["check", REFUSES])});
    test["container"]["volumes"] =
        json!([{"name": "rules", "mountPath": "/rules", "readOnly": true, "configMap": {"name": "rules"}}]);
    check(name, &json!({"test": test}))
}

/// The same with the other sources of volumes, and with a report.
pub fn test_with_report(name: &str) -> Value {
    let mut test = test(name);
    test["spec"]["test"]["report"] = json!("Sarif");
    test["spec"]["test"]["container"]["volumes"] = json!([
        {"name": "key", "mountPath": "/key", "readOnly": true, "secret": {"secretName": "key"}},
    ]);
    test
}

/// The same with a claim.
pub fn test_with_claim(name: &str) -> Value {
    let mut test = test(name);
    test["spec"]["test"]["container"]["volumes"] = json!([
        {"name": "claim", "mountPath": "/claim", "readOnly": true, "persistentVolumeClaim": {"claimName": "claim"}},
    ]);
    test
}

/// A probe.
pub fn http(name: &str) -> Value {
    check(
        name,
        &json!({"http": {
            "path": "/healthz", "port": 8080, "statuses": [200], "bodyContains": "ok", "interval": "200ms", "timeout": "100ms",
            "successes": 1, "failures": 1,
        }}),
    )
}

/// A policy that runs these two.
pub fn policy(name: &str, scan: &str, analyze: &str) -> Value {
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "HotfixPolicy", "metadata": {"name": name},
        "spec": {
            "images": {"allow": [format!("{REGISTRY}/*")]},
            "gates": {
                "scan": [{"check": scan, "args": {"level": "all"}, "failOn": {"introduced": "High"}}],
                "analyze": [{"check": analyze, "args": {"path": "/healthz"}, "failOn": {"introduced": "High"}}],
                "verify": [{"check": analyze, "args": {"path": "/healthz"}, "failOn": {"introduced": "High"}}],
            },
            "soak": "1s",
            "timeouts": {"staging": "5m", "convergence": "5m", "foldBack": "30m"},
        },
    })
}
