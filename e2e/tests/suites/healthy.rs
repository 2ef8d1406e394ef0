//! The two stories of the demonstration, and hotfixes that go through under less usual circumstances.

use hotfix_e2e::lab::{PolicyOptions, Scene, Writes, condition, is_finished, outcome, told};
use hotfix_e2e::scenarios;
use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use securityhotfix::api::{ConditionType, Outcome, Reason, SecurityHotfix, Truth};
use serde_json::json;

use crate::telling::{assert_true, open, sick, why};

scenarios![
    Alone: a_hotfix_goes_through;
    Together:
        a_bad_hotfix_goes_back_by_itself,
        two_services_move_and_return,
        a_second_hotfix_waits_for_the_first,
        an_osv_scanner_knows_the_advisory_by_another_name
];

/// The most writes a gated update may cost, beside those that are exempt.
const WRITES_MAX: u32 = 26;

async fn a_hotfix_goes_through(scene: &Scene<'_>) {
    let lab = scene.lab;
    let story = open(scene, PolicyOptions::default()).await;
    let patched = lab.patched("v2").await.expect("v2");
    let audit = lab.cluster().expect("a local cluster").audit();
    let mark = audit.mark().expect("an audit log");

    story.ask(&patched).await;
    let fixed = story.ends(Outcome::Remediated).await;
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
    let ledger = story.leaves_it_patched(&patched).await;
    assert!(ledger.total().answers("v2") > 0, "v2 served");
    if let Some(mixed) = ledger.mixed("v1", "v2") {
        println!("both versions answered new connections for {mixed}");
    }
    let writes = Writes::of_operator(&audit.since(mark).expect("the audit log can be read"), &scene.namespace);
    println!("writes of one gated update:\n{writes}");
    assert!(writes.counted() <= WRITES_MAX, "more than {WRITES_MAX} writes");

    let record = scene.report(&fixed).await.expect("the record is there");
    assert_eq!(record.spec.outcome, Some(Outcome::Remediated));
    let exposure = record.spec.exposure.expect("the exposure is told");
    assert!(exposure.closed_at.is_some(), "the exposure is over");
}

async fn a_bad_hotfix_goes_back_by_itself(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions { soak: "60s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&sick(scene).await).await;
    let ended = story.ends(Outcome::RolledBack).await;
    assert_true(&ended, ConditionType::RolledBack);
    assert_eq!(condition(&ended, ConditionType::Ready).map(|ready| ready.status), Some(Truth::False));
    assert_eq!(why(&ended), Some(Reason::VerificationFailed));
    let ledger = story.leaves_all_as_before().await;
    assert!(ledger.total().answers("v3") > 0, "the bad version served for a while");
}

async fn two_services_move_and_return(scene: &Scene<'_>) {
    let second: Service = serde_json::from_value(json!({
        "metadata": {"name": "web-partners"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }))
    .expect("a Service");
    scene.api::<Service>().create(&PostParams::default(), &second).await.expect("a second Service");
    let mut story = open(scene, PolicyOptions::default()).await;
    let partners = hotfix_e2e::lab::Workload { name: "web-partners".to_owned(), image: story.web.image.clone() };
    let partners = scene.load(&partners, 4, 0, 40).await.expect("clients of the second Service");
    story.before = scene.production().await.expect("production can be read");
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.ends(Outcome::Remediated).await;
    story.leaves_it_patched(&patched).await;
    let ledger = partners.stop().await.expect("a full account");
    crate::telling::assert_none_lost(&ledger);
    assert!(ledger.total().answers("v2") > 0, "the second Service has the new version too");
}

/// It files under GitHub's id what the hotfix, here, names by its CVE alone.
async fn an_osv_scanner_knows_the_advisory_by_another_name(scene: &Scene<'_>) {
    let scanner = scene.lab.osv_scanner().await.expect("osv-scanner");
    scene.lab.osv_scanner_check("osv-scanner", &scanner).await.expect("its check");
    let scan = "[{check: osv-scanner, failOn: {introduced: High}}]".to_owned();
    let story = open(scene, PolicyOptions { scan, ..PolicyOptions::default() }).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    let both = scene.hotfix_manifest("fix", &story.web, &patched);
    let by_cve = both.replace(", GHSA-h5c8-rqwp-cp95]", "]");
    assert_ne!(both, by_cve, "the manifest names both");
    scene.lab.apply(&by_cve).await.expect("it is accepted");

    let fixed = story.ends(Outcome::Remediated).await;
    story.leaves_it_patched(&patched).await;
    let record = scene.report(&fixed).await.expect("the record is there");
    let mut verdicts = record.spec.attempt.iter().flat_map(|attempt| &attempt.verdicts);
    let scan = verdicts.find(|verdict| verdict.check == "osv-scanner").expect("its verdict");
    assert!(scan.message.starts_with("CVE-2024-22195 is in the running image of web (jinja2 3.1.0)"), "{scan:?}");
    let tool = scan.tool.as_deref().unwrap_or_default();
    assert!(tool.starts_with("OSV-Scanner of image "), "{tool}");
}

async fn a_second_hotfix_waits_for_the_first(scene: &Scene<'_>) {
    let story = open(scene, PolicyOptions::default()).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    let claimed = |hotfix: &SecurityHotfix| condition(hotfix, ConditionType::Scanned).is_some();
    scene.until("fix", "the first one's begin", claimed).await.expect("it begins");
    scene.hotfix("second", &story.web, &patched).await.expect("it is accepted");
    let waits = |hotfix: &SecurityHotfix| {
        condition(hotfix, ConditionType::Ready).is_some_and(|ready| ready.reason == Reason::WorkloadClaimed)
    };
    let waiting = scene.until("second", "that it waits", |hotfix| waits(hotfix) || is_finished(hotfix)).await;
    let waiting = waiting.expect("it is told to wait");
    assert!(told(&waiting).contains("fix"), "the holder is named: {}", told(&waiting));
    story.ends(Outcome::Remediated).await;
    let second = scene.finished("second").await.expect("it ends");
    assert_eq!(outcome(&second), Some(Outcome::AlreadyPatched), "{}", told(&second));
    story.leaves_it_patched(&patched).await;
}
