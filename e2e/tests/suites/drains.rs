//! A budget covers the workload, and the node it runs on is drained while the candidate serves.

use std::collections::BTreeSet;
use std::time::Duration;

use hotfix_e2e::lab::{PolicyOptions, Scene};
use hotfix_e2e::scenarios;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::EvictParams;
use securityhotfix::api::names::SLOT;
use securityhotfix::api::{Outcome, Phase};
use serde_json::json;

use crate::telling::open;

scenarios![Together: a_drain_leaves_a_workload_with_a_budget_serving];

/// How often `kubectl drain` tries again what a budget refuses.
const AGAIN: Duration = Duration::from_secs(1);

/// The cluster has one node, so it is not cordoned: evicted pods come back on it.
async fn a_drain_leaves_a_workload_with_a_budget_serving(scene: &Scene<'_>) {
    let budget = json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": scene.namespace},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    });
    scene.lab.apply(&budget.to_string()).await.expect("a budget");
    let story = open(scene, PolicyOptions { soak: "20s".to_owned(), ..PolicyOptions::default() }).await;
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Verifying).await;

    let pods = scene.pods("app=web").await.expect("the pods of both sides");
    let (green, blue): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| pod.labels().contains_key(SLOT));
    assert_eq!((green.len(), blue.len()), (3, 3), "as many pods on either side");
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    let mut drained = Drained::default();
    tokio::select! {
        () = drain(scene, &names, &mut drained) => {}
        _ended = scene.finished("fix") => {}
    }
    assert!(drained.evicted > 0, "something was drained");
    assert!(drained.refused > 0, "the budgets held something back");

    story.ends(Outcome::Remediated).await;
    let left: BTreeSet<String> = scene.pods("app=web").await.expect("pods").iter().map(ResourceExt::name_any).collect();
    assert!(names.iter().all(|name| !left.contains(name)), "none of the drained pods is left: {left:?}");
    story.leaves_it_patched(&patched).await;
}

/// What became of the drain.
#[derive(Default)]
struct Drained {
    evicted: usize,
    refused: usize,
}

/// Evicts each pod that is there, and tries again for as long as a budget refuses.
async fn drain(scene: &Scene<'_>, names: &[String], drained: &mut Drained) {
    let pods = scene.api::<Pod>();
    let mut left: Vec<&String> = names.iter().collect();
    while !left.is_empty() {
        let mut refused = Vec::new();
        for name in left {
            match pods.evict(name, &EvictParams::default()).await {
                Ok(_) => drained.evicted += 1,
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                // 429: the budget allows none. 500: two budgets cover the pod, which the API server does not weigh up.
                Err(kube::Error::Api(status)) if matches!(status.code, 429 | 500) => {
                    drained.refused += 1;
                    refused.push(name);
                }
                Err(error) => panic!("evicting {name}: {error}"),
            }
        }
        left = refused;
        tokio::time::sleep(AGAIN).await;
    }
}
