//! Pictures and writes in words that do not depend on what things are called, so that two worlds can be compared.

use securityhotfix::api::SecurityHotfixStatus;
use securityhotfix::api::names::{ATTEMPT, HOTFIX_UID, MANAGER, Mark, POD_TEMPLATE_HASH, SLOT, green};
use securityhotfix::plan::Action;
use securityhotfix::plan::observed::{Manager, Map, Observed, Owns, RunState, Workload};
use serde_json::Value;

/// The last character of an image tells its version.
fn version(image: &str) -> &str {
    &image[image.len() - 1..]
}

fn selector(selector: &Map) -> String {
    let has = |key: &str| u8::from(selector.contains_key(key));
    format!("tier {} slot {} pin {}", has("tier"), has(SLOT), has(POD_TEMPLATE_HASH))
}

fn mark(text: Option<&String>) -> String {
    match text.map(|text| Mark::parse(text)) {
        None => "no mark".into(),
        Some(Mark::Hold(owner)) => format!("hold {}", owner.attempt),
        Some(Mark::Sealed(owner)) => format!("sealed {}", owner.attempt),
        Some(Mark::Foreign(_)) => "another mark".into(),
    }
}

fn managers(managers: &[Manager]) -> String {
    let ours = managers.iter().find(|manager| manager.name == MANAGER);
    let last = managers.iter().any(|manager| manager.name == MANAGER && manager.owns == Owns::Contested);
    format!("signed {} last {}", ours.is_some(), last)
}

fn status(status: &SecurityHotfixStatus) -> String {
    let conditions: Vec<String> =
        status.conditions.iter().map(|c| format!("{:?}={:?}/{}", c.type_, c.status, c.reason.as_str())).collect();
    let attempt = status.attempt.as_ref().map(|a| {
        let steps = [
            a.scanned_at,
            a.staged_at,
            a.analyzed_at,
            a.promoting_at,
            a.switched_at,
            a.converged_at,
            a.verified_at,
            a.drained_from,
            a.finished_at,
        ];
        let steps: String = steps.iter().map(|step| if step.is_some() { '1' } else { '0' }).collect();
        let services: Vec<&str> = a.services.iter().map(|service| service.name.as_str()).collect();
        let latch = a.latch.as_ref().map(|latch| latch.reason.as_str());
        let verdicts: Vec<String> = a.verdicts.iter().map(|v| format!("{:?} {:?}", v.gate, v.verdict)).collect();
        let again = a.reassert.as_ref().map(|again| again.service.as_str());
        format!(
            "attempt {} steps {steps} on {services:?} latch {latch:?} outcome {:?} folds {} again {again:?} {verdicts:?}",
            a.number, a.outcome, a.folds
        )
    });
    format!("{:?} {} {}", status.phase, attempt.unwrap_or_default(), conditions.join(" "))
}

fn job(labels: &Map) -> String {
    let label = |key: &str| labels.get(&format!("securityhotfix.dev/{key}")).map_or("", String::as_str);
    format!("{} {} attempt {} run {}", label("gate"), label("role"), label("attempt"), label("run"))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map(ToString::to_string).unwrap_or_default()
}

/// A write: what it is, and on what.
pub fn action(action: &Action) -> String {
    let told = match action {
        Action::Record { status: written, .. } => status(written),
        Action::CreateJob(made) => job(&crate::world::map(made.pointer("/metadata/labels"))),
        Action::CreateGreen(green) => format!(
            "{} replicas, owners {}",
            text(green, "/spec/replicas"),
            u8::from(green.pointer("/metadata/ownerReferences").is_some())
        ),
        Action::ResizeGreen { replicas, ownership, .. } => format!("{replicas} {ownership:?}"),
        Action::Hold { service, mark: to, .. } => format!("{} {}", service.name, mark(Some(to))),
        Action::Switch { service, from, to, .. } | Action::Unpin { service, from, to } => {
            format!("{} from {} to {}", service.name, selector(from), selector(to))
        }
        Action::Seal { service, was, mark: to_mark, from, to, .. } => format!(
            "{} {} from {} {} to {}",
            service.name,
            mark(Some(to_mark)),
            mark(was.as_ref()),
            selector(from),
            selector(to)
        ),
        Action::Unmark { service, mark: was, managers, .. } => {
            format!("{} {} {}", service.name, mark(was.as_ref()), managers.len())
        }
        Action::FoldBack { images, .. } => {
            let images: Vec<(&str, &str)> = images.iter().map(|i| (version(&i.from), version(&i.to))).collect();
            format!("{images:?}")
        }
        _ => String::new(),
    };
    format!("{}: {told}", action.name())
}

/// What the planner is shown, a line for each thing, sorted.
pub fn picture(o: &Observed) -> Vec<String> {
    let mut lines = vec![format!("namespace terminating {}", o.namespace.terminating)];
    // The preview of another is of no account, and not in the model.
    let own = green(&o.hotfix.spec.target.name, &o.hotfix.uid);
    let concerns = |name: &String| !name.contains("-hotfix-") || *name == own;
    for service in o.services.iter().filter(|service| concerns(&service.name)) {
        let told = match service.labels.get(ATTEMPT) {
            Some(attempt) => format!("preview of attempt {attempt}"),
            None => format!(
                "Service {} {} {} {}",
                service.name,
                selector(&service.selector),
                mark(service.mark_text()),
                managers(&service.managers)
            ),
        };
        lines.push(told);
    }
    for pod in &o.pods {
        let whose = if pod.labels.contains_key(SLOT) { "candidate" } else { "web" };
        let image = version(&pod.containers[0].image);
        let open = pod.open.map(|open| open.open);
        let gated = !pod.gates.is_empty();
        lines.push(format!(
            "pod of {whose} v{image} up {} ready {} leaving {} gated {gated} open {open:?}",
            pod.containers_ready, pod.ready, pod.deleting
        ));
    }
    let hotfix = &o.hotfix;
    let commands: Vec<&String> = hotfix.annotations.keys().collect();
    lines.push(format!(
        "hotfix deleting {} guarded {} {commands:?} suspend {} {}",
        hotfix.deleting.is_some(),
        !hotfix.finalizers.is_empty(),
        hotfix.spec.suspend,
        status(&hotfix.status)
    ));
    if let Some(blue) = &o.blue {
        let image = blue.raw.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
        let image = version(image.unwrap_or_default());
        let seen = blue.observed_generation == blue.generation;
        lines.push(format!("web v{image} {} replicas seen {seen} {}", blue.replicas, managers(&blue.managers)));
    }
    if let Some(green) = &o.green {
        lines.push(format!("candidate {} replicas owned {}", green.replicas, !green.owners.is_empty()));
    }
    if let Some(claim) = &o.claim {
        lines.push(format!("claimed by this hotfix {}", claim.holder == hotfix.uid));
    }
    // In which order checks are deleted follows from their names, which differ.
    let ends = hotfix.deleting.is_some()
        || hotfix.status.attempt.as_ref().is_none_or(|a| a.latch.is_some() || a.verified_at.is_some());
    for run in &o.runs {
        if ends {
            lines.push("check".into());
            continue;
        }
        let state = if run.state == RunState::Running { "runs" } else { "ended" };
        lines.push(format!("check {} {state}", job(&run.labels)));
    }
    for other in &o.others {
        lines.push(format!("another hotfix alive {}", other.alive));
    }
    // What is of one that exists is not asked for.
    let is_gone = |uid: &String| o.others.iter().all(|other| other.uid != *uid);
    let left = |candidate: &&Workload| candidate.labels.get(HOTFIX_UID).is_some_and(is_gone);
    for left in o.strays.candidates.iter().filter(left) {
        lines.push(format!("left: candidate {} replicas owned {}", left.replicas, !left.owners.is_empty()));
    }
    lines.extend(o.strays.jobs.iter().map(|_| "left: check".into()));
    // One that is closed is of no account any more.
    let open = o.strays.report.iter().filter(|report| report.spec.closed_at.is_none());
    lines.extend(open.map(|_| "left: record".into()));
    if o.report.is_some() {
        lines.push("record".into());
    }
    for slice in o.slices.iter().filter(|slice| concerns(&slice.service)) {
        for endpoint in &slice.endpoints {
            lines.push(format!("endpoint of {} ready {}", slice.service, endpoint.ready));
        }
    }
    lines.sort();
    lines
}
