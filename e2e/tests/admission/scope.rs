//! How far an installation reaches, and that what Kubernetes itself has to collect is let go.

use hotfix_e2e::cluster::Cluster;
use serde_json::json;

use crate::deed::{Deed, Ends, Who, client_of};
use crate::objects::{DEPLOYMENTS, HOTFIXES, green, hotfix};
use crate::{eventually, helm, kubectl};

const ONE: &str = "/apis/apps/v1/namespaces/one/deployments";
const OTHER: &str = "/apis/apps/v1/namespaces/other/deployments";

/// An operator for one namespace: its rights and its admission policies end there, and removing it keeps the definitions.
pub async fn one_namespace(cluster: &Cluster) {
    for namespace in ["one", "other"] {
        kubectl(cluster, &["create", "namespace", namespace]);
    }
    let install = ["install", "small", "charts/hotfix-operator", "--namespace", "small-system", "--create-namespace"];
    helm(cluster, &[&install[..], &["--set", "watchNamespace=one"]].concat());

    let operator = client_of(cluster, "system:serviceaccount:small-system:small-hotfix-operator").await;
    let allowed = [
        "/api/v1/namespaces/one",
        "/api/v1/namespaces/one/pods",
        "/apis/apps/v1/namespaces/one/deployments",
        "/apis/securityhotfix.dev/v1alpha1/hotfixpolicies",
        "/apis/batch/v1/namespaces/small-system-checks/jobs",
    ];
    let denied = [
        "/api/v1/namespaces",
        "/api/v1/namespaces/other",
        "/api/v1/namespaces/other/pods",
        "/api/v1/namespaces/one/secrets",
        "/api/v1/namespaces/small-system/pods",
        "/api/v1/namespaces/small-system-checks/secrets",
        "/apis/apps/v1/deployments",
        "/apis/batch/v1/namespaces/one/jobs",
    ];
    for path in allowed {
        eventually(path, async || Deed::get(path).attempt(&operator).await.is_ok()).await;
    }
    for path in denied {
        let outcome = Deed::get(path).attempt(&operator).await;
        assert!(Ends::NotAllowed.met(&outcome), "{path}: {outcome:?}");
    }

    let admin = cluster.client().await.expect("a client");
    let inside = Deed::create(ONE, green("web")).rehearsed();
    eventually("the policies count in the namespace", async || inside.attempt(&admin).await.is_err()).await;
    let outside = Deed::create(OTHER, green("web")).rehearsed().attempt(&admin).await;
    assert!(outside.is_ok(), "another namespace is none of this operator's business: {outside:?}");

    helm(cluster, &["uninstall", "small", "--namespace", "small-system", "--wait"]);
    let kept = Deed::get("/apis/securityhotfix.dev/v1alpha1/hotfixpolicies").attempt(&admin).await;
    assert!(kept.is_ok(), "the definitions are gone: {kept:?}");
    // The next release is another one, and takes them over only from nobody.
    kubectl(cluster, &["delete", "crd", "--all", "--wait"]);
}

/// A candidate that its hotfix owns goes with the hotfix, and a namespace goes with all that is in it.
pub async fn what_is_collected(cluster: &Cluster) {
    let operator = client_of(cluster, Who::Operator.user()).await;
    let editor = client_of(cluster, Who::Editor.user()).await;
    let made = Deed::create(HOTFIXES, hotfix("owner")).attempt(&editor).await.expect("a hotfix");
    let mut owned = green("owned");
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityHotfix",
        "name": "owner", "uid": made["metadata"]["uid"],
    }]);
    let at = format!("{DEPLOYMENTS}/owned");
    Deed::create(DEPLOYMENTS, owned).attempt(&operator).await.expect("an owned candidate");
    Deed::delete(format!("{HOTFIXES}/owner")).attempt(&editor).await.expect("the hotfix is deleted");
    eventually("the candidate is collected", async || Deed::get(&at).attempt(&operator).await.is_err()).await;

    kubectl(cluster, &["delete", "namespace", "shop", "--wait=false"]);
    let admin = cluster.client().await.expect("a client");
    eventually("the namespace goes", async || Deed::get("/api/v1/namespaces/shop").attempt(&admin).await.is_err())
        .await;
}
