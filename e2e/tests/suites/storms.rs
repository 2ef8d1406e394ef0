//! Every write of a rollout goes wrong once, with real pods and clients: no answer, refused, made without the operator's hearing of it.
//!
//! The operator is a process of this machine behind the proxy of the fault suite. Storms begin at another fault each, so that in the
//! end every write has met every fault.

use futures::future::join_all;
use hotfix_e2e::faults::fault::Fault;
use hotfix_e2e::faults::proxy::Storm;
use hotfix_e2e::lab::{PolicyOptions, Scene, Stormy, Weathered};
use hotfix_e2e::scenarios;
use securityhotfix::api::Outcome;

use crate::telling::{open, sick};

scenarios![
    Alone:
        a_rollout_loses_nothing_in_a_storm,
        a_way_back_loses_nothing_in_a_storm
];

/// What goes wrong. A write that gets no answer for ten seconds, and an operator that is killed, keep the opened pods waiting for
/// longer than they may: stories of their own are about those.
const FAULTS: &[Fault] =
    &[Fault::LostReply, Fault::Answer(503), Fault::Answer(409), Fault::Reset, Fault::Answer(500), Fault::Answer(429)];

/// So many at once: one less than other suites play, since what goes wrong takes of the seconds that opened pods may wait.
const AT_ONCE: usize = 2;

/// Of the twenty writes and more that a rollout takes five of six are not made the first time; this is half of that.
const UNMADE_MIN: usize = 10;

/// Plays a story in as many storms as there are faults, with no operator but those of the storms.
async fn in_every_storm(scene: &Scene<'_>, story: impl AsyncFn(&Scene<'_>)) {
    scene.lab.replicas(&scene.client, 0).await.expect("the replicas end");
    let all: Vec<usize> = (0..FAULTS.len()).collect();
    for some in all.chunks(AT_ONCE) {
        join_all(some.iter().map(async |from| {
            let scene = scene.beside(&format!("{}-{from}", scene.namespace)).await.expect("a scene");
            let storm = Stormy::begin(&scene, Storm { faults: FAULTS, from: *from }).await.expect("an operator");
            story(&scene).await;
            well_weathered(*from, &storm.end().await);
            scene.leave().await.expect("it is left");
        }))
        .await;
    }
    scene.lab.replicas(&scene.client, 2).await.expect("the replicas are back");
    scene.lab.all_stand_by(&scene.client).await.expect("the replicas are ready");
}

fn well_weathered(from: usize, weathered: &Weathered) {
    let Weathered { writes, complaints } = weathered;
    println!("storm {from}: {} of {} writes were not made", weathered.unmade(), writes.len());
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(weathered.unmade() >= UNMADE_MIN, "there was hardly a storm: {}", writes.join(", "));
}

async fn a_rollout_loses_nothing_in_a_storm(scene: &Scene<'_>) {
    in_every_storm(scene, async |scene| {
        let story = open(scene, PolicyOptions::default()).await;
        let patched = scene.lab.patched("v2").await.expect("v2");
        story.ask(&patched).await;
        story.ends(Outcome::Remediated).await;
        story.leaves_it_patched(&patched).await;
    })
    .await;
}

async fn a_way_back_loses_nothing_in_a_storm(scene: &Scene<'_>) {
    in_every_storm(scene, async |scene| {
        let story = open(scene, PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
        story.ask(&sick(scene).await).await;
        story.ends(Outcome::RolledBack).await;
        story.leaves_all_as_before().await;
    })
    .await;
}
