//! Gates that do not pass: production is not written to, and nothing is left.

use std::time::Duration;

use hotfix_e2e::app::faults::{Fault, Scheduled};
use hotfix_e2e::cluster::AuditMark;
use hotfix_e2e::images::Published;
use hotfix_e2e::images::catalogue::Web;
use hotfix_e2e::lab::{PolicyOptions, Scene, Writes};
use hotfix_e2e::scenarios;
use securityhotfix::api::{Outcome, Reason, SecurityHotfix};

use crate::telling::{open, why};

scenarios![
    Together:
        a_candidate_with_the_same_advisory_fails_the_scan,
        a_candidate_that_brings_another_vulnerability_fails_the_scan,
        a_blind_scanner_proves_nothing,
        an_osv_scanner_without_records_proves_nothing,
        a_scanner_that_ends_well_with_garbage_proves_nothing,
        a_scanner_that_looks_elsewhere_proves_nothing,
        a_report_without_end_proves_nothing,
        a_candidate_that_never_gets_ready_fails_the_staging,
        a_failed_test_fails_the_analysis
];

/// Plays a hotfix that must fail before it touched anything, and gives its end.
async fn fails(
    scene: &Scene<'_>,
    policy: PolicyOptions,
    image: &Published,
    reason: Reason,
) -> (SecurityHotfix, Writes) {
    let audit = scene.lab.cluster().expect("a local cluster").audit();
    let mark: AuditMark = audit.mark().expect("an audit log");
    let story = open(scene, policy).await;
    story.ask(image).await;
    let failed = story.ends(Outcome::Failed).await;
    assert_eq!(why(&failed), Some(reason));
    let ledger = story.leaves_all_as_before().await;
    assert_eq!(ledger.total().versions.len(), 1, "only one version ever answered: {:?}", ledger.total().versions);
    let writes = Writes::of_operator(&audit.since(mark).expect("the audit log can be read"), &scene.namespace);
    (failed, writes)
}

/// Not one write to a Deployment or a Service, green's included.
fn assert_no_candidate(writes: &Writes) {
    assert_eq!((writes.to("deployments"), writes.to("services")), (0, 0), "{writes}");
}

async fn a_candidate_with_the_same_advisory_fails_the_scan(scene: &Scene<'_>) {
    let image = scene.lab.web("v4", &Web::vulnerable("v4")).await.expect("v4");
    let (_, writes) = fails(scene, PolicyOptions::default(), &image, Reason::ScanFailed).await;
    assert_no_candidate(&writes);
}

async fn a_candidate_that_brings_another_vulnerability_fails_the_scan(scene: &Scene<'_>) {
    let image = scene.lab.web("v5", &Web::patched("v5").package("PyYAML", "5.3")).await.expect("v5");
    let (_, writes) = fails(scene, PolicyOptions::default(), &image, Reason::ScanFailed).await;
    assert_no_candidate(&writes);
}

async fn a_blind_scanner_proves_nothing(scene: &Scene<'_>) {
    let blind = scene.lab.blind_trivy().await.expect("a blind scanner");
    scene.lab.trivy_check("blind", &blind).await.expect("its check");
    let image = scene.lab.patched("v2").await.expect("v2");
    let policy = PolicyOptions { scan: "[{check: blind}]".to_owned(), ..PolicyOptions::default() };
    let (_, writes) = fails(scene, policy, &image, Reason::ScanFailed).await;
    assert_no_candidate(&writes);
}

/// Its report lists every package, and it ends with 0, as it does without any data base at all.
async fn an_osv_scanner_without_records_proves_nothing(scene: &Scene<'_>) {
    let blind = scene.lab.blind_osv_scanner().await.expect("a blind scanner");
    scene.lab.osv_scanner_check("osv-blind", &blind).await.expect("its check");
    proves_nothing(scene, "osv-blind", "The scanner is blind to CVE-2024-22195").await;
}

async fn a_scanner_that_ends_well_with_garbage_proves_nothing(scene: &Scene<'_>) {
    misbehaves(scene, "garbage", "the report is not a Trivy JSON report").await;
}

async fn a_scanner_that_looks_elsewhere_proves_nothing(scene: &Scene<'_>) {
    misbehaves(scene, "elsewhere", "is about another image").await;
}

async fn a_report_without_end_proves_nothing(scene: &Scene<'_>) {
    misbehaves(scene, "flood", "the report has more than 8388608 bytes").await;
}

async fn misbehaves(scene: &Scene<'_>, misbehaviour: &str, lacked: &str) {
    scene.lab.misbehaving_scanner(misbehaviour).await.expect("its check");
    proves_nothing(scene, misbehaviour, lacked).await;
}

/// A scan that proves nothing is run four times, says what it lacked, and never lets a candidate come to be.
async fn proves_nothing(scene: &Scene<'_>, check: &str, lacked: &str) {
    let image = scene.lab.patched("v2").await.expect("v2");
    let policy = PolicyOptions { scan: format!("[{{check: {check}}}]"), ..PolicyOptions::default() };
    let (failed, writes) = fails(scene, policy, &image, Reason::ScanFailed).await;
    assert_no_candidate(&writes);
    let attempt = failed.status.and_then(|status| status.attempt).expect("an attempt");
    let message = attempt.latch.expect("a latch").message;
    assert!(message.contains("Inconclusive in all 4 runs") && message.contains(lacked), "{message}");
}

async fn a_candidate_that_never_gets_ready_fails_the_staging(scene: &Scene<'_>) {
    let never = Web::patched("v6").fault(Scheduled::at_start(Fault::Unready));
    let image = scene.lab.web("v6", &never).await.expect("v6");
    let policy = PolicyOptions { staging: "15s".to_owned(), ..PolicyOptions::default() };
    fails(scene, policy, &image, Reason::StagingFailed).await;
}

async fn a_failed_test_fails_the_analysis(scene: &Scene<'_>) {
    let slow = Web::patched("v7").slow_start(Duration::from_secs(2));
    let image = scene.lab.web("v7", &slow).await.expect("v7");
    let analyze = "[{check: smoke, args: {path: /nowhere}}]".to_owned();
    fails(scene, PolicyOptions { analyze, ..PolicyOptions::default() }, &image, Reason::AnalysisFailed).await;
}
