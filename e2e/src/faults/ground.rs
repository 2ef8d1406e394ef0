//! The ground of the suite: a cluster without a real node, simulated pods, and one installation of the operator's rights for each
//! lane, rendered from the chart. The operator's own Deployment is left out: it runs as a process of this machine.

use std::process::{Child, Stdio};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::replies::{REFUSES, REGISTRY, VERSIONS, image};
use crate::cluster::Cluster;
use crate::lab::{Asked, Ground, LabError};
use crate::tools::Tool;

/// Namespace of the operators' service accounts.
pub const ACCOUNTS: &str = "faults";

/// How long a token of an operator is good: longer than the longest run.
const TOKEN_SECONDS: i64 = 12 * 3600;

/// The user of the administrator's kubeconfig, who clears up after a plan that went wrong.
const ADMINISTRATOR: &str = "admin";

/// How long the simulated node may take to be ready.
const NODE_PATIENCE: Duration = Duration::from_secs(30);

/// Simulated nodes and their pods; ends with the cluster at the latest.
pub struct Kwok(Child);

impl Kwok {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Kwok {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the simulation, and waits until its node is ready.
pub async fn simulate(cluster: &Cluster, client: &Client) -> Result<Kwok, LabError> {
    let stages = cluster.layout().at("kwok.yaml");
    std::fs::write(&stages, include_str!("../../manifests/kwok.yaml"))
        .asked(|| "writing the simulation's stages".to_owned())?;
    let log =
        std::fs::File::create(cluster.layout().log("kwok")).asked(|| "opening the simulation's log".to_owned())?;
    let errors = log.try_clone().asked(|| "opening the simulation's log".to_owned())?;
    let mut command = cluster.command(Tool::Kwok.path()?);
    command.arg("--manage-all-nodes").arg("--config").arg(stages).arg("--kubeconfig").arg(cluster.kubeconfig());
    command.args([
        "--cidr",
        "10.244.0.1/16",
        "--node-ip",
        "10.0.0.1",
        "--node-lease-duration-seconds",
        "40",
        "-v",
        "ERROR",
    ]);
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    let kwok = Kwok(child.asked(|| "starting kwok".to_owned())?);

    let plenty = json!({"cpu": "10000", "memory": "10000Gi", "pods": "100000"});
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "simulated", "labels": {"kubernetes.io/hostname": "simulated", "kubernetes.io/os": "linux"}},
        "status": {"capacity": plenty, "allocatable": plenty},
    });
    let nodes = Api::<Node>::all(client.clone());
    let apply = PatchParams::apply("faults").force();
    nodes.patch("simulated", &apply, &Patch::Apply(&node)).await.asked(|| "making the node".to_owned())?;
    let begun = tokio::time::Instant::now();
    loop {
        let node = nodes.get("simulated").await.asked(|| "reading the node".to_owned())?;
        let tainted = node.spec.and_then(|spec| spec.taints).is_some_and(|taints| !taints.is_empty());
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        if !tainted && conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True") {
            return Ok(kwok);
        }
        if begun.elapsed() > NODE_PATIENCE {
            return Err(LabError::Unfit("the simulated node does not become ready".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Installs the definitions, the checks, and a policy for each choice of tests.
pub async fn prepare(ground: &Ground) -> Result<(), LabError> {
    ground.kubectl(&["apply", "-f", "crds/"], None).await?;
    let crds = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
    ground.kubectl(&crds, None).await?;
    let test = |name: &str, word: &str| {
        let container = json!({"image": format!("{REGISTRY}/check:1"), "command": ["check", word]});
        check(name, &json!({"test": {"timeout": "2m", "container": container}}))
    };
    let trivy = json!({"image": format!("{REGISTRY}/trivy:1"), "command": ["trivy", "image", "$(IMAGE)"]});
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNTS}}),
        check("trivy", &json!({"scan": {"format": "TrivyJson", "timeout": "2m", "container": trivy}})),
        test("passes", "smoke"),
        test("refuses", REFUSES),
    ];
    for analysis in ["passes", "refuses"] {
        for verification in ["passes", "refuses"] {
            objects.push(policy(analysis, verification));
        }
    }
    apply(ground, &objects).await
}

fn check(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityCheck", "metadata": {"name": name}, "spec": spec})
}

/// The name of the policy with these tests.
pub fn policy_name(analysis: &str, verification: &str) -> String {
    format!("{analysis}-{verification}")
}

fn policy(analysis: &str, verification: &str) -> Value {
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "HotfixPolicy",
        "metadata": {"name": policy_name(analysis, verification)},
        "spec": {
            "images": {"allow": [format!("{REGISTRY}/*")]},
            "gates": {
                "scan": [{"check": "trivy", "failOn": {"introduced": "High"}}],
                "analyze": [{"check": analysis}],
                "verify": [{"check": verification}],
            },
            "soak": "1s",
            // Nothing may come to its end by a time-out of the scenario's own, however slow the fault makes it.
            "timeouts": {"staging": "5m", "convergence": "5m"},
        },
    })
}

async fn apply(ground: &Ground, objects: &[Value]) -> Result<(), LabError> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    ground.kubectl(&["apply", "-f", "-"], Some(&list.to_string())).await.map(drop)
}

/// Who a lane's operator is.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The token of its service account.
    pub token: String,
    /// The Lease by which it leads, in the namespace of the service accounts.
    pub lease: String,
}

/// Makes a lane's two namespaces and gives its operator the rights the chart gives, no more.
pub async fn install(ground: &Ground, client: &Client, lane: &str) -> Result<Installed, LabError> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": lane}});
    apply(ground, &[namespace]).await?;
    let settings = format!(
        "watchNamespace={lane},checks.namespace={lane}-checks,serviceAccount.name={lane},crds.enabled=false,rbac.aggregate=false"
    );
    let trusted = format!("admissionPolicies.trustedUsers={{{ADMINISTRATOR}}}");
    let rendered = ground
        .helm(&[
            "template",
            lane,
            "charts/hotfix-operator",
            "--kube-version",
            "1.34",
            "--namespace",
            ACCOUNTS,
            "--set",
            &settings,
            "--set",
            &trusted,
        ])
        .await?;
    // The roles let it lead by the one Lease that the chart tells the operator of.
    let lease = rendered.lines().find_map(|line| line.trim().strip_prefix("- --lease-name="));
    let lease = lease.ok_or_else(|| LabError::Unfit("the chart names no lease".to_owned()))?.to_owned();
    let documents = rendered.split("\n---").filter(|document| !document.lines().any(|line| line == "kind: Deployment"));
    let kept = documents.collect::<Vec<_>>().join("\n---");
    ground.kubectl(&["apply", "-f", "-"], Some(&kept)).await?;
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), ACCOUNTS);
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let token = accounts.create_token_request(lane, &PostParams::default(), &request).await;
    let token = token.asked(|| format!("asking for a token of {lane}"))?.status.map(|status| status.token);
    let token = token.ok_or_else(|| LabError::Unfit(format!("no token for {lane}")))?;
    Ok(Installed { token, lease })
}

/// A client that trusts the API server and has no credentials: each request brings its own.
pub async fn without_credentials(cluster: &Cluster) -> Result<Client, LabError> {
    let unfit = |why: String| LabError::Unfit(format!("a client without credentials: {why}"));
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).map_err(|error| unfit(error.to_string()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| unfit(error.to_string()))?;
    config.auth_info = AuthInfo::default();
    config.default_retry = false;
    config.read_timeout = None;
    Client::try_from(config).map_err(|error| unfit(error.to_string()))
}

/// The operator's kubeconfig: its token, and the proxy instead of the API server.
pub fn kubeconfig(address: std::net::SocketAddr, token: &str, lane: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "lane",
        "clusters": [{"name": "lane", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "lane", "context": {"cluster": "lane", "user": "operator", "namespace": lane}}],
    })
    .to_string()
}

/// Every image a workload may run, told once in the log of a run.
pub fn images() -> String {
    VERSIONS.map(|version| format!("{version} = {}", image(version))).join(", ")
}
