//! A leader that comes back from the dead: frozen with its switch on the way, it goes on when another has led for long.
//!
//! The leader is a process of this machine behind a door that holds the switch. What no lease can prevent happens: the write
//! arrives late. The mark on the Service is what stops it.

use hotfix_e2e::lab::{Ending, Held, LabError, OUTSIDER, Outsider, PolicyOptions, Scene};
use hotfix_e2e::scenarios;
use securityhotfix::api::names::{ABORT, MARK, SLOT};
use securityhotfix::api::{Outcome, Phase, SecurityHotfix};
use securityhotfix::cluster::{Call, Verb, send};
use serde_json::{Value, json};

use crate::telling::{Opening, open};

scenarios![
    Alone:
        a_switch_that_arrives_too_late_fails_on_the_mark,
        a_leader_frozen_before_its_switch_never_sends_it
];

/// Lets a process beside the cluster lead, while the pods of the operator stand by.
async fn outsider_leads<'a>(
    scene: &'a Scene<'a>,
    chooses: impl Fn(&Held) -> bool + Send + Sync + 'static,
) -> Result<Outsider, LabError> {
    let (lab, client) = (scene.lab, &scene.client);
    lab.replicas(client, 0).await?;
    let outsider = Outsider::start(lab, client, chooses).await?;
    while lab.leader(client).await? != OUTSIDER {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    lab.replicas(client, 2).await?;
    Ok(outsider)
}

fn of_service(held: &Held, namespace: &str) -> bool {
    held.method == "PATCH" && held.target.starts_with(&format!("/api/v1/namespaces/{namespace}/services/web"))
}

/// Whether a request is the switch: it writes a selector with the slot.
fn is_switch(held: &Held, namespace: &str) -> bool {
    let operations: Vec<Value> = serde_json::from_slice(&held.body).unwrap_or_default();
    let selects = |operation: &Value| {
        operation["op"] == "replace" && operation["path"] == "/spec/selector" && operation["value"].get(SLOT).is_some()
    };
    of_service(held, namespace) && operations.iter().any(selects)
}

/// Whether a request puts the hold on the Service: the write before the pods are opened and the traffic is moved.
fn is_hold(held: &Held, namespace: &str) -> bool {
    of_service(held, namespace) && String::from_utf8_lossy(&held.body).contains("hold/")
}

/// The successor goes on with the rollout, a person ends it, and everything is put in order.
async fn the_successor_goes_back(scene: &Scene<'_>, story: &Opening<'_>) {
    let leader = scene.lab.leader_but(&scene.client, &[OUTSIDER]).await.expect("another leads");
    println!("{leader} leads");
    story.reaches(Phase::Verifying).await;
    let patch = json!({"metadata": {"annotations": {ABORT: "1/the new one is not wanted"}}});
    scene.patch::<SecurityHotfix>("fix", patch).await.expect("it may be annotated");
    story.ends(Outcome::RolledBack).await;
    scene.nothing_left().await.expect("nothing of ours is left");
}

/// The frozen one goes on, notices, and ends.
async fn ends_by_itself(outsider: &mut Outsider) {
    outsider.thaw();
    let status = outsider.ended().await.expect("it ends by itself");
    let log = outsider.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the lead is lost"), "{log}");
}

/// What the API server says, in a dry run, to a held patch without its tests of these paths.
async fn would_be_answered(scene: &Scene<'_>, held: &Held, untested: &[&str]) -> Result<(), u16> {
    let mut operations: Vec<Value> = serde_json::from_slice(&held.body).expect("a JSON patch");
    let all = operations.len();
    operations.retain(|it| it["op"] != "test" || !untested.iter().any(|path| it["path"] == *path));
    assert_eq!(all - operations.len(), untested.len(), "they were tested");
    let path = held.target.split('?').next().unwrap_or_default();
    let call = Call { verb: Verb::JsonPatch, body: Some(Value::Array(operations)), ..Call::get(path) };
    send(&scene.client, &call.with("dryRun", "All")).await.map(drop).map_err(|error| error.code())
}

async fn a_switch_that_arrives_too_late_fails_on_the_mark(scene: &Scene<'_>) {
    let namespace = scene.namespace.clone();
    let mut outsider = outsider_leads(scene, move |held| is_switch(held, &namespace)).await.expect("an outsider leads");
    let story = open(scene, PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    let switch = outsider.gate.held().await;
    outsider.freeze();
    the_successor_goes_back(scene, &story).await;

    // It arrives, while nobody knows of it any more.
    let reply = outsider.gate.let_through().await;
    assert_eq!(reply.status.as_u16(), 422, "{}", reply.body);
    // It compares versions too. One that did not would be stopped by the mark, and by the mark alone.
    assert_eq!(would_be_answered(scene, &switch, &["/metadata/resourceVersion"]).await, Err(422));
    let mark = format!("/metadata/annotations/{}", MARK.replace('/', "~1"));
    assert_eq!(would_be_answered(scene, &switch, &["/metadata/resourceVersion", &mark]).await, Ok(()));

    ends_by_itself(&mut outsider).await;
    story.leaves_all_as_before().await;
    scene.lab.all_stand_by(&scene.client).await.expect("the replicas are ready");
}

async fn a_leader_frozen_before_its_switch_never_sends_it(scene: &Scene<'_>) {
    let namespace = scene.namespace.clone();
    let mut outsider = outsider_leads(scene, move |held| is_hold(held, &namespace)).await.expect("an outsider leads");
    let story = open(scene, PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    outsider.gate.held().await;
    outsider.freeze();
    the_successor_goes_back(scene, &story).await;

    let audit = scene.lab.cluster().expect("a local cluster").audit();
    let mark = audit.mark().expect("an audit log");
    let reply = outsider.gate.let_through().await;
    assert_eq!(reply.status.as_u16(), 422, "{}", reply.body);
    ends_by_itself(&mut outsider).await;
    let records = audit.since(mark).expect("the audit log can be read");
    let wrote = |record: &&hotfix_e2e::cluster::AuditRecord| {
        let by_it = record.user.username == hotfix_e2e::lab::OPERATOR_USER && record.pod().is_none();
        by_it && record.is_write() && record.code() < 300
    };
    let written: Vec<_> = records.iter().filter(wrote).map(|record| record.request_uri.clone()).collect();
    assert!(written.is_empty(), "{written:?}");
    story.leaves_all_as_before().await;
    // And once more, in the usual way.
    let leader = scene.lab.leader(&scene.client).await.expect("somebody leads");
    scene.lab.end_leader(&scene.client, &leader, Ending::Told).await.expect("it is ended");
    scene.lab.leader_but(&scene.client, &[&leader]).await.expect("another leads");
    scene.lab.all_stand_by(&scene.client).await.expect("the replicas are ready");
}
