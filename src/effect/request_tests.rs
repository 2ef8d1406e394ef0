//! Every action, byte for byte: what is sent is what was reviewed.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Place, request};
use crate::api::SecurityHotfixStatus;
use crate::plan::action::{Action, Annotations, ImagePatch, Ownership, Target, Versioned};
use crate::plan::observed::Map;

fn sent(action: &Action) -> String {
    let place = Place { namespace: "shop".into(), hotfix: "web-cve".into(), checks_namespace: "hotfix-checks".into() };
    let now: Timestamp = "2026-11-23T17:00:00.987Z".parse().unwrap();
    request(action, &place, now).to_string()
}

/// What is sent for a JSON patch, operation by operation.
fn patched(action: &Action) -> (String, Vec<String>) {
    let text = sent(action);
    let mut lines = text.lines();
    let target = lines.next().unwrap().to_owned();
    assert_eq!(lines.next(), Some("application/json-patch+json"));
    let operations: Vec<Value> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let words = operations.iter().map(|operation| {
        let (op, path) = (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap());
        match operation.get("value") {
            Some(value) => format!("{op} {path} {value}"),
            None => format!("{op} {path}"),
        }
    });
    (target, words.collect())
}

fn web() -> Versioned {
    Versioned { name: "web".into(), uid: "u-web".into(), resource_version: "7".into() }
}

fn target() -> Target {
    Target { name: "web-hotfix-0b5f7c1e".into(), uid: "u-green".into() }
}

fn map(entries: &[(&str, &str)]) -> Map {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn owners() -> Map {
    map(&[("app", "web")])
}

fn switched() -> Map {
    map(&[("app", "web"), ("securityhotfix.dev/slot", "s1")])
}

const WRITE: &str = "fieldManager=securityhotfix-controller&fieldValidation=Strict";
const SERVICE: &str = "PATCH /api/v1/namespaces/shop/services/web";
const BLUE: &str = "PATCH /apis/apps/v1/namespaces/shop/deployments/web";
const HOTFIX: &str = "PATCH /apis/securityhotfix.dev/v1alpha1/namespaces/shop/securityhotfixes/web-cve";

#[track_caller]
fn assert_patch(action: &Action, target: &str, operations: &[&str]) {
    let (to, words) = patched(action);
    assert_eq!(to, format!("{target}?{WRITE}"));
    assert_eq!(words, operations);
}

#[test]
fn a_status_is_written_whole_over_the_version_it_was_decided_on() {
    let status = SecurityHotfixStatus { observed_generation: Some(2), ..SecurityHotfixStatus::default() };
    assert_patch(
        &Action::Record { resource_version: "7".into(), status: Box::new(status) },
        &format!("{HOTFIX}/status"),
        &[r#"test /metadata/resourceVersion "7""#, r#"add /status {"observedGeneration":2}"#],
    );
}

#[test]
fn our_finalizer_goes_on_and_off_without_touching_others() {
    let version = || "7".to_owned();
    let test = r#"test /metadata/resourceVersion "7""#;
    assert_patch(
        &Action::AddFinalizer { resource_version: version(), first: true },
        HOTFIX,
        &[test, r#"add /metadata/finalizers ["securityhotfix.dev/close"]"#],
    );
    assert_patch(
        &Action::AddFinalizer { resource_version: version(), first: false },
        HOTFIX,
        &[test, r#"add /metadata/finalizers/- "securityhotfix.dev/close""#],
    );
    assert_patch(
        &Action::RemoveFinalizer { resource_version: version(), index: 1 },
        HOTFIX,
        &[test, r#"test /metadata/finalizers/1 "securityhotfix.dev/close""#, "remove /metadata/finalizers/1"],
    );
}

#[test]
fn what_is_made_is_posted_to_its_collection() {
    let own = "/apis/securityhotfix.dev/v1alpha1/namespaces/shop/hotfixreports";
    for (action, collection) in [
        (Action::Claim(json!({"a": 1})), "/apis/coordination.k8s.io/v1/namespaces/shop/leases"),
        (Action::OpenReport(json!({"a": 1})), own),
        (Action::CreateJob(json!({"a": 1})), "/apis/batch/v1/namespaces/hotfix-checks/jobs"),
        (Action::CreateGreen(json!({"a": 1})), "/apis/apps/v1/namespaces/shop/deployments"),
        (Action::CreatePreview(json!({"a": 1})), "/api/v1/namespaces/shop/services"),
        (Action::CreateBudget(json!({"a": 1})), "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"),
    ] {
        assert_eq!(sent(&action), format!("POST {collection}?{WRITE}\napplication/json\n{{\"a\":1}}"));
    }
}

#[test]
fn what_is_deleted_is_deleted_by_uid_and_its_dependents_after_it() {
    let options = concat!(
        r#"{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u-green"},"#,
        r#""propagationPolicy":"Background"}"#
    );
    for (action, collection) in [
        (Action::Unclaim(target()), "/apis/coordination.k8s.io/v1/namespaces/shop/leases"),
        (Action::DeleteJob(target()), "/apis/batch/v1/namespaces/hotfix-checks/jobs"),
        (Action::DeleteGreen(target()), "/apis/apps/v1/namespaces/shop/deployments"),
        (Action::DeletePreview(target()), "/api/v1/namespaces/shop/services"),
        (Action::DeleteBudget(target()), "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"),
    ] {
        assert_eq!(sent(&action), format!("DELETE {collection}/web-hotfix-0b5f7c1e\napplication/json\n{options}"));
    }
}

#[test]
fn green_is_resized_and_taken_from_the_hotfix_in_one_write() {
    let resize = |ownership| Action::ResizeGreen { green: web(), replicas: 3, ownership };
    let same = [
        r#"test /metadata/resourceVersion "7""#,
        r#"test /metadata/uid "u-web""#,
        "replace /spec/replicas 3",
        "remove /metadata/ownerReferences",
    ];
    assert_patch(&resize(Ownership::Drop), BLUE, &same);
    assert_patch(&resize(Ownership::Dropped), BLUE, &same[..3]);
}

#[test]
fn a_hold_tests_the_selector_and_writes_only_the_mark() {
    let hold = |annotations| Action::Hold { service: web(), mark: "hold/u/1".into(), selector: owners(), annotations };
    let tests = [
        r#"test /metadata/resourceVersion "7""#,
        r#"test /metadata/uid "u-web""#,
        r#"test /spec/selector {"app":"web"}"#,
    ];
    let with = |last| [&tests[..], &[last]].concat();
    assert_patch(
        &hold(Annotations::Some),
        SERVICE,
        &with(r#"add /metadata/annotations/securityhotfix.dev~1mark "hold/u/1""#),
    );
    assert_patch(
        &hold(Annotations::None),
        SERVICE,
        &with(r#"add /metadata/annotations {"securityhotfix.dev/mark":"hold/u/1"}"#),
    );
}

#[test]
fn a_switch_tests_the_mark_and_the_old_selector() {
    assert_patch(
        &Action::Switch { service: web(), mark: "hold/u/1".into(), from: owners(), to: switched() },
        SERVICE,
        &[
            r#"test /metadata/resourceVersion "7""#,
            r#"test /metadata/uid "u-web""#,
            r#"test /metadata/annotations/securityhotfix.dev~1mark "hold/u/1""#,
            r#"test /spec/selector {"app":"web"}"#,
            r#"replace /spec/selector {"app":"web","securityhotfix.dev/slot":"s1"}"#,
        ],
    );
}

#[test]
fn a_seal_returns_the_selector_and_replaces_the_mark_in_one_write() {
    let seal = |was: Option<&str>, annotations| Action::Seal {
        service: web(),
        was: was.map(Into::into),
        mark: "sealed/u/1".into(),
        from: switched(),
        to: owners(),
        annotations,
    };
    let version = [r#"test /metadata/resourceVersion "7""#, r#"test /metadata/uid "u-web""#];
    let selector = [
        r#"test /spec/selector {"app":"web","securityhotfix.dev/slot":"s1"}"#,
        r#"replace /spec/selector {"app":"web"}"#,
    ];
    let was = [r#"test /metadata/annotations/securityhotfix.dev~1mark "hold/u/1""#];
    let mark = [r#"add /metadata/annotations/securityhotfix.dev~1mark "sealed/u/1""#];
    let first = [r#"add /metadata/annotations {"securityhotfix.dev/mark":"sealed/u/1"}"#];
    assert_patch(&seal(Some("hold/u/1"), Annotations::Some), SERVICE, &[&version[..], &was, &selector, &mark].concat());
    assert_patch(&seal(None, Annotations::Some), SERVICE, &[&version[..], &selector, &mark].concat());
    assert_patch(&seal(None, Annotations::None), SERVICE, &[&version[..], &selector, &first].concat());
}

#[test]
fn an_unpin_changes_the_selector_alone() {
    let pinned = map(&[("app", "web"), ("pod-template-hash", "abc")]);
    assert_patch(
        &Action::Unpin { service: web(), from: pinned, to: owners() },
        SERVICE,
        &[
            r#"test /metadata/resourceVersion "7""#,
            r#"test /metadata/uid "u-web""#,
            r#"test /spec/selector {"app":"web","pod-template-hash":"abc"}"#,
            r#"replace /spec/selector {"app":"web"}"#,
        ],
    );
}

#[test]
fn an_unmark_takes_mark_and_ownership_and_leaves_no_empty_map() {
    let unmark = |mark: Option<&str>, annotations| Action::Unmark {
        service: web(),
        mark: mark.map(Into::into),
        managers: vec![2],
        annotations,
    };
    let version = [r#"test /metadata/resourceVersion "7""#, r#"test /metadata/uid "u-web""#];
    let test = [r#"test /metadata/annotations/securityhotfix.dev~1mark "sealed/u/1""#];
    let one = ["remove /metadata/annotations/securityhotfix.dev~1mark"];
    let all = ["remove /metadata/annotations"];
    let managers =
        [r#"test /metadata/managedFields/2/manager "securityhotfix-controller""#, "remove /metadata/managedFields/2"];
    assert_patch(
        &unmark(Some("sealed/u/1"), Annotations::Some),
        SERVICE,
        &[&version[..], &test, &one, &managers].concat(),
    );
    assert_patch(
        &unmark(Some("sealed/u/1"), Annotations::None),
        SERVICE,
        &[&version[..], &test, &all, &managers].concat(),
    );
    assert_patch(&unmark(None, Annotations::Some), SERVICE, &[&version[..], &managers].concat());
}

#[test]
fn a_pod_is_opened_by_one_condition_and_closed_by_two() {
    let pod = Versioned { name: "web-1".into(), uid: "u-1".into(), resource_version: "9".into() };
    let head = format!("PATCH /api/v1/namespaces/shop/pods/web-1/status?{WRITE}");
    let kind = "application/strategic-merge-patch+json";
    let rest = |word, truth| {
        format!(
            concat!(
                r#"{{"lastTransitionTime":"2026-11-23T17:00:00Z","message":"written by the security hotfix over "#,
                r#"version 9","reason":"{}","status":"{}","type":"#
            ),
            word, truth
        )
    };
    let metadata = r#"{"metadata":{"resourceVersion":"9","uid":"u-1"},"status":{"conditions":["#;
    assert_eq!(
        sent(&Action::Open(pod.clone())),
        format!("{head}\n{kind}\n{metadata}{}\"securityhotfix.dev/open\"}}]}}}}", rest("HotfixOpened", "True"))
    );
    let closed = rest("HotfixClosed", "False");
    assert_eq!(
        sent(&Action::Close(pod)),
        format!("{head}\n{kind}\n{metadata}{closed}\"securityhotfix.dev/open\"}},{closed}\"Ready\"}}]}}}}")
    );
}

#[test]
fn a_fold_back_changes_only_images_that_are_still_as_they_were() {
    let image = ImagePatch {
        pointer: "/spec/template/spec/containers/1".into(),
        container: "web".into(),
        from: "r/web:1".into(),
        to: "r/web@sha256:00".into(),
    };
    assert_patch(
        &Action::FoldBack { blue: web(), images: vec![image] },
        BLUE,
        &[
            r#"test /metadata/resourceVersion "7""#,
            r#"test /metadata/uid "u-web""#,
            r#"test /spec/template/spec/containers/1/name "web""#,
            r#"test /spec/template/spec/containers/1/image "r/web:1""#,
            r#"replace /spec/template/spec/containers/1/image "r/web@sha256:00""#,
        ],
    );
}

#[test]
fn a_workload_is_disowned_from_the_last_entry_on() {
    assert_patch(
        &Action::Disown { blue: web(), managers: vec![0, 3] },
        BLUE,
        &[
            r#"test /metadata/resourceVersion "7""#,
            r#"test /metadata/uid "u-web""#,
            r#"test /metadata/managedFields/0/manager "securityhotfix-controller""#,
            r#"test /metadata/managedFields/3/manager "securityhotfix-controller""#,
            "remove /metadata/managedFields/3",
            "remove /metadata/managedFields/0",
        ],
    );
}

#[test]
fn a_record_is_replaced_whole() {
    let spec = serde_json::from_value(json!({
        "hotfix": {"name": "web-cve", "uid": "u"}, "advisory": {"ids": ["CVE-1"], "knownExploited": false},
        "target": "web", "images": [], "reason": "r", "requestedWith": []
    }))
    .unwrap();
    assert_patch(
        &Action::WriteReport { name: "web-cve-u".into(), resource_version: "7".into(), spec: Box::new(spec) },
        "PATCH /apis/securityhotfix.dev/v1alpha1/namespaces/shop/hotfixreports/web-cve-u",
        &[
            r#"test /metadata/resourceVersion "7""#,
            concat!(
                r#"replace /spec {"advisory":{"ids":["CVE-1"],"knownExploited":false},"#,
                r#""hotfix":{"name":"web-cve","uid":"u"},"images":[],"reason":"r","requestedWith":[],"target":"web"}"#
            ),
        ],
    );
}
