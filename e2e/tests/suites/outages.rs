//! The API server is away while rollouts are under way. Nobody notices but the operator, which may start anew once.

use std::net::SocketAddr;
use std::time::Duration;

use hotfix_e2e::app::faults::{Fault, Scheduled};
use hotfix_e2e::cluster::{Away, NODE};
use hotfix_e2e::http;
use hotfix_e2e::images::catalogue::Web;
use hotfix_e2e::lab::{
    OPERATOR_NAMESPACE, PATIENCE, PolicyOptions, Scene, Workload, is_finished, outcome, phase, told,
};
use hotfix_e2e::scenarios;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use securityhotfix::api::names::ABORT;
use securityhotfix::api::{Outcome, Phase, SecurityHotfix};
use serde_json::json;

use crate::telling::{assert_none_lost, assert_untouched};

scenarios![Alone: rollouts_outlive_an_api_server_that_is_away];

/// Longer than any time-out of a call, than the lead lasts, and than a drain; shorter than what Kubernetes itself takes for the
/// end of a node.
const AWAY: Duration = Duration::from_secs(20);

/// By then the lead is lost and every call has failed once.
const NOTICED: Duration = Duration::from_secs(12);

/// Three workloads, so that one outage meets three phases. First it hangs, while a candidate starts and two serve; then it is gone,
/// while one of these is on its way back.
async fn rollouts_outlive_an_api_server_that_is_away(scene: &Scene<'_>) {
    let lab = scene.lab;
    lab.all_stand_by(&scene.client).await.expect("the replicas are ready");
    let operators_before = operators(scene).await;
    // Long enough to outlast the first outage.
    let soak = "55s".to_owned();
    scene
        .policy(&PolicyOptions { soak, staging: "180s".to_owned(), ..PolicyOptions::default() })
        .await
        .expect("a policy");
    let vulnerable = lab.vulnerable().await.expect("v1");
    let patched = lab.patched("v2").await.expect("v2");
    let waits = Web::patched("v20").fault(Scheduled::at_start(Fault::Unready));
    let slow = lab.web("v20", &waits).await.expect("v20");
    let made = tokio::join!(
        scene.workload("stays", &vulnerable),
        scene.workload("returns", &vulnerable),
        scene.workload("starts", &vulnerable)
    );
    let workloads = [made.0, made.1, made.2].map(|made| made.expect("v1 serves"));
    let before = scene.production().await.expect("production can be read");
    let mut clients = Vec::new();
    for workload in &workloads {
        clients.push(scene.load(workload, 2, 2, 40).await.expect("clients"));
    }
    let [stays, returns, starts] = &workloads;
    for (workload, image) in [(starts, &slow), (stays, &patched), (returns, &patched)] {
        scene.hotfix(&workload.name, workload, image).await.expect("it is accepted");
    }
    reaches(scene, stays, Phase::Verifying).await;
    reaches(scene, returns, Phase::Verifying).await;
    reaches(scene, starts, Phase::Staging).await;
    away(scene, Away::Hanging).await;
    tokio::select! {
        () = told_to_be_ready(scene, starts) => {}
        () = goes_on(scene, [stays, returns, starts]) => {}
    }

    scene.nothing_left().await.expect("nothing of ours is left");
    let wanted = before.but_with_image("stays", patched.as_str()).but_with_image("starts", slow.as_str());
    assert_untouched(scene, &wanted).await;
    for clients in clients {
        let ledger = clients.stop().await.expect("a full account");
        assert_none_lost(&ledger);
        println!("none of {} requests was lost", ledger.total().requests);
    }

    lab.all_stand_by(&scene.client).await.expect("the replicas are ready again");
    let restarts = |all: &[Operator]| all.iter().map(|operator| operator.restarts).sum::<i32>();
    let anew = restarts(&operators(scene).await) - restarts(&operators_before);
    println!("replicas were started anew {anew} times in two outages");
    assert!(anew <= 2, "only the one that led may start anew, once in each outage");
}

/// The second outage, and the end of all three.
async fn goes_on(scene: &Scene<'_>, [stays, returns, starts]: [&Workload; 3]) {
    let abort = json!({"metadata": {"annotations": {ABORT: "1/the prices are wrong"}}});
    scene.patch::<SecurityHotfix>("returns", abort).await.expect("it may be annotated");
    reaches(scene, returns, Phase::RollingBack).await;
    away(scene, Away::Gone).await;

    for (workload, wanted) in
        [(returns, Outcome::RolledBack), (stays, Outcome::Remediated), (starts, Outcome::Remediated)]
    {
        let ended = scene.finished(&workload.name).await.expect("it ends");
        assert_eq!(outcome(&ended), Some(wanted), "{}: {}", workload.name, told(&ended));
    }
}

/// The pods of its patched version start unready; from now on each is told otherwise.
async fn told_to_be_ready(scene: &Scene<'_>, workload: &Workload) {
    loop {
        let pods = scene.api::<Pod>().list(&ListParams::default().labels(&format!("app={}", workload.name))).await;
        for pod in pods.into_iter().flatten() {
            let ip = pod.status.and_then(|status| status.pod_ip?.parse().ok());
            if let Some(ip) = ip {
                // One that does not listen yet is told the next time.
                let told = http::get(SocketAddr::new(ip, 8080), "web", "/_fault/none");
                let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn reaches(scene: &Scene<'_>, workload: &Workload, wanted: Phase) {
    let there = |hotfix: &SecurityHotfix| phase(hotfix) == Some(wanted) || is_finished(hotfix);
    let hotfix = scene.until(&workload.name, &format!("phase {wanted:?}"), there).await.expect("it gets there");
    assert_eq!(phase(&hotfix), Some(wanted), "{}: {}", workload.name, told(&hotfix));
}

/// The API server is away for a while. No replica is ready meanwhile, and says so.
async fn away(scene: &Scene<'_>, away: Away) {
    let operators = operators(scene).await;
    let cluster = scene.lab.cluster().expect("a local cluster");
    let outage = cluster.without_api_server(away).expect("it can be taken away");
    tokio::time::sleep(NOTICED).await;
    for operator in &operators {
        match http::get(operator.page, "operator", "/readyz").await {
            Ok(page) => {
                println!("{away:?}: {}: {} {}", operator.name, page.status, page.text().trim().replace('\n', "; "));
                assert_eq!(page.status.as_u16(), 503, "{}", page.text());
                assert!(page.text().starts_with("waiting for:\n"), "{}", page.text());
            }
            Err(failure) => println!("{away:?}: {}: {failure}", operator.name),
        }
    }
    tokio::time::sleep(AWAY.saturating_sub(NOTICED)).await;
    let back = Timestamp::now();
    outage.over().await.expect("it comes back");
    node_is_heard_again(scene, back).await;
}

/// Two outages without a word of the kubelet between them would be one for Kubernetes, and long enough to take the node for dead and
/// its pods out of every Service.
async fn node_is_heard_again(scene: &Scene<'_>, back: Timestamp) {
    let leases = Api::<Lease>::namespaced(scene.client.clone(), "kube-node-lease");
    let heard = async {
        loop {
            let renewed = leases.get(NODE).await.ok().and_then(|lease| lease.spec?.renew_time);
            if renewed.is_some_and(|renewed| renewed.0 > back) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the kubelet renews its lease");
}

/// A replica of the operator.
struct Operator {
    name: String,
    page: SocketAddr,
    restarts: i32,
}

async fn operators(scene: &Scene<'_>) -> Vec<Operator> {
    let pods = Api::<Pod>::namespaced(scene.client.clone(), OPERATOR_NAMESPACE);
    let pods = pods.list(&ListParams::default()).await.expect("the operator's pods can be read");
    pods.into_iter()
        .map(|pod| {
            let name = pod.name_any();
            let status = pod.status.expect("a pod that runs has a status");
            let ip = status.pod_ip.and_then(|ip| ip.parse().ok()).expect("an address");
            let restarts = status.container_statuses.unwrap_or_default().iter().map(|it| it.restart_count).sum();
            Operator { name, page: SocketAddr::new(ip, 8080), restarts }
        })
        .collect()
}
