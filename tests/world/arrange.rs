//! The beginning of most stories: `web` in namespace `shop`, three pods of a vulnerable image, one Service, a policy, and
//! a hotfix that asks for the patched one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use securityhotfix::api::{SecurityHotfixSpec, SecurityHotfixStatus};
use securityhotfix::plan::observed::{
    Budget, Hotfix, Manager, Map, Namespace, Owns, Policy, Service, Settings, Workload,
};
use serde_json::{Value, json};

use super::policy::{checks, policy};
use super::script::{Image, Script};
use super::{Operator, World, map};

/// The Deployment every story is about.
pub const BLUE: &str = "web";
/// Its vulnerable image.
pub const V1: &str = "registry.example/web@sha256:1111111111111111111111111111111111111111111111111111111111111111";
/// The patched one.
pub const V2: &str = "registry.example/web@sha256:2222222222222222222222222222222222222222222222222222222222222222";
/// What the owner deploys meanwhile.
pub const V3: &str = "registry.example/web@sha256:3333333333333333333333333333333333333333333333333333333333333333";
/// And after that.
pub const V4: &str = "registry.example/web@sha256:4444444444444444444444444444444444444444444444444444444444444444";
/// And after that.
pub const V5: &str = "registry.example/web@sha256:5555555555555555555555555555555555555555555555555555555555555555";
/// What runs beside it, and is nobody's concern.
const SIDECAR: &str = "registry.example/proxy@sha256:9999999999999999999999999999999999999999999999999999999999999999";

/// How an image is called in a story.
pub fn image_word(image: &str) -> &str {
    match image {
        V1 => "v1",
        V2 => "v2",
        V3 => "v3",
        V4 => "v4",
        V5 => "v5",
        other => other,
    }
}

impl World {
    /// Everything is at rest, and nobody has asked for anything yet.
    pub fn at_rest() -> Self {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let mut world = Self {
            now,
            version: 100,
            namespace: Namespace::default(),
            policy: Some(Policy { name: "default".into(), spec: policy() }),
            checks: Arc::new(checks()),
            unread: None,
            hotfixes: BTreeMap::new(),
            operators: BTreeMap::new(),
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            foreign_slices: Vec::new(),
            deployments: BTreeMap::new(),
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            leaving: BTreeMap::new(),
            budgets: BTreeMap::new(),
            autoscalers: Vec::new(),
            pod_load_balancers: BTreeSet::new(),
            leases: BTreeMap::new(),
            reports: BTreeMap::new(),
            jobs: BTreeMap::new(),
            owners: BTreeMap::new(),
            script: script(),
            as_owned: BTreeMap::new(),
            settings: Arc::new(Settings {
                checks_namespace: "hotfix-system-checks".into(),
                runner_image: "registry.example/hotfix-operator@sha256:0".into(),
                api_request_max: Settings::API_REQUEST_MAX,
            }),
            last_green: None,
            passed: BTreeSet::new(),
            hashes: BTreeMap::new(),
            writes: BTreeMap::new(),
        };
        let blue = world.workload(&deployment());
        world.deployments.insert(BLUE.into(), blue);
        world.add_service("web");
        world.settle();
        world
    }

    /// The beginning of most stories: at rest, and a hotfix was just asked for.
    pub fn with_hotfix() -> Self {
        let mut world = Self::at_rest();
        world.ask("web-cve-2024-22195", V2);
        world
    }

    /// Somebody asks for an image.
    pub fn ask(&mut self, name: &str, image: &str) {
        let uid = self.next_uid("hotfix");
        let hotfix = Hotfix {
            name: name.into(),
            namespace: "shop".into(),
            uid,
            resource_version: self.next_version(),
            generation: 1,
            created_at: Some(self.second()),
            deleting: None,
            finalizers: Vec::new(),
            annotations: Map::new(),
            managers: vec!["kubectl".into()],
            spec: hotfix_spec(image),
            status: SecurityHotfixStatus { observed_generation: Some(-1), ..SecurityHotfixStatus::default() },
        };
        self.hotfixes.insert(name.into(), hotfix);
        self.operators.insert(name.into(), Operator::default());
    }

    /// Another Service that selects the workload.
    pub fn add_service(&mut self, name: &str) {
        let selector: Map = [("app".to_owned(), "web".to_owned())].into();
        let uid = self.next_uid("service");
        let annotations: Map = [("owner".to_owned(), "team-shop".to_owned())].into();
        let service = Service {
            name: name.into(),
            uid,
            resource_version: self.next_version(),
            selector: selector.clone(),
            annotations: annotations.clone(),
            type_: "ClusterIP".into(),
            ports: vec![json!({"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"})],
            managers: vec![manager("kubectl-client-side-apply", self.second())],
            ..Service::default()
        };
        self.services.insert(name.into(), service);
        self.as_owned.insert(name.into(), (selector, annotations));
    }

    /// A budget that covers the workload.
    pub fn add_budget(&mut self) {
        let selector = json!({"matchLabels": {"app": "web"}});
        let budget = Budget {
            name: "web".into(),
            uid: self.next_uid("budget"),
            labels: Map::new(),
            selector: selector.clone(),
            spec: json!({"maxUnavailable": 1, "selector": selector}),
        };
        self.budgets.insert("web".into(), budget);
    }

    /// A Deployment's view of this JSON.
    pub fn workload(&mut self, raw: &Value) -> Workload {
        let owners = raw.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let mut raw = raw.clone();
        let uid = self.next_uid("deployment");
        raw["metadata"]["uid"] = json!(uid);
        Workload {
            name: raw["metadata"]["name"].as_str().unwrap().into(),
            uid,
            resource_version: self.next_version(),
            generation: 1,
            observed_generation: 0,
            labels: map(raw.pointer("/metadata/labels")),
            annotations: map(raw.pointer("/metadata/annotations")),
            deleting: false,
            paused: raw.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false),
            replicas: raw["spec"]["replicas"].as_i64().map_or(1, |n| i32::try_from(n).unwrap()),
            controller: None,
            owners: owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str().map(str::to_owned)).collect(),
            managers: vec![manager("kubectl-client-side-apply", self.second())],
            raw: Arc::new(raw),
        }
    }
}

fn manager(name: &str, at: securityhotfix::api::time::Moment) -> Manager {
    Manager { name: name.into(), index: 0, at: Some(at), owns: Owns::Contested }
}

fn script() -> Script {
    let image = |vulnerable| Image { vulnerable, ..Image::default() };
    let images = [(V1, true), (V2, false), (V3, true), (V4, true), (V5, true)];
    Script { images: images.map(|(name, bad)| (name.to_owned(), image(bad))).into(), ..Script::default() }
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": BLUE,
            "namespace": "shop",
            "labels": {"app": "web", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"deployment.kubernetes.io/revision": "1", "contact": "team-shop"},
        },
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "tier": "front"}},
                "spec": {
                    "containers": [
                        {"name": "web", "image": V1, "ports": [{"containerPort": 8080}]},
                        {"name": "proxy", "image": SIDECAR},
                    ],
                    "unknownToThisVersion": {"kept": true},
                },
            },
        },
    })
}

fn hotfix_spec(image: &str) -> SecurityHotfixSpec {
    serde_json::from_value(json!({
        "advisory": {
            "ids": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"],
            "severity": "High",
            "publishedAt": "2024-01-11T00:00:00Z",
        },
        "target": {"kind": "Deployment", "name": BLUE},
        "images": [{"container": "web", "image": image}],
        "reason": "Jinja2 XSS, upgrade to 3.1.6",
    }))
    .unwrap()
}
