//! The record as people will read it.

use serde_json::json;

use super::*;
use crate::api::{Outcome, Side};

fn moment(second: u32) -> Moment {
    Moment::new(format!("2026-11-23T12:00:{second:02}.250Z").parse().unwrap())
}

fn hotfix() -> SecurityHotfixSpec {
    serde_json::from_value(json!({
        "advisory": {"ids": ["CVE-2024-22195"], "severity": "High", "publishedAt": "2024-01-11T00:00:00Z"},
        "target": {"name": "web"},
        "images": [{"container": "app", "image": "registry.example/web:3.1.6"}],
        "reason": "Jinja2 XSS, upgrade to 3.1.6",
    }))
    .unwrap()
}

/// An attempt that has come to the soak: switched at :20, converged at :21.
fn serving() -> SecurityHotfixStatus {
    serde_json::from_value(json!({
        "attempt": {
            "number": 2,
            "startedAt": moment(1),
            "policy": "default",
            "images": [{"container": "app", "image": "registry.example/web@sha256:b", "digests": ["sha256:b"]}],
            "blue": {
                "uid": "blue-uid", "templateHash": "6f5", "replicaSet": "rs-uid", "replicas": 3,
                "images": {"app": "registry.example/web:3.1.0"},
                "baseline": [{"container": "app", "image": "registry.example/web@sha256:a"}],
            },
            "services": [
                {"name": "web", "uid": "s1", "selector": {"app": "web"}},
                {"name": "web-internal", "uid": "s2", "selector": {"app": "web"}},
            ],
            "verdicts": [{
                "gate": "scan", "check": "trivy", "subject": "app: candidate", "verdict": "Pass",
                "message": "CVE-2024-22195 is not in the candidate", "evidence": "e".repeat(64),
                "tool": "trivy 0.72.0", "job": "check-0011223344", "at": moment(9),
            }],
            "promotingAt": moment(18), "switchedAt": moment(20), "convergedAt": moment(21),
        },
        "history": [{
            "number": 1, "startedAt": "2026-11-23T11:00:00Z", "finishedAt": "2026-11-23T11:10:00Z",
            "outcome": "Restarted", "message": "the owner deployed another image",
        }],
    }))
    .unwrap()
}

fn remediated() -> SecurityHotfixStatus {
    let mut status = serving();
    let attempt = status.attempt.as_mut().unwrap();
    attempt.verified_at = Some(moment(40));
    attempt.drained_from = Some(moment(50));
    attempt.finished_at = Some(moment(55));
    attempt.outcome = Some(Outcome::Remediated);
    status.conditions = serde_json::from_value(json!([{
        "type": "Remediated", "status": "True", "lastTransitionTime": moment(52), "reason": "Remediated", "message": "",
    }]))
    .unwrap();
    status
}

fn rolled_back() -> SecurityHotfixStatus {
    let mut status = serving();
    let attempt = status.attempt.as_mut().unwrap();
    attempt.latch = Some(
        serde_json::from_value(json!({
            "reason": "VerificationFailed", "message": "smoke failed on 2 of 3 pods", "at": moment(30),
        }))
        .unwrap(),
    );
    attempt.drained_from = Some(moment(31));
    attempt.outcome = Some(Outcome::RolledBack);
    status
}

fn about<'a>(spec: &'a SecurityHotfixSpec, status: &'a SecurityHotfixStatus, managers: &'a [String]) -> Subject<'a> {
    Subject {
        name: "web-cve-2024-22195",
        namespace: "shop",
        uid: "0b5f7c1e-0000-4000-8000-000000000001",
        created_at: Some(moment(0)),
        managers,
        spec,
        status,
    }
}

fn record(status: &SecurityHotfixStatus, closed: Option<Moment>) -> HotfixReportSpec {
    spec(about(&hotfix(), status, &["kubectl-create".to_owned()]), closed)
}

#[test]
fn a_record_is_opened_without_an_owner_and_says_who_asked_for_what() {
    let (spec, status) = (hotfix(), SecurityHotfixStatus::default());
    insta::assert_yaml_snapshot!(open(about(&spec, &status, &["kubectl-create".to_owned()])));
}

#[test]
fn a_remediated_hotfix_closes_its_exposure() {
    insta::assert_yaml_snapshot!(record(&remediated(), Some(moment(55))));
}

#[test]
fn a_rollback_leaves_the_exposure_open() {
    let record = record(&rolled_back(), Some(moment(59)));
    let exposure = record.exposure.unwrap();
    assert_eq!((exposure.new_connections_until, exposure.closed_at), (None, None));
    let moves: Vec<_> = record.attempt.unwrap().moves.into_iter().map(|made| (made.to, made.at)).collect();
    assert_eq!(moves, [(Side::Green, moment(20)), (Side::Blue, moment(31))]);
}

#[test]
fn an_attempt_that_never_touched_a_service_moved_nothing() {
    let mut status = rolled_back();
    status.attempt.as_mut().unwrap().promoting_at = None;
    assert_eq!(record(&status, None).attempt.unwrap().moves, []);
}

#[test]
fn a_record_names_a_bounded_number_of_managers() {
    let (spec_, status) = (hotfix(), SecurityHotfixStatus::default());
    let many: Vec<_> = (0..40).map(|n| format!("{n}-{}", "m".repeat(300))).collect();
    let named = spec(about(&spec_, &status, &many), None).requested_with;
    assert_eq!(named.len(), 16);
    assert!(named.iter().all(|name| name.len() <= 128));
}

#[test]
fn the_same_status_gives_the_same_record() {
    assert_eq!(record(&remediated(), None), record(&remediated(), None));
}
