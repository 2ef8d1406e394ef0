//! The demonstration: two stories on a real cluster, told as they happen.
//!
//! It decides what is shown and what counts as told. The stories themselves are the operator's doing: the demonstration only
//! applies manifests, lets clients ask, and watches.

mod screen;
mod story;

use std::time::Duration;

use serde::Serialize;

use crate::app::faults::{Fault, Scheduled};
use crate::cluster::{Cluster, ClusterError, ClusterName, Standing};
use crate::images::catalogue::Web;
use crate::lab::{self, Ground, Lab, LabError, Options, PolicyOptions, Profile, Programs, Scene};
pub use screen::Screen;
use story::{Ended, Told};

/// Name of the local cluster.
pub const CLUSTER: &str = "demo";

/// The namespace of both stories.
const NAMESPACE: &str = "hotfix-demo";

/// Requests a second of all sixteen clients together: enough to see a gap of some milliseconds, little enough for two cores that
/// run a whole cluster beside it.
const RATE: u32 = 160;

/// The fewest requests that make the account worth something.
const REQUESTS_MIN: u64 = 5_000;

/// Where the demonstration is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a cluster made for it.
    OwnCluster,
    /// On the cluster of the current kubectl context, with this registry.
    CurrentContext(String),
}

/// What becomes of it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Everything is taken away.
    Remove,
    /// Everything stays, for a look.
    Keep,
}

/// What standard output gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The first story's hotfix went through.
    pub remediated: bool,
    /// The second story's came back by itself.
    pub rolled_back: bool,
    /// Requests of both stories.
    pub requests: u64,
    /// Those that were lost.
    pub failed: u64,
    /// From `kubectl apply` to the last vulnerable pod's end.
    pub seconds_to_remediate: Option<f64>,
    /// From the failure being seen to every Service serving from the old version alone.
    pub seconds_to_roll_back: Option<f64>,
}

impl Summary {
    /// Whether both stories ended as told.
    pub fn is_as_told(&self) -> bool {
        self.remediated && self.rolled_back && self.failed == 0 && self.requests >= REQUESTS_MIN
    }
}

/// Plays both stories.
pub fn play(place: &Place, profile: Profile, afterwards: Afterwards, screen: &Screen) -> Result<Summary, LabError> {
    if *place == Place::OwnCluster && !lab::attaches() {
        let name = CLUSTER.parse()?;
        refuse_a_cluster_in_use(Cluster::standing(&name), name)?;
    }
    screen.title("Preparing: programs, a cluster, images, the operator");
    let options = Options { profile, ..Options::named(CLUSTER) };
    let lab = match place {
        Place::OwnCluster => Lab::up(&options)?,
        Place::CurrentContext(registry) => {
            let ground = Ground::current(registry);
            ground.run(async || story::refuse_a_taken_cluster(&ground).await)??;
            Lab::on(ground, Programs::build(profile)?, &options)?
        }
    };
    let played = lab.scene(NAMESPACE, async |scene| {
        let played = both(scene, screen).await;
        if played.as_ref().is_ok_and(Summary::is_as_told) {
            return played;
        }
        screen.text(&scene.dump().await);
        played
    })?;
    match afterwards {
        Afterwards::Keep => {
            lab.keep()?;
            screen.kept(place);
        }
        Afterwards::Remove => {
            lab.scene_over(NAMESPACE)?;
            lab.down()?;
        }
    }
    played
}

/// A cluster that was kept is somebody's to look at.
fn refuse_a_cluster_in_use(standing: Option<Standing>, name: ClusterName) -> Result<(), LabError> {
    match standing {
        Some(Standing::Kept) => Err(LabError::Unfit(format!(
            "the cluster of an earlier demonstration is up, and was kept for a look. Look at it:\n  {} -- kubectl get \
             shf,shfr -n {NAMESPACE} -o wide\nRemove it with `make down`; then there can be another",
            Cluster::command_line(&name, "exec"),
        ))),
        Some(Standing::Owned(owner)) => Err(ClusterError::Busy { name, pid: owner.pid }.into()),
        Some(Standing::Dead) | None => Ok(()),
    }
}

async fn both(scene: &Scene<'_>, screen: &Screen) -> Result<Summary, LabError> {
    let lab = scene.lab;
    let policy = PolicyOptions { soak: "10s".to_owned(), ..PolicyOptions::default() };
    scene.policy(&policy).await?;
    let vulnerable = lab.vulnerable().await?;
    let patched = lab.patched("v2").await?;
    let sick = Web::patched("v3").fault(Scheduled::after_traffic(Fault::Deep, Duration::from_secs(3)));
    let sick = lab.web("v3", &sick).await?;

    screen.title("Story 1: the hotfix");
    screen.text(
        "web runs version v1, in which Trivy finds CVE-2024-22195 (Jinja2 3.1.0; the scanner's data base is a small one, made\n\
         from e2e/advisories). v2 has Jinja2 3.1.6. Eight clients with new connections and eight with keep-alive ask all the time.",
    );
    let web = scene.workload("web", &vulnerable).await?;
    let first = Told { scene, screen, workload: &web, hotfix: "web-cve-2024-22195", image: &patched, rate: RATE };
    let first = first.play().await?;

    screen.title("Story 2: the bad hotfix");
    screen.text(
        "cart runs v1 as well. Its patched version v3 passes every gate, and three seconds after it took traffic its deep health\n\
         check turns red, while clients are still answered.",
    );
    let cart = scene.workload("cart", &vulnerable).await?;
    let second = Told { scene, screen, workload: &cart, hotfix: "cart-cve-2024-22195", image: &sick, rate: RATE };
    let second = second.play().await?;

    let summary = Summary {
        remediated: first.ended == Ended::Remediated && first.left.is_empty(),
        rolled_back: second.ended == Ended::RolledBack && second.left.is_empty(),
        requests: first.requests + second.requests,
        failed: first.failed + second.failed,
        seconds_to_remediate: (first.ended == Ended::Remediated).then(|| rounded(first.took)),
        seconds_to_roll_back: second.back_after.map(rounded),
    };
    screen.verdict(&summary);
    Ok(summary)
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ProcessId;

    #[test]
    fn a_cluster_that_was_kept_is_not_replaced() {
        let asked = |standing| refuse_a_cluster_in_use(standing, CLUSTER.parse().expect("a name"));
        for free in [None, Some(Standing::Dead)] {
            assert!(asked(free).is_ok(), "{free:?}");
        }
        let kept = asked(Some(Standing::Kept)).expect_err("somebody looks at it").to_string();
        for told in ["exec --name demo -- kubectl get shf,shfr -n hotfix-demo", "Remove it with `make down`"] {
            assert!(kept.contains(told), "{kept}");
        }
        let owned = Standing::Owned(ProcessId::this());
        let busy = asked(Some(owned)).expect_err("somebody plays on it").to_string();
        assert!(busy.contains(&format!("the running process {}", std::process::id())), "{busy}");
    }
}
