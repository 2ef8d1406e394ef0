//! What surrounds a rollout does not do as expected: endpoints do not follow, an autoscaler scales, a hold is overruled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hotfix_e2e::http;
use hotfix_e2e::lab::{PATIENCE, PolicyOptions, Scene, condition};
use hotfix_e2e::load::Micros;
use hotfix_e2e::scenarios;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use securityhotfix::api::names::{ABORT, RELEASE, SLOT};
use securityhotfix::api::{ConditionType, Outcome, Phase, Reason, SecurityHotfix, Truth};
use serde_json::{Value, json};

use crate::telling::{assert_as_before, assert_none_lost, open, why};

scenarios![
    Together:
        a_person_may_send_the_traffic_back_regardless,
        an_autoscaler_goes_on_working,
        endpoints_that_do_not_follow_in_time_turn_it_back
];

/// kube-proxy changes its rules at most once a second; the rest is for a machine that does other things.
const SYNCED: Duration = Duration::from_secs(3);

/// What nobody answers between the person's word and the recovery is the person's decision.
async fn a_person_may_send_the_traffic_back_regardless(scene: &Scene<'_>) {
    let story = open(scene, soaking("120s")).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    story.reaches(Phase::Verifying).await;
    hold_back(scene).await;

    let said = Micros::now();
    annotate(scene, RELEASE, "1/the new one sells at the wrong price").await;
    selects(scene, "web", |selector| !selector.contains_key(SLOT)).await;
    tell_blue(scene, "none").await;
    blue_is_ready(scene, true).await;
    tokio::time::sleep(SYNCED).await;
    let over = Micros::now();

    story.ends(Outcome::RolledBack).await;
    assert_as_before(scene, &story.before).await;
    let ledger = story.clients.stop().await.expect("a full account");
    assert_none_lost(&ledger.during(Micros(0)..said));
    assert_none_lost(&ledger.since(over));
}

/// Without a source of metrics it does nothing by itself, so its part is played: it wants a fourth pod while v2 serves.
async fn an_autoscaler_goes_on_working(scene: &Scene<'_>) {
    let story = open(scene, soaking("8s")).await;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": scene.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 3,
            "maxReplicas": 6,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
            }}],
        },
    });
    scene.lab.apply(&autoscaler.to_string()).await.expect("an autoscaler");
    let patched = scene.lab.patched("v2").await.expect("v2");
    story.ask(&patched).await;
    story.reaches(Phase::Verifying).await;
    scene.patch::<Deployment>("web", json!({"spec": {"replicas": 4}})).await.expect("it may be scaled");
    until("the candidate to follow", async || {
        let green = scene.api::<Deployment>().list(&ListParams::default().labels(SLOT)).await.expect("it can be read");
        green.items.iter().any(|green| green.spec.as_ref().is_some_and(|spec| spec.replicas == Some(4)))
    })
    .await;

    story.ends(Outcome::Remediated).await;
    scene.nothing_left().await.expect("nothing of ours is left");
    let expected = story.before.clone().but_with_image("web", patched.as_str());
    let after = scene.production().await.expect("production can be read");
    assert_eq!(expected.differences(&after), ["deployment/web spec replicas: 3 -> 4"]);
    story.none_lost().await;
}

/// The API server lets no slice of the Service list the candidate as ready, so none follows the switch.
async fn endpoints_that_do_not_follow_in_time_turn_it_back(scene: &Scene<'_>) {
    let frozen = freeze(&scene.namespace);
    scene.lab.apply(&frozen.to_string()).await.expect("a policy of admission");
    let story = open(scene, PolicyOptions { convergence: "5s".to_owned(), ..PolicyOptions::default() }).await;
    story.ask(&scene.lab.patched("v2").await.expect("v2")).await;
    let ended = scene.finished("fix").await;
    let thaw = ["delete", "--ignore-not-found", "-f", "-"];
    scene.lab.ground().kubectl(&thaw, Some(&frozen.to_string())).await.expect("it is taken away");

    assert_eq!(why(&ended.expect("it ends")), Some(Reason::ConvergenceFailed));
    story.ends(Outcome::RolledBack).await;
    let ledger = story.leaves_all_as_before().await;
    assert_eq!(ledger.total().answers("v2"), 0, "the candidate never served");
}

/// A rule of admission that keeps the candidate out of the slices of this namespace's Service.
fn freeze(namespace: &str) -> Value {
    let of_web = "object.metadata.labels['kubernetes.io/service-name'] != 'web'";
    let no_green = "!has(object.endpoints) || !object.endpoints.exists(e, has(e.targetRef) && \
        e.targetRef.name.startsWith('web-hotfix-') && has(e.conditions.ready) && e.conditions.ready)";
    let slices = json!({
        "apiGroups": ["discovery.k8s.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["endpointslices"],
    });
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {"resourceRules": [slices]},
                "validations": [{"expression": format!("{of_web} || {no_green}")}],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {
                "policyName": namespace,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": here},
            },
        },
    ]})
}

/// The candidate serves for so long before it is believed.
fn soaking(soak: &str) -> PolicyOptions {
    PolicyOptions { soak: soak.to_owned(), ..PolicyOptions::default() }
}

/// Gives a command, as people do.
async fn annotate(scene: &Scene<'_>, key: &str, value: &str) {
    let patch = json!({"metadata": {"annotations": {key: value}}});
    scene.patch::<SecurityHotfix>("fix", patch).await.expect("it may be annotated");
}

/// The old version is not ready, a person aborts, and the traffic stays where it is answered.
async fn hold_back(scene: &Scene<'_>) {
    tell_blue(scene, "unready").await;
    blue_is_ready(scene, false).await;
    annotate(scene, ABORT, "1/the new one sells at the wrong price").await;
    let held = |fix: &SecurityHotfix| {
        let stalled = condition(fix, ConditionType::Stalled);
        stalled.is_some_and(|stalled| stalled.status == Truth::True && stalled.reason == Reason::BlueNotReady)
    };
    scene.until("fix", "that it is held back", held).await.expect("it is held back");
}

/// Raises a fault in each pod of the old version; `none` takes it away.
async fn tell_blue(scene: &Scene<'_>, fault: &str) {
    for pod in scene.pods(&format!("app=web,!{SLOT}")).await.expect("the old version's pods") {
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok()).expect("an address");
        let told = http::get(SocketAddr::new(ip, 8080), "web", &format!("/_fault/{fault}")).await;
        told.expect("it listens to orders");
    }
}

/// Waits until every pod of the old version is ready, or none.
async fn blue_is_ready(scene: &Scene<'_>, wanted: bool) {
    until("the old version's readiness", async || {
        let pods = scene.pods(&format!("app=web,!{SLOT}")).await.expect("the old version's pods");
        pods.iter().all(|pod| is_ready(pod) == wanted)
    })
    .await;
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// Waits until the selector of a Service is as wanted.
async fn selects(scene: &Scene<'_>, service: &str, wanted: impl Fn(&BTreeMap<String, String>) -> bool) {
    until("the selector", async || {
        let found = scene.api::<Service>().get(service).await.expect("the Service can be read");
        found.spec.and_then(|spec| spec.selector).is_some_and(|selector| wanted(&selector))
    })
    .await;
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    assert!(found.is_ok(), "{what} did not come");
}
