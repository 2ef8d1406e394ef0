//! What every chapter needs: a namespace with a workload in it, and hands to look at it.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use hotfix_e2e::cluster::Cluster;
use jiff::Timestamp;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use securityhotfix::cluster::{Call, CallError, Verb, send};
use securityhotfix::effect::{Effect, EffectError, Place, carry_out};
use securityhotfix::plan::action::{Action, Target, Versioned};
use serde_json::{Value, json};

pub const SERVICES: &str = "/api/v1/namespaces/shop/services";
pub const PODS: &str = "/api/v1/namespaces/shop/pods";
pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
pub const HOTFIXES: &str = "/apis/securityhotfix.dev/v1alpha1/namespaces/shop/securityhotfixes";
pub const REPORTS: &str = "/apis/securityhotfix.dev/v1alpha1/namespaces/shop/hotfixreports";
pub const OURS: &str = "securityhotfix-controller";

/// How long a controller may take for what it does in milliseconds, on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World<'a> {
    pub cluster: &'a Cluster,
    pub client: Client,
}

impl<'a> World<'a> {
    /// The kinds are installed, and a Deployment `web` in the namespace `shop` has its pods.
    pub async fn of(cluster: &'a Cluster) -> Self {
        securityhotfix::cluster::install_crypto();
        let world = Self { cluster, client: cluster.client().await.expect("a client") };
        world.kubectl(&["apply", "-f", "crds/"], None);
        world.kubectl(&["create", "namespace", "shop"], None);
        world.kubectl(&["create", "namespace", "hotfix-checks"], None);
        world.apply(&web(), &[]);
        eventually("the hotfix kind is served and the workload has its pods", async || {
            world.list(HOTFIXES).await.is_some() && world.list(PODS).await.is_some_and(|pods| pods.len() == 2)
        })
        .await;
        world
    }

    /// Applies an object as its owner does, by server-side apply.
    pub fn apply(&self, object: &Value, more: &[&str]) {
        let args = ["apply", "--server-side", "--field-manager=owner", "-f", "-"];
        self.kubectl(&[&args[..], more].concat(), Some(object));
    }

    pub fn kubectl(&self, args: &[&str], input: Option<&Value>) {
        use std::io::Write;
        use std::process::Stdio;
        let mut command = self.cluster.command("kubectl");
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(args);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(input.map(Value::to_string).unwrap_or_default().as_bytes()).expect("kubectl reads");
        drop(stdin);
        let output = child.wait_with_output().expect("kubectl ends");
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub async fn get(&self, collection: &str, name: &str) -> Value {
        send(&self.client, &Call::get(format!("{collection}/{name}"))).await.expect("it is there")
    }

    pub async fn list(&self, collection: &str) -> Option<Vec<Value>> {
        let list = send(&self.client, &Call::get(collection)).await.ok()?;
        list["items"].as_array().cloned()
    }

    pub async fn create(&self, collection: &str, object: Value) -> Value {
        let call = Call { verb: Verb::Create, path: collection.into(), query: Vec::new(), body: Some(object) };
        send(&self.client, &call).await.expect("it is made")
    }

    pub async fn json_patch(&self, collection: &str, name: &str, patch: Value) -> Result<Value, CallError> {
        let object = format!("{collection}/{name}");
        send(&self.client, &Call { verb: Verb::JsonPatch, path: object, query: Vec::new(), body: Some(patch) }).await
    }

    /// Carries out an action of the operator.
    pub async fn act(&self, action: &Action) -> Result<Effect, EffectError> {
        let place =
            Place { namespace: "shop".into(), hotfix: "web-cve".into(), checks_namespace: "hotfix-checks".into() };
        Ok(carry_out(&self.client, action, &place, Timestamp::now()).await?.effect)
    }

    /// Carries out an action that must end in `effect`.
    #[track_caller]
    pub fn must(&self, effect: Effect, action: Action) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            match self.act(&action).await {
                Ok(found) => assert_eq!(found, effect, "{} at {caller}", action.name()),
                Err(error) => panic!("{error}, at {caller}"),
            }
        }
    }

    /// Carries out an action that must change nothing, since what it relied on has changed.
    pub async fn outdated(&self, collection: &str, name: &str, action: Action) {
        let before = self.get(collection, name).await;
        self.must(Effect::Conflict, action).await;
        assert_eq!(version(&self.get(collection, name).await), version(&before), "nothing may be written");
    }
}

/// The administrator's connection in the name of somebody without rights.
pub async fn nobody(cluster: &Cluster) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).expect("the administrator's kubeconfig");
    for named in &mut kubeconfig.auth_infos {
        if let Some(auth) = &mut named.auth_info {
            auth.impersonate = Some("nobody".to_owned());
        }
    }
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

pub fn web() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]}},
        },
    })
}

pub fn service(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

/// The object as an action names it.
pub fn at(object: &Value) -> Versioned {
    Versioned { name: word(object, "name"), uid: word(object, "uid"), resource_version: version(object) }
}

pub fn target(object: &Value) -> Target {
    Target { name: word(object, "name"), uid: word(object, "uid") }
}

pub fn version(object: &Value) -> String {
    word(object, "resourceVersion")
}

pub fn word(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().expect("every object has it").to_owned()
}

/// What its owner sees of an object: labels, annotations and spec.
pub fn owners_view(object: &Value) -> Value {
    let mut annotations = object["metadata"]["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    json!([object["metadata"]["labels"], annotations, object["spec"]])
}

/// Places of our entries in managedFields.
pub fn our_entries(object: &Value) -> Vec<usize> {
    let entries = object["metadata"]["managedFields"].as_array().expect("every object has managers");
    entries.iter().enumerate().filter(|(_, entry)| entry["manager"] == OURS).map(|(index, _)| index).collect()
}

/// Waits until `what` holds.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
