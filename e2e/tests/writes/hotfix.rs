//! The hotfix's own status and finalizers, and the record.

use securityhotfix::api::{Handled, SecurityHotfixStatus};
use securityhotfix::effect::{Effect, EffectError};
use securityhotfix::plan::action::Action;
use serde_json::{Value, json};

use super::world::{HOTFIXES, REPORTS, World, version};

pub fn manifest() -> Value {
    json!({"apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityHotfix",
        "metadata": {"name": "web-cve", "namespace": "shop"},
        "spec": {"advisory": {"ids": ["CVE-2024-22195"]}, "target": {"name": "web"}, "reason": "a test",
            "images": [{"container": "web", "image": "registry.example/web:2"}]}})
}

fn record(hotfix: &Value, status: SecurityHotfixStatus) -> Action {
    Action::Record { resource_version: version(hotfix), status: Box::new(status) }
}

pub async fn a_status_is_written_whole_and_over_its_own_version_only(world: &World<'_>) {
    let fresh = world.create(HOTFIXES, manifest()).await;
    let abort = |value: String| Some(Handled { abort: Some(value), retry: None });
    let first = SecurityHotfixStatus {
        observed_generation: Some(1),
        last_handled: abort("1/no".into()),
        ..SecurityHotfixStatus::default()
    };
    world.must(Effect::Done, record(&fresh, first.clone())).await;
    let written = world.get(HOTFIXES, "web-cve").await;
    assert_eq!(written["status"], serde_json::to_value(&first).expect("it has a JSON form"));
    world.outdated(HOTFIXES, "web-cve", record(&fresh, first)).await;

    let too_long = SecurityHotfixStatus { last_handled: abort("x".repeat(1000)), ..SecurityHotfixStatus::default() };
    let refused = world.act(&record(&written, too_long)).await;
    assert!(
        matches!(&refused, Err(EffectError::Refused { message, .. }) if message.contains("lastHandled")),
        "an invalid status is no conflict: {refused:?}"
    );

    let second = SecurityHotfixStatus { observed_generation: Some(1), ..SecurityHotfixStatus::default() };
    world.must(Effect::Done, record(&written, second)).await;
    let rewritten = world.get(HOTFIXES, "web-cve").await;
    assert_eq!(rewritten["status"]["lastHandled"], Value::Null, "what went away is gone");
    assert_eq!(rewritten["metadata"]["generation"], 1);
}

pub async fn our_finalizer_leaves_others_alone(world: &World<'_>) {
    let read = async || world.get(HOTFIXES, "web-cve").await;
    let add = |hotfix: &Value, first| Action::AddFinalizer { resource_version: version(hotfix), first };
    let remove = |hotfix: &Value, index| Action::RemoveFinalizer { resource_version: version(hotfix), index };
    let before = read().await;
    world.must(Effect::Done, add(&before, true)).await;
    let alone = read().await;
    assert_eq!(alone["metadata"]["finalizers"], json!(["securityhotfix.dev/close"]));
    world.outdated(HOTFIXES, "web-cve", add(&before, true)).await;
    world.must(Effect::Done, remove(&alone, 0)).await;

    let foreign = json!([{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/other"]}]);
    let with_other = world.json_patch(HOTFIXES, "web-cve", foreign).await.expect("it is patched");
    world.must(Effect::Done, add(&with_other, false)).await;
    let both = read().await;
    assert_eq!(both["metadata"]["finalizers"], json!(["example.com/other", "securityhotfix.dev/close"]));
    world.outdated(HOTFIXES, "web-cve", remove(&both, 0)).await;
    world.must(Effect::Done, remove(&both, 1)).await;
    assert_eq!(read().await["metadata"]["finalizers"], json!(["example.com/other"]));
    let none = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    world.json_patch(HOTFIXES, "web-cve", none).await.expect("it is patched");
}

pub async fn a_record_is_opened_once_and_rewritten(world: &World<'_>) {
    let spec = json!({"hotfix": {"name": "web-cve", "uid": "u"}, "target": "web", "reason": "a test",
        "advisory": {"ids": ["CVE-2024-22195"], "knownExploited": false}, "images": [], "requestedWith": []});
    let report = json!({"apiVersion": "securityhotfix.dev/v1alpha1", "kind": "HotfixReport",
        "metadata": {"name": "web-cve-u"}, "spec": spec});
    world.must(Effect::Done, Action::OpenReport(report.clone())).await;
    world.must(Effect::AlreadyExists, Action::OpenReport(report)).await;
    let opened = world.get(REPORTS, "web-cve-u").await;
    let mut told = spec;
    told["closedAt"] = json!("2026-11-23T17:00:00Z");
    let write = Action::WriteReport {
        name: "web-cve-u".into(),
        resource_version: version(&opened),
        spec: Box::new(serde_json::from_value(told).expect("it is a record")),
    };
    world.must(Effect::Done, write.clone()).await;
    assert_eq!(world.get(REPORTS, "web-cve-u").await["spec"]["closedAt"], "2026-11-23T17:00:00Z");
    world.outdated(REPORTS, "web-cve-u", write).await;
}
