//! People and their tools, who go on working while a hotfix is under way: they win, and it is told who it was.

use hotfix_e2e::lab::{PolicyOptions, Scene, manifest};
use hotfix_e2e::scenarios;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use securityhotfix::api::names::SLOT;
use securityhotfix::api::{Outcome, Phase, Reason};
use serde_json::{Value, json};

use crate::telling::{assert_as_before, assert_untouched, open, why};

scenarios![
    Together:
        a_selector_put_back_by_hand_once_is_set_again,
        a_selector_put_back_twice_ends_the_attempt,
        a_workload_deployed_anew_is_scanned_anew,
        the_owner_can_apply_afterwards_without_force
];

/// Takes our key out of the Service's selector, as somebody would who does not know what it is.
async fn put_back(scene: &Scene<'_>) {
    let mut selector = serde_json::Map::new();
    selector.insert(SLOT.to_owned(), Value::Null);
    scene.patch::<Service>("web", json!({"spec": {"selector": selector}})).await.expect("the Service can be edited");
}

async fn a_selector_put_back_by_hand_once_is_set_again(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "10s".to_owned(), ..PolicyOptions::default() }).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Verifying).await;
    put_back(scene).await;
    story.ends(Outcome::Remediated).await;
    story.leaves_it_patched(&patched).await;
}

async fn a_selector_put_back_twice_ends_the_attempt(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "60s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    story.reaches(Phase::Verifying).await;
    put_back(scene).await;
    scene.service_selects("web", SLOT).await.expect("it is set again");
    put_back(scene).await;
    let ended = story.ends(Outcome::RolledBack).await;
    assert_eq!(why(&ended), Some(Reason::ServiceChanged));
    let message = ended.status.and_then(|status| status.attempt?.latch).map(|latch| latch.message).unwrap_or_default();
    assert!(message.contains("Field manager somebody"), "who it was is told: {message}");
    story.leaves_all_as_before().await;
}

async fn a_workload_deployed_anew_is_scanned_anew(scene: &Scene<'_>) {
    let mut story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Analyzing).await;
    let env = json!([{"name": "web", "env": [{"name": "GREETING", "value": "hello"}]}]);
    let template = json!({"spec": {"template": {"spec": {"containers": env}}}});
    scene.strategic_patch::<Deployment>("web", template).await.expect("the owner deploys");
    story.before = scene.production().await.expect("production can be read");
    let fixed = story.ends(Outcome::Remediated).await;
    let attempt = fixed.status.as_ref().and_then(|status| status.attempt.as_ref()).map(|attempt| attempt.number);
    assert_eq!(attempt, Some(2), "a second attempt began from the scan");
    story.leaves_it_patched(&patched).await;
}

async fn the_owner_can_apply_afterwards_without_force(scene: &Scene<'_>) {
    let vulnerable = scene.lab.vulnerable().await.expect("v1");
    let written = |image: &str| {
        let places = [("name", "web"), ("namespace", &*scene.namespace), ("replicas", "3"), ("image", image)];
        manifest::fill(manifest::WEB, &places)
    };
    let apply = async |image: &str| {
        let args = ["apply", "--server-side", "--field-manager=owner", "-f", "-"];
        scene.lab.ground().kubectl(&args, Some(&written(image))).await
    };
    apply(vulnerable.as_str()).await.expect("the owner deploys by server-side apply");
    scene.rolled_out("web").await.expect("it serves");
    scene.policy(&PolicyOptions::default()).await.expect("a policy");
    let before = scene.production().await.expect("production can be read");
    let patched = scene.lab.patched("v2").await.expect("v2");
    let web = hotfix_e2e::lab::Workload { name: "web".to_owned(), image: vulnerable.clone() };
    scene.hotfix("fix", &web, &patched).await.expect("it is accepted");
    let fixed = scene.finished("fix").await.expect("it ends");
    assert_eq!(hotfix_e2e::lab::outcome(&fixed), Some(Outcome::Remediated));
    scene.nothing_left().await.expect("nothing of ours is left");
    assert_untouched(scene, &before.clone().but_with_image("web", patched.as_str())).await;

    apply(patched.as_str()).await.expect("the owner's next apply meets no conflict");
    apply(vulnerable.as_str()).await.expect("nor does the unchanged manifest: it is theirs to decide");
    assert_as_before(scene, &before).await;
}
