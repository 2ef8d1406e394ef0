//! What can happen in a state.

use std::fmt;

use crate::act::Act;
use crate::config::{Config, env, fault};
use crate::controllers::Control;
use crate::decided::Memory;
use crate::state::{ABSENT, GREENS, LIVE, OPEN, Replica, SIDES, State};
use crate::versions::Object;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The leader begins to look at a hotfix.
    Look(u8),
    /// A replica goes on: its next read, or its next write.
    Step(u8),
    /// The replica that lost its lease notices.
    Forget,
    /// Fault: the leader dies and forgets.
    Crash,
    /// Fault: a replica's next write is given up, and arrives later or never.
    Delay(u8),
    /// Fault: a replica's next write is made, and arrives once more later.
    Twice(u8),
    /// Fault: another replica takes over; this one does not know.
    Lead,
    /// A write in flight arrives.
    Land(u8),
    /// A controller's step.
    Control(Control),
    /// A check Job ends.
    Job(u8, u8, u8),
    /// The leader finds out what it asked for.
    Answer(u8, Answer),
    /// A moment passes. While something else could still happen, a deadline that passes is paid for as a move.
    Clock(u8, Clock, bool),
    /// The environment does something.
    Env(u64, u8),
}

/// What is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The registry tells the digest.
    Digest,
    /// Admission lets the candidate in.
    Admitted,
    /// Admission refuses it.
    Refused,
    /// Every pod answers well.
    Well,
    /// A pod answers badly.
    Badly,
    /// What answered badly answers well again.
    Again,
}

/// Which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The deadline of the step under way.
    Staging,
    /// Opened pods had their time.
    Opening,
    /// Endpoints had theirs.
    Converge,
    /// The soak is over, all of which the leader has looked at.
    Soak,
    /// The candidate has served unchecked for as long as is borne.
    Unchecked,
    /// The drain is over.
    Drain,
    /// The fold-back takes long.
    Slow,
    /// A pod was unready for too long.
    Late(u8),
}

impl fmt::Display for Move {
    /// One word without blanks: a trace is a list of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = format!("{self:?}").to_lowercase();
        f.write_str(&word.replace(['(', ','], ".").replace([' ', ')'], ""))
    }
}

impl State {
    /// Everything that can happen here. `quiet` is true where nothing fair can happen but that time passes.
    pub fn moves(&self, config: &Config, memory: &Memory<'_>, quiet: bool, out: &mut Vec<Move>) {
        if self.replicas[0].stage == 0 {
            out.extend((0..SIDES).filter(|side| self.sides[*side].hot.here() == 1).map(|side| Move::Look(small(side))));
        }
        let mut controls = Vec::new();
        self.controls(config, &mut controls);
        out.extend(controls.into_iter().map(Move::Control));
        for (at, replica) in self.replicas.iter().enumerate().filter(|(_, replica)| replica.stage > 0) {
            out.push(Move::Step(small(at)));
            if at == 1 {
                out.push(Move::Forget);
            }
            self.faults_of(config, memory, small(at), replica, out);
        }
        let idle = self.replicas[0] == Replica::default();
        if self.faults > 0 && !idle {
            out.extend((config.fault & fault::CRASH != 0).then_some(Move::Crash));
            let running = self.replicas[0].stage > 0;
            out.extend((config.fault & fault::LEAD != 0 && running).then_some(Move::Lead));
        }
        out.extend((0..self.flights.len()).filter(|at| !self.flights[*at].is_none()).map(|at| Move::Land(small(at))));
        for side in 0..SIDES {
            self.moves_of(config, side, quiet, out);
        }
        crate::environment::moves(self, config, out);
    }

    fn faults_of(&self, config: &Config, memory: &Memory<'_>, at: u8, replica: &Replica, out: &mut Vec<Move>) {
        let act = replica.acts[0];
        if act.is_none() || self.faults == 0 {
            return;
        }
        let room = self.flights[0].is_none();
        if room && config.fault & fault::DELAY != 0 && can_commit(act, memory) {
            out.push(Move::Delay(at));
        }
        if room && config.fault & fault::TWICE != 0 && Object::of(&act).is_none() {
            out.push(Move::Twice(at));
        }
    }

    fn moves_of(&self, config: &Config, side: usize, quiet: bool, out: &mut Vec<Move>) {
        let number = small(side);
        let pays = self.moves > 0;
        for (at, _) in self.sides[side].jobs.iter().enumerate().filter(|(_, job)| job.kind() != 0 && job.state() == 0) {
            out.push(Move::Job(number, small(at), 1));
            if pays && config.may(env::BAD_JOB) {
                out.extend((2..=4).map(|how| Move::Job(number, small(at), how)));
            }
        }
        let found = self.replicas[0].found[side];
        let answer = |answer| Move::Answer(number, answer);
        if found.wants() & 1 != 0 && found.resolved() == 0 {
            out.push(answer(Answer::Digest));
        }
        if found.wants() & 2 != 0 && found.rehearsal(self.sides[side].mile.attempt()) == 0 {
            out.push(answer(Answer::Admitted));
            out.extend((pays && config.may(env::REFUSE)).then_some(answer(Answer::Refused)));
        }
        if found.wants() & 4 != 0 && self.prod.greens[side].iter().any(|pod| pod.lives() && pod.up() == 1) {
            out.extend(self.unasked(side).then_some(answer(Answer::Well)));
            let badly = found.probe0() != 2 && pays && config.may(env::BAD_PROBE);
            out.extend(badly.then_some(answer(Answer::Badly)));
            let flips = (found.probe0() == 2 || found.probe1() == 2) && pays && config.may(env::BAD_PROBE);
            out.extend(flips.then_some(answer(Answer::Again)));
        }
        for clock in self.due(side) {
            let free = matches!(clock, Clock::Soak | Clock::Drain);
            if free || quiet || (pays && config.may(env::LATE)) {
                out.push(Move::Clock(number, clock, !free && !quiet));
            }
        }
    }

    /// True when a pod that is up has not answered yet.
    pub fn unasked(&self, side: usize) -> bool {
        let found = self.replicas[0].found[side];
        let up = |at: usize| self.prod.greens[side][at].lives() && self.prod.greens[side][at].up() == 1;
        up(0) && found.probe0() == 0 || up(1) && found.probe1() == 0
    }

    /// Moments that can pass.
    pub fn due(&self, side: usize) -> Vec<Clock> {
        let crate::state::Side { hot, mile, clocks, .. } = self.sides[side];
        let mut due = Vec::new();
        if mile.returned() == 1 && clocks.drain() == 0 {
            due.push(Clock::Drain);
        }
        if hot.here() == 0 || mile.attempt() == 0 || mile.finished() == 1 {
            return due;
        }
        let forward = mile.latched() == 0 && mile.verified() == 0;
        let pods = self.prod.greens[side];
        let opened = pods.iter().any(|pod| pod.life() != ABSENT && pod.open() == OPEN);
        if mile.drained() == 1 && clocks.drain() == 0 {
            due.push(Clock::Drain);
        }
        let found = self.replicas[0].found[side];
        if mile.serves() && mile.unchecked() != 1 && found.watch() > 0 && found.soaked() == 0 {
            due.push(Clock::Soak);
        }
        if mile.serves() && mile.unchecked() == 1 && clocks.unchecked() == 0 {
            due.push(Clock::Unchecked);
        }
        let staging = mile.scanned() == 1 && mile.staged() == 0 || mile.analyzed() == 1 && mile.converged() == 0;
        if forward && mile.promoting() == 1 && mile.converged() == 0 && opened {
            due.extend((clocks.opening() == 0).then_some(Clock::Opening));
            due.extend((clocks.opening() == 1 && clocks.converge() == 0).then_some(Clock::Converge));
        } else if forward && staging && clocks.staging() == 0 {
            due.push(Clock::Staging);
        }
        if mile.verified() == 1 && mile.latched() == 0 && clocks.slow() == 0 {
            due.push(Clock::Slow);
        }
        if forward && mile.converged() == 1 {
            let late = |at: &usize| {
                let pod = pods[*at];
                pod.life() == LIVE && pod.open() == OPEN && pod.ready() == 0 && pod.late() == 0
            };
            due.extend((0..GREENS).filter(late).map(|at| Clock::Late(small(at))));
        }
        due
    }
}

/// True unless the write's precondition on a version is broken for good.
pub(crate) fn can_commit(act: Act, memory: &Memory<'_>) -> bool {
    Object::of(&act).is_none() || act.is_fresh() || memory.mutant().ignores.is_some_and(|ignores| ignores(&act))
}

pub(crate) fn small(number: usize) -> u8 {
    u8::try_from(number).expect("few")
}
