//! People change their minds while a hotfix is under way: they patch it themselves, redeploy, abort, retry, suspend.

use hotfix_e2e::lab::{PolicyOptions, Scene, condition, outcome, told};
use hotfix_e2e::scenarios;
use k8s_openapi::api::apps::v1::Deployment;
use securityhotfix::api::names::{ABORT, RETRY};
use securityhotfix::api::{Attempt, ConditionType, Outcome, Phase, Reason, SecurityHotfix};
use serde_json::json;

use crate::telling::{assert_as_before, assert_untouched, open, why};

scenarios![
    Together:
        patched_by_its_owner_meanwhile_nothing_is_left_to_do,
        redeployed_while_the_candidate_serves_it_goes_back,
        aborted_it_goes_back_and_can_be_tried_again,
        suspended_before_the_hold_it_waits
];

async fn patched_by_its_owner_meanwhile_nothing_is_left_to_do(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Staging).await;
    let image = format!("web={}", patched.as_str());
    let set = ["set", "image", "deployment/web", &image, "--namespace", &scene.namespace];
    scene.lab.ground().kubectl(&set, None).await.expect("the owner deploys");
    story.ends(Outcome::AlreadyPatched).await;
    story.leaves_it_patched(&patched).await;
}

async fn redeployed_while_the_candidate_serves_it_goes_back(scene: &Scene<'_>) {
    let story = open(scene, long_soak()).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    story.reaches(Phase::Verifying).await;
    let restart = json!({"metadata": {"annotations": {"shop.example/restarted": "today"}}});
    scene.patch::<Deployment>("web", json!({"spec": {"template": restart}})).await.expect("the owner deploys");
    let ended = story.ends(Outcome::RolledBack).await;
    assert_eq!(why(&ended), Some(Reason::BlueRedeployed));
    scene.nothing_left().await.expect("nothing of ours is left");
    scene.rolled_out("web").await.expect("the owner's own rollout goes through");
    story.none_lost().await;
}

async fn aborted_it_goes_back_and_can_be_tried_again(scene: &Scene<'_>) {
    let story = open(scene, long_soak()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Verifying).await;
    annotate(scene, ABORT, "1/the shop is too busy").await;
    let ended = story.ends(Outcome::RolledBack).await;
    assert_eq!(why(&ended), Some(Reason::Aborted));
    assert!(attempt(&ended).latch.as_ref().is_some_and(|latch| latch.message.contains("the shop is too busy")));
    assert_as_before(scene, &story.before).await;

    scene.policy(&PolicyOptions::default()).await.expect("a shorter soak");
    annotate(scene, RETRY, "in the night").await;
    let remediated = |hotfix: &SecurityHotfix| outcome(hotfix) == Some(Outcome::Remediated);
    let fixed = scene.until("fix", "the end of the second attempt", remediated).await.expect("it ends");
    let before: Vec<_> = fixed.status.iter().flat_map(|status| &status.history).map(|ended| ended.outcome).collect();
    assert_eq!(before, [Outcome::RolledBack]);
    story.leaves_it_patched(&patched).await;
}

async fn suspended_before_the_hold_it_waits(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Staging).await;
    scene.patch::<SecurityHotfix>("fix", json!({"spec": {"suspend": true}})).await.expect("it may be suspended");
    let suspended = |hotfix: &SecurityHotfix| {
        condition(hotfix, ConditionType::Ready).is_some_and(|ready| ready.reason == Reason::Suspended)
    };
    let held = scene.until("fix", "that it is suspended", suspended).await.expect("it is told");
    assert!(attempt(&held).promoting_at.is_none(), "{}", told(&held));
    assert_untouched(scene, &story.before).await;

    scene.patch::<SecurityHotfix>("fix", json!({"spec": {"suspend": false}})).await.expect("it may go on");
    story.ends(Outcome::Remediated).await;
    story.leaves_it_patched(&patched).await;
}

/// Nothing ends by itself before somebody has interfered.
fn long_soak() -> PolicyOptions {
    PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }
}

/// Gives a command, as people do.
async fn annotate(scene: &Scene<'_>, key: &str, value: &str) {
    let patch = json!({"metadata": {"annotations": {key: value}}});
    scene.patch::<SecurityHotfix>("fix", patch).await.expect("it may be annotated");
}

fn attempt(hotfix: &SecurityHotfix) -> &Attempt {
    hotfix.status.as_ref().and_then(|status| status.attempt.as_ref()).expect("an attempt")
}
