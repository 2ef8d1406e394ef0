//! The lead changes hands while work is under way: the next one goes on where the last one stopped.

use std::time::Duration;

use hotfix_e2e::cluster::AuditMark;
use hotfix_e2e::lab::{Ending, Handover, LEASE, OPERATOR_NAMESPACE, OPERATOR_USER, PolicyOptions, Scene};
use hotfix_e2e::scenarios;
use jiff::Timestamp;
use securityhotfix::api::{Outcome, Phase};

use crate::telling::{open, sick};

scenarios![
    Alone:
        a_rollout_goes_on_when_its_leader_is_told_to_end,
        a_rollout_goes_on_when_its_leader_dies,
        a_rollback_goes_on_when_its_leader_dies,
        a_replica_that_waits_writes_nothing_and_hardly_reads
];

/// Nobody leads for less than this, when the leader was told to end.
const TOLD_MAX: Duration = Duration::from_secs(1);
/// The same when it was killed.
const KILLED_MAX: Duration = Duration::from_secs(5);

/// A leader that was ended.
struct Ended {
    pod: String,
    at: Timestamp,
}

/// Takes the lead away and waits until another has it.
async fn change(scene: &Scene<'_>, how: Ending) -> Ended {
    let lab = scene.lab;
    let pod = lab.leader(&scene.client).await.expect("somebody leads");
    let at = lab.end_leader(&scene.client, &pod, how).await.expect("it is ended");
    let new = lab.leader_but(&scene.client, &[&pod]).await.expect("another leads");
    println!("the lead went from {pod} to {new}");
    Ended { pod, at }
}

/// What the handover cost, from the audit log since a mark before it; to be asked when all is over.
fn cost(scene: &Scene<'_>, mark: AuditMark, ended: &Ended) -> Handover {
    let records = scene.lab.cluster().expect("a local cluster").audit().since(mark).expect("the audit log can be read");
    let told = Handover::read(&records, &ended.pod, ended.at).expect("a handover is in the audit log");
    println!(
        "nobody led for {:.3} s; {:.3} s after the end another led, and {:.3} s after it wrote",
        told.gap().as_secs_f64(),
        since(ended, told.taken).as_secs_f64(),
        told.first.map_or(f64::NAN, |first| since(ended, first).as_secs_f64()),
    );
    told
}

fn since(ended: &Ended, moment: Timestamp) -> Duration {
    ended.at.duration_until(moment).unsigned_abs()
}

fn mark(scene: &Scene<'_>) -> AuditMark {
    scene.lab.cluster().expect("a local cluster").audit().mark().expect("an audit log")
}

/// Every replica is back, for the next story.
async fn whole_again(scene: &Scene<'_>) {
    scene.lab.all_stand_by(&scene.client).await.expect("the replicas are ready");
}

async fn a_rollout_goes_on_when_its_leader_is_told_to_end(scene: &Scene<'_>) {
    let before = mark(scene);
    whole_again(scene).await;
    let story = open(scene, PolicyOptions { soak: "8s".to_owned(), ..PolicyOptions::default() }).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    let mut all = Vec::new();
    for phase in [Phase::Staging, Phase::Verifying, Phase::FoldingBack] {
        story.reaches(phase).await;
        all.push(change(scene, Ending::Told).await);
        whole_again(scene).await;
    }
    story.ends(Outcome::Remediated).await;
    for ended in &all {
        let told = cost(scene, before, ended);
        assert!(told.gap() < TOLD_MAX, "{told:?}");
    }
    story.leaves_it_patched(&patched).await;
}

async fn a_rollout_goes_on_when_its_leader_dies(scene: &Scene<'_>) {
    let before = mark(scene);
    whole_again(scene).await;
    let story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Promoting).await;
    let ended = change(scene, Ending::Killed).await;
    story.ends(Outcome::Remediated).await;
    let told = cost(scene, before, &ended);
    assert!(since(&ended, told.taken) <= KILLED_MAX, "{told:?}");
    story.leaves_it_patched(&patched).await;
}

async fn a_rollback_goes_on_when_its_leader_dies(scene: &Scene<'_>) {
    let before = mark(scene);
    whole_again(scene).await;
    let story = open(scene, PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&sick(scene).await).await;
    story.reaches(Phase::RollingBack).await;
    let ended = change(scene, Ending::Killed).await;
    story.ends(Outcome::RolledBack).await;
    let told = cost(scene, before, &ended);
    assert!(since(&ended, told.taken) <= KILLED_MAX, "{told:?}");
    story.leaves_all_as_before().await;
}

async fn a_replica_that_waits_writes_nothing_and_hardly_reads(scene: &Scene<'_>) {
    whole_again(scene).await;
    let leader = scene.lab.leader(&scene.client).await.expect("somebody leads");
    let before = mark(scene);
    let story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.ends(Outcome::Remediated).await;
    assert_eq!(scene.lab.leader(&scene.client).await.expect("somebody leads"), leader, "the lead stayed");
    let audit = scene.lab.cluster().expect("a local cluster").audit();
    let records = audit.since(before).expect("the audit log can be read");
    let others: Vec<String> = records
        .iter()
        .filter(|record| {
            record.user.username == OPERATOR_USER && record.pod() != Some(&leader) && record.verb != "watch"
        })
        .map(|record| format!("{} {}", record.verb, record.resource()))
        .collect();
    // The lease is looked at when a renewal is late, as on a machine that does other things.
    let (reads, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|asked| asked == "get leases");
    assert!(rest.is_empty(), "{rest:?}");
    println!("the replica that waits asked for the lease {} times ({OPERATOR_NAMESPACE}/{LEASE})", reads.len());
    assert!(reads.len() < 10, "{} reads of the lease: is the watch broken?", reads.len());
    story.leaves_it_patched(&patched).await;
}
