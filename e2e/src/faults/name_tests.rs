//! Calls and their names.

use serde_json::json;

use super::*;

const HOTFIX: &str = "/apis/securityhotfix.dev/v1alpha1/namespaces/l1/securityhotfixes/fix";

fn named(namer: &Namer, method: &str, path: &str, body: &Value) -> String {
    namer.name(Asked { method, path, query: "fieldManager=x", body }).text
}

#[test]
fn the_writes_to_a_service_are_told_apart_by_what_they_change() {
    let namer = Namer::default();
    let path = "/api/v1/namespaces/l1/services/web";
    let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "1"});
    let mark =
        |mark: &str| json!({"op": "add", "path": "/metadata/annotations/securityhotfix.dev~1mark", "value": mark});
    let first =
        |mark: &str| json!({"op": "add", "path": "/metadata/annotations", "value": {"securityhotfix.dev/mark": mark}});
    let selector = |to: Value| json!({"op": "replace", "path": "/spec/selector", "value": to});
    for (body, name) in [
        (json!([test, mark("hold/u/1")]), "hold web"),
        (json!([test, first("hold/u/1")]), "hold web"),
        (json!([test, selector(json!({"app": "web", "securityhotfix.dev/slot": "x"}))]), "switch web"),
        (json!([test, selector(json!({"app": "web"})), mark("sealed/u/1")]), "seal web"),
        (json!([test, selector(json!({"app": "web"}))]), "unpin web"),
        (json!([test, {"op": "remove", "path": "/metadata/annotations/securityhotfix.dev~1mark"}]), "unmark web"),
    ] {
        assert_eq!(named(&namer, "PATCH", path, &body), name);
    }
}

#[test]
fn a_record_is_named_by_what_is_new_in_it() {
    let mut namer = Namer::default();
    let path = format!("{HOTFIX}/status");
    let write = |status: &Value| json!([{"op": "add", "path": "/status", "value": status}]);
    let mut status = json!({"attempt": {"number": 1}});
    for (field, name) in [
        ("", "record begun"),
        ("scannedAt", "record scanned"),
        ("approvedAt", "record analyzed"),
        ("promotingAt", "record promoting"),
        ("latch", "record latch"),
        ("drainedFrom", "record returned"),
        ("finishedAt", "record finished"),
    ] {
        if !field.is_empty() {
            status["attempt"][field] = json!("now");
        }
        let body = write(&status);
        assert_eq!(named(&namer, "PATCH", &path, &body), name);
        let answer = json!({"kind": "SecurityHotfix", "status": status});
        namer.learn(Asked { method: "PATCH", path: &path, query: "", body: &body }, &answer);
        assert_eq!(named(&namer, "PATCH", &path, &body), "record told", "the same again tells nothing new");
    }
}

#[test]
fn a_check_keeps_its_name_from_creation_to_deletion() {
    let mut namer = Namer::default();
    let job = json!({
        "metadata": {"name": "check-ab", "labels": {
            "securityhotfix.dev/gate": "scan", "securityhotfix.dev/check": "trivy", "securityhotfix.dev/role": "candidate",
            "securityhotfix.dev/run": "1", "securityhotfix.dev/attempt": "1"}},
        "spec": {"template": {"spec": {"containers": [{"command": ["x"], "env": [{"name": "IMAGE", "value": "r/web@d"}]}]}}},
    });
    let path = "/apis/batch/v1/namespaces/c/jobs";
    let asked = Asked { method: "POST", path, query: "", body: &job };
    assert_eq!(namer.name(asked).text, "create check scan trivy candidate");
    namer.ordered(asked);
    let gone = named(&namer, "DELETE", &format!("{path}/check-ab"), &Value::Null);
    assert_eq!(gone, "delete check scan trivy candidate");
    assert_eq!(namer.job_of("check-ab-x7f2k").map(|job| job.image.as_str()), Some("r/web@d"));
}

#[test]
fn reads_watches_rehearsals_and_events_are_no_writes() {
    let namer = Namer::default();
    let name = |method, path, query| namer.name(Asked { method, path, query, body: &Value::Null });
    let pods = "/api/v1/namespaces/l1/pods";
    assert_eq!(name("GET", pods, "limit=500"), Name { class: Class::Read, text: "list pods".into() });
    assert_eq!(name("GET", pods, "watch=true"), Name { class: Class::Watch, text: "watch pods".into() });
    assert_eq!(name("POST", pods, "dryRun=All"), Name { class: Class::Read, text: "rehearse pods".into() });
    assert_eq!(name("GET", "/api/v1/namespaces/l1", "").text, "get namespaces");
    assert_eq!(name("POST", "/apis/events.k8s.io/v1/namespaces/l1/events", "").class, Class::Beside);
    let claim = json!({"metadata": {"name": "hotfix-1"}});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/l1/leases";
    assert_eq!(named(&namer, "POST", leases, &claim), "claim");
    assert_eq!(name("PUT", &format!("{leases}/leader"), "").class, Class::Beside);
}
