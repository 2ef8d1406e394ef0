//! How stories begin and what they ask at their end.

use std::time::Duration;

use hotfix_e2e::app::faults::{Fault, Scheduled};
use hotfix_e2e::images::Published;
use hotfix_e2e::images::catalogue::Web;
use hotfix_e2e::lab::{
    Clients, PolicyOptions, Production, Scene, Workload, condition, is_finished, outcome, phase, told,
};
use hotfix_e2e::load::Ledger;
use securityhotfix::api::{ConditionType, Outcome, Phase, Reason, SecurityHotfix, Truth};

/// So many requests of a story must have been answered before it can say that none was lost.
const ENOUGH: u64 = 100;

/// A vulnerable workload under load, and a policy: where every story begins.
pub struct Opening<'a> {
    pub scene: &'a Scene<'a>,
    pub web: Workload,
    pub before: Production,
    pub clients: Clients<'a>,
}

/// Sets the stage. The hotfix is always called `fix`.
pub async fn open<'a>(scene: &'a Scene<'a>, policy: PolicyOptions) -> Opening<'a> {
    scene.policy(&policy).await.expect("a policy");
    let vulnerable = scene.lab.vulnerable().await.expect("v1");
    let web = scene.workload("web", &vulnerable).await.expect("v1 serves");
    let before = scene.production().await.expect("production can be read");
    let clients = scene.load(&web, 4, 4, 80).await.expect("clients");
    Opening { scene, web, before, clients }
}

impl Opening<'_> {
    /// Asks for the hotfix with this image.
    pub async fn ask(&self, image: &Published) {
        self.scene.hotfix("fix", &self.web, image).await.expect("it is accepted");
    }

    /// Waits until the hotfix is in this phase, or past it at its end.
    pub async fn reaches(&self, wanted: Phase) {
        let what = format!("phase {wanted:?}");
        let there = |hotfix: &SecurityHotfix| phase(hotfix) == Some(wanted) || is_finished(hotfix);
        let hotfix = self.scene.until("fix", &what, there).await.expect("it gets there");
        assert_eq!(phase(&hotfix), Some(wanted), "{}", told(&hotfix));
    }

    /// Waits until the hotfix has ended like this.
    pub async fn ends(&self, wanted: Outcome) -> SecurityHotfix {
        let hotfix = self.scene.finished("fix").await.expect("it ends");
        assert_eq!(outcome(&hotfix), Some(wanted), "{}", told(&hotfix));
        hotfix
    }

    /// Everything is as before, nothing of ours is left, and no request was lost.
    pub async fn leaves_all_as_before(self) -> Ledger {
        assert_as_before(self.scene, &self.before).await;
        self.none_lost().await
    }

    /// The image is patched, nothing else differs, nothing of ours is left, and no request was lost.
    pub async fn leaves_it_patched(self, image: &Published) -> Ledger {
        self.scene.nothing_left().await.expect("nothing of ours is left");
        let wanted = self.before.clone().but_with_image(&self.web.name, image.as_str());
        assert_untouched(self.scene, &wanted).await;
        self.none_lost().await
    }

    /// Stops the clients once they have asked often enough to tell, also in a story that was over quickly; no request was lost.
    pub async fn none_lost(self) -> Ledger {
        self.clients.wait_for("enough requests", |seen| seen.requests > ENOUGH).await.expect("clients at work");
        let ledger = self.clients.stop().await.expect("a full account");
        assert_none_lost(&ledger);
        ledger
    }
}

/// Version v3, which is sick from four seconds after its first request on.
pub async fn sick(scene: &Scene<'_>) -> Published {
    let sick = Web::patched("v3").fault(Scheduled::after_traffic(Fault::Deep, Duration::from_secs(4)));
    scene.lab.web("v3", &sick).await.expect("v3")
}

/// No request was lost, and there were requests.
pub fn assert_none_lost(ledger: &Ledger) {
    let failures: Vec<_> = ledger.failures().take(5).collect();
    let total = ledger.total();
    assert!(failures.is_empty(), "{} of {} requests failed: {failures:#?}", total.failed, total.requests);
    assert!(total.requests > ENOUGH, "only {} requests were made", total.requests);
}

/// A condition of the hotfix is True.
pub fn assert_true(hotfix: &SecurityHotfix, type_: ConditionType) {
    let found = condition(hotfix, type_);
    assert!(found.is_some_and(|found| found.status == Truth::True), "{type_:?} is not True: {found:?}");
}

/// Why the attempt was ended.
pub fn why(hotfix: &SecurityHotfix) -> Option<Reason> {
    Some(hotfix.status.as_ref()?.attempt.as_ref()?.latch.as_ref()?.reason)
}

/// Nothing of the user's differs from before.
pub async fn assert_untouched(scene: &Scene<'_>, before: &Production) {
    let after = scene.production().await.expect("production can be read");
    let differences = before.differences(&after);
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Everything is as before, and nothing of ours is left.
pub async fn assert_as_before(scene: &Scene<'_>, before: &Production) {
    scene.nothing_left().await.expect("nothing of ours is left");
    assert_untouched(scene, before).await;
}
