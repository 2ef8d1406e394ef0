//! Tells a trace as a story, in the manner of the golden ones.

use std::fmt::Write;

use securityhotfix::api::Attempt;

use crate::act::{Act, Kind};
use crate::config::{Config, env};
use crate::controllers::Control;
use crate::decided::Memory;
use crate::intern::Intern;
use crate::moves::{Answer, Clock, Move};
use crate::names;
use crate::search::start;
use crate::server::Written;
use crate::state::{ABSENT, CLOSED, LEAVING, OPEN, Pod, SIDES, State, Svc, coded, marked};

/// Follows a trace from the beginning of a world and tells it. What it cannot follow is told too: the move, and what
/// could have happened instead.
pub fn tell(config: &Config, trace: &[String], memory: &mut Memory<'_>) -> Told {
    let mut state = start(config, memory);
    let mut told = Told { text: String::new(), broken: Vec::new(), state };
    line(&mut told.text, "given", &summary(&state));
    for word in trace {
        let quiet = !matches!(crate::fair::next(&state, config, memory), crate::fair::Fair::Move(_));
        let mut moves = Vec::new();
        state.moves(config, memory, quiet, &mut moves);
        let Some(mv) = moves.iter().find(|mv| mv.to_string() == *word) else {
            let others: Vec<String> = moves.iter().map(ToString::to_string).collect();
            line(&mut told.text, "CANNOT", &format!("{word}; there were: {}", others.join(" ")));
            break;
        };
        let stepped = state.apply(*mv, config, memory);
        happened(&mut told.text, &state, &stepped.state, *mv, stepped.wrote, memory.intern());
        for (law, what) in stepped.broken {
            line(&mut told.text, "BROKEN", &format!("{law}: {what}"));
            told.broken.push(law);
        }
        state = stepped.state;
    }
    told.state = state;
    told
}

/// A trace as a story, to its end: a broken law, or the rest of the fair run from there.
pub fn retell(config: &Config, trace: &[&str]) -> String {
    // A trace says itself what goes wrong in it: no budget bounds it here.
    let config = &Config { faults: 9, moves: 9, ..*config };
    let (intern, shared) = (Intern::default(), std::sync::Mutex::default());
    let mut memory = Memory::new(&shared, &intern, &crate::mutants::NONE);
    let trace: Vec<String> = trace.iter().map(|word| (*word).to_owned()).collect();
    let mut told = tell(config, &trace, &mut memory);
    if told.broken.is_empty() {
        told.go_on(config, &mut memory);
    }
    told.text
}

/// A story that was told.
pub struct Told {
    /// The story.
    pub text: String,
    /// Laws that were broken on the way.
    pub broken: Vec<&'static str>,
    /// Where it ended.
    pub(crate) state: State,
}

impl Told {
    /// Goes on with the fair run, and tells it until it rests or comes back to where it was.
    pub fn go_on(&mut self, config: &Config, memory: &mut Memory<'_>) {
        let mut state = self.state;
        let mut known = std::collections::HashSet::new();
        line(&mut self.text, "then", "nothing goes wrong any more");
        loop {
            if !known.insert(state.fingerprint()) {
                line(&mut self.text, "BROKEN", "it-ends: it goes on for ever");
                self.broken.push("it-ends");
                return;
            }
            let (crate::fair::Fair::Move(mv) | crate::fair::Fair::Time(mv)) = crate::fair::next(&state, config, memory)
            else {
                break;
            };
            let stepped = state.apply(mv, config, memory);
            happened(&mut self.text, &state, &stepped.state, mv, stepped.wrote, memory.intern());
            for (law, what) in stepped.broken {
                line(&mut self.text, "BROKEN", &format!("{law}: {what}"));
                self.broken.push(law);
            }
            state = stepped.state;
        }
        self.state = state;
        line(&mut self.text, "end", &summary(&state));
        for (law, what) in crate::rest::wrong(&state, config) {
            line(&mut self.text, "BROKEN", &format!("{law}: {what}"));
            self.broken.push(law);
        }
    }
}

fn line(text: &mut String, who: &str, what: &str) {
    writeln!(text, "  {who:<9} {what}").expect("a String takes everything");
}

fn happened(
    text: &mut String,
    before: &State,
    after: &State,
    mv: Move,
    wrote: Option<(Act, Written)>,
    intern: &Intern,
) {
    let who = match mv {
        Move::Look(_) | Move::Step(0) | Move::Answer(..) => "operator",
        Move::Step(_) | Move::Forget => "other",
        Move::Crash | Move::Lead | Move::Delay(_) | Move::Twice(_) => "FAULT",
        Move::Land(_) => "late",
        Move::Control(_) | Move::Job(..) => "cluster",
        Move::Clock(..) => "time",
        Move::Env(..) => "PEOPLE",
    };
    let mut what = describe(before, after, mv);
    if let Some((act, written)) = wrote {
        let told = act_words(before, &act, intern);
        let ended = if written == Written::Done { String::new() } else { format!(" ... {written:?}").to_lowercase() };
        what = match mv {
            Move::Twice(_) => format!("{told}{ended}; it will arrive once more"),
            _ => format!("{told}{ended}"),
        };
    }
    line(text, who, &what);
    for (at, service) in names::SERVICES.iter().enumerate() {
        let (was, is) = (before.serving(at), after.serving(at));
        if was != is {
            let greens: usize = is.1.iter().sum();
            let told = match (is.0, greens) {
                (0, 0) => "nobody".to_owned(),
                (blues, 0) => format!("{blues} of web"),
                (0, greens) => format!("{greens} of the candidate"),
                (blues, greens) => format!("{blues} of web, {greens} of the candidate"),
            };
            line(text, "", &format!("traffic   {service} -> {told}"));
        }
    }
}

fn describe(before: &State, after: &State, mv: Move) -> String {
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
        }
        .into(),
        Move::Clock(_, clock, _) => match clock {
            Clock::Staging => "the deadline of the step passes".into(),
            Clock::Opening => "the time to open passes".into(),
            Clock::Converge => "the time to converge passes".into(),
            Clock::Soak => "the soak is over".into(),
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

fn people(what: u32, at: usize) -> String {
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
        other => format!("move {other}"),
    }
}

fn act_words(before: &State, act: &Act, intern: &Intern) -> String {
    let fix = if before.sides[1].hot.here() == 1 {
        format!("{}: ", names::HOTFIXES[usize::from(act.side)])
    } else {
        String::new()
    };
    let told = match act.kind {
        Kind::Record if act.data == 0 => "record".into(),
        Kind::Record => record_words(before.sides[usize::from(act.side)].status, act.data, intern),
        Kind::Open | Kind::Close => format!("{} pod {}", act.name(), act.at),
        Kind::Hold | Kind::Switch | Kind::Seal | Kind::Unpin | Kind::Unmark => {
            format!("{} {} ({})", act.name(), names::SERVICES[usize::from(act.at)], service_words(act.service().1))
        }
        _ => act.name().to_owned(),
    };
    format!("{fix}{told}")
}

fn record_words(before: u32, after: u32, intern: &Intern) -> String {
    let (was, is) = (intern.status_of(before), intern.status_of(after));
    let mut news = Vec::new();
    if let Some(now) = &is.attempt {
        let old = was.attempt.as_ref().filter(|old| old.number == now.number);
        if old.is_none() {
            news.push(format!("attempt {} begins", now.number));
        }
        let steps: [(&str, fn(&Attempt) -> bool); 10] = [
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
        news.extend(steps.iter().filter(|(_, is)| is(now) && !old.is_some_and(is)).map(|(word, _)| (*word).to_owned()));
        if let Some(latch) = now.latch.as_ref().filter(|_| old.is_none_or(|old| old.latch.is_none())) {
            news.push(format!("LATCH {}: {}", latch.reason.as_str(), latch.message));
        }
    }
    if news.is_empty() {
        let ready = is.conditions.first().map_or(String::new(), |condition| condition.reason.as_str());
        news.push(format!("conditions ({ready})"));
    }
    format!("record: {}", news.join(", "))
}

fn service_words(svc: Svc) -> String {
    let mut words = vec!["owner's selector".to_owned()];
    if svc.slot() != 0 {
        words.push(format!("+ slot of {}", names::HOTFIXES[coded(svc.slot()).0]));
    }
    if svc.pin() != 0 {
        words.push("+ pod-template-hash".into());
    }
    match marked(svc.mark()) {
        Some((true, _)) => words.push("sealed".into()),
        Some((false, _)) => words.push("hold".into()),
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

/// A state in a line.
fn summary(state: &State) -> String {
    let mut parts = Vec::new();
    for (at, svc) in state.prod.services.iter().enumerate().filter(|(_, svc)| svc.here() == 1) {
        parts.push(format!("Service {}: {}", names::SERVICES[at], service_words(*svc)));
    }
    let pods = |pods: &[Pod]| {
        let words: Vec<String> = pods
            .iter()
            .filter(|pod| pod.life() != ABSENT)
            .map(|pod| format!("v{} {}", pod.version(), pod_words(*pod)))
            .collect();
        if words.is_empty() { "no pods".to_owned() } else { words.join(" + ") }
    };
    if state.blue.here() == 1 {
        parts.push(format!("web (v{}): {}", state.blue.template(), pods(&state.prod.blues)));
    }
    for (side, one) in state.sides.iter().enumerate() {
        if one.green.here() == 1 || state.prod.greens[side].iter().any(|pod| pod.life() != ABSENT) {
            parts.push(format!("candidate of {}: {}", names::HOTFIXES[side], pods(&state.prod.greens[side])));
        }
        if one.hot.here() == 1 {
            let mile = one.mile;
            let outcome = crate::intern::outcome_of(mile.outcome())
                .map_or("under way".to_owned(), |outcome| format!("{outcome:?}"));
            parts.push(format!("{} attempt {}: {outcome}", names::HOTFIXES[side], mile.attempt()));
        }
    }
    parts.join("; ")
}
