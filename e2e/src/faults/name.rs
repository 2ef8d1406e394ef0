//! What a call does, in a few words: `switch web`, `record latch`, `list pods`. A call's number says nothing in the next run; what
//! it does says the same in every run.
//!
//! The name is told from the request and from what was seen of the hotfixes before. It decides nothing about the call.

use std::collections::BTreeMap;

use securityhotfix::api::names::{OPEN, SLOT};
use securityhotfix::plan::jobs::{CHECK, GATE, ROLE, RUN};
use serde_json::Value;

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It changes an object.
    Write,
    /// It reads one, or many, or rehearses a write.
    Read,
    /// It stays open.
    Watch,
    /// It reads what a check printed.
    Log,
    /// Beside the work: events, and who leads.
    Beside,
}

/// A call by what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What kind.
    pub class: Class,
    /// What it does.
    pub text: String,
}

/// A request as the proxy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, empty where there is none.
    pub query: &'a str,
    /// The body; null where it is none.
    pub body: &'a Value,
}

/// Names calls, and remembers what it needs for the next ones.
#[derive(Debug, Default)]
pub struct Namer {
    /// The status of each hotfix as last seen, by path.
    hotfixes: BTreeMap<String, Value>,
    /// What each check Job is for, by its name.
    jobs: BTreeMap<String, Job>,
}

/// What a check Job is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Gate, check and what it looks at.
    pub told: String,
    /// The image it scans; empty where it scans none.
    pub image: String,
    /// Its command.
    pub command: Vec<String>,
}

/// Parts of a path: the collection, and what follows it.
struct Parts<'a> {
    namespace: &'a str,
    kind: &'a str,
    name: &'a str,
    sub: &'a str,
}

fn parts(path: &str) -> Option<Parts<'_>> {
    let mut words = path.trim_start_matches('/').split('/');
    match words.next()? {
        "api" => {
            words.next()?;
        }
        "apis" => {
            words.next()?;
            words.next()?;
        }
        _ => return None,
    }
    let mut first = words.next()?;
    let mut namespace = "";
    let rest: Vec<&str> = words.collect();
    let mut rest = rest.as_slice();
    if first == "namespaces" && rest.len() > 1 {
        namespace = rest[0];
        first = rest[1];
        rest = &rest[2..];
    }
    Some(Parts {
        namespace,
        kind: first,
        name: rest.first().copied().unwrap_or_default(),
        sub: rest.get(1).copied().unwrap_or_default(),
    })
}

impl Namer {
    /// Names a call.
    pub fn name(&self, asked: Asked<'_>) -> Name {
        let Some(parts) = parts(asked.path) else {
            return Name { class: Class::Read, text: format!("read {}", asked.path) };
        };
        let of = |class, text: String| Name { class, text };
        if asked.query.contains("watch=true") || asked.query.contains("watch=1") {
            return of(Class::Watch, format!("watch {}", parts.kind));
        }
        if parts.kind == "events" {
            return of(Class::Beside, "tell event".to_owned());
        }
        if parts.kind == "leases" && !parts.name.starts_with("hotfix-") && !is_claim(asked.body) {
            return of(Class::Beside, format!("lead: {}", asked.method.to_lowercase()));
        }
        match asked.method {
            "GET" if parts.sub == "log" => of(Class::Log, self.log(parts.name)),
            "GET" if parts.name.is_empty() => of(Class::Read, format!("list {}", parts.kind)),
            "GET" => of(Class::Read, format!("get {}", parts.kind)),
            _ if asked.query.contains("dryRun") => of(Class::Read, format!("rehearse {}", parts.kind)),
            method => of(Class::Write, self.write(method, &parts, asked)),
        }
    }

    fn log(&self, pod: &str) -> String {
        self.job_of(pod).map_or_else(|| "read log".to_owned(), |job| format!("read log {}", job.told))
    }

    /// The Job whose pod is called so.
    pub fn job_of(&self, pod: &str) -> Option<&Job> {
        self.jobs.get(pod.rsplit_once('-')?.0)
    }

    fn write(&self, method: &str, parts: &Parts<'_>, asked: Asked<'_>) -> String {
        let body = asked.body;
        match (method, parts.kind, parts.sub) {
            ("PATCH", "securityhotfixes", "status") => {
                let own = asked.path.trim_end_matches("/status");
                let before = self.hotfixes.get(own).unwrap_or(&Value::Null);
                let after = operation(body, "add", "/status").unwrap_or(&Value::Null);
                format!("record {}{}", milestone(before, after), of_hotfix(parts.name))
            }
            ("PATCH", "securityhotfixes", _) => {
                let removes = operations(body).any(|op| text(op, "op") == "remove");
                let what = if removes { "remove finalizer" } else { "add finalizer" };
                format!("{what}{}", of_hotfix(parts.name))
            }
            ("POST", "leases", _) => "claim".to_owned(),
            ("DELETE", "leases", _) => "unclaim".to_owned(),
            ("POST", "hotfixreports", _) => {
                format!(
                    "open report{}",
                    of_hotfix(body.pointer("/spec/hotfix/name").and_then(Value::as_str).unwrap_or(""))
                )
            }
            ("PATCH", "hotfixreports", _) => format!("write report{}", of_report(parts.name)),
            ("POST", "jobs", _) => format!("create check {}", job(body).told),
            ("DELETE", "jobs", _) => {
                format!("delete check {}", self.jobs.get(parts.name).map_or("unknown", |job| &job.told))
            }
            ("POST", "deployments", _) => "create green".to_owned(),
            ("DELETE", "deployments", _) => "delete green".to_owned(),
            ("PATCH", "deployments", _) if is_green(parts.name) => "resize green".to_owned(),
            ("PATCH", "deployments", _) if touches(body, "/image") => format!("fold back {}", parts.name),
            ("PATCH", "deployments", _) => format!("disown {}", parts.name),
            ("POST", "services", _) => "create preview".to_owned(),
            ("DELETE", "services", _) => "delete preview".to_owned(),
            ("PATCH", "services", _) => format!("{} {}", service(body), parts.name),
            ("POST", "poddisruptionbudgets", _) => "create budget".to_owned(),
            ("DELETE", "poddisruptionbudgets", _) => "delete budget".to_owned(),
            ("PATCH", "pods", "status") => {
                let open = body.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
                let open = open.into_iter().any(|it| text(it, "type") == OPEN && text(it, "status") == "True");
                if open { "open pod".to_owned() } else { "close pod".to_owned() }
            }
            (method, kind, sub) => format!("{} {kind} {sub}", method.to_lowercase()).trim_end().to_owned(),
        }
    }

    /// Remembers what an answer to this request showed.
    pub fn learn(&mut self, asked: Asked<'_>, answer: &Value) {
        let Some(parts) = parts(asked.path) else { return };
        match parts.kind {
            "securityhotfixes" if !parts.name.is_empty() && text(answer, "kind") == "SecurityHotfix" => {
                let own = asked.path.trim_end_matches("/status").to_owned();
                self.hotfixes.insert(own, answer.get("status").cloned().unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Remembers a check Job from the request that makes it, whatever comes of the request.
    pub fn ordered(&mut self, asked: Asked<'_>) {
        let made = parts(asked.path).is_some_and(|parts| parts.kind == "jobs" && asked.method == "POST");
        if let Some(name) = asked.body.pointer("/metadata/name").and_then(Value::as_str).filter(|_| made) {
            self.jobs.insert(name.to_owned(), job(asked.body));
        }
    }

    /// The namespace of a path; empty for what has none.
    pub fn namespace(path: &str) -> &str {
        parts(path).map_or("", |parts| parts.namespace)
    }
}

/// The hotfix's name where it is not the only one.
fn of_hotfix(name: &str) -> String {
    if name.is_empty() || name == super::scenario::HOTFIX { String::new() } else { format!(" of {name}") }
}

fn of_report(name: &str) -> String {
    of_hotfix(name.rsplit_once('-').map_or(name, |(hotfix, _uid)| hotfix))
}

fn is_green(name: &str) -> bool {
    name.contains("-hotfix-")
}

fn is_claim(body: &Value) -> bool {
    body.pointer("/metadata/name").and_then(Value::as_str).is_some_and(|name| name.starts_with("hotfix-"))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn operations(body: &Value) -> impl Iterator<Item = &Value> {
    body.as_array().into_iter().flatten()
}

/// The value of the operation of this kind on this path.
pub(super) fn operation<'a>(body: &'a Value, op: &str, path: &str) -> Option<&'a Value> {
    operations(body).find(|it| text(it, "op") == op && text(it, "path") == path).and_then(|it| it.get("value"))
}

fn touches(body: &Value, field: &str) -> bool {
    operations(body).any(|op| text(op, "op") == "replace" && text(op, "path").ends_with(field))
}

/// Which of the five writes to a Service it is.
fn service(body: &Value) -> &'static str {
    let selector = operation(body, "replace", "/spec/selector");
    let mark = operations(body)
        .filter(|op| text(op, "op") == "add" && text(op, "path").contains("/annotations"))
        .filter_map(|op| op.get("value"))
        .map(ToString::to_string)
        .next();
    match (selector, mark) {
        (None, Some(mark)) if mark.contains("hold/") => "hold",
        (Some(to), None) if to.get(SLOT).is_some() => "switch",
        (Some(_), Some(mark)) if mark.contains("sealed/") => "seal",
        (Some(_), None) => "unpin",
        (None, None) => "unmark",
        _ => "patch service",
    }
}

/// What is new in an attempt.
fn milestone(before: &Value, after: &Value) -> &'static str {
    // The last of those that are new: one record may hold several.
    const TIMES: [(&str, &str); 9] = [
        ("finishedAt", "finished"),
        ("drainedFrom", "returned"),
        ("verifiedAt", "verified"),
        ("convergedAt", "converged"),
        ("promotingAt", "promoting"),
        ("approvedAt", "analyzed"),
        ("analyzedAt", "analyzed"),
        ("stagedAt", "staged"),
        ("scannedAt", "scanned"),
    ];
    let (old, new) = (before.get("attempt"), after.get("attempt"));
    let Some(new) = new else { return "told" };
    let Some(old) = old.filter(|old| old.get("number") == new.get("number")) else { return "begun" };
    let fresh = |field: &str| new.get(field).is_some() && old.get(field).is_none();
    if fresh("latch") {
        return "latch";
    }
    if let Some((_, word)) = TIMES.iter().find(|(field, _)| fresh(field)) {
        return word;
    }
    let count = |of: &Value| of.get("verdicts").and_then(Value::as_array).map_or(0, Vec::len);
    if count(new) != count(old) {
        return "verdict";
    }
    if fresh("reassert") {
        return "reassert";
    }
    if new.get("folds") != old.get("folds") {
        return "fold again";
    }
    "told"
}

/// What a Job is for, from its labels.
fn job(job: &Value) -> Job {
    let label = |key: &str| job.pointer("/metadata/labels").map_or("", |labels| text(labels, key));
    let run = match label(RUN) {
        "" | "1" => String::new(),
        more => format!(" run {more}"),
    };
    let attempt = match label(securityhotfix::api::names::ATTEMPT) {
        "" | "1" => String::new(),
        more => format!(" attempt {more}"),
    };
    let hotfix = of_hotfix(label(securityhotfix::api::names::HOTFIX_NAME));
    let container = job.pointer("/spec/template/spec/containers/0").unwrap_or(&Value::Null);
    let environment = container.get("env").and_then(Value::as_array).into_iter().flatten();
    let image = environment.into_iter().find(|variable| text(variable, "name") == "IMAGE");
    let command = container.get("command").and_then(Value::as_array).into_iter().flatten();
    Job {
        told: format!("{} {} {}{run}{attempt}{hotfix}", label(GATE), label(CHECK), label(ROLE)),
        image: image.map_or("", |image| text(image, "value")).to_owned(),
        command: command.into_iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
