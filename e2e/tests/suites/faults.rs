//! What breaks while the candidate serves.

use std::time::Duration;

use hotfix_e2e::app::faults::{Fault, Scheduled};
use hotfix_e2e::http;
use hotfix_e2e::images::catalogue::Web;
use hotfix_e2e::lab::{PolicyOptions, Scene, condition, is_finished, told};
use hotfix_e2e::load::Micros;
use hotfix_e2e::scenarios;
use securityhotfix::api::names::SLOT;
use securityhotfix::api::{ConditionType, Outcome, Phase, Reason, SecurityHotfix};

use crate::telling::{assert_as_before, assert_none_lost, open, why};

scenarios![
    Together: a_candidate_that_dies_gives_the_traffic_back, nothing_is_moved_to_a_side_that_is_not_ready
];

/// A kube-proxy sync, and the machine.
const SYNC: Duration = Duration::from_secs(3);

async fn a_candidate_that_dies_gives_the_traffic_back(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "60s".to_owned(), ..PolicyOptions::default() }).await;
    let dies = Web::patched("v8").fault(Scheduled::after_traffic(Fault::Deaf, Duration::from_secs(4)));
    story.ask(&scene.lab.web("v8", &dies).await.expect("v8")).await;
    let ended = story.ends(Outcome::RolledBack).await;
    assert_eq!(why(&ended), Some(Reason::VerificationFailed));
    assert_as_before(scene, &story.before).await;

    let ledger = story.clients.stop().await.expect("a full account");
    let attempt = ended.status.and_then(|status| status.attempt).expect("an attempt");
    let latch = attempt.latch.expect("a latch").at.timestamp();
    // What a dead candidate loses is its own; it is over once the seal has reached kube-proxy.
    let sealed = Micros(u64::try_from(latch.as_microsecond()).expect("a moment of this century"));
    let over = Micros(sealed.0 + u64::try_from(SYNC.as_micros()).expect("seconds"));
    assert_none_lost(&ledger.since(over));
    let dead = ledger.total().failed;
    println!("a dead candidate lost {dead} of {} requests", ledger.total().requests);
}

async fn nothing_is_moved_to_a_side_that_is_not_ready(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "60s".to_owned(), ..PolicyOptions::default() }).await;
    let sick = Web::patched("v9").fault(Scheduled::after_traffic(Fault::Deep, Duration::from_secs(20)));
    story.ask(&scene.lab.web("v9", &sick).await.expect("v9")).await;
    story.reaches(Phase::Verifying).await;
    order_blue(scene, "unready").await;

    let held = |hotfix: &SecurityHotfix| {
        let ready = condition(hotfix, ConditionType::Ready);
        ready.is_some_and(|ready| ready.reason == Reason::BlueNotReady) || is_finished(hotfix)
    };
    let hotfix = scene.until("fix", "that the traffic is held", held).await.expect("it is held");
    assert!(!is_finished(&hotfix), "{}", told(&hotfix));
    order_blue(scene, "none").await;
    story.ends(Outcome::RolledBack).await;
    story.leaves_all_as_before().await;
}

/// Orders a fault, or `none`, of each pod of the Deployment itself.
async fn order_blue(scene: &Scene<'_>, fault: &str) {
    for pod in scene.pods(&format!("app=web,!{SLOT}")).await.expect("its pods") {
        let ip: Option<std::net::IpAddr> = pod.status.and_then(|status| status.pod_ip).and_then(|ip| ip.parse().ok());
        let ip = ip.expect("an address");
        let reply = http::get((ip, 8080).into(), "web", &format!("/_fault/{fault}")).await.expect("an answer");
        assert!(reply.status.is_success(), "{fault}: {}", reply.status);
    }
}
