//! An invalid spec is refused by the API server itself, with a sentence that helps.

use serde_json::{Value, json};

use crate::deed::{
    Case, Deed,
    Ends::{Done, Invalid, NotAllowed},
    Who::{Administrator, Editor},
    case,
};
use crate::objects::{CHECKS, HOTFIXES, POLICIES, hotfix};

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer with a slash");
    let parent = object.pointer_mut(parent).expect("the parent is there");
    parent[key] = value;
    object
}

pub fn check(spec: &Value) -> Value {
    json!({"apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityCheck", "metadata": {"name": "one"}, "spec": spec})
}

pub fn policy() -> Value {
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "HotfixPolicy", "metadata": {"name": "one"},
        "spec": {"images": {"allow": ["registry.example/*"]},
                 "gates": {"scan": [{"check": "trivy"}], "analyze": [], "verify": []}},
    })
}

// One table, read from top to bottom.
#[allow(clippy::too_many_lines)]
pub fn definitions() -> Vec<Case> {
    let scan = json!({"format": "TrivyJson", "container": {"image": "trivy", "command": ["trivy"]}});
    let http = json!({"path": "/healthz", "port": 8080});
    let change = |spec: Value| Deed::merge_custom(format!("{HOTFIXES}/web"), json!({"spec": spec})).rehearsed();
    let hotfixes = |object: Value| Deed::create(HOTFIXES, object).rehearsed();
    let policies = |object: Value| Deed::create(POLICIES, object).rehearsed();
    let checks = |spec: Value| Deed::create(CHECKS, check(&spec)).rehearsed();
    let volume = json!([{"name": "v", "mountPath": "/runner/bin", "emptyDir": {}}]);
    let two_sources = json!([{"name": "v", "mountPath": "/v", "emptyDir": {}, "configMap": {"name": "c"}}]);
    vec![
        case("a hotfix", Editor, hotfixes(hotfix("other")), Done),
        case("a policy", Administrator, policies(policy()), Done),
        case("a scan", Administrator, checks(json!({"scan": scan.clone()})), Done),
        case("a probe", Administrator, checks(json!({"http": http.clone()})), Done),
        case("a policy of one's own", Editor, policies(policy()), NotAllowed),
        case("a check of one's own", Editor, checks(json!({"http": http.clone()})), NotAllowed),
        case("suspending", Editor, change(json!({"suspend": true})), Done),
        case(
            "another image",
            Editor,
            change(json!({"images": [{"container": "web", "image": "x"}]})),
            Invalid("another image is another SecurityHotfix"),
        ),
        case(
            "another target",
            Editor,
            change(json!({"target": {"name": "x"}})),
            Invalid("create another SecurityHotfix"),
        ),
        case(
            "another advisory",
            Editor,
            change(json!({"advisory": {"ids": ["CVE-1"]}})),
            Invalid("create another SecurityHotfix"),
        ),
        case("another reason", Editor, change(json!({"reason": "x"})), Invalid("it is part of the record")),
        case(
            "no image",
            Editor,
            hotfixes(with(hotfix("other"), "/spec/images", json!([]))),
            Invalid("should have at least 1 items"),
        ),
        case(
            "no advisory",
            Editor,
            hotfixes(with(hotfix("other"), "/spec/advisory/ids", json!([]))),
            Invalid("should have at least 1 items"),
        ),
        case(
            "a StatefulSet",
            Editor,
            hotfixes(with(hotfix("other"), "/spec/target/kind", json!("StatefulSet"))),
            Invalid("supported values: \"Deployment\""),
        ),
        case("a name that fits no label", Editor, hotfixes(hotfix(&"x".repeat(64))), Invalid("at most 63 characters")),
        case(
            "two checks in one",
            Administrator,
            checks(json!({"scan": scan.clone(), "http": http.clone()})),
            Invalid("a check is one thing"),
        ),
        case("no check at all", Administrator, checks(json!({})), Invalid("a check is one thing")),
        case(
            "a host in a probe",
            Administrator,
            checks(json!({"http": with(http, "/path", json!("http://elsewhere/"))})),
            Invalid("write a path, such as /healthz"),
        ),
        case(
            "a scan that takes days",
            Administrator,
            checks(json!({"scan": with(scan.clone(), "/timeout", json!("48h"))})),
            Invalid("between 1s and 2h"),
        ),
        case(
            "a volume over the runner",
            Administrator,
            checks(json!({"scan": with(scan.clone(), "/container/volumes", volume)})),
            Invalid("/runner is taken by the operator's own runner"),
        ),
        case(
            "a volume of two sources",
            Administrator,
            checks(json!({"scan": with(scan, "/container/volumes", two_sources)})),
            Invalid("set exactly one of configMap, secret"),
        ),
        case(
            "a policy that scans nothing",
            Administrator,
            policies(with(policy(), "/spec/gates/scan", json!([]))),
            Invalid("should have at least 1 items"),
        ),
        case(
            "an argument no environment takes",
            Administrator,
            policies(with(policy(), "/spec/gates/verify", json!([{"check": "smoke", "args": {"a-b": "x"}}]))),
            Invalid("letters, digits and underscores only"),
        ),
        case(
            "a soak of nobody's patience",
            Administrator,
            policies(with(policy(), "/spec/soak", json!("2000h"))),
            Invalid("between 0s and 168h"),
        ),
    ]
}
