//! The two stories of the demonstration: a hotfix that goes through, and one that goes back by itself.

use std::time::Duration;

use hotfix_e2e::app::faults::{Fault, Scheduled};
use hotfix_e2e::images::catalogue::Web;
use hotfix_e2e::lab::{PolicyOptions, Scene, Writes, condition};
use hotfix_e2e::scenarios;
use securityhotfix::api::{ConditionType, Outcome, Reason, Truth};

use crate::telling::{assert_as_before, assert_ended, assert_none_lost, assert_patched_and_clean, assert_true};

scenarios![Alone: a_hotfix_goes_through; Together: a_bad_hotfix_goes_back_by_itself];

/// The most writes a gated update may cost, beside those that are exempt.
const WRITES_MAX: u32 = 26;

async fn a_hotfix_goes_through(scene: &Scene<'_>) {
    let lab = scene.lab;
    let web = scene.workload("web", &lab.vulnerable().await.expect("v1")).await.expect("v1 serves");
    scene.policy(&PolicyOptions::default()).await.expect("a policy");
    let patched = lab.patched("v2").await.expect("v2");
    let before = scene.production().await.expect("production can be read");
    let audit = lab.cluster().expect("a local cluster").audit();
    let mark = audit.mark().expect("an audit log");
    let load = scene.load(&web, 8, 8, 150).await.expect("clients");
    load.wait_for("answers of v1", |seen| seen.answers("v1") > 100).await.expect("v1 answers");

    scene.hotfix("fix", &web, &patched).await.expect("it is accepted");
    let fixed = scene.finished("fix").await.expect("it ends");
    assert_ended(&fixed, Outcome::Remediated);
    for type_ in [
        ConditionType::Ready,
        ConditionType::Scanned,
        ConditionType::Staged,
        ConditionType::Analyzed,
        ConditionType::Approved,
        ConditionType::Promoted,
        ConditionType::Verified,
        ConditionType::Remediated,
    ] {
        assert_true(&fixed, type_);
    }
    assert_patched_and_clean(scene, before, &web, patched.as_str()).await;

    let writes = Writes::of_operator(&audit.since(mark).expect("the audit log can be read"), &scene.namespace);
    println!("writes of one gated update:\n{writes}");
    let ledger = load.stop().await.expect("a full account");
    if let Some(mixed) = ledger.mixed("v1", "v2") {
        println!("both versions answered new connections for {mixed}");
    }
    assert_none_lost(&ledger);
    assert!(ledger.total().answers("v2") > 0, "v2 served");
    assert!(writes.counted() <= WRITES_MAX, "more than {WRITES_MAX} writes");

    let record = scene.report(&fixed).await.expect("the record is there");
    assert_eq!(record.spec.outcome, Some(Outcome::Remediated));
    let exposure = record.spec.exposure.expect("the exposure is told");
    assert!(exposure.closed_at.is_some(), "the exposure is over");
}

async fn a_bad_hotfix_goes_back_by_itself(scene: &Scene<'_>) {
    let lab = scene.lab;
    let web = scene.workload("web", &lab.vulnerable().await.expect("v1")).await.expect("v1 serves");
    let soak = "60s".to_owned();
    scene.policy(&PolicyOptions { soak, ..PolicyOptions::default() }).await.expect("a policy");
    let sick = Web::patched("v3").fault(Scheduled::after_traffic(Fault::Deep, Duration::from_secs(4)));
    let bad = lab.web("v3", &sick).await.expect("v3");
    let before = scene.production().await.expect("production can be read");
    let load = scene.load(&web, 4, 4, 100).await.expect("clients");

    scene.hotfix("bad", &web, &bad).await.expect("it is accepted");
    let ended = scene.finished("bad").await.expect("it ends");
    assert_ended(&ended, Outcome::RolledBack);
    assert_true(&ended, ConditionType::RolledBack);
    let ready = condition(&ended, ConditionType::Ready).expect("a summary");
    assert_eq!(ready.status, Truth::False);
    let latch = ended.status.and_then(|status| status.attempt).and_then(|attempt| attempt.latch).expect("a latch");
    assert_eq!(latch.reason, Reason::VerificationFailed);
    assert_as_before(scene, &before).await;

    let ledger = load.stop().await.expect("a full account");
    assert_none_lost(&ledger);
    assert!(ledger.total().answers("v3") > 0, "the bad version served for a while");
}
