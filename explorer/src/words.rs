//! Moves, writes and objects in words.

use securityhotfix::api::Attempt;
use securityhotfix::api::SecurityHotfixStatus;

use crate::act::{Act, Kind};
use crate::config::env;
use crate::controllers::Control;
use crate::intern::Intern;
use crate::moves::{Answer, Clock, Move};
use crate::names;
use crate::state::{ABSENT, CLOSED, LEAVING, OPEN, Pod, SIDES, State, Svc, coded, marked};

/// A milestone of an attempt: how it is called, and whether it is reached.
type Milestone = (&'static str, fn(&Attempt) -> bool);

/// Milestones in their order.
const MILESTONES: [Milestone; 10] = [
    ("scanned", |a| a.scanned_at.is_some()),
    ("staged", |a| a.staged_at.is_some()),
    ("analyzed", |a| a.analyzed_at.is_some()),
    ("promoting", |a| a.promoting_at.is_some()),
    ("converged", |a| a.converged_at.is_some()),
    ("verified", |a| a.verified_at.is_some()),
    ("selector to be set again", |a| a.reassert.is_some()),
    ("image to be put in again", |a| a.folds > 1),
    ("traffic returned", |a| a.drained_from.is_some()),
    ("finished", |a| a.finished_at.is_some()),
];

/// What a move is.
pub fn describe(before: &State, after: &State, mv: Move) -> String {
    match mv {
        Move::Look(side) => format!("reads Services and pods, for {}", names::HOTFIXES[usize::from(side)]),
        Move::Step(at) => {
            let replica = &after.replicas[usize::from(at)];
            let acts: Vec<&str> = replica.acts.iter().filter(|act| !act.is_none()).map(Act::name).collect();
            match (acts.is_empty(), replica.stage) {
                (false, _) => format!("reads the rest and decides: {}", acts.join(", ")),
                (true, 0) => "reads the rest: nothing to do".to_owned(),
                (true, _) => "reads on".to_owned(),
            }
        }
        Move::Forget => "notices that it has lost its lease".into(),
        Move::Crash => "the operator dies and forgets".into(),
        Move::Lead => "another replica leads; this one does not know".into(),
        Move::Delay(at) => {
            format!("{} is given up, and may arrive later", before.replicas[usize::from(at)].acts[0].name())
        }
        Move::Twice(_) | Move::Land(_) => String::new(),
        Move::Control(control) => control_words(after, control),
        Move::Job(side, _, how) => {
            let how = ["", "passes", "fails", "proves nothing", "speaks of another digest"][usize::from(how)];
            format!("a check of {} {how}", names::HOTFIXES[usize::from(side)])
        }
        Move::Answer(_, answer) => match answer {
            Answer::Digest => "learns the digest",
            Answer::Admitted => "learns that admission takes the candidate",
            Answer::Refused => "learns that admission refuses the candidate",
            Answer::Well => "hears that the candidate answers well",
            Answer::Badly => "hears that the candidate answers badly",
            Answer::Again => "hears that the candidate answers well again",
        }
        .into(),
        Move::Clock(_, clock, _) => match clock {
            Clock::Staging => "the deadline of the step passes".into(),
            Clock::Opening => "the time to open passes".into(),
            Clock::Converge => "the time to converge passes".into(),
            Clock::Soak => "the soak is over".into(),
            Clock::Unchecked => "the candidate has served unchecked for five minutes".into(),
            Clock::Drain => "the drain is over".into(),
            Clock::Slow => "the fold-back takes long".into(),
            Clock::Late(at) => format!("pod {at} of the candidate has been unready for too long"),
        },
        Move::Env(what, at) => people(what, usize::from(at)),
    }
}

fn control_words(after: &State, control: Control) -> String {
    match control {
        Control::BlueUp(at) => format!("pod {at} of web is ready"),
        Control::BlueBorn => "a pod of web is made".into(),
        Control::BlueEnds(at) => format!("pod {at} of web is ended by its Deployment"),
        Control::Sees => "the Deployment controller sees the spec of web".into(),
        Control::GreenUp(_, at) => format!("the containers of pod {at} of the candidate are ready"),
        Control::GreenReady(side, at) => {
            let ready = after.prod.greens[usize::from(side)][usize::from(at)].ready() == 1;
            format!("pod {at} of the candidate is {}", if ready { "ready" } else { "not ready any more" })
        }
        Control::GreenBorn(_) => "a pod of the candidate is made".into(),
        Control::Slices(at) => format!("the slices of {} are up to date", names::SERVICES[usize::from(at)]),
        Control::Collect(_) => "something is collected, or gone".into(),
        Control::Purge(_) => "something in the namespace is deleted".into(),
    }
}

fn people(what: u64, at: usize) -> String {
    let service = names::SERVICES[at % 2];
    let (fix, pod) = (names::HOTFIXES[at % SIDES], at % 2);
    match what {
        env::DELETE => format!("{fix} is deleted"),
        env::DELETE_FOREGROUND => format!("{fix} is deleted in the foreground"),
        env::ABORT => "a person aborts the attempt".into(),
        env::RELEASE => "a person releases the traffic".into(),
        env::RETRY => "a person asks for a retry".into(),
        env::REVERT => format!("a tool puts the selector of {service} back"),
        env::STRIP => format!("somebody takes the mark off {service}"),
        env::SELECT => format!("the owner gives {service} another selector"),
        env::DROP => format!("{service} is deleted"),
        env::REDEPLOY => format!("the owner deploys v{}", 3 - at),
        env::REVERT_IMAGE => "a tool puts v1 back".into(),
        env::ZERO => "the owner scales web to zero".into(),
        env::SCALE => "an autoscaler scales web to 2".into(),
        env::DELETE_BLUE => "web is deleted".into(),
        env::BREAK => "web breaks, or recovers".into(),
        env::UNREADY_BLUE => format!("pod {at} of web is not ready any more"),
        env::EVICT_BLUE => format!("pod {at} of web is evicted"),
        env::UNREADY_GREEN => format!("the containers of pod {pod} of the candidate fail"),
        env::EVICT_GREEN => format!("pod {pod} of the candidate is evicted"),
        env::BARE => "a pod of the candidate is born without the gate".into(),
        env::DELETE_GREEN => "somebody deletes the candidate".into(),
        env::ORPHAN => "somebody deletes the candidate and orphans its ReplicaSet".into(),
        env::DRIFT => "somebody changes the candidate".into(),
        env::TERMINATE => "the namespace is deleted".into(),
        env::ASK => "another hotfix is asked for".into(),
        env::UNCLAIM => "somebody deletes the Lease".into(),
        env::LOSE_JOB => "somebody deletes a check Job".into(),
        env::UNGUIDE => "the policy is deleted".into(),
        env::GUIDE => "the policy is made again".into(),
        env::SUSPEND => "spec.suspend is set".into(),
        env::RESUME => "spec.suspend is taken back".into(),
        env::WRONG => "a pod of the candidate is born with another image".into(),
        env::VANISH => format!("somebody takes the finalizer off {fix} and deletes it"),
        env::HANG => "the kubelets of the candidate's pods hang".into(),
        other => format!("move {other}"),
    }
}

/// What a write is.
pub fn act_words(before: &State, act: Act, intern: &Intern) -> String {
    let fix = if before.sides[1].hot.here() == 1 {
        format!("{}: ", names::HOTFIXES[usize::from(act.side)])
    } else {
        String::new()
    };
    let told = match act.kind {
        Kind::Record if act.data == 0 => "record".into(),
        Kind::Record => {
            let before = intern.status_of(before.sides[usize::from(act.side)].status);
            format!("record: {}", news(&before, &intern.status_of(act.data)))
        }
        Kind::Open | Kind::Close => format!("{} pod {}", act.name(), act.at),
        Kind::Hold => format!("hold Service {}", names::SERVICES[usize::from(act.at)]),
        Kind::Switch | Kind::Seal | Kind::Unpin | Kind::Unmark => {
            let service = names::SERVICES[usize::from(act.at)];
            format!("{} Service {service} to {}", act.name(), service_words(act.service().1))
        }
        _ => act.name().to_owned(),
    };
    format!("{fix}{told}")
}

/// What a record adds.
fn news(was: &SecurityHotfixStatus, is: &SecurityHotfixStatus) -> String {
    let mut news = Vec::new();
    if let Some(now) = &is.attempt {
        let old = was.attempt.as_ref().filter(|old| old.number == now.number);
        if old.is_none() {
            news.push(format!("attempt {} begins", now.number));
        }
        let new = MILESTONES.iter().filter(|(_, is)| is(now) && !old.is_some_and(is));
        news.extend(new.map(|(word, _)| (*word).to_owned()));
        if let Some(latch) = now.latch.as_ref().filter(|_| old.is_none_or(|old| old.latch.is_none())) {
            news.push(format!("LATCH {}", latch.reason.as_str()));
        }
    }
    match (&was.leftover, &is.leftover) {
        (None, Some(_)) => news.push("what the other left is found".into()),
        (Some(_), None) => news.push("nothing of it is left".into()),
        (Some(was), Some(is)) if was != is => news.push("its traffic is returned".into()),
        _ => {}
    }
    if was.last_handled != is.last_handled {
        news.push("command handled".into());
    }
    if news.is_empty() { "conditions".into() } else { news.join(", ") }
}

/// A Service's selector and mark.
pub fn service_words(svc: Svc) -> String {
    let mut words = vec![if svc.variant() == 0 { "app=web" } else { "app=web,tier=front" }.to_owned()];
    if svc.slot() != 0 {
        words.push(format!("+ slot of {}", names::HOTFIXES[coded(svc.slot()).0]));
    }
    if svc.pin() != 0 {
        words.push("+ pod-template-hash".into());
    }
    match marked(svc.mark()) {
        Some((true, _)) => words.push("(sealed)".into()),
        Some((false, _)) => words.push("(held)".into()),
        None => {}
    }
    words.join(" ")
}

fn pod_words(pod: Pod) -> &'static str {
    match (pod.life(), pod.up(), pod.ready(), pod.open()) {
        (ABSENT, ..) => "",
        (LEAVING, ..) => "leaving",
        (_, 0, ..) => "starting",
        (_, _, 1, _) => "ready",
        (_, _, _, OPEN) => "open",
        (_, _, _, CLOSED) => "closed",
        _ => "up",
    }
}

/// Pods, each in a word or two.
pub fn pods(pods: &[Pod]) -> String {
    let words: Vec<String> = pods
        .iter()
        .filter(|pod| pod.life() != ABSENT)
        .map(|pod| format!("v{} {}", pod.version(), pod_words(*pod)))
        .collect();
    if words.is_empty() { "no pods".to_owned() } else { words.join(" + ") }
}
