//! Tells a trace as a story, in the manner of the golden ones; steps are numbered where those tell the time.

use std::collections::HashSet;
use std::fmt::Write;

use securityhotfix::api::{SecurityHotfixStatus, Truth};

use crate::act::Act;
use crate::config::Config;
use crate::decided::Memory;
use crate::fair::{self, Fair};
use crate::intern::Intern;
use crate::laws::Broken;
use crate::moves::Move;
use crate::names;
use crate::rest;
use crate::search::start;
use crate::server::Written;
use crate::state::{ABSENT, SIDES, State};
use crate::trace::{can, unbounded};
use crate::words::{act_words, describe, pods, service_words};

/// A trace as a story, to its end: a broken law, or the rest of the fair run from there. What it cannot follow is told
/// too: the move, and what could have happened instead.
#[must_use]
pub fn retell(config: &Config, trace: &[&str]) -> String {
    let config = &unbounded(config);
    let (intern, shared) = (Intern::default(), std::sync::Mutex::default());
    let mut memory = Memory::new(&shared, &intern, &crate::mutants::NONE);
    let mut told = Told::new(config, &mut memory);
    for word in trace {
        let moves = can(&told.state, config, &mut memory);
        let Some(mv) = moves.iter().find(|mv| mv.to_string() == *word) else {
            let others: Vec<String> = moves.iter().map(ToString::to_string).collect();
            told.line("CANNOT", &format!("{word}; there were: {}", others.join(" ")));
            break;
        };
        told.step(*mv, config, &mut memory);
    }
    if !told.broken {
        told.go_on(config, &mut memory);
    }
    told.end(&intern)
}

/// A story that is being told.
struct Told {
    text: String,
    /// A law was broken.
    broken: bool,
    state: State,
    steps: usize,
}

impl Told {
    fn new(config: &Config, memory: &mut Memory<'_>) -> Self {
        let state = start(config, memory);
        let mut text = format!("In the world {}\n\n", config.name);
        let services: Vec<&str> = here(&state).map(|at| names::SERVICES[at]).collect();
        let web = format!("Deployment web: {} behind Service {}.", pods(&state.prod.blues), services.join(" and "));
        writeln!(text, "given    {web} A hotfix asks for v{}.\n", names::wanted(0)).expect("a String takes everything");
        Self { text, broken: false, state, steps: 0 }
    }

    fn line(&mut self, who: &str, what: &str) {
        writeln!(self.text, "{:>6}   {who:<9} {what}", self.steps).expect("a String takes everything");
    }

    fn detail(&mut self, what: &str, text: &str) {
        writeln!(self.text, "           {what:<9} {text}").expect("a String takes everything");
    }

    fn break_all(&mut self, broken: Vec<Broken>) {
        for (law, what) in broken {
            self.line("BROKEN", &format!("{law}: {what}"));
            self.broken = true;
        }
    }

    fn step(&mut self, mv: Move, config: &Config, memory: &mut Memory<'_>) {
        self.steps += 1;
        let before = self.state;
        let stepped = before.apply(mv, config, memory);
        self.state = stepped.state;
        self.happened(&before, mv, stepped.wrote, memory.intern());
        self.break_all(stepped.broken);
    }

    /// Goes on with the fair run, until it rests or comes back to where it was.
    fn go_on(&mut self, config: &Config, memory: &mut Memory<'_>) {
        let mut known = HashSet::new();
        self.text.push_str("           ... and nothing goes wrong any more\n");
        loop {
            if !known.insert(self.state.fingerprint()) {
                self.break_all(vec![("it-ends", "it goes on for ever".into())]);
                return;
            }
            let (Fair::Move(mv) | Fair::Time(mv)) = fair::next(&self.state, config, memory) else { break };
            self.step(mv, config, memory);
        }
        self.break_all(rest::wrong(&self.state, config));
    }

    fn happened(&mut self, before: &State, mv: Move, wrote: Option<(Act, Written)>, intern: &Intern) {
        let who = match mv {
            Move::Look(_) | Move::Step(0) | Move::Answer(..) => "operator",
            Move::Step(_) | Move::Forget => "other",
            Move::Crash | Move::Lead | Move::Delay(_) | Move::Twice(_) => "FAULT",
            Move::Land(_) => "late",
            Move::Control(_) | Move::Job(..) => "cluster",
            Move::Clock(..) => "time",
            Move::Env(..) => "PEOPLE",
        };
        let after = self.state;
        let mut what = describe(before, &after, mv);
        if let Some((act, written)) = wrote {
            let done = written == Written::Done;
            let ended = if done { String::new() } else { format!(" ... {written:?}").to_lowercase() };
            let again = if matches!(mv, Move::Twice(_)) { "; it will arrive once more" } else { "" };
            what = format!("{}{ended}{again}", act_words(before, act, intern));
        }
        self.line(who, &what);
        for side in 0..SIDES {
            let [was, is] = [before, &after].map(|state| intern.status_of(state.sides[side].status));
            if after.sides[side].hot.here() == 1 && was != is {
                self.record(&was, &is);
            }
        }
        self.traffic(before, &after);
    }

    fn record(&mut self, was: &SecurityHotfixStatus, is: &SecurityHotfixStatus) {
        if was.phase != is.phase {
            let word = |phase: Option<_>| phase.map_or("(none)".to_owned(), |phase| format!("{phase:?}"));
            self.detail("phase", &format!("{} -> {}", word(was.phase), word(is.phase)));
        }
        let ready = |status: &SecurityHotfixStatus| {
            let first = status.conditions.first().filter(|condition| condition.status == Truth::False);
            first.map(|condition| (condition.reason, condition.message.clone()))
        };
        if let Some((reason, message)) = ready(is).filter(|now| ready(was).as_ref() != Some(now)) {
            self.detail("not ready", &format!("{}: {message}", reason.as_str()));
        }
    }

    fn traffic(&mut self, before: &State, after: &State) {
        for (at, service) in names::SERVICES.iter().enumerate() {
            if before.serving(at) != after.serving(at) {
                self.detail("traffic", &format!("{service} -> {}", who_serves(after, at)));
            }
        }
    }

    /// The story with its end.
    fn end(mut self, intern: &Intern) -> String {
        let state = self.state;
        let mut say = |line: String| writeln!(self.text, "{line}").expect("a String takes everything");
        say(format!("\nend      after {} steps\n", self.steps));
        for (side, one) in state.sides.iter().enumerate().filter(|(_, side)| side.hot.here() == 1) {
            let status = intern.status_of(one.status);
            let phase = status.phase.map_or("(no phase)".to_owned(), |phase| format!("{phase:?}"));
            say(format!("hotfix   {} {phase}, attempt {}", names::HOTFIXES[side], one.mile.attempt()));
            for condition in status.conditions.iter().filter(|condition| condition.status != Truth::Unknown) {
                let (type_, truth) = (condition.type_, condition.status);
                say(format!("           {type_:?}={truth:?} {}", condition.reason.as_str()));
            }
        }
        if state.sides.iter().all(|side| side.hot.here() == 0) {
            say("hotfix   gone".into());
        }
        let web = (state.blue.here() == 1).then(|| format!("web: {}", pods(&state.prod.blues)));
        let candidates = (0..SIDES).filter(|side| {
            state.sides[*side].green.here() == 1 || state.prod.greens[*side].iter().any(|pod| pod.life() != ABSENT)
        });
        let candidates = candidates.map(|side| format!("candidate: {}", pods(&state.prod.greens[side])));
        let all: Vec<String> = web.into_iter().chain(candidates).collect();
        say(format!("pods     {}", if all.is_empty() { "none".to_owned() } else { all.join("; ") }));
        for at in here(&state) {
            let told = service_words(state.prod.services[at]);
            say(format!("service  {}: {told}; {}", names::SERVICES[at], who_serves(&state, at)));
        }
        self.text
    }
}

/// The Services that are there.
fn here(state: &State) -> impl Iterator<Item = usize> {
    (0..names::SERVICES.len()).filter(|at| state.prod.services[*at].here() == 1)
}

fn who_serves(state: &State, service: usize) -> String {
    let (blues, greens) = state.serving(service);
    match (blues, greens.iter().sum::<usize>()) {
        (0, 0) => "nobody".to_owned(),
        (blues, 0) => format!("{blues} of web"),
        (0, greens) => format!("{greens} of the candidate"),
        (blues, greens) => format!("{blues} of web, {greens} of the candidate"),
    }
}
