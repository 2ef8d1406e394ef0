//! Checks, what they said, and what else was found out.

#[path = "../../../tests/world/policy.rs"]
mod arranged;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use securityhotfix::api::time::Moment;
use securityhotfix::api::{Gate, HotfixPolicySpec, ImageChange, ResolvedImage, SecurityHotfixSpec};
use securityhotfix::findings::{AliasSet, Finding, PackageSeen, ScanReport, Severity, Status, Tool};
use securityhotfix::plan::observed::{
    Check, Content, Evidence, Output, Policy, Probe, Rehearsal, Resolution, Run, RunState, Settings,
};
use serde_json::json;

use super::View;
use super::objects::green_pod;
use super::times::{at, old, older};
use crate::intern::{Intern, moment};
use crate::names;
use crate::state::{Job, SIDES};

pub fn run(side: usize, job: Job, intern: &Intern) -> Run {
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
        stuck: None,
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

pub fn evidence(view: &View, side: usize, attempt: i64, slot_attempt: u8, intern: &Intern) -> Evidence {
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
        Rehearsal { slot, at: moment(), green, pod: Ok(asked.1.clone()), denied: None }
    });
    let probes = [found.probe0(), found.probe1()]
        .into_iter()
        .enumerate()
        .filter(|(_, probe)| *probe != 0)
        .map(|(place, probe)| Probe {
            attempt,
            gate: Gate::Verify,
            check: ("deep-health".into(), 1),
            since: at(found.soaked()),
            pod: green_pod(side, place),
            successes: if probe == 1 { 9 } else { 0 },
            failures: if probe == 2 { 9 } else { 0 },
            unsettled: 0,
            last: if probe == 1 { "status 200".into() } else { "status 500".into() },
        })
        .collect();
    let unchecked = intern.mile_of(view.status).unchecked() > 0;
    let watched = if found.watch() == 2 && unchecked { older() } else { at(found.soaked()) };
    Evidence { resolution, rehearsal, probes, watched_since: Some(watched) }
}

pub fn settings() -> Arc<Settings> {
    static SETTINGS: OnceLock<Arc<Settings>> = OnceLock::new();
    Arc::clone(SETTINGS.get_or_init(|| {
        Arc::new(Settings {
            checks_namespace: "checks".into(),
            runner_image: "registry.example/operator@sha256:0".into(),
            api_request_max: Settings::API_REQUEST_MAX,
        })
    }))
}

pub fn spec(side: usize) -> &'static SecurityHotfixSpec {
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

pub fn policy(tests: bool) -> Policy {
    static POLICIES: OnceLock<[HotfixPolicySpec; 2]> = OnceLock::new();
    let policies = POLICIES.get_or_init(|| {
        let with_tests = arranged::policy();
        let mut without = with_tests.clone();
        without.gates.analyze.clear();
        [without, with_tests]
    });
    Policy { name: "default".into(), spec: policies[usize::from(tests)].clone() }
}

pub fn checks() -> &'static BTreeMap<String, Check> {
    static CHECKS: OnceLock<BTreeMap<String, Check>> = OnceLock::new();
    CHECKS.get_or_init(arranged::checks)
}
