//! Puts what happens into words: what people will read when they review a change of the planner.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use securityhotfix::api::names::{POD_TEMPLATE_HASH, SLOT};
use securityhotfix::api::{Attempt, Phase, SecurityHotfixStatus, Truth};
use securityhotfix::plan::Action;
use securityhotfix::plan::decision::{Note, Weight};
use securityhotfix::plan::observed::{Map, Pod};

use crate::world::World;
use crate::world::api::Written;
use crate::world::arrange::{BLUE, V1, V2, V3, V4, V5, image_word};

/// Actions that are not counted among the writes of an update: the record, the checks, and each pod's opening and closing.
const BESIDE: [&str; 6] = ["open report", "write report", "create check", "delete check", "open", "close"];

/// Writes the story down.
pub struct Narrator {
    text: String,
    began: Timestamp,
    traffic: BTreeMap<String, (usize, usize)>,
    pods: String,
}

impl Narrator {
    pub fn new(title: &str, given: &[String], world: &World) -> Self {
        let mut text = format!("{title}\n\n");
        for line in given {
            writeln!(text, "given    {line}").unwrap();
        }
        text.push('\n');
        let mut new = Self { text, began: world.now, traffic: BTreeMap::new(), pods: String::new() };
        new.traffic(world);
        new.quiet(world);
        new
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn line(&mut self, at: Timestamp, who: &str, what: &str) {
        let seconds = at.duration_since(self.began).as_secs();
        let what = words(what);
        writeln!(self.text, "{:>3}:{:02}   {who:<9} {what}", seconds / 60, seconds % 60).unwrap();
    }

    fn detail(&mut self, what: &str, text: &str) {
        let text = words(text);
        writeln!(self.text, "           {what:<9} {text}").unwrap();
    }

    /// Somebody did something.
    pub fn people(&mut self, what: &str, world: &World) {
        self.line(world.now, "PEOPLE", what);
    }

    /// The operator wrote something.
    pub fn wrote(
        &mut self,
        hotfix: &str,
        (action, written): (&Action, Written),
        notes: &[Note],
        before: &World,
        world: &World,
    ) {
        let old = before.hotfixes.get(hotfix).map(|hotfix| hotfix.status.clone()).unwrap_or_default();
        let mut told = describe(action, &old);
        if world.operators.len() > 1 {
            told = format!("{hotfix}: {told}");
        }
        if written != Written::Done {
            told = format!("{told} ... {}", format!("{written:?}").to_lowercase());
        }
        self.line(world.now, "operator", &told);
        if written != Written::Done {
            return;
        }
        if let Action::Record { status, .. } = action {
            for condition in &status.conditions {
                sentences(&condition.message);
            }
            self.record(&old, status);
        }
        for note in notes {
            sentences(&note.text);
        }
        for note in notes {
            let weight = if note.weight == Weight::Warning { "WARNING" } else { "event" };
            self.detail(weight, &format!("{}: {}", note.reason.as_str(), note.text));
        }
    }

    fn record(&mut self, old: &SecurityHotfixStatus, new: &SecurityHotfixStatus) {
        let known = old.attempt.as_ref().map_or(0, |attempt| attempt.verdicts.len());
        let same = old.attempt.as_ref().map(|a| a.number) == new.attempt.as_ref().map(|a| a.number);
        for verdict in new.attempt.iter().flat_map(|a| &a.verdicts).skip(if same { known } else { 0 }) {
            let subject = verdict.subject.as_deref().unwrap_or_default();
            let told = format!(
                "{:?} by {} of {subject}: {:?}. {}",
                verdict.gate, verdict.check, verdict.verdict, verdict.message
            );
            self.detail("verdict", &told);
        }
        if old.phase != new.phase {
            let word = |phase: Option<_>| phase.map_or("(none)".to_owned(), |phase| format!("{phase:?}"));
            self.detail("phase", &format!("{} -> {}", word(old.phase), word(new.phase)));
        }
        let ready = |status: &SecurityHotfixStatus| {
            status.conditions.first().filter(|c| c.status == Truth::False).map(|c| (c.reason, c.message.clone()))
        };
        if let Some((reason, message)) = ready(new).filter(|now| ready(old).as_ref() != Some(now)) {
            self.detail("not ready", &format!("{}: {message}", reason.as_str()));
        }
        let under_way = |status: &SecurityHotfixStatus| {
            status.conditions.first().filter(|c| c.status == Truth::Unknown).map(|c| c.message.clone())
        };
        let verifying = [old.phase, new.phase] == [Some(Phase::Verifying); 2];
        if let Some(message) = under_way(new).filter(|now| verifying && under_way(old).as_ref() != Some(now)) {
            self.detail("under way", &message);
        }
    }

    /// Tells where the traffic of each Service goes, if that has changed.
    pub fn traffic(&mut self, world: &World) {
        let names: Vec<String> = world.production().map(|service| service.name.clone()).collect();
        for name in names {
            let now = world.endpoints(&name);
            if self.traffic.insert(name.clone(), now) != Some(now) {
                let told = match now {
                    (0, 0) => "nobody".to_owned(),
                    (blues, 0) => format!("{blues} of web"),
                    (0, greens) => format!("{greens} of the candidate"),
                    (blues, greens) => format!("{blues} of web, {greens} of the candidate"),
                };
                self.detail("traffic", &format!("{name} -> {told}"));
            }
        }
    }

    /// A Service has lost its last ready endpoint.
    pub fn outage(&mut self, service: &str, who: &str, at: Timestamp) -> String {
        let told = format!("Service {service} has no ready endpoint (after {who})");
        self.line(at, "OUTAGE", &told);
        told
    }

    /// Everything is quiet: tells what pods there are, if that has changed.
    pub fn quiet(&mut self, world: &World) {
        let pods = pods(world);
        if self.pods != pods {
            self.pods.clone_from(&pods);
            self.line(world.now, "pods", &pods);
        }
    }

    /// What happens before people do anything is told by the story without them.
    fn skip_to_people(&mut self) {
        let lines: Vec<&str> = self.text.lines().collect();
        let begin = lines.iter().rposition(|line| line.starts_with("given ")).map_or(0, |given| given + 2);
        let Some(people) = lines.iter().position(|line| line.contains("   PEOPLE ")) else { return };
        if people > begin + 6 {
            let shown = people - 4;
            let told = [&lines[..begin], &["           ..."], &lines[shown..]].concat();
            self.text = told.join("\n") + "\n";
        }
    }

    /// The end, and the part of it that every order must come to.
    pub fn end(mut self, world: &World, outages: &[String]) -> (String, String) {
        let end = end_state(world);
        self.skip_to_people();
        let seconds = world.now.duration_since(self.began).as_secs();
        writeln!(self.text, "\nend      after {}:{:02}\n", seconds / 60, seconds % 60).unwrap();
        for hotfix in world.hotfixes.values() {
            for condition in hotfix.status.conditions.iter().take(1) {
                writeln!(self.text, "message  {}", words(&condition.message)).unwrap();
            }
        }
        self.text.push_str(&end);
        match outages.len() {
            0 => writeln!(self.text, "traffic  every Service had a ready endpoint at every step"),
            n => writeln!(self.text, "traffic  {n} outages, none by our doing"),
        }
        .unwrap();
        let (beside, counted): (Vec<_>, Vec<_>) = world.writes.iter().partition(|(name, _)| BESIDE.contains(name));
        let list = |writes: &[(&&str, &usize)]| {
            writes.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
        };
        writeln!(self.text, "writes   {}: {}", counted_writes(world), list(&counted)).unwrap();
        if !beside.is_empty() {
            writeln!(self.text, "beside   {}", list(&beside)).unwrap();
        }
        (self.text, end)
    }
}

/// How many writes to objects and status there were, beside the record, the checks, the openings and the closings.
pub fn counted_writes(world: &World) -> usize {
    world.writes.iter().filter(|(name, _)| !BESIDE.contains(name)).map(|(_, n)| n).sum()
}

fn end_state(world: &World) -> String {
    let mut text = String::new();
    for hotfix in world.hotfixes.values() {
        let status = &hotfix.status;
        let attempt = status.attempt.as_ref();
        let phase = status.phase.map_or("(no phase)".to_owned(), |phase| format!("{phase:?}"));
        writeln!(text, "hotfix   {} {phase}, attempt {}", hotfix.name, attempt.map_or(0, |a| a.number)).unwrap();
        for condition in &status.conditions {
            if condition.status != Truth::Unknown {
                let (type_, status, reason) = (condition.type_, condition.status, condition.reason.as_str());
                writeln!(text, "           {type_:?}={status:?} {reason}").unwrap();
            }
        }
    }
    if world.hotfixes.is_empty() {
        text.push_str("hotfix   gone\n");
    }
    for report in world.reports.values() {
        let (none, closed) =
            if report.spec.closed_at.is_some() { ("no outcome", "closed") } else { ("open", "not closed") };
        let outcome = report.spec.outcome.map_or(none.to_owned(), |outcome| format!("{outcome:?}"));
        writeln!(text, "record   {outcome}, {closed}").unwrap();
    }
    writeln!(text, "pods     {}", pods(world)).unwrap();
    for service in world.production() {
        let (blues, greens) = world.endpoints(&service.name);
        let told = selector(&service.selector);
        writeln!(text, "service  {}: {told}; {blues} of web, {greens} of the candidate", service.name).unwrap();
    }
    match world.left_behind() {
        left if left.is_empty() => text.push_str("left     nothing\n"),
        left => left.iter().for_each(|what| writeln!(text, "LEFT     {}", words(what)).unwrap()),
    }
    text
}

/// How many pods of what there are, and how far.
fn pods(world: &World) -> String {
    let mut parts = Vec::new();
    for deployment in world.deployments.values() {
        let pods: Vec<&Pod> = world.pods_of(&deployment.name).collect();
        let mut by_image: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in pods {
            let image = pod.containers.first().map_or("?", |container| image_word(&container.image));
            by_image.entry(image).or_default().push(pod);
        }
        let name = if deployment.name == BLUE { "web" } else { "candidate" };
        let groups: Vec<String> = by_image
            .iter()
            .map(|(image, pods)| {
                let (leaving, staying): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| pod.deleting);
                let up = staying.iter().filter(|pod| pod.containers_ready).count();
                let ready = staying.iter().filter(|pod| pod.serves()).count();
                let n = staying.len();
                let staying = match (up == n, ready == n) {
                    _ if n == 0 => String::new(),
                    (_, true) => format!("{n} of {image} ready"),
                    (true, false) => format!("{n} of {image} up, {ready} ready"),
                    (false, false) => format!("{n} of {image}, {up} up, {ready} ready"),
                };
                let left = match leaving.len() {
                    0 => String::new(),
                    m => format!("{m} of {image} leaving"),
                };
                [staying, left].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" + ")
            })
            .collect();
        let told = if groups.is_empty() { "no pods".to_owned() } else { groups.join(" + ") };
        parts.push(format!("{name}: {told}"));
    }
    if parts.is_empty() { "none".into() } else { parts.join("; ") }
}

fn selector(selector: &Map) -> String {
    let mut own = selector.clone();
    let slot = own.remove(SLOT).is_some();
    let hash = own.remove(POD_TEMPLATE_HASH).is_some();
    let own: Vec<String> = own.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let slot = if slot { " + slot" } else { "" };
    let hash = if hash { " + pod-template-hash" } else { "" };
    format!("{}{slot}{hash}", own.join(","))
}

/// What people read are whole sentences, and nothing in them is missing.
fn sentences(text: &str) {
    let begins = text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
    let ends = text.ends_with(['.', '…']);
    let holes = ["\"\"", "  ", " .", " ,", " ;", ": .", "()", ".."].iter().find(|hole| text.contains(**hole));
    assert!(begins && ends && holes.is_none(), "not whole sentences ({holes:?}): {text}");
}

/// Images by their short names.
fn words(text: &str) -> String {
    [V1, V2, V3, V4, V5].iter().fold(text.to_owned(), |text, image| text.replace(image, image_word(image)))
}

fn describe(action: &Action, old: &SecurityHotfixStatus) -> String {
    match action {
        Action::Record { status, .. } => format!("record: {}", news(old, status)),
        Action::Hold { service, .. } => format!("hold Service {}", service.name),
        Action::Switch { service, to, .. } => format!("switch Service {} to {}", service.name, selector(to)),
        Action::Seal { service, to, .. } => format!("seal Service {} with {}", service.name, selector(to)),
        Action::Unpin { service, .. } => format!("unpin Service {}", service.name),
        Action::Unmark { service, .. } => format!("unmark Service {}", service.name),
        Action::Open(pod) => format!("open pod {}", pod.name),
        Action::Close(pod) => format!("close pod {}", pod.name),
        Action::ResizeGreen { replicas, ownership, .. } => format!("resize green to {replicas}, owner {ownership:?}"),
        Action::FoldBack { blue, images } => {
            let images: Vec<String> =
                images.iter().map(|i| format!("{} {} -> {}", i.container, i.from, i.to)).collect();
            format!("fold back into {}: {}", blue.name, images.join(", "))
        }
        Action::CreateJob(job) => {
            let label = |key: &str| job["metadata"]["labels"][key].as_str().unwrap_or_default().to_owned();
            let (gate, check, run) =
                (label("securityhotfix.dev/gate"), label("securityhotfix.dev/check"), label("securityhotfix.dev/run"));
            let env = job.pointer("/spec/template/spec/containers/0/env").and_then(serde_json::Value::as_array);
            let subject = env
                .into_iter()
                .flatten()
                .filter(|variable| variable["name"] == "IMAGE" || variable["name"] == "TARGET_ADDRESS")
                .find_map(|variable| variable["value"].as_str().filter(|value| !value.is_empty()))
                .unwrap_or_default();
            format!("create check: {gate} {check} of {subject}, run {run}")
        }
        other => other.name().to_owned(),
    }
}

/// What a record adds, in words.
fn news(old: &SecurityHotfixStatus, new: &SecurityHotfixStatus) -> String {
    let mut news = Vec::new();
    let attempt = |status: &SecurityHotfixStatus| status.attempt.clone();
    if let Some(now) = attempt(new) {
        let before = attempt(old).filter(|before| before.number == now.number);
        if before.is_none() {
            news.push(format!("attempt {} begins", now.number));
        }
        news.extend(milestones(before.as_ref(), &now));
    }
    match (&old.leftover, &new.leftover) {
        (None, Some(_)) => news.push("what is gone left something".into()),
        (Some(_), None) => news.push("nothing of it is left".into()),
        (Some(old), Some(new)) if old != new => news.push("its traffic returned".into()),
        _ => {}
    }
    if old.last_handled != new.last_handled {
        news.push("command handled".into());
    }
    if news.is_empty() { "conditions".into() } else { news.join(", ") }
}

fn milestones(before: Option<&Attempt>, now: &Attempt) -> Vec<String> {
    let mut news = Vec::new();
    let mut step = |word: &str, is: bool, was: bool| {
        if is && !was {
            news.push(word.to_owned());
        }
    };
    let was = |f: fn(&Attempt) -> bool| before.is_some_and(f);
    step("scanned", now.scanned_at.is_some(), was(|a| a.scanned_at.is_some()));
    step("staged", now.staged_at.is_some(), was(|a| a.staged_at.is_some()));
    step("analyzed", now.analyzed_at.is_some(), was(|a| a.analyzed_at.is_some()));
    step("promoting", now.promoting_at.is_some(), was(|a| a.promoting_at.is_some()));
    step("converged", now.converged_at.is_some(), was(|a| a.converged_at.is_some()));
    step("verified", now.verified_at.is_some(), was(|a| a.verified_at.is_some()));
    let held = |a: &Attempt| a.suspension.is_some_and(|suspension| suspension.until.is_none());
    step("suspended", held(now), before.is_some_and(held));
    step("resumed", !held(now), before.is_none_or(|before| !held(before)));
    let alone = |a: &Attempt| a.unchecked.is_some_and(|unchecked| unchecked.until.is_none());
    step("unchecked", alone(now), before.is_some_and(alone));
    step("checked again", !alone(now), before.is_none_or(|before| !alone(before)));
    step("selector to be set again", now.reassert.is_some(), was(|a| a.reassert.is_some()));
    step("image to be put in again", now.folds > 1, was(|a| a.folds > 1));
    step("traffic returned", now.drained_from.is_some(), was(|a| a.drained_from.is_some()));
    step("finished", now.finished_at.is_some(), was(|a| a.finished_at.is_some()));
    if let Some(latch) = now.latch.as_ref().filter(|_| before.is_none_or(|before| before.latch.is_none())) {
        news.push(format!("LATCH {}", latch.reason.as_str()));
    }
    news
}
