//! What people and nodes do in a lane, with the administrator's rights: make the workload, ask for a hotfix, change their minds.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use securityhotfix::api::names::{ABORT, SLOT};
use securityhotfix::api::{HotfixReport, SecurityHotfix};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ground::policy_name;
use super::replies::image;
use super::scenario::{HOTFIX, LATER, Move, Scenario, WORKLOAD};
use super::watcher::Watcher;
use super::world::{Kind, World, condition, label, list, text};
use crate::lab::{Asked, LabError};

/// Pods of the workload: two, so that one is ahead of the other.
const REPLICAS: usize = 2;

/// How long the lane may take to be empty, or the workload to be ready.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody with every right in a lane.
#[derive(Clone)]
pub struct People {
    /// Their client.
    pub client: Client,
    /// The lane.
    pub lane: String,
}

impl People {
    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.lane)
    }

    /// Takes away whatever the plan before left, also where it left too much.
    pub async fn clear(&self, watcher: &Watcher) -> Result<(), LabError> {
        let hotfixes = self.api::<SecurityHotfix>();
        for hotfix in hotfixes.list(&ListParams::default()).await.asked(|| "listing hotfixes".to_owned())? {
            if !hotfix.finalizers().is_empty() {
                let none = json!({"metadata": {"finalizers": null}});
                let patched = hotfixes.patch(&hotfix.name_any(), &PatchParams::default(), &Patch::Merge(none)).await;
                patched.asked(|| "taking a finalizer off".to_owned())?;
            }
        }
        delete_all(&hotfixes).await?;
        delete_all(&self.api::<HotfixReport>()).await?;
        delete_all(&self.api::<Deployment>()).await?;
        delete_all(&self.api::<PodDisruptionBudget>()).await?;
        delete_all(&self.api::<Lease>()).await?;
        let services = self.api::<Service>();
        for service in services.list(&ListParams::default()).await.asked(|| "listing Services".to_owned())? {
            delete(&services, &service.name_any()).await?;
        }
        delete_all(&Api::<Job>::namespaced(self.client.clone(), &format!("{}-checks", self.lane))).await?;
        let empty = |world: &World| Kind::ALL.into_iter().all(|kind| world.all(kind).next().is_none());
        if watcher.until(&self.lane, PATIENCE, empty).await {
            return Ok(());
        }
        Err(LabError::Unfit(format!("lane {} does not become empty", self.lane)))
    }

    /// Deploys the vulnerable version behind its Services, and waits until it serves.
    pub async fn deploy(&self, scenario: &Scenario, watcher: &Watcher) -> Result<(), LabError> {
        let policy = policy_name(scenario.analysis, scenario.verification);
        let labelled = json!({"metadata": {"labels": {"securityhotfix.dev/policy": policy}}});
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let patched = namespaces.patch(&self.lane, &PatchParams::default(), &Patch::Merge(labelled)).await;
        patched.asked(|| "choosing the policy".to_owned())?;
        create(&self.api::<Deployment>(), &workload()).await?;
        for name in scenario.services {
            let service = json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": WORKLOAD}},
                "spec": {"selector": {"app": WORKLOAD}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
            });
            create(&self.api::<Service>(), &service).await?;
        }
        let serves = |world: &World| {
            let ready = |service: &&str| super::laws::sides(world, service).blue == REPLICAS;
            scenario.services.iter().all(ready) && world.get(Kind::Deployment, WORKLOAD).is_some_and(is_rolled_out)
        };
        if watcher.until(&self.lane, PATIENCE, serves).await {
            return Ok(());
        }
        Err(LabError::Unfit(format!("the workload of lane {} does not come up", self.lane)))
    }

    /// Asks for a hotfix.
    pub async fn ask(&self, name: &str) -> Result<(), LabError> {
        let hotfix = json!({
            "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityHotfix", "metadata": {"name": name},
            "spec": {
                "advisory": {
                    "ids": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"], "severity": "Medium",
                    "publishedAt": "2024-01-11T00:00:00Z",
                },
                "target": {"kind": "Deployment", "name": WORKLOAD},
                "images": [{"container": WORKLOAD, "image": image(Scenario::candidate(name))}],
                "staging": {"replicas": 1},
                "reason": "Jinja2: attribute injection through the xmlattr filter; upgrade to 3.1.6",
            },
        });
        create(&self.api::<SecurityHotfix>(), &hotfix).await
    }

    /// Makes a move.
    pub async fn make(&self, happens: Move) -> Result<(), LabError> {
        let hotfixes = self.api::<SecurityHotfix>();
        match happens {
            Move::Abort => {
                let abort = json!({"metadata": {"annotations": {ABORT: "1/changed our minds"}}});
                let patched = hotfixes.patch(HOTFIX, &PatchParams::default(), &Patch::Merge(abort)).await;
                patched.map(drop).asked(|| "aborting".to_owned())
            }
            Move::Delete => delete(&hotfixes, HOTFIX).await,
            Move::AskLater => self.ask(LATER).await,
            Move::Redeploy(version) => {
                let container = json!([{"name": WORKLOAD, "image": image(version)}]);
                let patch = json!({"spec": {"template": {"spec": {"containers": container}}}});
                let deployments = self.api::<Deployment>();
                let patched = deployments.patch(WORKLOAD, &PatchParams::default(), &Patch::Strategic(patch)).await;
                patched.map(drop).asked(|| "deploying another version".to_owned())
            }
            Move::KillGreen => self.kill_candidates().await,
        }
    }

    /// What a kubelet tells of pods whose containers have died.
    async fn kill_candidates(&self) -> Result<(), LabError> {
        let pods = self.api::<Pod>();
        let candidates =
            pods.list(&ListParams::default().labels(SLOT)).await.asked(|| "listing the candidate's pods".to_owned())?;
        for pod in candidates {
            let dead = |kind: &str| json!({"type": kind, "status": "False", "reason": "ContainersNotReady"});
            let container = json!({"name": WORKLOAD, "ready": false, "image": "", "imageID": image("v2"), "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
            let status = json!({"status": {"conditions": [dead("ContainersReady"), dead("Ready")], "containerStatuses": [container]}});
            let patched = pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(status)).await;
            patched.asked(|| format!("killing {}", pod.name_any()))?;
        }
        Ok(())
    }
}

fn workload() -> Value {
    let container = json!({"name": WORKLOAD, "image": image("v1"), "ports": [{"containerPort": 8080}]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": WORKLOAD, "labels": {"app": WORKLOAD}, "annotations": {"shop.example/owner": "team-web"}},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": WORKLOAD}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": WORKLOAD}}, "spec": {"containers": [container]}},
        },
    })
}

fn is_rolled_out(deployment: &Value) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64);
    number("/status/observedGeneration") == number("/metadata/generation")
        && number("/status/availableReplicas") == number("/spec/replicas")
}

async fn create<K>(api: &Api<K>, object: &Value) -> Result<(), LabError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    let read: K = serde_json::from_value(object.clone()).map_err(|error| LabError::Unfit(error.to_string()))?;
    let params = PostParams { field_manager: Some("owner".to_owned()), ..PostParams::default() };
    api.create(&params, &read).await.map(drop).asked(|| format!("making {}", text(object, "/metadata/name")))
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), LabError>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    match api.delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).asked(|| format!("deleting {name}")),
    }
}

async fn delete_all<K>(api: &Api<K>) -> Result<(), LabError>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let deleted = api.delete_collection(&DeleteParams::background(), &ListParams::default()).await;
    deleted.map(drop).asked(|| "clearing the lane".to_owned())
}

/// Whether anything in the lane still has to end.
pub fn is_restless(world: &World) -> bool {
    let leaving = |kind: Kind| world.all(kind).any(|it| it.pointer("/metadata/deletionTimestamp").is_some());
    let unready =
        world.all(Kind::Pod).any(|pod| label(pod, "app") == Some(WORKLOAD) && condition(pod, "Ready") != "True");
    let rolling = world.get(Kind::Deployment, WORKLOAD).is_some_and(|deployment| !is_rolled_out(deployment));
    let check_pods = world
        .all(Kind::Pod)
        .any(|pod| list(pod, "/metadata/ownerReferences").iter().any(|it| text(it, "/kind") == "Job"));
    Kind::ALL.into_iter().any(leaving) || unready || rolling || check_pods
}
