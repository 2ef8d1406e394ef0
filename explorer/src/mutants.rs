//! Planners and protocols that are broken on purpose: an exploration that lets one of them pass proves nothing.
//!
//! Nothing of them is in the product. Each reads in another order, has a write without its precondition, is shown
//! something that is not so, or has its answer changed on the way out.

use securityhotfix::api::names::{self, POD_TEMPLATE_HASH, SLOT};
use securityhotfix::api::{Attempt, Leftover};
use securityhotfix::plan::action::Target;
use securityhotfix::plan::{Action, Decision, Observed};

use crate::act::{Act, FRESH, Kind};
use crate::config::{Config, H, P, R, S};
use crate::intern::{Intern, moment};
use crate::picture::View;
use crate::state::{LIVE, State};
use crate::worlds;

/// A protocol or planner that is broken on purpose.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// What is broken; empty for the planner as it is.
    pub name: &'static str,
    /// The law or invariant that this breaks.
    pub breaks: &'static str,
    /// The world in which it is caught, with its budgets for faults and moves.
    pub world: (&'static str, u8, u8),
    /// It reads in this order.
    pub order: Option<&'static [u8]>,
    /// It sees this instead.
    pub sees: Option<fn(&mut View, &Intern)>,
    /// It decides this instead.
    pub rewrites: Option<fn(&Observed, &mut Decision)>,
    /// These of its writes have no precondition.
    pub ignores: Option<fn(&Act) -> bool>,
    /// Its writes have another effect.
    pub effects: Option<fn(&mut State, &Act)>,
}

/// The planner as it is.
pub const NONE: Mutant = Mutant {
    name: "",
    breaks: "",
    world: ("core", 1, 1),
    order: None,
    sees: None,
    rewrites: None,
    ignores: None,
    effects: None,
};

impl Mutant {
    /// The world it is caught in.
    pub fn config(&self) -> Config {
        let (name, faults, moves) = self.world;
        let mut worlds = worlds::ALL.iter().chain(worlds::FOR_MUTANTS);
        let world = worlds.find(|config| config.name == name).expect("a world of this name");
        Config { faults, moves, ..*world }
    }
}

/// Changes the attempt that the planner sees.
fn pretend(view: &mut View, intern: &Intern, change: impl FnOnce(&mut Attempt)) {
    let mut status = intern.status_of(view.status).as_ref().clone();
    if let Some(attempt) = &mut status.attempt {
        change(attempt);
    }
    view.status = intern.status(&status).0;
}

/// Changes the attempt that the planner records.
fn forge(decision: &mut Decision, change: impl Fn(&mut Attempt)) {
    for action in &mut decision.actions {
        if let Action::Record { status, .. } = action
            && let Some(attempt) = &mut status.attempt
        {
            change(attempt);
        }
    }
}

fn drop_all(decision: &mut Decision, is: fn(&Action) -> bool) {
    decision.actions.retain(|action| !is(action));
}

const READ: Mutant = Mutant { world: ("zombie", 1, 2), breaks: "nothing-after-the-acknowledgement", ..NONE };
const LATE: Mutant = Mutant { world: ("late", 1, 1), breaks: "nothing-after-the-acknowledgement", ..NONE };
const SEES: Mutant = Mutant { world: ("cutover", 0, 1), ..NONE };

/// All of them.
pub const ALL: &[Mutant] = &[
    Mutant { name: "the hotfix is read before Services and pods", order: Some(&[H, S | P, R]), ..READ },
    Mutant { name: "pods are read after the hotfix", order: Some(&[S, H, P, R]), ..READ },
    Mutant { name: "pods are read before Services", order: Some(&[P, S, H, R]), world: ("zombie", 2, 2), ..READ },
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
        sees: Some(|view, _| view.rest.clocks.set_soak(1)),
        breaks: "soaked-before-believed",
        ..SEES
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
        name: "green is opened early",
        rewrites: Some(open_early),
        world: ("core", 0, 0),
        breaks: "no-early-traffic",
        ..NONE
    },
    Mutant {
        name: "green is opened early, as the picture has it",
        rewrites: Some(open_early),
        world: ("core", 0, 0),
        breaks: "gates-before-production",
        ..NONE
    },
    Mutant {
        name: "blue is taken to be ready always",
        sees: Some(|view, _| {
            view.prod.blues.iter_mut().filter(|pod| pod.life() == LIVE).for_each(|pod| pod.set_ready(1))
        }),
        world: ("blue", 0, 2),
        breaks: "no-traffic-to-a-dead-side",
        ..NONE
    },
    Mutant {
        name: "blue is taken to be ready always, as the world has it",
        sees: Some(|view, _| {
            view.prod.blues.iter_mut().filter(|pod| pod.life() == LIVE).for_each(|pod| pod.set_ready(1))
        }),
        world: ("blue", 0, 2),
        breaks: "no-outage-by-us",
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
        name: "a hotfix that exists is taken for gone",
        rewrites: Some(|observed, decision| {
            let Some(other) = observed.others.first() else { return };
            for action in &mut decision.actions {
                if let Action::Record { status, .. } = action {
                    status.leftover = Some(Leftover {
                        hotfix: Some(other.uid.clone()),
                        name: None,
                        attempt: 1,
                        slot: names::slot(&other.uid, 1),
                        drained_from: None,
                    });
                }
            }
        }),
        world: ("two-hotfixes", 0, 1),
        breaks: "left-by-the-gone-only",
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
        name: "the seal is left out",
        rewrites: Some(|_, decision| drop_all(decision, |action| matches!(action, Action::Seal { .. }))),
        breaks: "it-ends",
        ..SEES
    },
    Mutant {
        name: "the pin stays on",
        rewrites: Some(|_, decision| drop_all(decision, |action| matches!(action, Action::Unpin { .. }))),
        breaks: "it-ends",
        ..SEES
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
    Mutant {
        name: "a pin without its fence",
        rewrites: Some(|observed, decision| {
            for action in &mut decision.actions {
                if let Action::Seal { to, .. } = action
                    && let Some(attempt) = &observed.hotfix.status.attempt
                {
                    to.insert(POD_TEMPLATE_HASH.into(), attempt.blue.template_hash.clone());
                }
            }
        }),
        breaks: "pins-only-in-a-fenced-seal",
        world: ("cutover", 1, 2),
        ..NONE
    },
    Mutant {
        name: "the seal returns another selector",
        rewrites: Some(|_, decision| {
            for action in &mut decision.actions {
                if let Action::Seal { to, .. } = action {
                    to.insert("tier".into(), "front".into());
                }
            }
        }),
        breaks: "selectors-are-the-owners",
        ..SEES
    },
    Mutant {
        name: "the fold-back comes before the soak",
        sees: Some(|view, intern| {
            pretend(view, intern, |attempt| {
                if attempt.converged_at.is_some() && attempt.verified_at.is_none() {
                    attempt.verified_at = Some(moment());
                    attempt.folds = 1;
                    attempt.fold_generation = Some(crate::intern::GENERATION);
                }
            });
        }),
        breaks: "blue-untouched",
        ..SEES
    },
    Mutant {
        name: "the fold-back comes before the soak, as the picture has it",
        sees: Some(|view, intern| {
            pretend(view, intern, |attempt| {
                if attempt.converged_at.is_some() && attempt.verified_at.is_none() {
                    attempt.verified_at = Some(moment());
                    attempt.folds = 1;
                    attempt.fold_generation = Some(crate::intern::GENERATION);
                }
            });
        }),
        breaks: "blue-untouched-before-verified",
        ..SEES
    },
    Mutant {
        name: "the fold-back writes another image",
        rewrites: Some(|_, decision| {
            for action in &mut decision.actions {
                if let Action::FoldBack { images, .. } = action {
                    images.iter_mut().for_each(|image| image.to = crate::names::image(3));
                }
            }
        }),
        breaks: "fold-back-changes-images-only",
        ..SEES
    },
    Mutant {
        name: "the candidate is made smaller",
        rewrites: Some(|_, decision| {
            for action in &mut decision.actions {
                if let Action::ResizeGreen { replicas, .. } = action {
                    *replicas = 0;
                }
            }
        }),
        breaks: "green-never-shrinks",
        ..SEES
    },
    Mutant {
        name: "a candidate that looks bad is deleted at once",
        rewrites: Some(|observed, decision| {
            if let (Some(green), [Action::Hold { .. }]) = (&observed.green, decision.actions.as_slice()) {
                decision.actions = vec![Action::DeleteGreen(green.target())];
            }
        }),
        breaks: "latch-before-destruction",
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
        name: "somebody else's Service is deleted",
        rewrites: Some(|observed, decision| {
            for action in &mut decision.actions {
                if let (Action::DeletePreview(target), Some(service)) = (action, observed.services.first()) {
                    *target = Target { name: service.name.clone(), uid: service.uid.clone() };
                }
            }
        }),
        breaks: "only-ours-is-destroyed",
        ..SEES
    },
    Mutant {
        name: "a milestone is taken back",
        rewrites: Some(|_, decision| {
            forge(decision, |attempt| {
                if attempt.converged_at.is_some() {
                    attempt.staged_at = None;
                }
            });
        }),
        breaks: "milestones-only-grow",
        ..SEES
    },
    Mutant {
        name: "verdicts are not kept",
        rewrites: Some(|_, decision| forge(decision, |attempt| attempt.verdicts.clear())),
        world: ("core", 0, 0),
        breaks: "verdicts-are-on-record",
        ..NONE
    },
    Mutant {
        name: "writes carry no version",
        rewrites: Some(|_, decision| {
            for action in &mut decision.actions {
                if let Action::Open(pod) | Action::Close(pod) = action {
                    pod.resource_version.clear();
                }
            }
        }),
        breaks: "writes-are-fenced",
        ..SEES
    },
    Mutant {
        name: "a hotfix at rest never looks again",
        rewrites: Some(|_, decision| decision.wake = None),
        world: ("core", 0, 1),
        breaks: "it-looks-again",
        ..NONE
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
    Mutant {
        name: "the second Service is switched first",
        rewrites: Some(|observed, decision| {
            let Some(other) = observed.services.iter().find(|service| service.name == "web-internal") else { return };
            for action in &mut decision.actions {
                if let Action::Switch { service, from, .. } = action
                    && !other.selector.contains_key(SLOT)
                {
                    *service = other.versioned();
                    from.clone_from(&other.selector);
                }
            }
        }),
        world: ("services", 0, 0),
        breaks: "switched-in-order",
        ..NONE
    },
];

fn open_early(observed: &Observed, decision: &mut Decision) {
    let staged = observed.hotfix.status.attempt.as_ref().is_some_and(|attempt| attempt.staged_at.is_some());
    if let ([Action::ResizeGreen { .. }], true) = (decision.actions.as_slice(), staged) {
        let up = |pod: &&&securityhotfix::plan::observed::Pod| pod.containers_ready && pod.open.is_none();
        let pods = observed.green_pods();
        let opens: Vec<Action> = pods.iter().filter(up).map(|pod| Action::Open(pod.versioned())).collect();
        if !opens.is_empty() {
            decision.actions = opens;
        }
    }
}

/// Laws and invariants that a mutant breaks.
pub fn broken_by_some() -> Vec<&'static str> {
    let mut all: Vec<&str> = ALL.iter().map(|mutant| mutant.breaks).collect();
    all.sort_unstable();
    all.dedup();
    all
}
