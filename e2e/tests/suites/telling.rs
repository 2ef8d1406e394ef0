//! What every story asks at its end.

use hotfix_e2e::lab::{Production, Scene, Workload, condition, outcome, told};
use hotfix_e2e::load::Ledger;
use securityhotfix::api::{ConditionType, Outcome, SecurityHotfix, Truth};

/// No request was lost, and there were requests.
pub fn assert_none_lost(ledger: &Ledger) {
    let failures: Vec<_> = ledger.failures().take(5).collect();
    assert!(
        failures.is_empty(),
        "{} of {} requests failed: {failures:#?}",
        ledger.total().failed,
        ledger.total().requests
    );
    assert!(ledger.total().requests > 100, "only {} requests were made", ledger.total().requests);
}

/// The hotfix ended like this.
pub fn assert_ended(hotfix: &SecurityHotfix, wanted: Outcome) {
    assert_eq!(outcome(hotfix), Some(wanted), "{}", told(hotfix));
}

/// A condition of the hotfix is True.
pub fn assert_true(hotfix: &SecurityHotfix, type_: ConditionType) {
    let found = condition(hotfix, type_);
    assert!(found.is_some_and(|found| found.status == Truth::True), "{type_:?} is not True: {found:?}");
}

/// Nothing of the user's differs from before.
pub async fn assert_untouched(scene: &Scene<'_>, before: &Production) {
    let after = scene.production().await.expect("production can be read");
    let differences = before.differences(&after);
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Nothing of the user's differs from before but the image, and nothing of ours is left.
pub async fn assert_patched_and_clean(scene: &Scene<'_>, before: Production, workload: &Workload, image: &str) {
    scene.nothing_left().await.expect("nothing of ours is left");
    assert_untouched(scene, &before.but_with_image(&workload.name, image)).await;
}

/// Everything is as before, and nothing of ours is left.
pub async fn assert_as_before(scene: &Scene<'_>, before: &Production) {
    scene.nothing_left().await.expect("nothing of ours is left");
    assert_untouched(scene, before).await;
}
