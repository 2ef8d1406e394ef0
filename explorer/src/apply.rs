//! What a state becomes by a move.

use crate::act::{self, Act, Kind};
use crate::config::Config;
use crate::decided::Memory;
use crate::laws::{self, Broken};
use crate::moves::{Answer, Clock, Move, can_commit};
use crate::server::Written;
use crate::state::{GREENS, Replica, State};
use crate::witness;

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
                    write(act.by(at), memory, &mut stepped, false);
                }
            }
            Move::Forget => next.replicas[1] = Replica::default(),
            Move::Crash => {
                next.faults -= 1;
                next.replicas[0] = Replica::default();
                next.forsake();
            }
            Move::Lead => {
                next.faults -= 1;
                next.replicas.swap(0, 1);
                next.forsake();
            }
            Move::Delay(at) => {
                let act = self.replicas[usize::from(at)].acts[0];
                next.faults -= 1;
                next.shift(usize::from(at));
                next.send(act.by(at));
            }
            Move::Twice(at) => {
                let act = self.replicas[usize::from(at)].acts[0];
                next.faults -= 1;
                next.shift(usize::from(at));
                write(act.by(at), memory, &mut stepped, false);
                stepped.state.send(act.by(at));
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
            Move::Env(what, at) => crate::environment::happen(next, config, what, usize::from(at)),
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

    fn shift(&mut self, at: usize) {
        let acts = &mut self.replicas[at].acts;
        acts.rotate_left(1);
        acts[GREENS - 1] = Act::default();
        if acts[0].is_none() {
            self.idle(at);
        }
    }

    /// A replica is at nothing any more; what the leader has found out it keeps.
    pub(crate) fn idle(&mut self, at: usize) {
        let found = if at == 0 { self.replicas[0].found } else { Default::default() };
        self.replicas[at] = Replica { found, ..Replica::default() };
    }

    /// Whoever leads now has not decided on the records that are in flight.
    fn forsake(&mut self) {
        for act in self.flights.iter_mut().filter(|act| act.kind == Kind::Record) {
            act.flags |= act::ANOTHERS;
        }
        self.flights.sort_unstable();
    }

    fn send(&mut self, act: Act) {
        self.flights[0] = act;
        self.flights.sort_unstable();
    }

    fn answer(&mut self, side: usize, answer: Answer) {
        let pods = self.prod.greens[side];
        let attempt = self.sides[side].mile.attempt();
        let found = &mut self.replicas[0].found[side];
        let up = |at: usize| pods[at].lives() && pods[at].up() == 1;
        match answer {
            Answer::Digest => found.set_resolved(1),
            Answer::Admitted => found.rehearse(attempt, 1),
            Answer::Refused => {
                found.rehearse(attempt, 2);
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
            Answer::Again => {
                if found.probe0() == 2 {
                    found.set_probe0(1);
                } else {
                    found.set_probe1(1);
                }
                self.moves -= 1;
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
            Clock::Soak => self.replicas[0].found[side].set_soaked(1),
            Clock::Unchecked => clocks.set_unchecked(1),
            Clock::Drain => clocks.set_drain(1),
            Clock::Slow => clocks.set_slow(1),
            Clock::Late(at) => self.prod.greens[side][usize::from(at)].set_late(1),
        }
    }
}

fn write(act: Act, memory: &Memory<'_>, stepped: &mut Stepped, late: bool) {
    let was = stepped.state;
    let written = stepped.state.write(&act, memory.intern(), memory.mutant());
    stepped.wrote = Some((act, written));
    if written == Written::Done {
        stepped.broken.extend(laws::wrote(&was, &stepped.state, &act, late, memory.intern()));
    }
}
