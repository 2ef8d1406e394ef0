//! What people, tools and nodes do: each is paid for out of the budget of moves.

use crate::config::{Config, env};
use crate::moves::Move;
use crate::names::wanted;
use crate::state::{ABSENT, LEAVING, SIDES, State, Svc};
use crate::versions::Object;

/// Every kind of move with how many places it has.
const KINDS: &[(u64, u8)] = &[
    (env::DELETE, 2),
    (env::DELETE_FOREGROUND, 2),
    (env::ABORT, 1),
    (env::RELEASE, 1),
    (env::RETRY, 1),
    (env::REVERT, 2),
    (env::STRIP, 2),
    (env::SELECT, 2),
    (env::DROP, 2),
    (env::REDEPLOY, 2),
    (env::REVERT_IMAGE, 1),
    (env::ZERO, 1),
    (env::SCALE, 1),
    (env::DELETE_BLUE, 1),
    (env::BREAK, 1),
    (env::UNREADY_BLUE, 3),
    (env::UNREADY_GREEN, 4),
    (env::EVICT_BLUE, 3),
    (env::EVICT_GREEN, 4),
    (env::BARE, 2),
    (env::DELETE_GREEN, 2),
    (env::ORPHAN, 1),
    (env::DRIFT, 2),
    (env::TERMINATE, 1),
    (env::ASK, 1),
    (env::UNCLAIM, 1),
    (env::LOSE_JOB, 2),
    (env::SUSPEND, 1),
    (env::WRONG, 1),
    (env::HANG, 1),
    (env::UNGUIDE, 1),
    (env::VANISH, 1),
];

/// What the environment can do here.
pub fn moves(state: &State, config: &Config, out: &mut Vec<Move>) {
    let pays = |what: u64| state.moves > 0 || config.free & what != 0;
    for (what, places) in KINDS.iter().filter(|(what, _)| config.may(*what) && pays(*what)) {
        out.extend((0..*places).filter(|at| can(state, *what, usize::from(*at))).map(|at| Move::Env(*what, at)));
    }
    out.extend(state.unguided.then_some(Move::Env(env::GUIDE, 0)));
    out.extend((state.sides[0].hot.suspend() == 1).then_some(Move::Env(env::RESUME, 0)));
}

fn can(state: &State, what: u64, at: usize) -> bool {
    let side = at % 2;
    let hot = state.sides[side].hot;
    let mile = state.sides[side].mile;
    let svc = state.prod.services[side];
    let blue = state.blue;
    match what {
        env::DELETE | env::DELETE_FOREGROUND => hot.here() == 1 && hot.deleting() == 0,
        env::ABORT => hot.here() == 1 && hot.abort() == 0 && mile.attempt() > 0 && mile.finished() == 0,
        env::RELEASE => hot.here() == 1 && hot.release() == 0 && mile.latched() == 1,
        env::RETRY => hot.here() == 1 && hot.retry() == 0 && mile.finished() == 1,
        env::REVERT => svc.here() == 1 && (svc.slot() != 0 || svc.pin() != 0),
        env::STRIP => svc.here() == 1 && svc.mark() != 0,
        env::SELECT | env::DROP => svc.here() == 1,
        env::REDEPLOY => blue.here() == 1 && usize::from(blue.template()) != 3 - at,
        env::REVERT_IMAGE => blue.here() == 1 && blue.template() != 1,
        env::ZERO => blue.here() == 1 && blue.replicas() > 0,
        env::SCALE => blue.here() == 1 && blue.replicas() == 1,
        env::DELETE_BLUE | env::BREAK => blue.here() == 1,
        env::UNREADY_BLUE => state.prod.blues[at].serves(),
        env::EVICT_BLUE => state.prod.blues[at].lives(),
        env::UNREADY_GREEN => state.prod.greens[at / 2][side].lives() && state.prod.greens[at / 2][side].up() == 1,
        env::EVICT_GREEN => state.prod.greens[at / 2][side].lives(),
        env::BARE | env::WRONG => state.can_bear(side),
        env::SUSPEND => hot.here() == 1 && hot.suspend() == 0 && hot.deleting() == 0,
        env::HANG => state.sides[side].green.here() == 1 && state.sides[side].green.hung() == 0,
        env::DELETE_GREEN | env::DRIFT => state.sides[side].green.here() == 1 && state.sides[side].green.drifted() == 0,
        env::ORPHAN => state.sides[0].green.here() == 1 && blue.here() == 1 && state.sides[0].green.inc() == 0,
        env::VANISH => hot.here() == 1 && hot.finalizer() == 1 && mile.finished() == 0,
        env::UNGUIDE => mile.serves() && !state.unguided,
        env::TERMINATE => !state.terminating,
        env::ASK => state.sides[1].hot.here() == 0 && !state.terminating && state.sides[1].green.next() == 0,
        env::UNCLAIM => state.claim.holder() != 0,
        env::LOSE_JOB => state.sides[side].jobs.iter().any(|job| job.kind() != 0),
        _ => false,
    }
}

/// The environment does it.
pub fn happen(state: &mut State, config: &Config, what: u64, at: usize) {
    state.moves -= u8::from((config.free | env::RESUME | env::GUIDE) & what == 0);
    let side = at % 2;
    let hot = &mut state.sides[side].hot;
    let attempt = state.sides[side].mile.attempt();
    match what {
        env::DELETE => hot.set_deleting(1),
        env::DELETE_FOREGROUND => hot.set_deleting(2),
        env::ABORT => hot.set_abort(attempt),
        env::RELEASE => hot.set_release(attempt),
        env::RETRY => hot.set_retry(1),
        env::REVERT => state.prod.services[side].put_back(),
        env::STRIP => state.prod.services[side].set_mark(0),
        env::SELECT => {
            let svc = &mut state.prod.services[side];
            svc.set_owners(1 - svc.owners());
            svc.put_back();
        }
        env::DROP => state.prod.services[side] = Svc::default(),
        env::REDEPLOY => redeploy(state, if at == 0 { 3 } else { 2 }),
        env::REVERT_IMAGE => redeploy(state, 1),
        env::ZERO => scale(state, 0),
        env::SCALE => scale(state, 2),
        env::DELETE_BLUE => {
            state.blue = crate::state::Blue::default();
            state.touch(Object::Blue);
        }
        env::BREAK => {
            state.blue.set_broken(1 - state.blue.broken());
            if state.blue.broken() == 1 {
                for pod in state.prod.blues.iter_mut().filter(|pod| pod.life() != ABSENT) {
                    pod.set_up(0);
                    pod.set_ready(0);
                }
            }
        }
        env::UNREADY_BLUE => {
            state.prod.blues[at].set_up(0);
            state.prod.blues[at].set_ready(0);
        }
        env::EVICT_BLUE => state.prod.blues[at].set_life(LEAVING),
        env::UNREADY_GREEN => {
            let pod = &mut state.prod.greens[at / 2][side];
            pod.set_up(0);
            pod.set_ready(0);
        }
        env::EVICT_GREEN => state.prod.greens[at / 2][side].set_life(LEAVING),
        env::BARE => state.bear(side, true, wanted(side)),
        env::WRONG => state.bear(side, false, 1),
        env::HANG => state.sides[side].green.set_hung(1),
        env::SUSPEND | env::RESUME => {
            hot.set_suspend(u8::from(what == env::SUSPEND));
            hot.set_edits((hot.edits() + 1).min(3));
        }
        env::DELETE_GREEN => state.remove_green(side),
        env::ORPHAN => {
            state.blue.set_adopted(1);
            state.remove_green(0);
            state.touch(Object::Blue);
        }
        env::DRIFT => {
            state.sides[side].green.set_drifted(1);
            state.touch(Object::Green(side));
        }
        env::UNGUIDE | env::GUIDE => state.unguided = what == env::UNGUIDE,
        env::TERMINATE => state.terminating = true,
        env::ASK => state.sides[1].hot.set_here(1),
        env::VANISH => state.vanish_by_hand(side),
        env::UNCLAIM => state.claim.set_holder(0),
        env::LOSE_JOB => {
            let jobs = &mut state.sides[side].jobs;
            jobs[crate::state::JOBS - 1] = crate::state::Job::default();
            jobs.sort_unstable();
        }
        other => unreachable!("{other} is no move"),
    }
    let service = matches!(what, env::REVERT | env::STRIP | env::SELECT | env::DROP);
    let hotfix = matches!(
        what,
        env::DELETE
            | env::DELETE_FOREGROUND
            | env::ABORT
            | env::RELEASE
            | env::RETRY
            | env::ASK
            | env::SUSPEND
            | env::RESUME
    );
    if service {
        state.touch(Object::Service(side));
    }
    if hotfix {
        let side = if what == env::ASK { 1 } else { side };
        state.touch(Object::Hotfix(side));
        state.vanish(side);
    }
    if matches!(what, env::UNREADY_GREEN | env::EVICT_GREEN) {
        state.touch(Object::Pod(at / SIDES, side));
    }
}

impl Svc {
    /// Its owner writes the selector, after our last write if there was one.
    fn put_back(&mut self) {
        self.set_variant(self.owners());
        self.set_slot(0);
        self.set_pin(0);
        self.set_theirs(1);
        self.set_wrote(0);
        self.set_newer(self.ours());
    }
}

fn redeploy(state: &mut State, version: u8) {
    state.blue.set_template(version);
    state.blue.set_seen(0);
    state.blue.set_theirs(1);
    state.blue_changed();
}

fn scale(state: &mut State, replicas: u8) {
    state.blue.set_replicas(replicas);
    state.blue.set_seen(0);
    state.blue_changed();
}
