//! Planners that are shown something that is not so.

use securityhotfix::api::Attempt;
use securityhotfix::plan::Action;

use super::{LATE, Mutant, NONE, SEES, drop_all, forge};
use crate::intern::{Intern, moment};
use crate::picture::View;
use crate::state::LIVE;

/// All of them.
pub const ALL: &[Mutant] = &[
    Mutant {
        name: "the ownerReference stays on",
        sees: Some(|view, _| view.rest.green.set_owned(0)),
        breaks: "owned-never-serves",
        ..SEES
    },
    Mutant {
        name: "the ownerReference stays on, as the picture has it",
        sees: Some(|view, _| view.rest.green.set_owned(0)),
        breaks: "green-is-nobodys-when-it-serves",
        ..SEES
    },
    Mutant {
        name: "the latch is left out",
        sees: Some(|view, intern| pretend(view, intern, |attempt| attempt.latch = None)),
        breaks: "the-latch-is-for-good",
        ..SEES
    },
    Mutant {
        name: "the latch is forgotten, and why it was set",
        sees: Some(|view, intern| {
            if intern.mile_of(view.status).latched() == 1 {
                pretend(view, intern, |attempt| attempt.latch = None);
                view.hot.set_deleting(0);
            }
        }),
        breaks: "nothing-opens-after-the-latch",
        ..LATE
    },
    Mutant {
        name: "the soak is skipped",
        sees: Some(|view, _| view.rest.found.set_soaked(1)),
        breaks: "soaked-before-believed",
        ..SEES
    },
    Mutant {
        name: "time in which nobody looked counts as soak",
        sees: Some(|view, _| {
            if view.rest.found.watch() == 1 {
                view.rest.found.set_soaked(1);
            }
        }),
        world: ("core", 1, 0),
        breaks: "soaked-before-believed",
        ..NONE
    },
    Mutant {
        name: "a candidate may serve unchecked for ever",
        sees: Some(|view, _| view.rest.clocks.set_unchecked(0)),
        world: ("unguided", 0, 1),
        breaks: "it-ends",
        ..NONE
    },
    Mutant {
        name: "enough is not asked for",
        sees: Some(|view, _| {
            for pod in view.prod.greens[0].iter_mut().filter(|pod| pod.life() == LIVE) {
                pod.set_ready(1);
                pod.set_open(1);
            }
        }),
        breaks: "enough-before-the-switch",
        ..SEES
    },
    Mutant {
        name: "a dead candidate is switched to",
        sees: Some(|view, _| {
            for pod in view.prod.greens[0].iter_mut().filter(|pod| pod.life() == LIVE) {
                pod.set_ready(1);
                pod.set_up(1);
                pod.set_open(1);
            }
        }),
        breaks: "no-outage-by-us",
        ..SEES
    },
    Mutant {
        name: "every pod is believed to answer well",
        sees: Some(|view, _| {
            view.rest.found.set_probe0(1);
            view.rest.found.set_probe1(1);
        }),
        breaks: "gates-have-evidence",
        ..SEES
    },
    Mutant {
        name: "a scan that runs counts as passed",
        sees: Some(|view, _| view.rest.jobs.iter_mut().filter(|job| job.kind() != 0).for_each(|job| job.set_state(1))),
        world: ("core", 0, 0),
        breaks: "gates-have-evidence",
        ..NONE
    },
    Mutant {
        name: "the scan is taken for passed",
        sees: Some(|view, intern| pretend(view, intern, |attempt| attempt.scanned_at = Some(moment()))),
        rewrites: Some(|_, decision| forge(decision, |attempt| attempt.scanned_at = attempt.staged_at)),
        world: ("core", 0, 0),
        breaks: "no-candidate-before-its-scan",
        ..NONE
    },
    Mutant {
        name: "the scan is taken for passed, as the picture has it",
        sees: Some(|view, intern| pretend(view, intern, |attempt| attempt.scanned_at = Some(moment()))),
        rewrites: Some(|_, decision| forge(decision, |attempt| attempt.scanned_at = attempt.staged_at)),
        world: ("core", 0, 0),
        breaks: "no-candidate-before-the-scan",
        ..NONE
    },
    Mutant {
        name: "blue is taken to be ready always",
        sees: Some(|view, _| {
            view.prod.blues.iter_mut().filter(|pod| pod.life() == LIVE).for_each(|pod| pod.set_ready(1));
        }),
        world: ("blue", 0, 2),
        breaks: "no-traffic-to-a-dead-side",
        ..NONE
    },
    Mutant {
        name: "blue is taken to be ready always, as the world has it",
        sees: Some(|view, _| {
            view.prod.blues.iter_mut().filter(|pod| pod.life() == LIVE).for_each(|pod| pod.set_ready(1));
        }),
        world: ("blue", 0, 2),
        breaks: "no-outage-by-us",
        ..NONE
    },
    Mutant {
        name: "a close does not wait for blue",
        sees: Some(|view, _| {
            if view.prod.services.iter().any(|svc| svc.mark() >= 7) {
                view.prod.blues.iter_mut().filter(|pod| pod.life() == LIVE).for_each(|pod| pod.set_ready(1));
            }
        }),
        world: ("blue", 0, 2),
        breaks: "no-traffic-to-a-dead-side",
        ..NONE
    },
    Mutant {
        name: "what a later attempt made is taken for a leftover",
        sees: Some(|view, intern| {
            let mile = intern.mile_of(view.status);
            if mile.finished() == 1 && view.rest.green.attempt() > mile.attempt() {
                view.rest.green.set_attempt(mile.attempt());
            }
        }),
        world: ("again", 1, 2),
        breaks: "only-ours-is-destroyed",
        ..NONE
    },
    Mutant {
        name: "Services of what a hotfix left are not seen",
        sees: Some(|view, intern| {
            if intern.mile_of(view.status).takes() == 1 {
                for svc in &mut view.prod.services {
                    svc.set_slot(0);
                    svc.set_mark(0);
                }
            }
        }),
        world: ("vanished", 0, 2),
        breaks: "no-outage-by-us",
        ..NONE
    },
    Mutant {
        name: "a pod without the gate is waited for",
        sees: Some(|view, intern| {
            if intern.mile_of(view.status).latched() == 1 {
                view.prod.greens.iter_mut().flatten().for_each(|pod| pod.set_bare(0));
            }
        }),
        world: ("bare", 0, 2),
        breaks: "it-ends",
        ..NONE
    },
    Mutant {
        name: "before convergence a selector put back looks like one not yet switched",
        sees: Some(|view, intern| {
            if intern.mile_of(view.status).converged() == 0 {
                view.prod.services.iter_mut().for_each(|svc| svc.set_newer(0));
            }
        }),
        world: ("gitops", 0, 2),
        breaks: "people-win",
        ..NONE
    },
    Mutant {
        name: "the claim is taken for our own",
        sees: Some(|view, _| {
            if view.rest.claim.holder() != 0 {
                view.rest.claim.set_holder(view.side + 1);
            }
        }),
        world: ("unclaimed", 0, 2),
        breaks: "one-claim",
        ..NONE
    },
    Mutant {
        name: "the other hotfix's mark is not seen",
        sees: Some(|view, _| {
            view.rest.alive &= 0xf0;
            view.rest.claim.set_holder(view.side + 1);
            view.prod.services.iter_mut().for_each(|svc| svc.set_mark(0));
        }),
        world: ("two-hotfixes", 0, 1),
        breaks: "no-write-over-anothers-mark",
        ..NONE
    },
    Mutant {
        name: "two hotfixes each take a Service",
        sees: Some(|view, _| {
            view.rest.alive &= 0xf0;
            view.rest.claim.set_holder(view.side + 1);
            let other = 1 - usize::from(view.side);
            view.prod.services[other].set_here(0);
        }),
        world: ("two-each", 0, 1),
        breaks: "one-hotfix-at-a-time",
        ..NONE
    },
    Mutant {
        name: "a pod without the gate is opened",
        sees: Some(|view, _| view.prod.greens.iter_mut().flatten().for_each(|pod| pod.set_bare(0))),
        world: ("pods", 0, 1),
        breaks: "only-our-own-pods-open",
        ..NONE
    },
    Mutant {
        name: "a pod with another image is opened",
        sees: Some(|view, _| view.prod.greens[0].iter_mut().for_each(|pod| pod.set_version(2))),
        world: ("kubelets", 0, 1),
        breaks: "no-early-traffic",
        ..NONE
    },
    Mutant {
        name: "spec.suspend is not seen",
        sees: Some(|view, _| view.hot.set_suspend(0)),
        world: ("suspended", 0, 1),
        breaks: "suspend-holds",
        ..NONE
    },
    Mutant {
        name: "Remediated while old pods run",
        sees: Some(|view, _| {
            for pod in view.prod.blues.iter_mut().filter(|pod| pod.life() != 0) {
                pod.set_version(view.rest.blue.template());
            }
            view.rest.sets = 1 << view.rest.blue.template();
        }),
        world: ("rolling", 0, 1),
        breaks: "remediated-is-true",
        ..NONE
    },
    Mutant {
        name: "Remediated while old pods run, as the picture has it",
        sees: Some(|view, _| {
            for pod in view.prod.blues.iter_mut().filter(|pod| pod.life() != 0) {
                pod.set_version(view.rest.blue.template());
            }
            view.rest.sets = 1 << view.rest.blue.template();
        }),
        world: ("rolling", 0, 1),
        breaks: "remediated-means-gone",
        ..NONE
    },
    Mutant {
        name: "check Jobs are left behind",
        sees: Some(|view, intern| {
            if intern.mile_of(view.status).latched() == 1 {
                view.rest.jobs = Default::default();
            }
        }),
        breaks: "nothing-is-left",
        ..SEES
    },
    Mutant { name: "the fold-back comes before the soak", sees: Some(fold_early), breaks: "blue-untouched", ..SEES },
    Mutant {
        name: "the fold-back comes before the soak, as the picture has it",
        sees: Some(fold_early),
        breaks: "blue-untouched-before-verified",
        ..SEES
    },
    Mutant {
        name: "the candidate is deleted before it is drained",
        sees: Some(|view, intern| {
            pretend(view, intern, |attempt| {
                if attempt.latch.is_some() {
                    attempt.drained_from = Some(moment());
                }
            });
            view.rest.clocks.set_drain(1);
            let mark = if view.prod.services[0].mark() == 0 { 0 } else { 7 };
            view.prod.services[0].set_mark(mark);
            view.prod.services[0].set_slot(0);
            view.prod.greens[0].iter_mut().filter(|pod| pod.life() != 0).for_each(|pod| {
                pod.set_open(2);
                pod.set_ready(0);
            });
        }),
        breaks: "closed-before-destruction",
        ..SEES
    },
    Mutant {
        name: "Services are taken to be sealed",
        sees: Some(|view, intern| {
            if intern.mile_of(view.status).latched() == 1 && view.prod.services[0].mark() != 0 {
                view.prod.services[0].set_mark(7);
                view.prod.services[0].set_slot(0);
            }
        }),
        rewrites: Some(|_, decision| drop_all(decision, |action| matches!(action, Action::Unmark { .. }))),
        breaks: "every-service-serves",
        ..SEES
    },
    Mutant {
        name: "our entry in managedFields is taken off again and again",
        sees: Some(|view, _| view.rest.blue.set_ours(1)),
        breaks: "no-write-without-effect",
        ..SEES
    },
    Mutant {
        name: "a selector is set again as often as it is put back",
        sees: Some(|view, intern| {
            view.prod.services[0].set_newer(0);
            pretend(view, intern, |attempt| attempt.reassert = None);
        }),
        world: ("gitops", 0, 3),
        breaks: "people-win",
        ..NONE
    },
];

fn fold_early(view: &mut View, intern: &Intern) {
    pretend(view, intern, |attempt| {
        if attempt.converged_at.is_some() && attempt.verified_at.is_none() {
            attempt.verified_at = Some(moment());
            attempt.folds = 1;
            attempt.fold_generation = Some(crate::intern::GENERATION);
        }
    });
}

/// Changes the attempt that the planner sees.
fn pretend(view: &mut View, intern: &Intern, change: impl FnOnce(&mut Attempt)) {
    let mut status = intern.status_of(view.status).as_ref().clone();
    if let Some(attempt) = &mut status.attempt {
        change(attempt);
    }
    view.status = intern.status(&status).0;
}
