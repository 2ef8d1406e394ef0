//! A hotfix deleted in each phase: before it is believed everything goes back, afterwards it goes forward.

use hotfix_e2e::lab::{PolicyOptions, Scene};
use hotfix_e2e::scenarios;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use securityhotfix::api::{Phase, SecurityHotfix};

use crate::telling::{Opening, open};

scenarios![
    Together:
        deleted_while_scanning,
        deleted_while_staging,
        deleted_while_analyzing,
        deleted_while_promoting,
        deleted_while_verifying,
        deleted_while_folding_back,
        the_namespace_is_deleted_while_the_candidate_serves
];

/// Deletes the hotfix in this phase and waits until it is gone.
async fn deleted<'a>(scene: &'a Scene<'a>, at: Phase, soak: &str) -> Opening<'a> {
    let story = open(scene, PolicyOptions { soak: soak.to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    story.reaches(at).await;
    scene.api::<SecurityHotfix>().delete("fix", &DeleteParams::default()).await.expect("it is deleted");
    scene.gone::<SecurityHotfix>("fix").await.expect("its end");
    story
}

/// The soak outlasts the deletion, so whatever phase is met the hotfix is not believed yet.
async fn goes_back(scene: &Scene<'_>, at: Phase) {
    deleted(scene, at, "120s").await.leaves_all_as_before().await;
}

async fn deleted_while_scanning(scene: &Scene<'_>) {
    goes_back(scene, Phase::Scanning).await;
}

async fn deleted_while_staging(scene: &Scene<'_>) {
    goes_back(scene, Phase::Staging).await;
}

async fn deleted_while_analyzing(scene: &Scene<'_>) {
    goes_back(scene, Phase::Analyzing).await;
}

async fn deleted_while_promoting(scene: &Scene<'_>) {
    goes_back(scene, Phase::Promoting).await;
}

async fn deleted_while_verifying(scene: &Scene<'_>) {
    goes_back(scene, Phase::Verifying).await;
}

async fn deleted_while_folding_back(scene: &Scene<'_>) {
    let patched = scene.lab.patched("v2").await.expect("v2");
    deleted(scene, Phase::FoldingBack, "3s").await.leaves_it_patched(&patched).await;
}

async fn the_namespace_is_deleted_while_the_candidate_serves(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    story.reaches(Phase::Verifying).await;
    let namespaces = Api::<Namespace>::all(scene.client.clone());
    namespaces.delete(&scene.namespace, &DeleteParams::default()).await.expect("it is deleted");
    scene.namespace_gone().await.expect("no finalizer of ours holds it");
    scene.nothing_left().await.expect("nothing of ours is left among the checks");
}
