//! What can happen in a state, and what a state becomes by it.

use std::fmt;

use crate::act::{self, Act, Kind};
use crate::config::{Config, H, P, R, S, V, W, env, fault};
use crate::controllers::Control;
use crate::decided::Memory;
use crate::laws::{self, Broken};
use crate::picture::{Rest, View};
use crate::server::{Object, Written};
use crate::state::{ABSENT, BLUES, GREENS, LIVE, OPEN, Replica, SERVICES, SIDES, State};
use crate::witness;

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
    Env(u32, u8),
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
    /// The soak is over.
    Soak,
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

/// What a move led to.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// The state.
    pub state: State,
    /// The write that was made, and what became of it.
    pub wrote: Option<(Act, Written)>,
    /// Laws that were broken.
    pub broken: Vec<Broken>,
    /// What was witnessed, by bit.
    pub seen: u64,
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
        if self.moves > 0 {
            crate::environment::moves(self, config, out);
        }
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
        if found.wants() & 2 != 0 && found.rehearsed() == 0 {
            out.push(answer(Answer::Admitted));
            out.extend((pays && config.may(env::REFUSE)).then_some(answer(Answer::Refused)));
        }
        if found.wants() & 4 != 0 && self.prod.greens[side].iter().any(|pod| pod.lives() && pod.up() == 1) {
            out.extend(self.unasked(side).then_some(answer(Answer::Well)));
            let badly = found.probe0() != 2 && pays && config.may(env::BAD_PROBE);
            out.extend(badly.then_some(answer(Answer::Badly)));
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
        if hot.here() == 0 || mile.attempt() == 0 || mile.finished() == 1 {
            return due;
        }
        let forward = mile.latched() == 0 && mile.verified() == 0;
        let pods = self.prod.greens[side];
        let opened = pods.iter().any(|pod| pod.life() != ABSENT && pod.open() == OPEN);
        if mile.drained() == 1 && clocks.drain() == 0 {
            due.push(Clock::Drain);
        }
        if forward && mile.converged() == 1 && clocks.soak() == 0 {
            due.push(Clock::Soak);
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

    /// What a state becomes by a move.
    pub fn apply(&self, mv: Move, config: &Config, memory: &mut Memory<'_>) -> Stepped {
        let mut stepped = Stepped { state: *self, wrote: None, broken: Vec::new(), seen: 0 };
        let next = &mut stepped.state;
        match mv {
            Move::Look(side) => {
                next.replicas[0].side = side;
                self.read(0, config, memory, &mut stepped);
            }
            Move::Step(at) => {
                let act = self.replicas[usize::from(at)].acts[0];
                if act.is_none() {
                    self.read(usize::from(at), config, memory, &mut stepped);
                } else {
                    next.shift(usize::from(at));
                    write(act, memory, &mut stepped, false);
                }
            }
            Move::Forget => next.replicas[1] = Replica::default(),
            Move::Crash => {
                next.faults -= 1;
                next.replicas[0] = Replica::default();
            }
            Move::Lead => {
                next.faults -= 1;
                next.replicas.swap(0, 1);
            }
            Move::Delay(at) => {
                let act = self.replicas[usize::from(at)].acts[0];
                next.faults -= 1;
                next.shift(usize::from(at));
                next.send(act);
            }
            Move::Twice(at) => {
                let act = self.replicas[usize::from(at)].acts[0];
                next.faults -= 1;
                next.shift(usize::from(at));
                write(act, memory, &mut stepped, false);
                stepped.state.send(act);
            }
            Move::Land(at) => {
                let act = std::mem::take(&mut next.flights[usize::from(at)]);
                next.flights.sort_unstable();
                write(act, memory, &mut stepped, true);
            }
            Move::Control(control) => *next = self.control(control),
            Move::Job(side, at, how) => {
                next.moves -= u8::from(how != 1);
                let jobs = &mut next.sides[usize::from(side)].jobs;
                jobs[usize::from(at)].set_state(how);
                jobs.sort_unstable();
            }
            Move::Answer(side, answer) => next.answer(usize::from(side), answer),
            Move::Clock(side, clock, paid) => {
                next.moves -= u8::from(paid);
                next.pass(usize::from(side), clock);
            }
            Move::Env(what, at) => crate::environment::happen(next, what, usize::from(at)),
        }
        let state = &mut stepped.state;
        for replica in &mut state.replicas {
            for act in &mut replica.acts {
                if !act.is_none() && !can_commit(*act, memory) {
                    *act = Act { kind: act.kind, side: act.side, ..Act::default() };
                }
            }
        }
        if let Some(lost) = state.flights.iter_mut().find(|act| !act.is_none() && !can_commit(**act, memory)) {
            *lost = Act::default();
            state.flights.sort_unstable();
            stepped.seen |= witness::bit("a write in flight is outdated");
        }
        stepped.state.settle(config);
        stepped.seen |= witness::of(self, &stepped.state, mv, stepped.wrote);
        stepped.broken.extend(laws::holds(&stepped.state, config));
        stepped
    }

    /// The next read of a replica, and its decision after the last.
    fn read(&self, at: usize, config: &Config, memory: &mut Memory<'_>, stepped: &mut Stepped) {
        let order = memory.mutant().order.unwrap_or(config.order);
        let replica = &mut stepped.state.replicas[at];
        let parts = order[usize::from(replica.stage)];
        let side = usize::from(replica.side);
        replica.stage += 1;
        if parts & S != 0 {
            replica.prod.services = self.prod.services;
            replica.prod.previews = self.prod.previews;
            (0..SERVICES).for_each(|at| replica.fresh |= Object::Service(at).bit());
        }
        if parts & P != 0 {
            replica.prod.blues = self.prod.blues;
            replica.prod.greens = self.prod.greens;
            let pods = (0..SIDES).flat_map(|side| (0..GREENS).map(move |at| Object::Pod(side, at)));
            pods.for_each(|pod| replica.fresh |= pod.bit());
        }
        if parts & V != 0 {
            replica.fresh |= Object::Hotfix(side).bit();
        }
        let changed = |at: usize| replica.fresh & Object::Service(at).bit() == 0;
        if parts & W != 0 && (0..SERVICES).any(changed) {
            stepped.state.idle(at);
            return;
        }
        if parts & H != 0 {
            let checks = order.iter().any(|parts| parts & V != 0);
            if self.sides[side].hot.here() == 0 || checks && replica.fresh & Object::Hotfix(side).bit() == 0 {
                stepped.state.idle(at);
                return;
            }
            replica.hot = self.sides[side].hot;
            replica.status = self.sides[side].status;
            replica.fresh |= Object::Hotfix(side).bit();
        }
        if parts & R == 0 {
            return;
        }
        let replica = *replica;
        let view = self.view(&replica, config, memory);
        let answer = memory.answer(&view);
        stepped.broken.extend(answer.broken.iter().cloned());
        let found = &mut stepped.state.replicas[at].found[side];
        if !answer.broken.is_empty() && memory.mutant().name.is_empty() {
            // Production refuses such a write.
            stepped.state.idle(at);
            return;
        }
        found.set_wants(answer.wants);
        if answer.acts.is_empty() {
            stepped.state.idle(at);
            return;
        }
        let next = &mut stepped.state.replicas[at];
        for (place, act) in answer.acts.iter().enumerate() {
            next.acts[place] = with_freshness(*act, &replica);
        }
        // Only what is to be written is still needed of the picture.
        let order = u8::try_from(order.len()).unwrap();
        let acts = next.acts;
        *next = Replica { stage: order, side: replica.side, acts, found: next.found, ..Replica::default() };
    }

    /// The picture a replica has, with the rest as it is.
    fn view(&self, replica: &Replica, config: &Config, memory: &Memory<'_>) -> View {
        let side = usize::from(replica.side);
        let mut prod = replica.prod;
        let mut others = 0;
        let pods = prod.blues.iter_mut().chain(prod.greens.iter_mut().flatten());
        let now = self.prod.blues.iter().chain(self.prod.greens.iter().flatten());
        for (at, (pod, now)) in pods.zip(now).enumerate() {
            others |= u8::from(pod.gen_() != now.gen_() || (pod.life() == ABSENT) != (now.life() == ABSENT)) << at;
            pod.set_gen(0);
            if pod.life() == ABSENT {
                *pod = crate::state::Pod::default();
            }
        }
        for svc in &mut prod.services {
            svc.set_owners(0);
        }
        for (other, preview) in prod.previews.iter_mut().enumerate() {
            if other != side {
                *preview = crate::state::Preview::default();
            }
        }
        let mut hot = replica.hot;
        hot.set_switched0(0);
        hot.set_switched1(0);
        hot.set_gen(self.sides[side].hot.gen_());
        let again = memory.intern().mile_of(replica.status).reassert();
        let same = again > 0
            && hot.again() == 1
            && replica.fresh & Object::Service(usize::from(again) - 1).bit() != 0
            && self.sides[side].hot.again() == 1;
        hot.set_again(u8::from(same));
        View { side: replica.side, prod, hot, status: replica.status, rest: self.rest(side, others, config, replica) }
    }

    fn rest(&self, side: usize, others: u8, config: &Config, replica: &Replica) -> Rest {
        let mut sets = 0;
        for pod in self.prod.blues.iter().filter(|pod| pod.lives()) {
            sets |= 1 << pod.version();
        }
        let mut green = self.sides[side].green;
        green.set_next(0);
        green.set_next_preview(0);
        let mut alive = 0;
        for (other, found) in self.sides.iter().enumerate().filter(|(other, _)| *other != side) {
            alive |= u8::from(found.alive()) << other | found.hot.here() << (4 + other);
        }
        let mut found = replica.found[side];
        found.set_wants(0);
        let listed = self.slices[0] | self.slices[1];
        let mut blue = self.blue;
        blue.set_broken(0);
        Rest {
            terminating: self.terminating,
            claim: self.claim,
            blue,
            sets,
            green,
            alive,
            report: self.sides[side].report,
            slices: self.slices,
            others: (0..BLUES + SIDES * GREENS)
                .filter(|at| listed >> (2 * at) & 3 != 0)
                .fold(0, |all, at| all | others & 1 << at),
            jobs: self.sides[side].jobs,
            clocks: self.sides[side].clocks,
            found,
            tests: config.tests,
        }
    }

    /// What the leader would see if it read everything now.
    pub fn view_now(&self, side: usize, config: &Config, memory: &Memory<'_>) -> View {
        let mut replica = self.replicas[0];
        replica.side = small(side);
        replica.prod = self.prod;
        replica.hot = self.sides[side].hot;
        replica.status = self.sides[side].status;
        replica.fresh = u16::MAX;
        self.view(&replica, config, memory)
    }

    fn shift(&mut self, at: usize) {
        let acts = &mut self.replicas[at].acts;
        acts.rotate_left(1);
        acts[GREENS - 1] = Act::default();
        if acts[0].is_none() {
            self.idle(at);
        }
    }

    fn idle(&mut self, at: usize) {
        let found = if at == 0 { self.replicas[0].found } else { Default::default() };
        self.replicas[at] = Replica { found, ..Replica::default() };
    }

    fn send(&mut self, act: Act) {
        self.flights[0] = act;
        self.flights.sort_unstable();
    }

    fn answer(&mut self, side: usize, answer: Answer) {
        let pods = self.prod.greens[side];
        let found = &mut self.replicas[0].found[side];
        let up = |at: usize| pods[at].lives() && pods[at].up() == 1;
        match answer {
            Answer::Digest => found.set_resolved(1),
            Answer::Admitted => found.set_rehearsed(1),
            Answer::Refused => {
                found.set_rehearsed(2);
                self.moves -= 1;
            }
            Answer::Well => {
                if up(0) && found.probe0() == 0 {
                    found.set_probe0(1);
                }
                if up(1) && found.probe1() == 0 {
                    found.set_probe1(1);
                }
            }
            Answer::Badly => {
                if up(0) {
                    found.set_probe0(2);
                } else {
                    found.set_probe1(2);
                }
                self.moves -= 1;
            }
        }
    }

    fn pass(&mut self, side: usize, clock: Clock) {
        let clocks = &mut self.sides[side].clocks;
        match clock {
            Clock::Staging => clocks.set_staging(1),
            Clock::Opening => clocks.set_opening(1),
            Clock::Converge => clocks.set_converge(1),
            Clock::Soak => clocks.set_soak(1),
            Clock::Drain => clocks.set_drain(1),
            Clock::Slow => clocks.set_slow(1),
            Clock::Late(at) => self.prod.greens[side][usize::from(at)].set_late(1),
        }
    }
}

/// True unless the write's precondition on a version is broken for good.
fn can_commit(act: Act, memory: &Memory<'_>) -> bool {
    Object::of(&act).is_none() || act.is_fresh() || memory.mutant().ignores.is_some_and(|ignores| ignores(&act))
}

/// A write with what is still fresh of what it was decided on.
fn with_freshness(mut act: Act, replica: &Replica) -> Act {
    let fresh = Object::of(&act).is_some_and(|object| object.bit() == 0 || replica.fresh & object.bit() != 0);
    act.flags |= if fresh { act::FRESH } else { 0 };
    if act.kind == Kind::Record && act.flags & act::AGAIN != 0 {
        let service = Object::Service(usize::from(act.at) - 1);
        act.flags |= if replica.fresh & service.bit() != 0 { act::AGAIN_FRESH } else { 0 };
    }
    if matches!(act.kind, Kind::Open | Kind::Close) {
        act.data = u32::from(replica.prod.greens[usize::from(act.side)][usize::from(act.at)].gen_());
    }
    act
}

fn write(act: Act, memory: &Memory<'_>, stepped: &mut Stepped, late: bool) {
    let was = stepped.state;
    let written = stepped.state.write(&act, memory.intern(), memory.mutant());
    stepped.wrote = Some((act, written));
    if written == Written::Done {
        stepped.broken.extend(laws::wrote(&was, &stepped.state, &act, late, memory.intern()));
    }
}

fn small(number: usize) -> u8 {
    u8::try_from(number).expect("few")
}
