//! The policy of every story and of the explorer, and the checks it names.

use std::collections::BTreeMap;

use securityhotfix::api::{HotfixPolicySpec, SecurityCheckSpec};
use securityhotfix::plan::observed::Check;
use serde_json::json;

/// A scan, a test against the preview, and probes of what serves.
pub fn policy() -> HotfixPolicySpec {
    serde_json::from_value(json!({
        "images": {"allow": ["registry.example/*"]},
        "gates": {
            "scan": [{"check": "trivy", "failOn": {"introduced": "High"}}],
            "analyze": [{"check": "smoke", "args": {"path": "/healthz"}}],
            "verify": [{"check": "deep-health"}],
        },
    }))
    .expect("a policy")
}

/// The checks by name.
pub fn checks() -> BTreeMap<String, Check> {
    let container = |tool: &str| json!({"image": format!("registry.example/{tool}@sha256:7"), "command": [tool]});
    let specs = [
        ("trivy", json!({"scan": {"format": "TrivyJson", "container": container("trivy")}})),
        ("smoke", json!({"test": {"container": container("smoke")}})),
        ("deep-health", json!({"http": {"path": "/deep", "port": 8080}})),
    ];
    specs
        .into_iter()
        .map(|(name, spec)| {
            let spec: SecurityCheckSpec = serde_json::from_value(spec).expect("a check");
            (name.to_owned(), Check { uid: format!("check-{name}"), generation: 1, spec })
        })
        .collect()
}
