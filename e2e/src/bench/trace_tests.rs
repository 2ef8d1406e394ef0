use serde_json::json;

use super::*;

/// A request of which times are given in milliseconds.
fn request(user: &str, resource: &str, name: &str, times: (i64, i64), body: &Value) -> AuditRecord {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let at = |milliseconds| Timestamp::from_millisecond(milliseconds).expect("a time").to_string();
    serde_json::from_value(json!({
        "auditID": "a", "verb": "patch", "requestURI": "/", "user": {"username": user}, "responseStatus": {"code": 200},
        "objectRef": {"resource": resource, "subresource": subresource, "namespace": "shop", "name": name},
        "requestObject": body, "requestReceivedTimestamp": at(times.0), "stageTimestamp": at(times.1),
    }))
    .expect("a record")
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).expect("a time")
}

fn job(name: &str, gate: &str, times: (i64, i64), complete: &str) -> AuditRecord {
    let labels = json!({HOTFIX_UID: "u", GATE: gate});
    let conditions =
        json!([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": complete}]);
    let body = json!({"metadata": {"labels": labels}, "status": {"conditions": conditions}});
    request("system:serviceaccount:kube-system:job-controller", "jobs/status", name, times, &body)
}

fn ready(pod: &str, times: (i64, i64), status: &str) -> AuditRecord {
    let body = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    request("system:node:node", "pods/status", pod, times, &body)
}

#[test]
fn a_gate_is_over_with_its_last_job_and_a_job_when_it_is_first_said() {
    let trace = Trace::new(vec![
        job("check-a", "scan", (10, 12), "True"),
        job("check-b", "scan", (20, 22), "False"),
        job("check-b", "scan", (30, 33), "True"),
        job("check-a", "scan", (40, 44), "True"),
        job("check-c", "analyze", (50, 55), "True"),
    ]);
    assert_eq!(trace.job_complete("u", "scan"), Some((at(33), "check-b")));
    assert_eq!(trace.job_complete("other", "scan"), None);
}

#[test]
fn the_end_of_a_jobs_pod_is_not_that_of_another_job_with_a_longer_name() {
    let body = json!({"status": {"phase": "Succeeded"}});
    let pod = |name, times| request("system:node:node", "pods/status", name, times, &body);
    let trace = Trace::new(vec![pod("check-ab-x", (1, 2)), pod("check-a-y", (3, 4))]);
    assert_eq!(trace.pod_ended("check-a"), Some(at(4)));
}

#[test]
fn the_next_write_is_the_operators_and_no_event() {
    let none = json!(null);
    let trace = Trace::new(vec![
        request(OPERATOR_USER, "securityhotfixes/status", "fix", (9, 10), &none),
        request("admin", "securityhotfixes", "fix", (11, 12), &none),
        request(OPERATOR_USER, "events", "e", (13, 14), &none),
        request(OPERATOR_USER, "securityhotfixes/status", "fix", (15, 16), &none),
        request(OPERATOR_USER, "services", "web", (17, 19), &none),
    ]);
    let next = trace.next_write("shop", at(10)).map(|record| record.request_received_timestamp);
    assert_eq!(next, Some(at(15)));
    let back = trace.service_written("shop", "web", at(10)).map(|record| record.stage_timestamp);
    assert_eq!(back, Some(at(19)));
    assert!(trace.next_write("elsewhere", at(10)).is_none());
}

#[test]
fn a_candidate_is_dead_when_the_kubelet_has_said_so_of_its_last_pod() {
    let pods = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let trace = Trace::new(vec![
        ready("a", (1, 2), "False"),
        ready("a", (10, 11), "False"),
        ready("b", (12, 15), "False"),
        ready("a", (20, 21), "False"),
        ready("c", (30, 31), "False"),
    ]);
    assert_eq!(trace.unready("shop", &pods, at(5)), Some(at(15)));
    assert_eq!(trace.unready("shop", &pods, at(13)), None, "of b it is not known");
}
