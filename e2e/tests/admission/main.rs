//! The chart on a real API server: who may do what once it is installed. Needs root and Go; no node.
//!
//! Everything is tried in the name of those it is about, by impersonation, and almost everything as a dry run, which admission
//! judges like the real thing: so no case depends on another.

mod deed;
mod grammar;
mod guard;
mod objects;
mod scope;
mod specs;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hotfix_e2e::cluster::{Cluster, Options};
use hotfix_e2e::tools::Tool;
use hyper::http::Request;
use serde_json::{Value, json};

use deed::{Case, Deed, Who, client_of, surprises};
use objects::{
    DEPLOYMENTS, GREEN, HOTFIXES, PODS, POLICIES, REPLICA_SETS, REPORTS, SERVICES, blue, green, hotfix, service,
};

/// How long the API server and its controllers may take for what they do in milliseconds, on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn admission_guards_the_candidate_from_everyone_and_others_from_the_operator() {
    let options = Options::named("admission").expect("a name").control_plane_only();
    let cluster = Cluster::boot(&options).expect("a control plane");
    cluster.run(async || tell(&cluster).await).expect("inside the cluster's network");
    cluster.down().expect("nothing left");
}

async fn tell(cluster: &Cluster) {
    scope::one_namespace(cluster).await;

    let install = ["install", "hotfix-operator", "charts/hotfix-operator", "--namespace", "hotfix-system"];
    helm(cluster, &[&install[..], &["--create-namespace"]].concat());
    people(cluster).await;
    take_effect(cluster).await;
    let admin = client_of(cluster, Who::Administrator.user()).await;
    for policy in list(&admin, "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies").await {
        assert_eq!(policy["status"]["typeChecking"], json!({}), "{} does not type-check", policy["metadata"]["name"]);
    }

    let pods = workloads(cluster).await;
    all_end_well(cluster, "the candidate", guard::candidate(&pods.green_replica_set)).await;
    all_end_well(cluster, "its pods", guard::pods(&pods.green, &pods.blue)).await;
    all_end_well(cluster, "the record", guard::record()).await;
    all_end_well(cluster, "the operator", guard::operator()).await;
    all_end_well(cluster, "the definitions", specs::definitions()).await;
    all_end_well(cluster, "what a hotfix cannot say", grammar::hotfixes()).await;
    all_end_well(cluster, "what a policy cannot say", grammar::policies()).await;
    all_end_well(cluster, "what a probe cannot say", grammar::probes()).await;
    all_end_well(cluster, "what a container cannot be", grammar::containers()).await;
    examples(cluster);
    scope::what_is_collected(cluster).await;
    cost(cluster).await;
    again(cluster).await;
}

/// Installed again after it was uninstalled. What the release made goes with it, the Lease of the one that led too, so that nobody
/// waits for it to run out; the definitions stay, with the objects of their kinds. A Lease that an operator made itself is no
/// obstacle.
async fn again(cluster: &Cluster) {
    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/hotfix-system/leases";
    let admin = client_of(cluster, Who::Administrator.user()).await;
    let operator = client_of(cluster, Who::Operator.user()).await;
    let install = ["install", "hotfix-operator", "charts/hotfix-operator", "--namespace", "hotfix-system"];
    let held = json!({"spec": {"holderIdentity": "a-pod-that-is-gone", "leaseDurationSeconds": 5}});
    let led = Deed::merge(format!("{LEASES}/hotfix-operator"), held).attempt(&operator).await;
    led.expect("the operator leads by the Lease of the release");
    Deed::create(POLICIES, specs::policy()).attempt(&admin).await.expect("an administrator writes a policy");

    helm(cluster, &["uninstall", "hotfix-operator", "--namespace", "hotfix-system", "--wait"]);
    assert_eq!(list(&admin, LEASES).await, Vec::<Value>::new(), "the Lease went with the release");
    assert_eq!(list(&admin, POLICIES).await.len(), 1, "the definitions stay, and what is of their kinds");

    helm(cluster, &install);
    let holders: Vec<Value> =
        list(&admin, LEASES).await.iter().map(|lease| lease["spec"]["holderIdentity"].clone()).collect();
    assert_eq!(holders, [Value::Null], "nobody is waited for");

    let second: &[&str] =
        &["install", "second", "charts/hotfix-operator", "--namespace", "second", "--create-namespace"];
    let beside = |more: &[&str]| program(cluster, &[second, &["--set", "crds.enabled=false"], more].concat());
    let refused = beside(&[]).output().expect("Helm runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("as release hotfix-system/hotfix-operator already"), "{said}");
    let narrow = beside(&["--set", "watchNamespace=shop"]).output().expect("Helm runs");
    assert!(!narrow.status.success(), "the first one sees that namespace too");

    helm(cluster, &["uninstall", "hotfix-operator", "--namespace", "hotfix-system", "--wait"]);
    let left =
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "hotfix-operator"}});
    Deed::create(LEASES, left).attempt(&admin).await.expect("somebody leaves a Lease");
    helm(cluster, &install);
    helm(cluster, &["upgrade", "hotfix-operator", "charts/hotfix-operator", "--namespace", "hotfix-system"]);
    assert_eq!(list(&admin, LEASES).await.len(), 1, "it is left to the operator");
}

/// Prints what the policies cost the API server. They see every pod and Deployment of a cluster, so it is worth knowing; it is
/// not asserted, for it depends on the machine.
async fn cost(cluster: &Cluster) {
    const METRIC: &str = "apiserver_validating_admission_policy_check_duration_seconds_";
    let admin = cluster.client().await.expect("a client");
    let request = Request::get("/metrics").body(Vec::new()).expect("a well-formed request");
    let metrics = admin.request_text(request).await.expect("the API server's metrics");
    let total = |kind: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(&format!("{METRIC}{kind}")));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let (checks, seconds) = (total("count"), total("sum"));
    eprintln!("the policies: {checks} checks, {:.0} microseconds each", seconds / checks * 1e6);
}

async fn all_end_well(cluster: &Cluster, chapter: &str, cases: Vec<Case>) {
    let tried = cases.len();
    let surprises = surprises(cluster, cases).await;
    let told: Vec<String> = surprises.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{chapter}: {} of {tried} end otherwise:\n{}", told.len(), told.join("\n"));
    eprintln!("{chapter}: {tried} cases");
}

/// Helm, from the repository's root, inside the cluster's network.
fn helm(cluster: &Cluster, args: &[&str]) {
    done(&mut program(cluster, args));
}

fn program(cluster: &Cluster, args: &[&str]) -> Command {
    let helm = Tool::Helm.path().expect("Helm is built from its pins");
    let mut command = cluster.command(helm);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(args);
    command
}

fn kubectl(cluster: &Cluster, args: &[&str]) {
    done(cluster.command("kubectl").current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(args));
}

fn done(command: &mut Command) {
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Gives everybody the rights they have in the cases.
async fn people(cluster: &Cluster) {
    kubectl(cluster, &["create", "namespace", "shop"]);
    let ada = format!("--user={}", Who::Administrator.user());
    kubectl(cluster, &["create", "clusterrolebinding", "ada", "--clusterrole=cluster-admin", &ada]);
    for who in [Who::Editor, Who::Application] {
        let user = format!("--user={}", who.user());
        let name = format!("{who:?}").to_lowercase();
        kubectl(cluster, &["create", "rolebinding", &name, "-n", "shop", "--clusterrole=edit", &user]);
    }
    // The stock roles learn of the chart's kinds by a controller.
    let erin = client_of(cluster, Who::Editor.user()).await;
    eventually("the edit role has the hotfixes", async || {
        Deed::create(HOTFIXES, hotfix("probe")).rehearsed().attempt(&erin).await.is_ok()
    })
    .await;
}

/// A policy counts some moments after it is written.
async fn take_effect(cluster: &Cluster) {
    let ada = client_of(cluster, Who::Administrator.user()).await;
    let probes =
        [Deed::create(DEPLOYMENTS, green("probe")).rehearsed(), Deed::create(PODS, objects::green_pod()).rehearsed()];
    for probe in probes {
        eventually("the policies count", async || probe.attempt(&ada).await.is_err()).await;
    }
}

struct Names {
    green: String,
    green_replica_set: String,
    blue: String,
}

/// Makes the workload, the candidate, a hotfix and its record, each by who makes it in earnest; that the candidate gets a pod
/// shows that the controllers are let through.
async fn workloads(cluster: &Cluster) -> Names {
    let editor = client_of(cluster, Who::Editor.user()).await;
    let operator = client_of(cluster, Who::Operator.user()).await;
    let admin = client_of(cluster, Who::Administrator.user()).await;
    let report = json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "HotfixReport", "metadata": {"name": "web"},
        "spec": {"hotfix": {"name": "web", "uid": "u"}, "advisory": {"ids": ["CVE-2024-22195"]}, "images": [],
                 "reason": "Jinja2", "requestedWith": ["kubectl"], "target": "web"},
    });
    Deed::create(DEPLOYMENTS, blue()).attempt(&editor).await.expect("the editor makes the workload");
    Deed::create(SERVICES, service("web", &json!({}))).attempt(&editor).await.expect("the editor makes its Service");
    Deed::create(HOTFIXES, hotfix("web")).attempt(&editor).await.expect("the editor asks for a hotfix");
    Deed::create(DEPLOYMENTS, green(GREEN)).attempt(&operator).await.expect("the operator makes the candidate");
    Deed::create(REPORTS, report).attempt(&operator).await.expect("the operator begins the record");
    eventually("both have a pod", async || list(&admin, PODS).await.len() == 2).await;
    let name = |objects: Vec<Value>, is_green: bool| {
        let of_side = |object: &&Value| object["metadata"]["labels"].get(objects::SLOT).is_some() == is_green;
        let found = objects.iter().find(of_side).expect("one of each side");
        found["metadata"]["name"].as_str().expect("a name").to_owned()
    };
    Names {
        green: name(list(&admin, PODS).await, true),
        green_replica_set: name(list(&admin, REPLICA_SETS).await, true),
        blue: name(list(&admin, PODS).await, false),
    }
}

/// What the documents tell people to apply is taken.
fn examples(cluster: &Cluster) {
    kubectl(cluster, &["apply", "--dry-run=server", "-f", "deploy/examples"]);
    kubectl(cluster, &["apply", "--dry-run=server", "-f", "charts/hotfix-operator/files/first-policy.yaml"]);
}

async fn list(client: &kube::Client, path: &str) -> Vec<Value> {
    let list = Deed::get(path).attempt(client).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    list["items"].as_array().cloned().unwrap_or_default()
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
