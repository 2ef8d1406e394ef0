//! Checks and policies that were let in although something about them is odd: one after the other in the place of a good one,
//! with a hotfix under them; then the good one is put back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::replies::image;
use hotfix_e2e::lab::LabError;
use serde_json::{Value, json};

use super::mutants::Mutant;
use super::world::{Field, Stand};
use super::{API, Ends, Kind, goods, told};

/// How long it is waited for an end. What has none then is under way, and says in which phase and why: a check that may run for
/// two hours is no fault.
const PATIENCE: Duration = Duration::from_secs(12);

/// How long it may take until a hotfix is looked at, and until one whose check was put back, or that is deleted, ends: as long as
/// the busiest machine needs.
const RESTORED: Duration = Duration::from_secs(300);

type Jobs = Mutex<VecDeque<(Kind, Mutant)>>;

pub async fn play(lanes: &[Lane<'_>], mutants: Vec<(Kind, Mutant)>) -> Result<Ends, LabError> {
    let jobs: Jobs = Mutex::new(mutants.into());
    let played = futures::future::join_all(lanes.iter().map(|lane| in_lane(lane, &jobs))).await;
    let mut all = Ends::default();
    for ends in played {
        all.join(ends?);
    }
    Ok(all)
}

async fn in_lane(lane: &Lane<'_>, jobs: &Jobs) -> Result<Ends, LabError> {
    let field = Field::open(lane).await?;
    let desk = Desk { field: &field, lane: &lane.name };
    desk.furnish().await?;
    field.deploy("web").await?;
    let mut ends = Ends::default();
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut nth = 0;
    while let Some((kind, mutant)) = next() {
        nth += 1;
        ends.join(desk.one(kind, &mutant, nth).await?);
    }
    // Nothing of all this is left in the way of one that is good.
    desk.put(Kind::Policy, &desk.good(Kind::Policy)["spec"]).await?;
    desk.analyze(&desk.name(Kind::Test)).await?;
    field.asked(Deed::create(field.hotfixes(), goods::hotfix("canary", "web"))).await?;
    let canary = field.until("canary", RESTORED, |stand| matches!(stand, Stand::Over(_))).await;
    if canary != Stand::Over("Failed AnalysisFailed".to_owned()) {
        ends.wrong.push(format!("{}: the hotfix after them came no further than {canary:?}", lane.name));
    }
    ends.wrong.extend(field.close().await);
    Ok(ends)
}

/// The policy and the checks of one lane.
struct Desk<'a> {
    field: &'a Field<'a>,
    lane: &'a str,
}

impl Desk<'_> {
    fn name(&self, kind: Kind) -> String {
        format!("{}-{}", self.lane, format!("{kind:?}").to_lowercase())
    }

    fn good(&self, kind: Kind) -> Value {
        let name = self.name(kind);
        match kind {
            Kind::Policy => goods::policy(&name, &self.name(Kind::Scan), &self.name(Kind::Test)),
            Kind::Scan => goods::scan(&name),
            Kind::Test => goods::test(&name),
            Kind::Http => goods::http(&name),
        }
    }

    fn path(kind: Kind) -> String {
        let plural = if kind == Kind::Policy { "hotfixpolicies" } else { "securitychecks" };
        format!("{API}/{plural}")
    }

    async fn furnish(&self) -> Result<(), LabError> {
        for kind in [Kind::Policy, Kind::Scan, Kind::Test, Kind::Http] {
            self.field.asked(Deed::create(Self::path(kind), self.good(kind))).await?;
        }
        self.field.choose(&self.name(Kind::Policy)).await
    }

    async fn put(&self, kind: Kind, spec: &Value) -> Result<(), LabError> {
        let at = format!("{}/{}", Self::path(kind), self.name(kind));
        let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]);
        self.field.asked(Deed::patch(at, patch)).await.map(drop)
    }

    /// Which check the analysis runs.
    async fn analyze(&self, check: &str) -> Result<(), LabError> {
        let mut policy = self.good(Kind::Policy);
        policy["spec"]["gates"]["analyze"][0]["check"] = json!(check);
        self.put(Kind::Policy, &policy["spec"]).await
    }

    async fn one(&self, kind: Kind, mutant: &Mutant, nth: usize) -> Result<Ends, LabError> {
        let field = self.field;
        let mut ends = Ends::default();
        let about = told(Some(kind), mutant);
        self.analyze(&self.name(if kind == Kind::Http { Kind::Http } else { Kind::Test })).await?;
        let mut spec = mutant.object["spec"].clone();
        if kind == Kind::Policy {
            self.named(&mut spec);
        }
        self.put(kind, &spec).await?;
        let hotfix = format!("fix-{nth}");
        field.asked(Deed::create(field.hotfixes(), goods::hotfix(&hotfix, "web"))).await?;
        field.until(&hotfix, RESTORED, |stand| *stand != Stand::Unseen).await;
        let settled = |stand: &Stand| matches!(stand, Stand::Over(_) | Stand::Stalled(_));
        let stand = field.until(&hotfix, PATIENCE, settled).await;
        eprintln!("{about}: {stand:?}");
        self.put(kind, &self.good(kind)["spec"]).await?;
        match &stand {
            Stand::Over(_) | Stand::UnderWay(_) => ends.reconciled += 1,
            Stand::Stalled(reason) => {
                *ends.stalled.entry(reason.clone()).or_default() += 1;
                let after = field.until(&hotfix, RESTORED, |stand| matches!(stand, Stand::Over(_))).await;
                if !matches!(after, Stand::Over(_)) {
                    ends.wrong.push(format!("{about}: put back, and the hotfix is still {after:?}"));
                }
            }
            Stand::Unseen => ends.wrong.push(format!("{about}: nobody looks at the hotfix")),
        }
        let served = matches!(&stand, Stand::Over(how) if how.starts_with("Remediated"))
            || matches!(field.stand(&hotfix), Stand::Over(how) if how.starts_with("Remediated"));
        field.asked(Deed::delete(format!("{}/{hotfix}", field.hotfixes()))).await?;
        if !field.gone(&hotfix, RESTORED).await {
            ends.wrong.push(format!("{about}: the hotfix is deleted and does not go"));
        }
        if served {
            self.vulnerable_again().await?;
        }
        Ok(ends)
    }

    /// Names of the lane's own checks, where the mutant has not changed them.
    fn named(&self, spec: &mut Value) {
        for (gate, known, own) in [("scan", "s", Kind::Scan), ("analyze", "t", Kind::Test), ("verify", "t", Kind::Test)]
        {
            let checks = spec.pointer_mut(&format!("/gates/{gate}")).and_then(Value::as_array_mut);
            for check in checks.into_iter().flatten().filter(|it| it["check"] == known) {
                check["check"] = json!(self.name(own));
            }
        }
    }

    async fn vulnerable_again(&self) -> Result<(), LabError> {
        let at = format!("/apis/apps/v1/namespaces/{}/deployments/web", self.lane);
        let container = json!([{"name": "web", "image": image("v1")}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": container}}}});
        self.field.asked(Deed::merge(at, patch)).await.map(drop)
    }
}
