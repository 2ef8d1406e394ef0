//! Tools apply what they always applied: after the hotfix without hindrance, and during it every other second, as GitOps engines do.

use std::path::Path;
use std::time::Duration;

use hotfix_e2e::lab::{Clients, PolicyOptions, Production, Scene, Workload, condition, manifest, outcome, told};
use hotfix_e2e::scenarios;
use securityhotfix::api::{ConditionType, Outcome, Reason, SecurityHotfix, Truth};

use crate::telling::{assert_as_before, assert_none_lost, assert_untouched};

scenarios![Together:
    a_later_client_side_apply_succeeds,
    a_later_helm_upgrade_succeeds,
    an_engine_that_applies_client_side_undoes_the_fold_back,
    an_engine_that_forces_its_fields_undoes_the_switch,
];

/// How often the engine applies. Shorter than three pods take to roll out, or it would come too late to undo anything.
const RESYNC: Duration = Duration::from_secs(2);

/// Time for kube-proxy to learn of a Service that is new.
const KNOWN: Duration = Duration::from_secs(3);

/// How the owner brings a manifest to the cluster.
#[derive(Clone, Copy)]
enum Way {
    ClientSide,
    Forced,
    Helm,
}

async fn a_later_client_side_apply_succeeds(scene: &Scene<'_>) {
    applied_again_after_the_hotfix(scene, Way::ClientSide).await;
}

async fn a_later_helm_upgrade_succeeds(scene: &Scene<'_>) {
    applied_again_after_the_hotfix(scene, Way::Helm).await;
}

/// The manifest is unchanged, so it has the old image: what comes out is the owner's own decision, rolled out by the Deployment.
async fn applied_again_after_the_hotfix(scene: &Scene<'_>, way: Way) {
    let (web, before, load) = begin(scene, way, &PolicyOptions::default()).await;
    let fixed = scene.finished("fix").await.expect("it ends");
    assert_eq!(outcome(&fixed), Some(Outcome::Remediated), "{}", told(&fixed));
    scene.nothing_left().await.expect("nothing of ours is left");

    apply(scene, &web, way).await;
    scene.rolled_out("web").await.expect("the owner's rollout goes through");
    assert_untouched(scene, &before).await;
    assert_none_lost(&load.stop().await.expect("a full account"));
}

/// A client-side apply leaves keys alone that it does not know, so the Service stays switched; the image it knows.
async fn an_engine_that_applies_client_side_undoes_the_fold_back(scene: &Scene<'_>) {
    let (web, before, load) = begin(scene, Way::ClientSide, &PolicyOptions::default()).await;
    let ended = finished_under(scene, &web, Way::ClientSide).await;

    assert_eq!(outcome(&ended), Some(Outcome::Failed), "{}", told(&ended));
    assert_named(&ended, Reason::FoldBackReverted, "kubectl");
    let remediated = condition(&ended, ConditionType::Remediated).expect("it is told");
    assert_eq!(remediated.status, Truth::False, "the exposure is still open");
    assert_as_before(scene, &before).await;
    let ledger = load.stop().await.expect("a full account");
    assert_none_lost(&ledger);
    assert!(ledger.total().answers("v2") > 0, "v2 served meanwhile");
}

/// A selector is one field of a server-side apply: forced, it takes our key away, and the second time the owner wins.
async fn an_engine_that_forces_its_fields_undoes_the_switch(scene: &Scene<'_>) {
    let (web, before, load) =
        begin(scene, Way::Forced, &PolicyOptions { soak: "120s".to_owned(), ..PolicyOptions::default() }).await;
    let ended = finished_under(scene, &web, Way::Forced).await;

    assert_eq!(outcome(&ended), Some(Outcome::RolledBack), "{}", told(&ended));
    assert_named(&ended, Reason::ServiceChanged, "team-web");
    assert_as_before(scene, &before).await;
    assert_none_lost(&load.stop().await.expect("a full account"));
}

fn assert_named(hotfix: &SecurityHotfix, reason: Reason, manager: &str) {
    let attempt = hotfix.status.as_ref().and_then(|status| status.attempt.as_ref());
    let latch = attempt.and_then(|attempt| attempt.latch.as_ref()).expect("a latch");
    assert_eq!(latch.reason, reason, "{}", told(hotfix));
    assert!(latch.message.contains(manager), "who did it is not named: {}", latch.message);
}

/// The end of the hotfix while an engine applies the manifest again and again.
async fn finished_under(scene: &Scene<'_>, web: &Workload, way: Way) -> SecurityHotfix {
    let engine = async {
        loop {
            apply(scene, web, way).await;
            tokio::time::sleep(RESYNC).await;
        }
    };
    tokio::select! {
        ended = scene.finished("fix") => ended.expect("it ends"),
        () = engine => unreachable!("it never ends"),
    }
}

/// Brings the workload to the cluster, under load, and asks for the hotfix.
async fn begin<'a>(scene: &'a Scene<'_>, way: Way, policy: &PolicyOptions) -> (Workload, Production, Clients<'a>) {
    let web = deploy(scene, way).await;
    scene.policy(policy).await.expect("a policy");
    let before = scene.production().await.expect("production can be read");
    let load = scene.load(&web, 3, 3, 60).await.expect("clients");
    let patched = scene.lab.patched("v2").await.expect("v2");
    scene.hotfix("fix", &web, &patched).await.expect("it is accepted");
    (web, before, load)
}

async fn deploy(scene: &Scene<'_>, way: Way) -> Workload {
    let web = Workload { name: "web".to_owned(), image: scene.lab.vulnerable().await.expect("v1") };
    apply(scene, &web, way).await;
    scene.rolled_out("web").await.expect("it is rolled out");
    tokio::time::sleep(KNOWN).await;
    web
}

async fn apply(scene: &Scene<'_>, web: &Workload, way: Way) {
    let image = web.image.as_str();
    let places = [("name", "web"), ("namespace", &*scene.namespace), ("replicas", "3"), ("image", image)];
    let manifest = manifest::fill(manifest::WEB, &places);
    let forced = ["apply", "--server-side", "--force-conflicts", "--field-manager=team-web", "-f", "-"];
    let ground = scene.lab.ground();
    let applied = match way {
        Way::ClientSide => ground.kubectl(&["apply", "-f", "-"], Some(&manifest)).await,
        Way::Forced => ground.kubectl(&forced, Some(&manifest)).await,
        Way::Helm => {
            let chart = tempfile::tempdir().expect("a folder");
            write_chart(chart.path(), &manifest);
            let chart = chart.path().to_string_lossy();
            ground.helm(&["upgrade", "--install", "web", &chart, "--namespace", &scene.namespace]).await
        }
    };
    applied.expect("nothing of ours is in the way");
}

/// A chart that is just the manifest.
fn write_chart(folder: &Path, manifest: &str) {
    std::fs::create_dir(folder.join("templates")).expect("a folder");
    std::fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").expect("a chart");
    std::fs::write(folder.join("templates/web.yaml"), manifest).expect("its template");
}
