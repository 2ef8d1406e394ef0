//! What of ours is still there: by label, name, finalizer, mark, slot and field manager.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use securityhotfix::api::SecurityHotfix;
use securityhotfix::api::names::{FINALIZER, HOTFIX_NAMESPACE, MANAGER, MARK, SLOT};
use serde::de::DeserializeOwned;

use super::CHECKS_NAMESPACE;
use super::error::{Asked, LabError};

/// Everything of ours in a namespace and in that of its checks, but for the records; one line each.
pub async fn leftovers(client: &Client, namespace: &str) -> Result<Vec<String>, LabError> {
    let everything = ListParams::default();
    let of_checks = ListParams::default().labels(&format!("{HOTFIX_NAMESPACE}={namespace}"));
    let (deployments, replica_sets, pods, services, budgets, leases, hotfixes, jobs, check_pods) = tokio::try_join!(
        list::<Deployment>(client, namespace, &everything),
        list::<ReplicaSet>(client, namespace, &everything),
        list::<Pod>(client, namespace, &everything),
        list::<Service>(client, namespace, &everything),
        list::<PodDisruptionBudget>(client, namespace, &everything),
        list::<Lease>(client, namespace, &everything),
        list::<SecurityHotfix>(client, namespace, &everything),
        list::<Job>(client, CHECKS_NAMESPACE, &of_checks),
        list::<Pod>(client, CHECKS_NAMESPACE, &of_checks),
    )?;
    let mut left = Vec::new();
    left.extend(deployments.iter().filter_map(|object| trace("deployment", object)));
    left.extend(replica_sets.iter().filter_map(|object| trace("replicaset", object)));
    left.extend(pods.iter().filter_map(|object| trace("pod", object)));
    left.extend(services.iter().filter_map(|object| trace("service", object)));
    left.extend(
        services
            .iter()
            .filter(|object| selects_a_slot(object))
            .map(|object| format!("service/{} selects a slot", object.name_any())),
    );
    left.extend(budgets.iter().filter_map(|object| trace("budget", object)));
    left.extend(leases.iter().filter_map(|object| trace("lease", object)));
    left.extend(
        leases
            .iter()
            .filter(|object| object.name_any().starts_with("hotfix-"))
            .map(|object| format!("lease/{}", object.name_any())),
    );
    left.extend(
        hotfixes
            .iter()
            .filter(|object| object.finalizers().iter().any(|finalizer| finalizer == FINALIZER))
            .map(|object| format!("hotfix/{} has our finalizer", object.name_any())),
    );
    left.extend(jobs.iter().map(|object| format!("job/{} of a check", object.name_any())));
    left.extend(check_pods.iter().map(|object| format!("pod/{} of a check", object.name_any())));
    Ok(left)
}

async fn list<K>(client: &Client, namespace: &str, what: &ListParams) -> Result<Vec<K>, LabError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let listed = Api::<K>::namespaced(client.clone(), namespace).list(what).await;
    Ok(listed.asked(|| format!("listing {} of {namespace}", K::plural(&())))?.items)
}

fn trace<K: ResourceExt>(kind: &str, object: &K) -> Option<String> {
    let name = object.name_any();
    if object.labels().contains_key(SLOT) {
        return Some(format!("{kind}/{name} has a slot"));
    }
    if object.annotations().contains_key(MARK) {
        return Some(format!("{kind}/{name} has a mark"));
    }
    let ours = object.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some(MANAGER));
    // The image in the user's Deployment is ours until its owner writes one; it is the fix.
    (ours && kind != "deployment").then(|| format!("{kind}/{name} has fields of {MANAGER}"))
}

fn selects_a_slot(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| selector.contains_key(SLOT))
}
