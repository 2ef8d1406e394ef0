//! Admission of other people takes the readiness gate off the candidate: then nothing would keep traffic from it.

use std::net::IpAddr;

use hotfix_e2e::lab::webhook::{Mutation, Webhook};
use hotfix_e2e::lab::{PolicyOptions, Scene, told};
use hotfix_e2e::scenarios;
use securityhotfix::api::names::OPEN;
use securityhotfix::api::{Outcome, Phase, Reason};
use serde_json::{Value, json};

use crate::telling::{open, why};

scenarios![
    Together:
        a_webhook_that_strips_the_gate_from_the_candidate_is_found_in_the_rehearsal,
        a_webhook_that_strips_the_gate_from_pods_is_found_in_the_rehearsal,
        a_webhook_that_comes_later_makes_no_pods
];

async fn a_webhook_that_strips_the_gate_from_the_candidate_is_found_in_the_rehearsal(scene: &Scene<'_>) {
    found_in_the_rehearsal(scene, off_the_template, "admission changed /spec/template").await;
}

async fn a_webhook_that_strips_the_gate_from_pods_is_found_in_the_rehearsal(scene: &Scene<'_>) {
    found_in_the_rehearsal(scene, off_the_pod, "took the readiness gate").await;
}

/// The dry run shows it, and nothing is created.
async fn found_in_the_rehearsal(scene: &Scene<'_>, strip: Mutation, complaint: &str) {
    let webhook = serve(scene, strip).await;
    let story = open(scene, PolicyOptions::default()).await;
    scene.lab.apply(&webhook.configuration(&scene.namespace).to_string()).await.expect("a webhook");
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    let ended = scene.finished("fix").await;
    take_away(scene, &webhook).await;

    let ended = ended.expect("it ends");
    assert_eq!(why(&ended), Some(Reason::AdmissionRefused), "{}", told(&ended));
    assert!(told(&ended).contains(complaint), "{}", told(&ended));
    story.ends(Outcome::Failed).await;
    let ledger = story.leaves_all_as_before().await;
    assert_eq!(ledger.total().answers("v2"), 0, "the candidate never served");
}

/// The rehearsal found nothing, and the candidate has its first pod. Those it lacks would be made without the gate; the
/// operator's own rule of admission refuses them.
async fn a_webhook_that_comes_later_makes_no_pods(scene: &Scene<'_>) {
    let webhook = serve(scene, off_the_pod).await;
    let story = open(scene, PolicyOptions { staging: "30s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    story.reaches(Phase::Analyzing).await;
    scene.lab.apply(&webhook.configuration(&scene.namespace).to_string()).await.expect("a webhook");
    let ended = scene.finished("fix").await;
    take_away(scene, &webhook).await;

    let ended = ended.expect("it ends");
    assert_eq!(why(&ended), Some(Reason::StagingFailed), "{}", told(&ended));
    story.ends(Outcome::Failed).await;
    let ledger = story.leaves_all_as_before().await;
    assert_eq!(ledger.total().answers("v2"), 0, "the candidate never served");
}

async fn serve(scene: &Scene<'_>, strip: Mutation) -> Webhook {
    let cluster = scene.lab.cluster().expect("webhooks are served to a local cluster");
    Webhook::serve(IpAddr::V4(cluster.address()), strip).await.expect("a webhook")
}

fn off_the_template(object: &Value) -> Vec<Value> {
    without_gate(object, "Deployment", "/spec/template/spec/readinessGates")
}

fn off_the_pod(object: &Value) -> Vec<Value> {
    without_gate(object, "Pod", "/spec/readinessGates")
}

fn without_gate(object: &Value, kind: &str, gates: &str) -> Vec<Value> {
    let found = object["kind"] == kind && object.pointer(gates).is_some_and(|gates| gates.to_string().contains(OPEN));
    found.then(|| json!({"op": "remove", "path": gates})).into_iter().collect()
}

async fn take_away(scene: &Scene<'_>, webhook: &Webhook) {
    let configuration = webhook.configuration(&scene.namespace).to_string();
    let delete = ["delete", "--ignore-not-found", "-f", "-"];
    scene.lab.ground().kubectl(&delete, Some(&configuration)).await.expect("it is taken away");
}
