//! The picture that is taken of what is there.

use std::sync::Arc;
use std::time::Instant;

use kube::Client;
use securityhotfix::observe::evidence::Registries;
use securityhotfix::observe::{HotfixId, ObserveError, Observer};
use securityhotfix::plan::observed::Settings;
use serde_json::json;

use super::world::{HOTFIXES, SERVICES, World, eventually, nobody, service, word};

/// Pictures that are taken to tell how long one takes.
const TAKEN: u32 = 20;

fn observer(client: Client) -> Observer {
    let settings = Settings {
        checks_namespace: "hotfix-checks".into(),
        runner_image: "registry.example/operator:1".into(),
        api_request_max: Settings::API_REQUEST_MAX,
    };
    Observer::new(client, Arc::new(settings), Arc::new(Registries::default()), Arc::new(|_| {}))
}

async fn web_cve(world: &World<'_>) -> HotfixId {
    let uid = word(&world.get(HOTFIXES, "web-cve").await, "uid");
    HotfixId { namespace: "shop".into(), name: "web-cve".into(), uid, target: "web".into() }
}

pub async fn a_picture_shows_what_is_there(world: &World<'_>) {
    let id = web_cve(world).await;
    world.apply(&service("web", &json!({"team": "shop"})), &[]);
    world.apply(
        &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other", "namespace": "shop"},
        "spec": {"selector": {"app": "other"}, "ports": [{"port": 80}]}}),
        &[],
    );
    world.apply(
        &json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
        &[],
    );
    let scaler = |name: &str, of: &str| {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": of}, "minReplicas": 2,
            "maxReplicas": 5, "metrics": [{"type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}})
    };
    world.apply(&scaler("web", "web"), &[]);
    world.apply(&scaler("other", "other"), &[]);

    let observer = observer(world.client.clone());
    eventually("the Service has its slice", async || {
        let seen = observer.observe(&id).await.expect("a picture").expect("of a hotfix");
        !seen.slices.is_empty() && seen.pods.len() >= 2
    })
    .await;
    let seen = observer.observe(&id).await.expect("a picture").expect("of a hotfix");
    assert_eq!((seen.hotfix.uid.as_str(), seen.hotfix.managers.len()), (id.uid.as_str(), 1));
    let blue = seen.blue.as_ref().expect("the workload");
    assert_eq!((blue.name.as_str(), blue.replicas, seen.green.is_none()), ("web", 2, true));
    assert!(blue.raw["spec"]["template"]["spec"]["containers"][0]["image"].is_string());
    let sets: Vec<&str> = seen.replica_sets.iter().map(|set| set.controller.as_str()).collect();
    assert!(sets.iter().all(|controller| *controller == blue.uid) && !sets.is_empty(), "{sets:?}");
    assert!(seen.pods.iter().all(|pod| seen.replica_sets.iter().any(|set| pod.controller.as_ref() == Some(&set.uid))));
    let names: Vec<&str> = seen.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["other", "web"]);
    assert!(seen.slices.iter().all(|slice| slice.service == "web"));
    assert_eq!(seen.budgets.len(), 1);
    assert_eq!(
        seen.autoscalers.iter().map(|scaler| scaler.metrics.join(",")).collect::<Vec<_>>(),
        ["Resource/Utilization"]
    );
    assert!(seen.policy.is_none() && seen.checks.is_empty() && seen.claim.is_none() && !seen.namespace.terminating);
    assert!(seen.others.is_empty() && seen.runs.is_empty() && seen.report.is_none());

    // Somebody else's mark on a Service of ours: all neighbours are looked at, whatever they are about.
    let mut neighbour = super::hotfix::manifest();
    neighbour["metadata"]["name"] = json!("api-cve");
    neighbour["spec"]["target"]["name"] = json!("api");
    world.create(HOTFIXES, neighbour).await;
    assert!(observer.observe(&id).await.expect("a picture").expect("of a hotfix").others.is_empty());
    let mark = json!([{"op": "add", "path": "/metadata/annotations/securityhotfix.dev~1mark", "value": "hold/x/1"}]);
    world.json_patch(SERVICES, "web", mark).await.expect("it is marked");
    let others = observer.observe(&id).await.expect("a picture").expect("of a hotfix").others;
    assert_eq!(others.iter().map(|other| (other.name.as_str(), other.alive)).collect::<Vec<_>>(), [("api-cve", false)]);

    let begun = Instant::now();
    for _ in 0..TAKEN {
        observer.observe(&id).await.expect("a picture");
    }
    eprintln!("a picture takes {} ms, over {TAKEN}", begun.elapsed().as_millis() / u128::from(TAKEN));

    let again = HotfixId { uid: "made before".into(), ..id.clone() };
    assert!(observer.observe(&again).await.expect("an answer").is_none(), "another hotfix under the same name");
    let gone = HotfixId { name: "gone".into(), ..id };
    assert!(observer.observe(&gone).await.expect("an answer").is_none());
}

pub async fn a_missing_right_and_a_missing_kind_are_said(world: &World<'_>) {
    let id = web_cve(world).await;
    let denied = observer(nobody(world.cluster).await).observe(&id).await.expect_err("nobody may look");
    assert!(denied.needs_a_person());
    // The hotfix and the Services are asked for together; either may be refused first.
    let first = ["get securityhotfixes.securityhotfix.dev", "list services"];
    let said = |what: &&str| denied.to_string().starts_with(&format!("The operator may not {what} in namespace shop"));
    assert!(first.iter().any(said), "{denied}");

    world.kubectl(&["delete", "crd", "hotfixpolicies.securityhotfix.dev"], None);
    let observer = observer(world.client.clone());
    eventually("the kind is gone", async || {
        matches!(observer.observe(&id).await, Err(ObserveError::Missing(what)) if what.contains("hotfixpolicies"))
    })
    .await;
    world.kubectl(&["apply", "-f", "crds/"], None);
    eventually("it heals", async || matches!(observer.observe(&id).await, Ok(Some(_)))).await;
}
