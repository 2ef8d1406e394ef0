//! A hotfix that vanished without its way out, since somebody took its finalizer off by hand.

use hotfix_e2e::lab::{PolicyOptions, Scene, outcome, told};
use hotfix_e2e::scenarios;
use kube::api::DeleteParams;
use securityhotfix::api::{Outcome, Phase, SecurityHotfix};
use serde_json::json;

use crate::telling::open;

scenarios![
    Together:
        a_candidate_left_serving_is_taken_away_by_the_next_hotfix
];

/// Takes the finalizer off by hand and deletes the hotfix, so that nothing of its way out is gone.
async fn vanishes(scene: &Scene<'_>, name: &str) {
    let stripped = json!({"metadata": {"finalizers": null}});
    scene.patch::<SecurityHotfix>(name, stripped).await.expect("its finalizer can be taken off");
    scene.api::<SecurityHotfix>().delete(name, &DeleteParams::default()).await.expect("it is deleted");
    scene.gone::<SecurityHotfix>(name).await.expect("its end");
}

async fn a_candidate_left_serving_is_taken_away_by_the_next_hotfix(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "10s".to_owned(), ..PolicyOptions::default() }).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Verifying).await;
    vanishes(scene, "fix").await;
    let left = scene.leftovers().await.expect("what is left can be read");
    assert!(!left.is_empty(), "it left nothing, so that there is nothing to see here");
    scene.hotfix("again", &story.web, &patched).await.expect("it is accepted");
    let fixed = scene.finished("again").await.expect("it ends");
    assert_eq!(outcome(&fixed), Some(Outcome::Remediated), "{}", told(&fixed));
    story.leaves_it_patched(&patched).await;
}
