//! The operator ended with SIGKILL in each phase: whoever takes over finds everything it needs in the cluster.

use hotfix_e2e::images::Published;
use hotfix_e2e::lab::{PolicyOptions, Scene, is_finished, phase};
use hotfix_e2e::scenarios;
use securityhotfix::api::{Outcome, Phase, SecurityHotfix};

use crate::telling::{Opening, open, sick};

scenarios![
    Alone: a_rollout_survives_a_kill_in_every_phase, a_rollback_survives_kills
];

/// Kills the operator each time the hotfix enters another phase, until it has come to its end. Gives the phases.
async fn killed_in_every_phase(story: &Opening<'_>, image: &Published) -> Vec<Phase> {
    let scene = story.scene;
    story.ask(image).await;
    let mut killed_in = Vec::new();
    loop {
        let last = killed_in.last().copied();
        let moved = |hotfix: &SecurityHotfix| is_finished(hotfix) || phase(hotfix).is_some_and(|now| Some(now) != last);
        let hotfix = scene.until("fix", "another phase", moved).await.expect("it goes on");
        if is_finished(&hotfix) {
            return killed_in;
        }
        scene.lab.kill_operator(&scene.client).await.expect("it is killed");
        killed_in.extend(phase(&hotfix));
    }
}

async fn a_rollout_survives_a_kill_in_every_phase(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    let killed_in = killed_in_every_phase(&story, &patched).await;
    for wanted in
        [Phase::Scanning, Phase::Staging, Phase::Analyzing, Phase::Promoting, Phase::Verifying, Phase::FoldingBack]
    {
        assert!(killed_in.contains(&wanted), "no kill in {wanted:?}: {killed_in:?}");
    }
    story.ends(Outcome::Remediated).await;
    story.leaves_it_patched(&patched).await;
}

async fn a_rollback_survives_kills(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
    let killed_in = killed_in_every_phase(&story, &sick(scene).await).await;
    assert!(killed_in.contains(&Phase::RollingBack), "{killed_in:?}");
    story.ends(Outcome::RolledBack).await;
    story.leaves_all_as_before().await;
}
