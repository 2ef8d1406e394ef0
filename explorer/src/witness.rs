//! What must be seen to happen at all: an exploration in which it never does proves nothing about it.

use crate::act::Act;
use crate::act::Kind;
use crate::config::env;
use crate::intern::outcome_of;
use crate::moves::{Answer, Move};
use crate::server::Written;
use crate::state::{OPEN, State, TAKEN};
use securityhotfix::api::Outcome;

/// Everything that is watched for.
pub const ALL: &[&str] = &[
    "a Service is switched",
    "a Service is sealed",
    "a seal is pinned",
    "a pin is taken off",
    "a pod is opened",
    "a pod that was never opened is closed",
    "a rollback after the switch",
    "a rollback during a change of leaders",
    "a write in flight arrives and takes effect",
    "a write in flight arrives and changes nothing",
    "a write in flight is outdated",
    "a replica without its lease writes",
    "a replica without its lease is refused",
    "a conflict is met with another look",
    "the leader dies in the middle of a write",
    "the hotfix is deleted before its scan",
    "the hotfix is deleted while it is staged",
    "the hotfix is deleted while traffic moves",
    "the hotfix is deleted while the candidate serves",
    "the hotfix is deleted after it is believed",
    "a selector is set again",
    "the image is put in again",
    "the image is put in and taken out twice, and people win",
    "the last pod of the candidate dies while it serves",
    "Remediated",
    "RolledBack",
    "Failed",
    "Cancelled",
    "Superseded",
    "Restarted",
    "a second attempt",
    "AlreadyPatched",
    "a check proves nothing and is run again",
    "a pod answers badly after it answered well",
    "a pod of the candidate is replaced while it serves",
    "a pod is born after the closes",
    "the traffic is held back because blue is not ready",
    "both hotfixes are under way or wait",
    "a namespace is deleted while the candidate serves",
    "a person aborts",
    "a hotfix is suspended while it is staged",
    "a pod of the candidate is born with another image",
    "the kubelets of opened pods hang",
    "what answered badly answers well again",
    "a soak is counted anew and comes to its end",
    "a candidate that nobody could check is taken back",
    "a candidate that could not be checked for a while is believed",
    "what a hotfix left that vanished is taken away",
    "the record of a hotfix that vanished is closed",
];

/// The bit of a witness.
pub fn bit(name: &str) -> u64 {
    1 << ALL.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name} is not listed"))
}

/// Bits by place in [`ALL`], looked up once.
macro_rules! bits_of {
    ($($name:expr),* $(,)?) => { { const PLACES: &[u64] = &[$(place($name)),*]; PLACES } };
}

const fn place(name: &str) -> u64 {
    let mut at = 0;
    while at < ALL.len() {
        if same(ALL[at].as_bytes(), name.as_bytes()) {
            return 1 << at;
        }
        at += 1;
    }
    panic!("not listed")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// What is witnessed in a step.
pub fn of(before: &State, after: &State, mv: Move, wrote: Option<(Act, Written)>) -> u64 {
    let mut seen = 0;
    if let Some((act, written)) = wrote {
        seen |= wrote_bits(before, after, mv, act, written);
    }
    match mv {
        Move::Crash if !before.replicas[0].acts[0].is_none() => {
            seen |= bits_of!["the leader dies in the middle of a write"][0];
        }
        Move::Env(what, at) => seen |= environment(before, after, what, usize::from(at)),
        Move::Answer(side, Answer::Badly) => {
            let found = before.replicas[0].found[usize::from(side)];
            if found.probe0() == 1 {
                seen |= bits_of!["a pod answers badly after it answered well"][0];
            }
        }
        Move::Answer(_, Answer::Again) => seen |= bits_of!["what answered badly answers well again"][0],
        Move::Control(crate::controllers::Control::GreenBorn(side)) => {
            let before = &before.sides[usize::from(side)];
            if before.mile.converged() == 1 && before.mile.latched() == 0 {
                seen |= bits_of!["a pod of the candidate is replaced while it serves"][0];
            }
            if before.mile.latched() == 1 && before.mile.promoting() == 1 {
                seen |= bits_of!["a pod is born after the closes"][0];
            }
        }
        _ => {}
    }
    let [a, b] = &after.sides;
    if a.hot.here() == 1 && b.hot.here() == 1 && (a.alive() || b.alive()) {
        seen |= bits_of!["both hotfixes are under way or wait"][0];
    }
    seen
}

fn wrote_bits(before: &State, after: &State, mv: Move, act: Act, written: Written) -> u64 {
    let mut seen = 0;
    let side = usize::from(act.side);
    let done = written == Written::Done;
    let (was, is) = (before.sides[side].mile, after.sides[side].mile);
    match (mv, done) {
        (Move::Land(_), true) => seen |= bits_of!["a write in flight arrives and takes effect"][0],
        (Move::Land(_), false) => seen |= bits_of!["a write in flight arrives and changes nothing"][0],
        (Move::Step(1), true) => seen |= bits_of!["a replica without its lease writes"][0],
        (Move::Step(1), false) => seen |= bits_of!["a replica without its lease is refused"][0],
        (Move::Step(0), false) => seen |= bits_of!["a conflict is met with another look"][0],
        _ => {}
    }
    if !done {
        return seen;
    }
    match act.kind {
        Kind::Switch => seen |= bits_of!["a Service is switched"][0],
        Kind::Seal => {
            seen |= bits_of!["a Service is sealed"][0];
            if act.service().1.pin() != 0 {
                seen |= bits_of!["a seal is pinned"][0];
            }
            if act.service().0.slot() != 0 && was.verified() == 0 {
                seen |= bits_of!["a rollback after the switch"][0];
                if after.replicas[1].stage > 0 {
                    seen |= bits_of!["a rollback during a change of leaders"][0];
                }
            }
        }
        Kind::Unpin => seen |= bits_of!["a pin is taken off"][0],
        Kind::Open => seen |= bits_of!["a pod is opened"][0],
        Kind::Close if before.prod.greens[side][usize::from(act.at)].open() == 0 => {
            seen |= bits_of!["a pod that was never opened is closed"][0];
        }
        Kind::CreateJob if act.job().run() > 1 => seen |= bits_of!["a check proves nothing and is run again"][0],
        Kind::WriteReport if before.sides[side].hot.here() == 0 => {
            seen |= bits_of!["the record of a hotfix that vanished is closed"][0];
        }
        Kind::Record => {
            if was.takes() > is.takes() && before.sides[1 - side].green.gone() == TAKEN {
                seen |= bits_of!["what a hotfix left that vanished is taken away"][0];
            }
            if was.reassert() == 0 && is.reassert() > 0 {
                seen |= bits_of!["a selector is set again"][0];
            }
            if was.folds() == 1 && is.folds() == 2 {
                seen |= bits_of!["the image is put in again"][0];
            }
            if is.folds() == 2 && is.latched() > was.latched() {
                seen |= bits_of!["the image is put in and taken out twice, and people win"][0];
            }
            if is.attempt() > 1 {
                seen |= bits_of!["a second attempt"][0];
            }
            let held = is.stalled() > was.stalled() && is.latched() == 1 && is.drained() == 0;
            if held {
                seen |= bits_of!["the traffic is held back because blue is not ready"][0];
            }
            if is.verified() > was.verified() && before.replicas[0].found[side].watch() == 1 {
                seen |= bits_of!["a soak is counted anew and comes to its end"][0];
            }
            if is.latched() > was.latched() && was.unchecked() == 1 && before.sides[side].clocks.unchecked() == 1 {
                seen |= bits_of!["a candidate that nobody could check is taken back"][0];
            }
            if is.verified() > was.verified() && was.unchecked() == 2 {
                seen |= bits_of!["a candidate that could not be checked for a while is believed"][0];
            }
            if is.outcome() != was.outcome() {
                seen |= ended(is.outcome());
            }
        }
        _ => {}
    }
    seen
}

fn ended(outcome: u8) -> u64 {
    let all = bits_of!["Remediated", "RolledBack", "Failed", "Cancelled", "Superseded", "Restarted", "AlreadyPatched"];
    match outcome_of(outcome) {
        Some(Outcome::Remediated) => all[0],
        Some(Outcome::RolledBack) => all[1],
        Some(Outcome::Failed) => all[2],
        Some(Outcome::Cancelled) => all[3],
        Some(Outcome::Superseded) => all[4],
        Some(Outcome::Restarted) => all[5],
        Some(Outcome::AlreadyPatched) => all[6],
        Some(Outcome::Rejected) | None => 0,
    }
}

fn environment(before: &State, after: &State, what: u64, at: usize) -> u64 {
    let side = at % 2;
    let mile = before.sides[side].mile;
    let phase = || {
        let all = bits_of![
            "the hotfix is deleted before its scan",
            "the hotfix is deleted while it is staged",
            "the hotfix is deleted while traffic moves",
            "the hotfix is deleted while the candidate serves",
            "the hotfix is deleted after it is believed",
        ];
        match (mile.scanned(), mile.promoting(), mile.converged(), mile.verified()) {
            _ if mile.attempt() == 0 || mile.latched() == 1 || mile.finished() == 1 => 0,
            (0, ..) => all[0],
            (_, 0, ..) => all[1],
            (.., 0, _) => all[2],
            (.., 0) => all[3],
            _ => all[4],
        }
    };
    match what {
        env::DELETE | env::DELETE_FOREGROUND => phase(),
        env::ABORT => bits_of!["a person aborts"][0],
        env::SUSPEND if mile.scanned() == 1 && mile.promoting() == 0 => {
            bits_of!["a hotfix is suspended while it is staged"][0]
        }
        env::WRONG => bits_of!["a pod of the candidate is born with another image"][0],
        env::HANG if before.prod.greens[side].iter().any(|pod| pod.lives() && pod.open() == OPEN) => {
            bits_of!["the kubelets of opened pods hang"][0]
        }
        env::TERMINATE if before.sides[0].mile.converged() == 1 && before.sides[0].mile.verified() == 0 => {
            bits_of!["a namespace is deleted while the candidate serves"][0]
        }
        env::UNREADY_GREEN | env::EVICT_GREEN => {
            let open = before.prod.greens[0].iter().any(|pod| pod.serves() && pod.open() == OPEN);
            let none = after.prod.greens[0].iter().all(|pod| !pod.serves());
            if open && none && before.sides[0].mile.converged() == 1 {
                bits_of!["the last pod of the candidate dies while it serves"][0]
            } else {
                0
            }
        }
        _ => 0,
    }
}
