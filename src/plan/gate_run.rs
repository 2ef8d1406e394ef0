//! Runs a gate: makes the check Jobs that are missing, reads what came of the others, and folds it into one answer.
//!
//! Which run a check is at is read off its Jobs, never remembered: a Job counts only if its labels repeat everything it
//! was made for, so a restart, another operator or a forged Job changes nothing.

mod records;

use jiff::Timestamp;

use crate::api::conditions::shorten;
use crate::api::time::{Moment, after, second};
use crate::api::{
    Attempt, FailOn, Gate, GateCheck, HttpCheck, Reason, ResolvedImage, ScanCheck, Severity, TestCheck, VerdictRecord,
    VerdictWord,
};
use crate::gates::fold::{self, GateState, Named};
use crate::gates::http::{self, PodStreak};
use crate::gates::retry::{self, Next};
use crate::gates::scan::{self, Scan, ScanInput};
use crate::gates::test::{self, TestInput, TestRun};
use crate::gates::{CheckOutcome, CheckState, Read};

use self::records::records;
use super::Action;
use super::decision::Want;
use super::jobs::{self, Order, Subject};
use super::observed::{Check, Content, Observed, Output, Policy, Run, RunState};
use super::stage::{self, LOOK_AGAIN};
use super::step::{Trouble, Wait, earliest};

/// How much is told of why a run proved nothing, in bytes: it leaves room for when the next one is made.
const WHY_MAX: usize = 800;

/// Where a gate stands.
pub enum Progress {
    /// A check Job is missing.
    Act(Action),
    /// A check runs, or waits for its next run.
    Wait(Wait),
    /// Every check passed. What must go on being asked comes along.
    Passed(Vec<VerdictRecord>, Vec<Want>),
    /// A check failed, or proved nothing to the end. Why, in a sentence.
    Failed(Vec<VerdictRecord>, String),
}

/// One check's state with what it needs to get further.
struct Ran {
    state: CheckState,
    action: Option<Action>,
    want: Option<Want>,
    wake: Option<Timestamp>,
    job: Option<String>,
    subject: Option<String>,
    /// The Job whose pod has not started, and why.
    stuck: Option<(String, String)>,
    /// The last run has proved nothing, and another one follows or is under way.
    unproven: Option<Trouble>,
}

impl Ran {
    fn done(outcome: CheckOutcome, job: Option<String>, subject: Option<String>) -> Self {
        Self { job, subject, ..Self::at(CheckState::Done(outcome)) }
    }

    /// No run of the check could prove anything, and another one would not either.
    fn unproven(message: String) -> Self {
        let outcome = CheckOutcome { verdict: VerdictWord::Inconclusive, message, evidence: Vec::new() };
        Self::done(outcome, None, None)
    }

    fn at(state: CheckState) -> Self {
        Self { state, action: None, want: None, wake: None, job: None, subject: None, stuck: None, unproven: None }
    }

    fn pending(why: impl Into<String>) -> Self {
        Self::at(CheckState::Pending(why.into()))
    }
}

/// Takes a gate one step further.
pub fn run(o: &Observed, attempt: &Attempt, policy: &Policy, gate: Gate, now: Timestamp) -> Progress {
    let entries = match gate {
        Gate::Scan => &policy.spec.gates.scan,
        Gate::Analyze => &policy.spec.gates.analyze,
        Gate::Verify => &policy.spec.gates.verify,
    };
    let mut ran: Vec<(&str, Ran)> = Vec::new();
    for entry in entries {
        match o.checks.get(&entry.check) {
            Some(check) => {
                ran.extend(one(o, attempt, gate, entry, check, now).into_iter().map(|r| (entry.check.as_str(), r)));
            }
            None => ran.push((&entry.check, Ran::pending("its SecurityCheck does not exist"))),
        }
    }
    let named: Vec<Named<'_>> = ran.iter().map(|(check, ran)| Named { check, state: &ran.state }).collect();
    match fold::fold(gate, &named) {
        GateState::Settled { verdict: VerdictWord::Pass, .. } => {
            let verdicts = records(gate, &ran, attempt, now);
            Progress::Passed(verdicts, ran.into_iter().filter_map(|(_, ran)| ran.want).collect())
        }
        GateState::Settled { message, .. } => Progress::Failed(records(gate, &ran, attempt, now), message),
        GateState::Pending(_) => {
            if let Some(action) = ran.iter_mut().find_map(|(_, ran)| ran.action.take()) {
                return Progress::Act(action);
            }
            let wakes: Vec<_> = ran.iter().map(|(_, ran)| ran.wake).collect();
            let wake = earliest(&wakes).unwrap_or_else(|| after(now, LOOK_AGAIN));
            let stuck = ran.iter().find_map(|(check, ran)| Some(not_started(o, check, ran.stuck.as_ref()?)));
            let trouble = stuck.or_else(|| ran.iter_mut().find_map(|(_, ran)| ran.unproven.take()));
            let wants = ran.into_iter().filter_map(|(_, ran)| ran.want).collect();
            Progress::Wait(Wait { trouble, wants, wake: Some(wake) })
        }
    }
}

/// A check whose pod has not started: it is waited for up to the check's time-out, and named meanwhile.
fn not_started(o: &Observed, check: &str, (job, why): &(String, String)) -> Trouble {
    Trouble::person(
        Reason::CheckNotStarted,
        format!(
            "Check {check} has not started: {why}. Mend that, or the SecurityCheck, and the gate goes on; look at Job {job} in namespace {}.",
            o.settings.checks_namespace
        ),
    )
}

/// A run that proved nothing, with what follows it. It is told until that one has ended, too: one write for each run.
fn proved_nothing(check: &str, run: u32, why: &str, next: Timestamp) -> Trouble {
    Trouble::time(
        Reason::CheckInconclusive,
        format!(
            "Run {run} of {} of check {check} proved nothing; the next one is made at {}. {}",
            retry::RUNS,
            second(Moment::new(next)),
            shorten(why, WHY_MAX)
        ),
    )
}

fn one(o: &Observed, attempt: &Attempt, gate: Gate, entry: &GateCheck, check: &Check, now: Timestamp) -> Vec<Ran> {
    let spec = &check.spec;
    if let Some(scan) = &spec.scan {
        return attempt.images.iter().map(|image| run_scan(o, attempt, gate, entry, check, scan, image, now)).collect();
    }
    if let Some(test) = &spec.test {
        return vec![run_test(o, attempt, gate, entry, check, test, now)];
    }
    match &spec.http {
        Some(http) => vec![ask(o, attempt, gate, entry, check, http)],
        None => vec![Ran::pending("its SecurityCheck says neither scan, test nor http")],
    }
}

/// The Jobs of one run of a check, or what is missing.
fn jobs_of<'a>(
    o: &'a Observed,
    order: &Order<'_>,
    subjects: &[Subject<'_>],
) -> Result<Vec<(&'a Run, Moment, &'a Output)>, Box<Ran>> {
    let mut ended = Vec::new();
    let mut running = None;
    for subject in subjects {
        let order = Order { subject: *subject, ..*order };
        let name = order.job_name();
        match o.runs.iter().find(|found| found.job == name) {
            None => {
                let mut missing = Ran::pending("its Job is being created");
                missing.action = order.job().map(Action::CreateJob);
                return Err(Box::new(missing));
            }
            Some(found) if !order.is_filled_by(found) => {
                return Err(Box::new(Ran::unproven(format!(
                    "Job {name} in namespace {} has the name of this check's Job but was not made for it, so what it \
                     printed proves nothing. Find out who made it.",
                    o.settings.checks_namespace
                ))));
            }
            Some(found) => match &found.state {
                // One whose pod has not started is the one to tell of.
                RunState::Running => running = running.filter(|known: &&Run| known.stuck.is_some()).or(Some(found)),
                RunState::Ended { at, output } => ended.push((found, *at, output)),
            },
        }
    }
    match running {
        Some(run) => {
            let stuck = run.stuck.clone().map(|why| (run.job.clone(), why));
            Err(Box::new(Ran { stuck, ..Ran::pending(format!("Job {} runs", run.job)) }))
        }
        None => Ok(ended),
    }
}

/// What the printed results of a run's Jobs come to.
type Judge<'a> = dyn Fn(&[(&Run, Moment, &Output)]) -> CheckOutcome + 'a;

/// Runs a check until it proves something, or the runs are used up.
fn until_conclusive(
    o: &Observed,
    order: &Order<'_>,
    subjects: &[Subject<'_>],
    judge: &Judge<'_>,
    now: Timestamp,
) -> Result<(CheckOutcome, Option<String>), Box<Ran>> {
    let mut run = 1;
    let mut unproven = None;
    loop {
        let ended = jobs_of(o, &Order { run, ..*order }, subjects).map_err(|mut ran| {
            ran.unproven = unproven.take();
            ran
        })?;
        let outcome = judge(&ended);
        let job = ended.last().map(|(run, _, _)| run.job.clone());
        if outcome.verdict != VerdictWord::Inconclusive {
            return Ok((outcome, job));
        }
        let last = ended.iter().map(|(_, at, _)| at.timestamp()).max().unwrap_or(now);
        unproven = retry::due(run, last).map(|next| proved_nothing(order.name, run, &outcome.message, next));
        match retry::next(run, last, now) {
            Next::Run(next) => run = next,
            Next::Exhausted => return Ok((retry::exhausted(outcome), job)),
            Next::Wait { until } => {
                let mut waiting = Ran::pending(format!("inconclusive, run again at {until}: {}", outcome.message));
                waiting.wake = Some(until);
                waiting.unproven = unproven;
                return Err(Box::new(waiting));
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one call site; each is a different thing the scan is about")]
fn run_scan(
    o: &Observed,
    attempt: &Attempt,
    gate: Gate,
    entry: &GateCheck,
    check: &Check,
    spec: &ScanCheck,
    image: &ResolvedImage,
    now: Timestamp,
) -> Ran {
    let baselines: Vec<&str> = attempt
        .blue
        .baseline
        .iter()
        .filter(|baseline| baseline.container == image.container)
        .map(|baseline| baseline.image.as_str())
        .collect();
    let container = image.container.as_str();
    let subjects: Vec<Subject<'_>> = std::iter::once(Subject::Candidate { container, image: &image.image })
        .chain(baselines.iter().map(|image| Subject::Baseline { container, image }))
        .collect();
    let address = jobs::target_address(o, attempt, gate).unwrap_or_default();
    let order = order(o, attempt, gate, entry, check, &address);
    let introduced = severity(entry.fail_on.as_ref());
    let judge = |ended: &[(&Run, Moment, &Output)]| {
        let mut reports = ended.iter().map(|(_, _, output)| scan_report(output));
        let missing = || Err("its Job is gone");
        let candidate = Scan {
            image: &image.image,
            digests: image.digests.iter().map(String::as_str).collect(),
            report: reports.next().unwrap_or_else(missing),
        };
        let baselines = baselines.iter().map(|image| Scan {
            image,
            digests: image.rsplit_once('@').map(|(_, digest)| digest).into_iter().collect(),
            report: reports.next().unwrap_or_else(missing),
        });
        scan::judge(&ScanInput {
            container: &image.container,
            advisory: &o.hotfix.spec.advisory.ids,
            scanner: &spec.container.image,
            format: spec.format,
            introduced,
            baselines: baselines.collect(),
            candidate,
        })
    };
    match until_conclusive(o, &order, &subjects, &judge, now) {
        Ok((outcome, job)) => Ran::done(outcome, job, Some(image.container.clone())),
        Err(ran) => *ran,
    }
}

/// What is ordered for a check; subject and run are filled in as they come.
fn order<'a>(
    o: &'a Observed,
    attempt: &'a Attempt,
    gate: Gate,
    entry: &'a GateCheck,
    check: &'a Check,
    address: &'a str,
) -> Order<'a> {
    Order {
        settings: &o.settings,
        hotfix: &o.hotfix,
        attempt,
        gate,
        name: &entry.check,
        check,
        args: &entry.args,
        subject: Subject::Address,
        address,
        run: 1,
    }
}

fn scan_report(output: &Output) -> Result<Read<'_, crate::findings::ScanReport>, &str> {
    match output {
        Output::Framed { sha256, content: Content::Scan(report), .. } => Ok(Read { sha256, content: report }),
        Output::Framed { content: Content::Malformed(why), .. } | Output::Unusable(why) => Err(why),
        Output::Framed { .. } => Err("it is no scanner's report"),
    }
}

fn severity(fail_on: Option<&FailOn>) -> crate::findings::Severity {
    fail_on.map_or(Severity::High, |fail_on| fail_on.introduced).into()
}

fn run_test(
    o: &Observed,
    attempt: &Attempt,
    gate: Gate,
    entry: &GateCheck,
    check: &Check,
    spec: &TestCheck,
    now: Timestamp,
) -> Ran {
    let Some(address) = jobs::target_address(o, attempt, gate) else {
        return Ran::pending("there is no Service to address");
    };
    let order = order(o, attempt, gate, entry, check, &address);
    let judge = |ended: &[(&Run, Moment, &Output)]| {
        let run = match ended.first().map(|(_, _, output)| *output) {
            Some(Output::Framed { exit_code, sha256, content, .. }) => Ok(TestRun {
                exit_code: *exit_code,
                sha256,
                report: match content {
                    Content::Test(report) => Some(Ok(report)),
                    Content::Malformed(why) => Some(Err(why.as_str())),
                    Content::Scan(_) => Some(Err("it is a scanner's report")),
                    Content::None => None,
                },
            }),
            Some(Output::Unusable(why)) => Err(why.as_str()),
            None => Err("its Job is gone"),
        };
        test::judge(&TestInput { subject: &address, declared: spec.report, run })
    };
    match until_conclusive(o, &order, &[Subject::Address], &judge, now) {
        Ok((outcome, job)) => Ran::done(outcome, job, Some(address.clone())),
        Err(ran) => *ran,
    }
}

/// Asks each pod of the candidate that is up; the answers are gathered while this is wanted.
fn ask(o: &Observed, attempt: &Attempt, gate: Gate, entry: &GateCheck, check: &Check, http: &HttpCheck) -> Ran {
    let path = match http::path(http, &entry.args) {
        Ok(path) => path,
        Err(why) => return Ran::unproven(why),
    };
    // What is asked is what is told: people read the path with its arguments.
    let http = HttpCheck { path, ..http.clone() };
    let key = (entry.check.clone(), check.generation);
    let green = o.green_pods();
    let pods: Vec<_> = green.iter().filter(|pod| stage::is_up(pod, attempt)).collect();
    if pods.len() > http::PODS_MAX {
        return Ran::unproven(format!(
            "The candidate has {} pods, and an HTTP check asks {} at most: use a test check that asks the Service.",
            pods.len(),
            http::PODS_MAX
        ));
    }
    let streaks: Vec<PodStreak<'_>> = pods
        .iter()
        .map(|pod| {
            let probe = o.evidence.probes.iter().find(|probe| {
                probe.attempt == attempt.number && probe.gate == gate && probe.check == key && probe.pod == pod.uid
            });
            PodStreak {
                pod: &pod.name,
                successes: probe.map_or(0, |probe| probe.successes),
                failures: probe.map_or(0, |probe| probe.failures),
                unsettled: probe.map_or(0, |probe| probe.unsettled),
                last: probe.map_or("", |probe| &probe.last),
            }
        })
        .collect();
    let want = Want::Probe {
        attempt: attempt.number,
        gate,
        check: key,
        http: http.clone(),
        pods: pods.iter().filter_map(|pod| Some((pod.uid.clone(), pod.ip.clone()?))).collect(),
    };
    Ran { want: Some(want), ..Ran::at(http::judge(&http, &streaks)) }
}
