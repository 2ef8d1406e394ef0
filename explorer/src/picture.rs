//! From what a replica has read to the picture the planner decides on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use securityhotfix::api::names as api;
use securityhotfix::api::time::Moment;
use securityhotfix::api::{Gate, HotfixPolicySpec, ImageChange, ResolvedImage, SecurityCheckSpec, SecurityHotfixSpec};
use securityhotfix::findings::{AliasSet, Finding, PackageSeen, ScanReport, Severity, Status, Tool};
use securityhotfix::plan::observed::{
    self, Check, Container, Content, Evidence, Hotfix, Manager, Map, Namespace, Observed, Other, Output, Owns, Policy,
    Probe, Rehearsal, ReplicaSet, Resolution, Run, RunState, Service, Settings, Slice, Workload,
};
use serde_json::{Value, json};

use crate::intern::{AT_RECORDED, GENERATION, Intern, moment, now};
use crate::names;
use crate::state::{
    ABSENT, BLUES, Blue, Claim, Clocks, Found, GREENS, Green, Hot, JOBS, Job, LEAVING, Pod, Prod, SIDES, Svc,
};

/// Everything the planner sees, in bits: the key under which its answer is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// The hotfix that is looked at.
    pub side: u8,
    /// Services and pods as they were read first. Numbers of pods are in `others` alone.
    pub prod: Prod,
    /// The hotfix as it was read next.
    pub hot: Hot,
    /// Its status.
    pub status: u32,
    /// The rest, as it is.
    pub rest: Rest,
}

/// What is read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rest {
    /// The namespace is going away.
    pub terminating: bool,
    /// The Lease.
    pub claim: Claim,
    /// The Deployment.
    pub blue: Blue,
    /// Its ReplicaSets that have pods, one bit a version.
    pub sets: u8,
    /// The candidate.
    pub green: Green,
    /// The other hotfixes that may still write, one bit each; and above, those that exist.
    pub alive: u8,
    /// The record.
    pub report: u32,
    /// Slices.
    pub slices: [u16; 2],
    /// Pods that are another one by now, one bit each.
    pub others: u8,
    /// Check Jobs.
    pub jobs: [Job; JOBS],
    /// Which moments have passed.
    pub clocks: Clocks,
    /// What was found out.
    pub found: Found,
    /// Which checks the policy has.
    pub tests: bool,
}

/// Uid of the workload's pod of a place.
pub fn blue_pod(at: usize) -> String {
    format!("blue-pod-{at}")
}

/// Uid of a candidate's pod of a place.
pub fn green_pod(side: usize, at: usize) -> String {
    format!("green-pod-{side}-{at}")
}

/// The picture of a view.
pub fn picture(view: &View, intern: &Intern) -> Observed {
    let side = usize::from(view.side);
    let status = intern.status_of(view.status).as_ref().clone();
    let attempt = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let slot_attempt = u8::try_from(attempt).unwrap();
    let again = status.attempt.as_ref().and_then(|attempt| attempt.reassert.as_ref());
    let again = again.filter(|_| view.hot.again() == 1).map_or(String::new(), |again| again.service.clone());
    Observed {
        services: services(view, side, &again),
        pods: pods(view),
        hotfix: hotfix(view, side, status),
        namespace: Namespace { terminating: view.rest.terminating, policy: None },
        policy: Some(policy(view.rest.tests)),
        checks: checks().clone(),
        blue: (view.rest.blue.here() == 1).then(|| blue(view)),
        green: (view.rest.green.here() == 1).then(|| green(view, side)),
        replica_sets: sets(view, side),
        slices: (0..view.prod.services.len())
            .filter(|at| view.prod.services[*at].here() == 1)
            .map(|at| slice(view, at))
            .collect(),
        budgets: Vec::new(),
        autoscalers: Vec::new(),
        pod_load_balancers: BTreeSet::new(),
        claim: claim(view.rest.claim),
        others: (0..SIDES)
            .filter(|other| *other != side && view.rest.alive >> (4 + other) & 1 == 1)
            .map(|other| Other {
                name: names::HOTFIXES[other].into(),
                uid: names::UIDS[other].into(),
                alive: view.rest.alive >> other & 1 == 1,
            })
            .collect(),
        runs: view.rest.jobs.iter().filter(|job| job.kind() != 0).map(|job| run(side, *job, intern)).collect(),
        report: (view.rest.report != 0).then(|| observed::Report {
            resource_version: "report".into(),
            hotfix_uid: names::UIDS[side].into(),
            spec: intern.report_of(view.rest.report).as_ref().clone(),
        }),
        evidence: evidence(view, side, attempt, slot_attempt, intern),
        settings: settings(),
    }
}

fn old() -> Timestamp {
    now().checked_sub(SignedDuration::from_hours(1)).expect("a time")
}

/// The present, or an hour ago.
fn at(passed: u8) -> Moment {
    if passed == 1 { Moment::new(old()) } else { moment() }
}

fn seconds_ago(seconds: i64) -> Moment {
    Moment::new(now().checked_sub(SignedDuration::from_secs(seconds)).expect("a time"))
}

fn hotfix(view: &View, side: usize, mut status: securityhotfix::api::SecurityHotfixStatus) -> Hotfix {
    if let Some(attempt) = &mut status.attempt {
        let clocks = view.rest.clocks;
        if attempt.finished_at.is_none() {
            if attempt.drained_from.is_some() {
                attempt.drained_from = Some(at(clocks.drain()));
            }
            if attempt.verified_at.is_some() && clocks.slow() == 1 {
                attempt.verified_at = Some(at(1));
            }
            if attempt.latch.is_none() && attempt.verified_at.is_none() {
                let staging = Some(at(clocks.staging()));
                if attempt.converged_at.is_some() {
                    attempt.converged_at = Some(at(clocks.soak()));
                } else if attempt.promoting_at.is_some() {
                    attempt.promoting_at = staging;
                } else if attempt.analyzed_at.is_some() {
                    attempt.analyzed_at = staging;
                } else if attempt.scanned_at.is_some() {
                    attempt.scanned_at = staging;
                }
            }
        }
    }
    let hot = view.hot;
    let mut annotations = Map::new();
    if hot.abort() > 0 {
        annotations.insert(api::ABORT.into(), format!("{}/stop", hot.abort()));
    }
    if hot.release() > 0 {
        annotations.insert(api::RELEASE.into(), format!("{}/go", hot.release()));
    }
    if hot.retry() == 1 {
        annotations.insert(api::RETRY.into(), "again".into());
    }
    let mut spec = spec(side).clone();
    spec.suspend = hot.suspend() == 1;
    Hotfix {
        name: names::HOTFIXES[side].into(),
        namespace: names::NAMESPACE.into(),
        uid: names::UIDS[side].into(),
        resource_version: "hotfix".into(),
        generation: 1,
        created_at: Some(moment()),
        deleting: (hot.deleting() > 0).then(moment),
        finalizers: if hot.finalizer() == 1 { vec![api::FINALIZER.into()] } else { Vec::new() },
        annotations,
        managers: vec!["kubectl".into()],
        spec,
        status,
    }
}

fn managers(ours: u8, theirs: u8, newer: u8) -> Vec<Manager> {
    let owns = |contested: bool| if contested { Owns::Contested } else { Owns::Else };
    let ours_at = Some(seconds_ago(60));
    let theirs_at = Some(if newer == 1 { moment() } else { Moment::new(old()) });
    let mut all = vec![Manager { name: "owner".into(), index: 0, at: theirs_at, owns: owns(theirs == 1) }];
    if ours == 1 {
        all.push(Manager { name: api::MANAGER.into(), index: 1, at: ours_at, owns: owns(theirs == 0) });
    }
    all
}

fn services(view: &View, side: usize, again: &str) -> Vec<Service> {
    let mut all: Vec<Service> = view
        .prod
        .services
        .iter()
        .enumerate()
        .filter(|(_, svc)| svc.here() == 1)
        .map(|(at, svc)| service(*svc, at, again == names::SERVICES[at]))
        .collect();
    let preview = view.prod.previews[side];
    if preview.here() == 1 {
        let slot = names::slot(side, preview.attempt());
        all.push(Service {
            name: api::green(names::BLUE, names::UIDS[side]),
            uid: format!("preview-{}", preview.inc()),
            resource_version: "preview".into(),
            selector: [(api::SLOT.to_owned(), slot.to_owned())].into(),
            labels: labels(side, preview.attempt()),
            publish_not_ready: true,
            type_: "ClusterIP".into(),
            ports: vec![json!({"port": 80})],
            ..Service::default()
        });
    }
    all
}

fn service(svc: Svc, at: usize, again: bool) -> Service {
    let mut annotations: Map = [("owner".to_owned(), "team-shop".to_owned())].into();
    annotations.extend(names::mark(svc.mark()).map(|mark| (api::MARK.to_owned(), mark)));
    Service {
        name: names::SERVICES[at].into(),
        uid: format!("service-{at}"),
        resource_version: if again { AT_RECORDED.into() } else { "service".into() },
        selector: names::selector(svc),
        annotations,
        type_: "ClusterIP".into(),
        ports: vec![json!({"port": 80})],
        managers: managers(svc.ours(), svc.theirs(), svc.newer()),
        ..Service::default()
    }
}

fn labels(side: usize, attempt: u8) -> Map {
    [
        (api::SLOT.to_owned(), names::slot(side, attempt).to_owned()),
        (api::ATTEMPT.to_owned(), attempt.to_string()),
        (api::HOTFIX_UID.to_owned(), names::UIDS[side].to_owned()),
        (api::HOTFIX_NAME.to_owned(), names::HOTFIXES[side].to_owned()),
    ]
    .into()
}

fn pods(view: &View) -> Vec<observed::Pod> {
    let blues = view.prod.blues.iter().enumerate().filter(|(_, pod)| pod.life() != ABSENT).map(|(at, pod)| {
        let mut labels = template_labels();
        labels.insert(api::POD_TEMPLATE_HASH.into(), names::blue_hash(pod.version()));
        one_pod(*pod, blue_pod(at), labels, names::blue_set(pod.version()))
    });
    let greens = (0..SIDES).flat_map(|side| {
        view.prod.greens[side].iter().enumerate().filter(|(_, pod)| pod.life() != ABSENT).map(move |(at, pod)| {
            let mut labels = template_labels();
            labels.insert(api::POD_TEMPLATE_HASH.into(), names::green_hash(side, pod.attempt()));
            labels.insert(api::SLOT.into(), names::slot(side, pod.attempt()).into());
            one_pod(*pod, green_pod(side, at), labels, names::green_set(side, pod.inc()))
        })
    });
    let clocks = view.rest.clocks;
    let mut all: Vec<observed::Pod> = blues.chain(greens).collect();
    for pod in &mut all {
        if let Some(open) = &mut pod.open {
            open.since = Some(match (clocks.opening(), clocks.converge()) {
                (_, 1) => at(1),
                (1, _) => seconds_ago(10),
                _ => moment(),
            });
        }
    }
    all
}

fn one_pod(pod: Pod, uid: String, labels: Map, set: String) -> observed::Pod {
    let green = labels.contains_key(api::SLOT);
    let image = names::image(pod.version());
    observed::Pod {
        name: uid.clone(),
        uid,
        resource_version: "pod".into(),
        labels,
        controller: Some(set),
        node: Some("node".into()),
        ip: Some("10.0.0.1".into()),
        deleting: pod.life() == LEAVING,
        ended: false,
        gates: if green && pod.bare() == 0 { vec![api::OPEN.into()] } else { Vec::new() },
        containers_ready: pod.up() == 1,
        // It only delays an opening that is to be quick; what may be opened does not depend on it.
        containers_ready_since: None,
        ready: pod.ready() == 1,
        ready_since: Some(if pod.late() == 1 { seconds_ago(20) } else { moment() }),
        open: (pod.open() != 0)
            .then(|| observed::Open { open: pod.open() == crate::state::OPEN, since: Some(moment()) }),
        // A container that was up once has told its image.
        containers: vec![Container { name: "web".into(), image_id: image.clone(), image, ..Container::default() }],
        host_ports: false,
    }
}

fn template_labels() -> Map {
    [("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "front".to_owned())].into()
}

/// The Deployment of a version as JSON.
fn raw(version: u8, replicas: u8) -> Arc<Value> {
    static RAWS: OnceLock<Vec<Vec<Arc<Value>>>> = OnceLock::new();
    let raws = RAWS.get_or_init(|| {
        let make = |version: u8, replicas: u8| {
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": names::BLUE, "namespace": names::NAMESPACE},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": template_labels()},
                        "spec": {"containers": [{"name": "web", "image": names::image(version)}]},
                    },
                },
            })
        };
        (0..=3).map(|version| (0..=3).map(|replicas| Arc::new(make(version, replicas))).collect()).collect()
    });
    Arc::clone(&raws[usize::from(version)][usize::from(replicas)])
}

fn blue(view: &View) -> Workload {
    let blue = view.rest.blue;
    let generation = GENERATION + i64::from(view.hot.gen_());
    Workload {
        name: names::BLUE.into(),
        uid: names::BLUE_UID.into(),
        resource_version: "blue".into(),
        generation,
        observed_generation: generation - i64::from(1 - blue.seen()),
        labels: template_labels(),
        annotations: Map::new(),
        deleting: false,
        paused: false,
        replicas: i32::from(blue.replicas()),
        controller: None,
        owners: Vec::new(),
        managers: managers(blue.ours(), blue.theirs(), 0),
        raw: raw(blue.template(), blue.replicas()),
    }
}

fn green(view: &View, side: usize) -> Workload {
    let green = view.rest.green;
    let version = if green.drifted() == 1 { 1 } else { names::wanted(side) };
    Workload {
        name: api::green(names::BLUE, names::UIDS[side]),
        uid: names::green_uid(side, green.inc()),
        resource_version: "green".into(),
        generation: 1,
        observed_generation: 1,
        labels: labels(side, green.attempt()),
        annotations: Map::new(),
        deleting: false,
        paused: false,
        replicas: i32::from(green.replicas()),
        controller: None,
        owners: if green.owned() == 1 { vec![names::UIDS[side].into()] } else { Vec::new() },
        managers: managers(1, green.drifted(), 0),
        raw: raw(version, green.replicas()),
    }
}

fn sets(view: &View, side: usize) -> Vec<ReplicaSet> {
    let Rest { blue, sets, green, .. } = view.rest;
    let mut all = Vec::new();
    if blue.here() == 1 {
        for version in 1..=3 {
            let newest = version == blue.newest();
            let pods = i32::from(sets >> version & 1);
            // A Deployment may keep no history: then an old ReplicaSet goes with its last pod.
            if newest || pods > 0 {
                all.push(ReplicaSet {
                    name: names::blue_set(version),
                    uid: names::blue_set(version),
                    controller: names::BLUE_UID.into(),
                    template_hash: names::blue_hash(version),
                    replicas: if newest { i32::from(blue.replicas()) } else { pods },
                    pods,
                    revision: if newest { 10 } else { i64::from(version) },
                });
            }
        }
        if blue.adopted() > 0 {
            let side = usize::from(blue.adopted() - 1);
            all.push(ReplicaSet {
                name: names::green_set(side, 0),
                uid: names::green_set(side, 0),
                controller: names::BLUE_UID.into(),
                template_hash: names::green_hash(side, 1),
                replicas: 0,
                pods: i32::from(sets & 1),
                revision: 1,
            });
        }
    }
    if green.here() == 1 {
        all.push(ReplicaSet {
            name: names::green_set(side, green.inc()),
            uid: names::green_set(side, green.inc()),
            controller: names::green_uid(side, green.inc()),
            template_hash: if green.drifted() == 1 {
                "drifted".into()
            } else {
                names::green_hash(side, green.attempt())
            },
            replicas: i32::from(green.replicas()),
            pods: i32::from(green.replicas()),
            revision: 1,
        });
    }
    all
}

fn slice(view: &View, service: usize) -> Slice {
    let content = view.rest.slices[service];
    let uid = |at: usize| {
        if view.rest.others >> at & 1 == 1 {
            return format!("another-pod-{at}");
        }
        match at.checked_sub(BLUES) {
            None => blue_pod(at),
            Some(at) => green_pod(at / GREENS, at % GREENS),
        }
    };
    let endpoints = (0..BLUES + SIDES * GREENS)
        .filter(|at| content >> (2 * at) & 3 != 0)
        .map(|at| observed::Endpoint { pod: Some(uid(at)), ready: content >> (2 * at) & 3 == 2 })
        .collect();
    Slice {
        service: names::SERVICES[service].into(),
        managed_by: securityhotfix::plan::facts::ENDPOINTSLICE_CONTROLLER.into(),
        endpoints,
    }
}

fn claim(claim: Claim) -> Option<observed::Claim> {
    let side = usize::from(claim.holder().checked_sub(1)?);
    Some(observed::Claim {
        name: api::claim(names::BLUE_UID),
        uid: format!("lease-{}", claim.inc()),
        holder: names::UIDS[side].into(),
        holder_name: names::HOTFIXES[side].into(),
    })
}

fn run(side: usize, job: Job, intern: &Intern) -> Run {
    let known = intern.job_of(side, job);
    let of_version = if job.kind() == 2 { names::wanted(side) } else { 1 };
    let output = match (job.state(), job.kind()) {
        (0, _) => None,
        (3, _) => Some(Output::Unusable("the log holds no frame".into())),
        (4, 3) => Some(framed(0, Content::None)),
        (4, _) => Some(framed(0, Content::Scan(Box::new(report(0, false))))),
        (good, 3) => Some(framed(i32::from(good != 1), Content::None)),
        // The image that runs has the vulnerability, the patched one has not; bad is the other way round.
        (good, kind) => Some(framed(0, Content::Scan(Box::new(report(of_version, (kind == 1) == (good == 1)))))),
    };
    let mut labels = known.1.clone();
    if (job.state(), job.kind()) == (4, 3) {
        labels.insert(securityhotfix::plan::jobs::SUBJECT.into(), "another".into());
    }
    Run {
        job: known.0.clone(),
        uid: format!("job-{}", job.0 >> 3),
        labels,
        state: output.map_or(RunState::Running, |output| RunState::Ended { at: Moment::new(old()), output }),
    }
}

fn framed(exit_code: i32, content: Content) -> Output {
    Output::Framed { exit_code, sha256: "5f".repeat(32), content, stderr: String::new() }
}

/// A scanner's report of an image of a version; 0 is an image nobody asked about.
fn report(version: u8, vulnerable: bool) -> ScanReport {
    let installed = if vulnerable { "3.1.0" } else { "3.1.6" };
    let finding = Finding {
        ids: AliasSet::new(["CVE-2024-22195"]).expect("an id"),
        bulletins: AliasSet::default(),
        package: "Jinja2".into(),
        purl: None,
        installed: installed.into(),
        fixed: Some("3.1.6".into()),
        severity: Severity::High,
        status: Status::Fixed,
        suppressed: false,
    };
    ScanReport {
        tool: Tool { name: "trivy".into(), version: None },
        database: None,
        // One that says of no image that it is about it is believed; one that names another is not.
        repo_digests: if version == 0 { vec![format!("sha256:{}", "9".repeat(64))] } else { Vec::new() },
        image_id: None,
        packages: vec![PackageSeen { name: "Jinja2".into(), version: installed.into() }],
        findings: if vulnerable { vec![finding] } else { Vec::new() },
        warnings: Vec::new(),
    }
}

fn evidence(view: &View, side: usize, attempt: i64, slot_attempt: u8, intern: &Intern) -> Evidence {
    let found = view.rest.found;
    let change = ImageChange { container: "web".into(), image: names::image(names::wanted(side)) };
    let digest = change.image.rsplit_once('@').map_or(String::new(), |(_, digest)| digest.to_owned());
    let resolution = (found.resolved() == 1).then(|| {
        let resolved =
            ResolvedImage { container: change.container.clone(), image: change.image.clone(), digests: vec![digest] };
        vec![Resolution { container: change.container, image: change.image, at: moment(), outcome: Ok(resolved) }]
    });
    let asked = intern.rehearsal_of((view.side, slot_attempt)).filter(|_| found.rehearsed() > 0);
    let rehearsal = asked.map(|asked| {
        let green = if found.rehearsed() == 2 { Err("refused by a webhook".to_owned()) } else { Ok(asked.0.clone()) };
        let slot = names::slot(side, slot_attempt).to_owned();
        Rehearsal { slot, at: moment(), green, pod: Ok(asked.1.clone()) }
    });
    let probes = [found.probe0(), found.probe1()]
        .into_iter()
        .enumerate()
        .filter(|(_, probe)| *probe != 0)
        .map(|(place, probe)| Probe {
            attempt,
            gate: Gate::Verify,
            check: ("deep-health".into(), 1),
            pod: green_pod(side, place),
            successes: if probe == 1 { 9 } else { 0 },
            failures: if probe == 2 { 9 } else { 0 },
            last: if probe == 1 { "status 200".into() } else { "status 500".into() },
        })
        .collect();
    Evidence { resolution, rehearsal, probes }
}

fn settings() -> Arc<Settings> {
    static SETTINGS: OnceLock<Arc<Settings>> = OnceLock::new();
    Arc::clone(SETTINGS.get_or_init(|| {
        Arc::new(Settings {
            checks_namespace: "checks".into(),
            runner_image: "registry.example/operator@sha256:0".into(),
            api_request_max: Settings::API_REQUEST_MAX,
        })
    }))
}

fn spec(side: usize) -> &'static SecurityHotfixSpec {
    static SPECS: OnceLock<Vec<SecurityHotfixSpec>> = OnceLock::new();
    let specs = SPECS.get_or_init(|| {
        let make = |side: usize| {
            serde_json::from_value(json!({
                "advisory": {"ids": ["CVE-2024-22195"], "severity": "High"},
                "target": {"kind": "Deployment", "name": names::BLUE},
                "images": [{"container": "web", "image": names::image(names::wanted(side))}],
                "reason": "Jinja2 XSS",
            }))
            .expect("a spec")
        };
        (0..SIDES).map(make).collect()
    });
    &specs[side]
}

fn policy(tests: bool) -> Policy {
    static POLICIES: OnceLock<Vec<HotfixPolicySpec>> = OnceLock::new();
    let policies = POLICIES.get_or_init(|| {
        let make = |analyze: Value| {
            serde_json::from_value(json!({
                "images": {"allow": ["registry.example/*"]},
                "gates": {
                    "scan": [{"check": "trivy", "failOn": {"introduced": "High"}}],
                    "analyze": analyze,
                    "verify": [{"check": "deep-health"}],
                },
            }))
            .expect("a policy")
        };
        vec![make(json!([])), make(json!([{"check": "smoke"}]))]
    });
    Policy { name: "default".into(), spec: policies[usize::from(tests)].clone() }
}

fn checks() -> &'static BTreeMap<String, Check> {
    static CHECKS: OnceLock<BTreeMap<String, Check>> = OnceLock::new();
    CHECKS.get_or_init(|| {
        let container = |tool: &str| json!({"image": format!("registry.example/{tool}@sha256:7"), "command": [tool]});
        let specs = [
            ("trivy", json!({"scan": {"format": "TrivyJson", "container": container("trivy")}})),
            ("smoke", json!({"test": {"container": container("smoke")}})),
            ("deep-health", json!({"http": {"path": "/deep", "port": 8080}})),
        ];
        specs
            .into_iter()
            .map(|(name, spec)| {
                let spec: SecurityCheckSpec = serde_json::from_value(spec).expect("a check");
                (name.to_owned(), Check { uid: format!("check-{name}"), generation: 1, spec })
            })
            .collect()
    })
}
