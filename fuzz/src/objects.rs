//! The objects of a cluster, as the readers of the picture take them.

use std::time::{Duration, Instant};

use securityhotfix::api::names::OPEN;
use securityhotfix::cluster::lease::{Candidate, Kind, Record, Source, Step, Times};
use securityhotfix::observe::untrusted as read;
use serde_json::Value;

use crate::json::each;

/// One object, whatever it says it is, taken by every reader.
pub fn objects(bytes: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Value>(bytes) else { return };
    pod(&object);
    service(&object);
    workload(&object);
    rest(&object);
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// The first condition of that type is what counts; the API server lets there be one.
fn holds(object: &Value, kind: &str) -> bool {
    let conditions = object.pointer("/status/conditions").unwrap_or(&Value::Null);
    each(conditions).find(|condition| condition["type"] == kind).is_some_and(|found| found["status"] == "True")
}

fn pod(object: &Value) {
    let Some(pod) = read::pod(object) else { return };
    assert_eq!(read::pod(object).as_ref(), Some(&pod));
    assert_eq!(Some(pod.uid.as_str()), text(object, "/metadata/uid"));
    assert_eq!(pod.ready, holds(object, "Ready"), "readiness was made up");
    assert_eq!(pod.containers_ready, holds(object, "ContainersReady"));
    assert_eq!(pod.open.is_some_and(|open| open.open), holds(object, OPEN), "an open pod was made up");
    let deletion = object.pointer("/metadata/deletionTimestamp").unwrap_or(&Value::Null);
    assert_eq!(pod.deleting, !deletion.is_null());
    let lists = ["/spec/containers", "/spec/initContainers"].map(|list| object.pointer(list).unwrap_or(&Value::Null));
    assert_eq!(pod.containers.len(), lists.into_iter().map(|list| each(list).count()).sum::<usize>());
}

fn service(object: &Value) {
    if let Some(service) = read::service(object) {
        let _judged = read::registers_pods(&service);
        for (key, value) in &service.selector {
            assert_eq!(object["spec"]["selector"][key], **value, "a selector was made up");
        }
        for (place, manager) in service.managers.iter().enumerate() {
            assert_eq!(manager.index, place, "a patch would hit another manager");
        }
    }
    if let Some(slice) = read::slice(object) {
        for (endpoint, raw) in slice.endpoints.iter().zip(each(&object["endpoints"])) {
            // Only a clear no is one: what may serve counts as serving.
            let says_no = raw.pointer("/conditions/ready") == Some(&Value::Bool(false));
            assert_eq!(endpoint.ready, !says_no);
        }
    }
}

fn workload(object: &Value) {
    let _query = read::selector_query(object);
    let Some(workload) = read::workload(object.clone()) else { return };
    assert_eq!(*workload.raw, *object, "the candidate would be built from something else");
    assert_eq!(Some(workload.resource_version.as_str()), text(object, "/metadata/resourceVersion"));
}

fn rest(object: &Value) {
    let _set = read::replica_set(object);
    let _namespace = read::namespace(object);
    let _autoscaler = read::autoscaler(object, "web");
    let _group = read::target_group_service(object);
    if let Some(budget) = read::budget(object) {
        assert_eq!(Some(&budget.spec), object.get("spec").or(Some(&Value::Null)));
    }
    if let Some(other) = read::other(object) {
        // Whoever may still write counts as alive.
        let attempt = object.pointer("/status/attempt").unwrap_or(&Value::Null);
        let over = attempt.is_null() || attempt["finishedAt"].is_string();
        assert_eq!(other.alive, !over);
    }
    if let Some(claim) = read::claim(object) {
        assert!(!claim.holder.contains('/'), "{} is no uid", claim.holder);
    }
    if let Some(run) = read::run(object)
        && run.ended.is_some()
    {
        assert!(holds(object, "Complete") || holds(object, "Failed"), "the end of a Job was made up");
    }
}

/// The Lease by which one replica leads: whatever it says, nobody takes it before its time, and nobody waits for ever.
pub fn lease(bytes: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Value>(bytes) else { return };
    let record = Record::read(&object);
    assert!(record.same_claim(&record));
    let begin = Instant::now();
    let mut candidate = Candidate::new("me", Times::OURS);
    candidate.saw(Some(record.clone()), Source::Read, begin);
    let held = record.holder.as_deref().is_some_and(|holder| holder != "me");
    match candidate.step(begin) {
        Step::Write(write) => {
            assert!(!held, "a lease that is held was taken at sight: {write:?}");
            assert_eq!((write.kind, write.over.as_deref()), (Kind::Take, Some(record.version.as_str())));
            assert!((0..=i64::from(i32::MAX)).contains(&write.transitions) || record.transitions < 0, "{write:?}");
        }
        Step::Wait(until) => assert!(until > begin && until <= begin + Duration::from_secs(60)),
        Step::Read | Step::Stop(_) => panic!("a lease that was just read, and never led by"),
    }
    // Seen unchanged for as long as the longest counts, it is free.
    let late = begin + Duration::from_secs(61);
    candidate.saw(Some(record), Source::Read, late);
    assert!(matches!(candidate.step(late), Step::Write(_)), "a lease that nobody renews is never taken");
}
