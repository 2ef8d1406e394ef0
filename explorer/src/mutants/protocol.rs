//! Other orders of reads, writes without their preconditions, writes with another effect.

use super::{LATE, Mutant, NONE, READ, SEES};
use crate::act::{Act, FRESH, Kind};
use crate::config::{H, P, R, S};

/// All of them.
pub const ALL: &[Mutant] = &[
    Mutant { name: "the hotfix is read before Services and pods", order: Some(&[H, S | P, R]), ..READ },
    Mutant { name: "pods are read after the hotfix", order: Some(&[S, H, P, R]), ..READ },
    Mutant { name: "pods are read before Services", order: Some(&[P, S, H, R]), world: ("zombie", 2, 2), ..READ },
    Mutant {
        name: "Services are read before pods, and nothing is read again",
        order: Some(&[S, P, H, R]),
        world: ("zombie", 1, 1),
        ..READ
    },
    Mutant {
        name: "a picture is kept in which the hotfix changed",
        order: Some(&[S | P, H, R]),
        world: ("core", 1, 0),
        breaks: "it-remediates",
        ..NONE
    },
    Mutant { name: "an open without the pod's version", ignores: Some(|act| act.kind == Kind::Open), ..LATE },
    Mutant {
        name: "a switch without version, mark and selector",
        ignores: Some(|act| act.kind == Kind::Switch),
        ..LATE
    },
    Mutant {
        name: "a switch of a hotfix that vanished without version, mark and selector",
        ignores: Some(|act| act.kind == Kind::Switch && act.side == 0),
        world: ("left", 1, 2),
        ..LATE
    },
    Mutant { name: "a hold without version and selector", ignores: Some(|act| act.kind == Kind::Hold), ..LATE },
    Mutant {
        name: "a record without the hotfix's version",
        ignores: Some(|act| act.kind == Kind::Record),
        breaks: "milestones-stay",
        ..LATE
    },
    Mutant {
        name: "a fold-back without the Deployment's version",
        ignores: Some(|act| act.kind == Kind::FoldBack),
        world: ("rolling", 1, 2),
        breaks: "blue-untouched",
        ..NONE
    },
    Mutant {
        name: "a close that changes nothing of a pod that was never opened",
        effects: Some(|state, act| {
            let late = |open: &&mut Act| {
                open.kind == Kind::Open && (open.side, open.at, open.data) == (act.side, act.at, act.data)
            };
            if act.kind == Kind::Close {
                state.flights.iter_mut().filter(late).for_each(|open| open.flags |= FRESH);
            }
        }),
        ..LATE
    },
    Mutant {
        name: "a status write scales the Deployment down in the soak",
        effects: Some(|state, act| {
            if act.kind == Kind::Record && state.sides[0].mile.converged() == 1 {
                state.blue.set_replicas(0);
            }
        }),
        breaks: "blue-keeps-its-size",
        ..SEES
    },
    Mutant {
        name: "the announcement patches the Deployment",
        effects: Some(|state, act| {
            if act.kind == Kind::Record && state.sides[0].mile.promoting() == 1 {
                state.blue.set_template(2);
            }
        }),
        breaks: "blue-untouched",
        ..SEES
    },
    Mutant {
        name: "the announcement does not name the Services",
        effects: Some(|state, act| {
            if act.kind == Kind::Record {
                state.sides[usize::from(act.side)].mile.set_services(0);
            }
        }),
        breaks: "only-recorded-services",
        ..SEES
    },
];
