//! The fair run: what happens from a state once nothing goes wrong any more.
//!
//! It is one move in every state, and always one of those that can happen there, so that the runs from all states
//! together are a graph with one edge a state. Writes in flight arrive, a replica that lost its lease notices, the leader
//! goes on, controllers do their work, checks pass, and time passes when nothing else happens and the planner said that
//! it would look again.

use crate::config::{Config, env};
use crate::controllers::Control;
use crate::decided::Memory;
use crate::moves::{Answer, Move};
use crate::state::{SIDES, State};

/// What fairly happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fair {
    /// This.
    Move(Move),
    /// Nothing but that time passes.
    Time(Move),
    /// Nothing, ever.
    Rest,
}

/// What fairly happens next.
pub fn next(state: &State, config: &Config, memory: &mut Memory<'_>) -> Fair {
    if let Some(mv) = busy(state, config) {
        return Fair::Move(mv);
    }
    let mut waits = None;
    for side in (0..SIDES).filter(|side| state.sides[*side].hot.here() == 1) {
        let answer = memory.answer(&state.view_now(side, config, memory));
        let number = u8::try_from(side).expect("few");
        if !answer.acts.is_empty() || answer.wants != state.replicas[0].found[side].wants() {
            return Fair::Move(Move::Look(number));
        }
        if answer.wakes && waits.is_none() {
            waits = state.due(side).first().map(|clock| Move::Clock(number, *clock, false));
        }
    }
    if state.sides[0].hot.suspend() == 1 {
        return Fair::Time(Move::Env(env::RESUME, 0));
    }
    waits.map_or(Fair::Rest, Fair::Time)
}

/// What happens without anybody looking anew.
fn busy(state: &State, config: &Config) -> Option<Move> {
    if let Some(at) = state.flights.iter().position(|act| !act.is_none()) {
        return Some(Move::Land(u8::try_from(at).expect("few")));
    }
    if state.replicas[1].stage > 0 {
        return Some(Move::Forget);
    }
    if state.replicas[0].stage > 0 {
        return Some(Move::Step(0));
    }
    let mut controls: Vec<Control> = Vec::new();
    state.controls(config, &mut controls);
    if let Some(control) = controls.first() {
        return Some(Move::Control(*control));
    }
    for side in 0..SIDES {
        let number = u8::try_from(side).expect("few");
        let running = state.sides[side].jobs.iter().position(|job| job.kind() != 0 && job.state() == 0);
        if let Some(at) = running {
            return Some(Move::Job(number, u8::try_from(at).expect("few"), 1));
        }
        let found = state.replicas[0].found[side];
        let answer = if found.wants() & 1 != 0 && found.resolved() == 0 {
            Answer::Digest
        } else if found.wants() & 2 != 0 && found.rehearsal(state.sides[side].mile.attempt()) == 0 {
            Answer::Admitted
        } else if found.wants() & 4 != 0 && state.unasked(side) {
            Answer::Well
        } else {
            continue;
        };
        return Some(Move::Answer(number, answer));
    }
    None
}
