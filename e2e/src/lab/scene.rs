//! One namespace of the lab: a workload, a policy, a hotfix, clients, and what can be seen of them.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use securityhotfix::api::{HotfixReport, SecurityHotfix};
use serde_json::json;

use super::conditions::{is_finished, told};
use super::error::{Asked, LabError};
use super::leftovers::leftovers;
use super::production::Production;
use super::wait::{until, until_clear};
use super::{Lab, PATIENCE, dump, manifest};
use crate::http;
use crate::images::Published;
use crate::load::generator::Plan;
use crate::load::{Ledger, Load, Snapshot};

/// Everything of an attempt is gone when it is over; the rest is for pods that are still ending.
const LEAVING: Duration = Duration::from_secs(60);

/// No story takes longer; clients that nobody stops end by themselves then.
const LONGEST: Duration = Duration::from_secs(900);

/// A namespace to work in.
pub struct Scene<'a> {
    /// The lab it is in.
    pub lab: &'a Lab,
    /// A client with every right.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

/// A Deployment with a Service of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The name of both.
    pub name: String,
    /// What it was deployed with.
    pub image: Published,
}

/// What the policy of a scene demands. The lists are written as in YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOptions {
    /// The scan gate.
    pub scan: String,
    /// The analysis gate.
    pub analyze: String,
    /// The verification gate.
    pub verify: String,
    /// How long the candidate serves before it is believed.
    pub soak: String,
    /// How long it may take to start.
    pub staging: String,
    /// How long the endpoints may take to follow.
    pub convergence: String,
}

impl Default for PolicyOptions {
    /// Trivy, a smoke test of the preview, and the candidate's health while it serves for three seconds.
    fn default() -> Self {
        Self {
            scan: "[{check: trivy, failOn: {introduced: High}}]".to_owned(),
            analyze: "[{check: smoke, args: {path: /healthz}}]".to_owned(),
            verify: "[{check: answers, args: {path: /deep}}]".to_owned(),
            soak: "3s".to_owned(),
            staging: "60s".to_owned(),
            convergence: "30s".to_owned(),
        }
    }
}

/// Clients at work on a Service.
pub struct Clients<'a> {
    load: Load,
    pod: Option<(&'a Scene<'a>, String)>,
}

impl Clients<'_> {
    /// The figures up to now.
    pub fn snapshot(&self) -> Snapshot {
        self.load.snapshot()
    }

    /// Waits until the figures satisfy a condition.
    pub async fn wait_for(&self, what: &str, condition: impl FnMut(&Snapshot) -> bool) -> Result<Snapshot, LabError> {
        Ok(self.load.wait_for(what, PATIENCE, condition).await?)
    }

    /// The full account up to now.
    pub fn ledger(&self) -> Ledger {
        self.load.ledger()
    }

    /// Stops them and gives the full account.
    pub async fn stop(self) -> Result<Ledger, LabError> {
        if let Some((scene, pod)) = &self.pod {
            let pods = Api::<Pod>::namespaced(scene.client.clone(), &scene.namespace);
            pods.delete(pod, &DeleteParams::default()).await.asked(|| "stopping the clients".to_owned())?;
        }
        Ok(self.load.stop().await?)
    }
}

impl<'a> Scene<'a> {
    /// Another scene of the same lab, beside this one.
    pub async fn beside(&self, namespace: &str) -> Result<Self, LabError> {
        Self::set(self.lab, namespace).await
    }

    /// Makes the namespace, anew if it is there. Its policy is the one of its own name.
    pub(super) async fn set(lab: &'a Lab, namespace: &str) -> Result<Self, LabError> {
        let client = lab.ground().client().await?;
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"securityhotfix.dev/policy": namespace}},
        });
        let scene = Self { lab, client, namespace: namespace.to_owned() };
        Self::strike(lab, namespace, "--wait=true").await?;
        lab.apply(&manifest.to_string()).await?;
        Ok(scene)
    }

    /// Takes the namespace and its policy away; the end of it is not waited for.
    pub async fn leave(&self) -> Result<(), LabError> {
        Self::strike(self.lab, &self.namespace, "--wait=false").await
    }

    /// Takes the namespace and its policy away, and waits for the end of it.
    pub(super) async fn take_away(lab: &Lab, namespace: &str) -> Result<(), LabError> {
        Self::strike(lab, namespace, "--wait=true").await
    }

    async fn strike(lab: &Lab, namespace: &str, wait: &str) -> Result<(), LabError> {
        let policy = format!("hotfixpolicies.securityhotfix.dev/{namespace}");
        let namespace = format!("namespace/{namespace}");
        let delete = ["delete", "--ignore-not-found", wait, &namespace, &policy];
        lab.ground().kubectl(&delete, None).await.map(drop)
    }

    /// An API of this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Deploys the application with three replicas, and waits until they serve.
    pub async fn workload(&self, name: &str, image: &Published) -> Result<Workload, LabError> {
        let places = [("name", name), ("namespace", &*self.namespace), ("replicas", "3"), ("image", image.as_str())];
        self.lab.apply(&manifest::fill(manifest::WEB, &places)).await?;
        self.rolled_out(name).await?;
        self.answers(name).await?;
        Ok(Workload { name: name.to_owned(), image: image.clone() })
    }

    /// Waits until the Service answers: an available pod is known to kube-proxy only a moment later.
    async fn answers(&self, name: &str) -> Result<(), LabError> {
        if self.lab.cluster().is_none() {
            // From outside nobody can ask; the routes of any cluster follow within this time.
            tokio::time::sleep(Duration::from_secs(5)).await;
            return Ok(());
        }
        let address = self.address(name).await?;
        until_clear(&format!("an answer of Service {name}"), PATIENCE, async || {
            let asked = tokio::time::timeout(Duration::from_secs(1), http::get(address, name, "/")).await;
            Ok(match asked {
                Ok(Ok(reply)) if reply.status.is_success() => Vec::new(),
                Ok(Ok(reply)) => vec![format!("status {}", reply.status)],
                Ok(Err(failure)) => vec![failure.to_string()],
                Err(_elapsed) => vec!["no answer".to_owned()],
            })
        })
        .await
    }

    /// Where a Service of the scene is reached inside the cluster.
    pub async fn address(&self, service: &str) -> Result<SocketAddr, LabError> {
        let found = self.api::<Service>().get(service).await.asked(|| "reading the Service".to_owned())?;
        let ip = found.spec.and_then(|spec| spec.cluster_ip).and_then(|ip| ip.parse().ok());
        let ip = ip.ok_or_else(|| LabError::Unfit(format!("Service {service} has no address")))?;
        Ok(SocketAddr::new(ip, 80))
    }

    /// Waits until the Deployment's own rollout is complete.
    pub async fn rolled_out(&self, name: &str) -> Result<(), LabError> {
        let complete = |deployment: Option<&Deployment>| {
            let Some((spec, status)) = deployment.and_then(|it| Some((it.spec.as_ref()?, it.status.as_ref()?))) else {
                return false;
            };
            let wanted = spec.replicas.unwrap_or(1);
            status.observed_generation >= deployment.and_then(|it| it.metadata.generation)
                && [status.updated_replicas, status.available_replicas, status.replicas] == [Some(wanted); 3]
        };
        let what = format!("the rollout of {name}");
        let told = |it: &Deployment| format!("{:?}", it.status);
        until(self.api::<Deployment>(), name, &what, PATIENCE, told, complete).await.map(drop)
    }

    /// Writes the policy of this namespace.
    pub async fn policy(&self, options: &PolicyOptions) -> Result<(), LabError> {
        let places = [
            ("name", &*self.namespace),
            ("registry", &*self.lab.ground().registry()),
            ("scan", &*options.scan),
            ("analyze", &*options.analyze),
            ("verify", &*options.verify),
            ("soak", &*options.soak),
            ("staging", &*options.staging),
            ("convergence", &*options.convergence),
        ];
        self.lab.apply(&manifest::fill(manifest::POLICY, &places)).await
    }

    /// The manifest of a hotfix.
    pub fn hotfix_manifest(&self, name: &str, workload: &Workload, image: &Published) -> String {
        let places =
            [("name", name), ("namespace", &*self.namespace), ("target", &*workload.name), ("image", image.as_str())];
        manifest::fill(manifest::HOTFIX, &places)
    }

    /// Asks for a hotfix, as `kubectl apply` does.
    pub async fn hotfix(&self, name: &str, workload: &Workload, image: &Published) -> Result<(), LabError> {
        self.lab.apply(&self.hotfix_manifest(name, workload, image)).await
    }

    /// Waits for a state of a hotfix; `what` names it for the error.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        mut holds: impl FnMut(&SecurityHotfix) -> bool,
    ) -> Result<SecurityHotfix, LabError> {
        let what = format!("{what} ({}/{name})", self.namespace);
        let found = until(self.api(), name, &what, PATIENCE, told, |hotfix: Option<&SecurityHotfix>| {
            hotfix.is_some_and(&mut holds)
        })
        .await?;
        found.ok_or_else(|| LabError::Unfit(format!("{what}: the hotfix is gone")))
    }

    /// Waits until a hotfix has come to an end, good or bad.
    pub async fn finished(&self, name: &str) -> Result<SecurityHotfix, LabError> {
        self.until(name, "the end of the hotfix", is_finished).await
    }

    /// Waits until an object is gone.
    pub async fn gone<K>(&self, name: &str) -> Result<(), LabError>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Send
            + serde::de::DeserializeOwned
            + 'static,
    {
        let what = format!("the end of {} {name}", K::kind(&()));
        let told = |object: &K| format!("finalizers {:?}", object.meta().finalizers);
        until(self.api::<K>(), name, &what, PATIENCE, told, |object| object.is_none()).await.map(drop)
    }

    /// The record of a hotfix.
    pub async fn report(&self, hotfix: &SecurityHotfix) -> Result<HotfixReport, LabError> {
        let uid = hotfix.uid().unwrap_or_default();
        let name = securityhotfix::api::names::report(&hotfix.name_any(), &uid);
        self.api::<HotfixReport>().get(&name).await.asked(|| format!("reading the record {name}"))
    }

    /// Changes an object by a merge patch, as some person would.
    pub async fn patch<K>(&self, name: &str, patch: serde_json::Value) -> Result<K, LabError>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let patched = self.api::<K>().patch(name, &params, &Patch::Merge(patch)).await;
        patched.asked(|| format!("patching {name}"))
    }

    /// The same by a strategic merge patch, as `kubectl set` does it.
    pub async fn strategic_patch<K>(&self, name: &str, patch: serde_json::Value) -> Result<K, LabError>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let patched = self.api::<K>().patch(name, &params, &Patch::Strategic(patch)).await;
        patched.asked(|| format!("patching {name}"))
    }

    /// Waits until a Service's selector has this key.
    pub async fn service_selects(&self, service: &str, key: &str) -> Result<(), LabError> {
        let what = format!("{key} in the selector of Service {service}");
        let selects = |found: Option<&Service>| {
            let selector = found.and_then(|found| found.spec.as_ref()?.selector.as_ref());
            selector.is_some_and(|selector| selector.contains_key(key))
        };
        let told = |found: &Service| format!("{:?}", found.spec.as_ref().and_then(|spec| spec.selector.as_ref()));
        until(self.api::<Service>(), service, &what, PATIENCE, told, selects).await.map(drop)
    }

    /// Waits until the namespace itself is gone.
    pub async fn namespace_gone(&self) -> Result<(), LabError> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let what = format!("the end of namespace {}", self.namespace);
        let told = |found: &Namespace| {
            let conditions = found.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
            conditions.into_iter().filter_map(|condition| condition.message).collect::<Vec<_>>().join("; ")
        };
        until(namespaces, &self.namespace, &what, PATIENCE, told, |found| found.is_none()).await.map(drop)
    }

    /// What belongs to the user, as it is now.
    pub async fn production(&self) -> Result<Production, LabError> {
        Production::of(&self.client, &self.namespace).await
    }

    /// Everything of ours that is still there.
    pub async fn leftovers(&self) -> Result<Vec<String>, LabError> {
        // On the heap: nine lists at once are a large future.
        Box::pin(leftovers(&self.client, &self.namespace)).await
    }

    /// Waits until nothing of ours is left but the records.
    pub async fn nothing_left(&self) -> Result<(), LabError> {
        until_clear("the end of everything of ours", LEAVING, async || self.leftovers().await).await
    }

    /// Names of the workload's pods that run now, by the version label of nobody: those of the Deployment itself.
    pub async fn pods(&self, selector: &str) -> Result<Vec<Pod>, LabError> {
        let pods = self.api::<Pod>().list(&ListParams::default().labels(selector)).await;
        Ok(pods.asked(|| "listing pods".to_owned())?.items)
    }

    /// Lets clients ask the workload's Service at this many requests a second, all together.
    pub async fn load(
        &self,
        workload: &Workload,
        new_clients: u16,
        keep_alive_clients: u16,
        rate: u32,
    ) -> Result<Clients<'_>, LabError> {
        let plan = Plan {
            address: self.address(&workload.name).await?,
            host: workload.name.clone(),
            path: "/".to_owned(),
            new_clients,
            keep_alive_clients,
            rate,
            duration: LONGEST,
        };
        match self.lab.cluster() {
            Some(cluster) => {
                let load = Load::start(cluster.command(&self.lab.images().programs().load), &plan)?;
                Ok(Clients { load, pod: None })
            }
            None => self.load_in_a_pod(&plan).await,
        }
    }

    async fn load_in_a_pod(&self, plan: &Plan) -> Result<Clients<'_>, LabError> {
        let image = self.lab.load_image().await?;
        let name = format!("clients-{}", plan.host);
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"role": "clients"}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 20,
                "containers": [{
                    "name": "load",
                    "image": image.as_str(),
                    "args": [
                        plan.address.to_string(), "--host", plan.host, "--path", plan.path,
                        "--new", plan.new_clients.to_string(), "--keep-alive", plan.keep_alive_clients.to_string(),
                        "--rate", plan.rate.to_string(), "--seconds", plan.duration.as_secs().to_string(),
                    ],
                }],
            },
        });
        self.lab.apply(&pod.to_string()).await?;
        let running = |pod: Option<&Pod>| {
            pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()).is_some_and(|phase| phase == "Running")
        };
        let told = |pod: &Pod| format!("{:?}", pod.status);
        until(self.api::<Pod>(), &name, "the clients", PATIENCE, told, running).await?;
        let mut logs = self.lab.ground().command("kubectl");
        logs.args(["logs", "--follow", "--namespace", &self.namespace, &name]).stdin(Stdio::null());
        let mut logs = tokio::process::Command::from(logs)
            .stdout(Stdio::piped())
            .spawn()
            .asked(|| "following the clients' log".to_owned())?;
        let lines = logs.stdout.take().ok_or_else(|| LabError::Unfit("kubectl has no output".to_owned()))?;
        tokio::spawn(async move { logs.wait().await });
        Ok(Clients { load: Load::follow(lines), pod: Some((self, name)) })
    }

    /// The state of the scene as text, for whoever has to find out what went wrong.
    pub async fn dump(&self) -> String {
        dump::dump(self.lab.ground(), &self.namespace).await
    }
}
