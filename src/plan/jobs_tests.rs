use std::sync::LazyLock;

use k8s_openapi::api::batch::v1::Job;

use super::*;
use crate::api::SecurityHotfixStatus;

const OLD: &str = "registry.example/web@sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "registry.example/web@sha256:2222222222222222222222222222222222222222222222222222222222222222";

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    checks_namespace: "hotfix-checks".into(),
    runner_image: "registry.example/hotfix-operator:0.1.0".into(),
    api_request_max: Settings::API_REQUEST_MAX,
});

static HOTFIX: LazyLock<Hotfix> = LazyLock::new(|| Hotfix {
    name: "web-cve-2024-22195".into(),
    namespace: "shop".into(),
    uid: "0b5f7c1e-0000-4000-8000-000000000001".into(),
    resource_version: "7".into(),
    generation: 1,
    created_at: None,
    deleting: None,
    finalizers: Vec::new(),
    annotations: Map::new(),
    managers: Vec::new(),
    spec: serde_json::from_value(json!({
        "advisory": {"ids": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"]},
        "target": {"name": "web"},
        "images": [{"container": "web", "image": NEW}],
        "reason": "Jinja2 XSS",
    }))
    .unwrap(),
    status: SecurityHotfixStatus::default(),
});

static ATTEMPT: LazyLock<Attempt> = LazyLock::new(|| {
    serde_json::from_value(json!({
        "number": 1,
        "startedAt": "2026-11-23T17:00:00Z",
        "policy": "default",
        "images": [
            {"container": "web", "image": NEW, "digests": ["sha256:22"]},
            {"container": "sidecar", "image": "registry.example/sidecar@sha256:33", "digests": ["sha256:33"]},
        ],
        "blue": {
            "uid": "b", "templateHash": "h", "replicaSet": "r", "replicas": 3, "images": {},
            "baseline": [{"container": "web", "image": OLD}],
        },
    }))
    .unwrap()
});

static SCAN: LazyLock<Check> = LazyLock::new(|| {
    check(json!({"scan": {
        "format": "TrivyJson",
        "timeout": "90s",
        "container": {
            "image": "registry.example/trivy@sha256:44",
            "command": ["trivy", "image", "--format", "json"],
            "args": ["$(IMAGE)"],
            "env": [{"name": "TRIVY_CACHE_DIR", "value": "/cache/$(HOTFIX_NAME)"}],
            "volumes": [
                {"name": "runner", "mountPath": "/cache", "emptyDir": {}},
                {"name": "db", "mountPath": "/db", "readOnly": true, "persistentVolumeClaim": {"claimName": "trivy-db"}},
                {"name": "conf", "mountPath": "/etc/trivy", "configMap": {"name": "trivy"}},
                {"name": "auth", "mountPath": "/auth", "secret": {"secretName": "registry"}},
            ],
            "imagePullSecrets": ["registry"],
        },
    }}))
});

static ARGS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| BTreeMap::from([("path".to_owned(), "/healthz?$(IMAGE)".to_owned())]));

fn check(spec: Value) -> Check {
    Check { uid: "c0ffee00".into(), generation: 3, spec: serde_json::from_value(spec).unwrap() }
}

fn order() -> Order<'static> {
    Order {
        settings: &SETTINGS,
        hotfix: &HOTFIX,
        attempt: &ATTEMPT,
        gate: Gate::Scan,
        name: "trivy",
        check: &SCAN,
        args: &ARGS,
        subject: Subject::Candidate { container: "web", image: NEW },
        address: "10.96.0.7:80",
        run: 1,
    }
}

fn made(order: &Order<'_>) -> Run {
    Run {
        job: order.job_name(),
        uid: "j".into(),
        labels: order.labels(),
        state: super::super::observed::RunState::Running,
        stuck: None,
    }
}

#[test]
fn a_scan_job_as_it_is_created() {
    insta::assert_yaml_snapshot!(order().job());
}

#[test]
fn every_field_is_one_the_api_server_knows() {
    let job = order().job().unwrap();
    let typed: Job = serde_json::from_value(job.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), job);
}

#[test]
fn a_check_that_runs_in_no_pod_has_no_job() {
    let http = check(json!({"http": {"path": "/healthz", "port": 8080}}));
    assert_eq!(Order { check: &http, ..order() }.job(), None);
}

#[test]
fn a_job_counts_only_if_its_labels_repeat_all_it_was_made_for() {
    let run = made(&order());
    assert!(order().is_filled_by(&run));
    for key in run.labels.keys() {
        let mut other = run.clone();
        other.labels.insert(key.clone(), "other".into());
        assert!(!order().is_filled_by(&other), "{key} differs");
        other.labels.remove(key);
        assert!(!order().is_filled_by(&other), "{key} is missing");
    }
    let renamed = Run { job: "check-00000000000000000000".into(), ..run };
    assert!(!order().is_filled_by(&renamed));
}

#[test]
fn whatever_a_job_is_made_for_makes_it_another() {
    let run = made(&order());
    let another = Attempt { number: 2, ..ATTEMPT.clone() };
    let (edited, recreated) = (Check { generation: 4, ..SCAN.clone() }, Check { uid: "d".into(), ..SCAN.clone() });
    let stranger = Hotfix { uid: "0b5f7c1e-0000-4000-8000-000000000002".into(), ..HOTFIX.clone() };
    let args = BTreeMap::from([("path".to_owned(), "/".to_owned())]);
    let orders = [
        Order { hotfix: &stranger, ..order() },
        Order { attempt: &another, ..order() },
        Order { gate: Gate::Analyze, ..order() },
        Order { name: "grype", ..order() },
        Order { check: &edited, ..order() },
        Order { check: &recreated, ..order() },
        Order { args: &args, ..order() },
        Order { subject: Subject::Candidate { container: "sidecar", image: NEW }, ..order() },
        Order { subject: Subject::Candidate { container: "web", image: OLD }, ..order() },
        Order { subject: Subject::Baseline { container: "web", image: NEW }, ..order() },
        Order { subject: Subject::Address, ..order() },
        Order { run: 2, ..order() },
    ];
    for other in &orders {
        assert!(!other.is_filled_by(&run), "{other:?}");
        assert_ne!(other.job_name(), run.job);
    }
    let elsewhere = Order { subject: Subject::Address, address: "10.96.0.8:80", ..order() };
    assert!(!elsewhere.is_filled_by(&made(&Order { subject: Subject::Address, ..order() })));
    assert!(
        Order { address: "10.96.0.8:80", ..order() }.is_filled_by(&run),
        "an image is the same wherever it answers"
    );
}

#[test]
fn names_and_labels_are_valid_whatever_they_are_made_of() {
    let long = "a".repeat(200);
    let hotfix = Hotfix { namespace: long.clone(), ..HOTFIX.clone() };
    let odd = Check { uid: "-odd uid/ü-".into(), ..SCAN.clone() };
    let order = Order { hotfix: &hotfix, check: &odd, name: &long, ..order() };
    assert_eq!(order.job_name().len(), "check-".len() + 20);
    for (key, value) in order.labels() {
        assert!(value.len() <= 63, "{key}: {value}");
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{key}: {value}");
    }
}

#[test]
fn a_test_is_told_every_image_and_a_scan_only_its_own() {
    let env = |order: Order<'_>, wanted: &str| {
        let job = order.job().unwrap();
        let env = job.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).unwrap().clone();
        env.into_iter().find(|variable| variable["name"] == wanted).unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(env(order(), "CANDIDATE_IMAGE"), NEW);
    let test = check(json!({"test": {"container": {"image": "t", "command": ["smoke"]}}}));
    let test = Order { check: &test, subject: Subject::Address, ..order() };
    assert_eq!(env(test, "CANDIDATE_IMAGE"), format!("{NEW},registry.example/sidecar@sha256:33"));
    assert_eq!((env(test, "BASELINE_IMAGE"), env(test, "IMAGE")), (OLD.to_owned(), String::new()));
    assert_eq!(env(test, "ADVISORY_IDS"), "CVE-2024-22195,GHSA-h5c8-rqwp-cp95");
    assert_eq!(env(test, "ARG_PATH"), "/healthz?$$(IMAGE)", "an argument is text, not a reference");
}

#[test]
fn a_deadline_is_in_whole_seconds_and_never_none() {
    for (timeout, seconds) in [(0, 1), (200, 1), (1_000, 1), (1_001, 2), (600_000, 600)] {
        assert_eq!(whole_seconds(Duration::from_millis(timeout)), seconds, "{timeout} ms");
    }
}
