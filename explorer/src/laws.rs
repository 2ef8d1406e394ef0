//! What must be true of the world, whatever the planner thinks of it.
//!
//! `securityhotfix::plan::invariants` judge a write by the picture it was decided on, here and before every write in
//! production. These judge it by what it did, by what it claims, and by where everything comes to rest. The letters
//! are those of the list in docs/explorer.md.

use securityhotfix::plan::{Decision, Observed};

use crate::act::{self, Act, Kind};
use crate::config::Config;
use crate::intern::{Intern, outcome};
use crate::names::wanted;
use crate::picture::View;
use crate::state::{ABSENT, GREENS, LEFT, Mile, OPEN, Prod, SERVICES, SIDES, State, code, coded, marked};

/// A broken law: its name, and what happened.
pub type Broken = (&'static str, String);

/// Every law of the world by name, with its letters and its reason.
pub const ALL: &[(&str, &str, &str)] = &[
    ("no-early-traffic", "S2 S22", "an image whose gates have not passed must not answer a user"),
    ("no-outage-by-us", "T3", "no write of ours may take the last pod that serves out of a Service"),
    (
        "nothing-after-the-acknowledgement",
        "T5 T6",
        "once the traffic is said to be back, nothing of the attempt moves it again",
    ),
    ("blue-untouched", "S8", "before a hotfix is believed, nothing of ours is written to the user's Deployment"),
    ("blue-keeps-its-size", "S9", "a rollback is only as fast as blue is large"),
    ("one-hotfix-at-a-time", "S12", "two hotfixes that both move traffic would undo one another"),
    ("suspend-holds", "", "who suspends a hotfix before its hold wants nothing more to be begun"),
    ("no-candidate-before-its-scan", "T15", "an image nobody has scanned must not run"),
    ("switched-in-order", "S25", "which Services were switched must follow from what was recorded"),
    ("only-recorded-services", "S25", "a Service that was not recorded before could not be returned after a crash"),
    ("owned-never-serves", "S11", "what the hotfix owns is collected with it"),
    ("no-write-without-effect", "S19", "a write that changes nothing is decided for ever"),
    ("people-win", "S23", "a selector is set again once; more would be a fight"),
    (
        "gates-have-evidence",
        "S13 S14 T1",
        "a gate passes only by evidence about this attempt, and never by its absence",
    ),
    ("verdicts-are-on-record", "S16", "what a gate passed on must be found later"),
    ("soaked-before-believed", "T15", "before the soak is over nothing is known about the candidate under load"),
    ("remediated-is-true", "S24", "the exposure ends with the last vulnerable pod, not with a selector"),
    ("milestones-stay", "T18", "what was recorded is not taken back by a write that came late"),
    ("nothing-is-left", "S7 S10 L2", "afterwards nothing of ours is left, and every Service is as its owner wrote it"),
    (
        "every-service-serves",
        "S4 S10 L2",
        "afterwards every Service has a pod that answers, where its workload can have one",
    ),
    (
        "it-ends",
        "L1 L2 L3 L5",
        "from every state, once nothing goes wrong any more, it comes to an end, and to the right one",
    ),
    ("it-remediates", "L2", "if nobody interferes, faults alone never keep a hotfix from its good end"),
    ("it-looks-again", "L1", "what comes late is cleaned: a hotfix that came to rest looks once more"),
];

fn say(broken: &mut Vec<Broken>, is: bool, name: &'static str, what: impl FnOnce() -> String) {
    if is {
        debug_assert!(ALL.iter().any(|(known, ..)| *known == name), "{name} is not listed");
        broken.push((name, what()));
    }
}

/// Notes of each write whether the side it sends traffic to had anybody, as it was seen: what dies between the look and
/// the write is not our doing, since no precondition on a Service can exclude it.
pub fn back(view: &View, acts: &mut [Act]) {
    let serves = |service: usize| {
        let svc = view.prod.services[service];
        view.prod.blues.iter().any(|pod| pod.serves() && svc.selects_blue(*pod))
    };
    for act in acts {
        let backed = match act.kind {
            Kind::Switch | Kind::Seal | Kind::Unpin => has_serving(&view.prod, act.service().1),
            Kind::Close => (0..SERVICES).all(|at| {
                let svc = view.prod.services[at];
                svc.here() == 0 || serves(at) || !has_serving(&view.prod, svc)
            }),
            _ => false,
        };
        act.flags |= if backed { act::BACKED } else { 0 };
    }
}

fn has_serving(prod: &Prod, svc: crate::state::Svc) -> bool {
    let blues = prod.blues.iter().any(|pod| pod.serves() && svc.selects_blue(*pod));
    let green = |side: usize| prod.greens[side].iter().any(|pod| pod.serves() && svc.selects_green(side, *pod));
    blues || (0..SIDES).any(green)
}

/// What a decision claims, by what it was decided on.
pub fn decided(view: &View, observed: &Observed, act: &Act, intern: &Intern) -> Vec<Broken> {
    let mut broken = Vec::new();
    let side = usize::from(view.side);
    let before = intern.mile_of(view.status);
    if act.kind == Kind::Switch && before.converged() == 0 {
        let earlier = (0..usize::from(act.at)).filter(|at| before.services() >> at & 1 == 1);
        let skipped = earlier.clone().find(|at| {
            let svc = view.prod.services[*at];
            svc.here() == 1 && svc.slot() != code(side, before.attempt())
        });
        say(&mut broken, skipped.is_some(), "switched-in-order", || {
            format!("Service {} was switched before an earlier one", act.at)
        });
    }
    let holds = view.hot.suspend() == 1 && view.hot.deleting() == 0 && before.promoting() == 0 && before.latched() == 0;
    let begins = matches!(
        act.kind,
        Kind::CreateJob | Kind::CreateGreen | Kind::CreatePreview | Kind::ResizeGreen | Kind::Hold | Kind::Open
    );
    say(&mut broken, holds && begins, "suspend-holds", || format!("{} while the hotfix is suspended", act.name()));
    if act.kind != Kind::Record {
        return broken;
    }
    let after = intern.mile_of(act.data);
    let same = before.attempt() == after.attempt();
    let new = |get: fn(Mile) -> u8| get(after) == 1 && (!same || get(before) == 0);
    let jobs = &view.rest.jobs;
    let good =
        |kind: u8| jobs.iter().any(|job| job.kind() == kind && job.attempt() == after.attempt() && job.state() == 1);
    if new(Mile::scanned) {
        say(&mut broken, !(good(1) && good(2)), "gates-have-evidence", || {
            "the scan passed without a good scan of both images".into()
        });
    }
    if new(Mile::analyzed) && view.rest.tests {
        say(&mut broken, !good(3), "gates-have-evidence", || "the analysis passed without a good test".into());
    }
    if new(Mile::verified) {
        let found = view.rest.found;
        let probes = [found.probe0(), found.probe1()];
        // One without the gate is never opened, and not asked.
        let asked = |pod: crate::state::Pod| pod.lives() && pod.up() == 1 && pod.bare() == 0;
        let up = |at: usize| asked(view.prod.greens[side][at]);
        let unproven = (0..GREENS).any(|at| up(at) && probes[at] != 1);
        say(&mut broken, unproven, "gates-have-evidence", || "verified while a pod has not answered well".into());
        say(&mut broken, view.rest.found.soaked() == 0, "soaked-before-believed", || {
            "verified before the soak was over".into()
        });
    }
    if after.outcome() == outcome(securityhotfix::api::Outcome::Remediated)
        && (!same || before.outcome() != after.outcome())
    {
        let old = view.prod.blues.iter().any(|pod| pod.life() != ABSENT && pod.version() != wanted(side));
        let is = old || view.rest.blue.template() != wanted(side);
        say(&mut broken, is, "remediated-is-true", || {
            "Remediated while a pod or the template has another image".into()
        });
    }
    let status = intern.status_of(act.data);
    let unproven = status.attempt.iter().any(|attempt| {
        let proven = |gate| {
            attempt.verdicts.iter().any(|verdict| {
                let hashed = verdict.evidence.is_some() || gate == securityhotfix::api::Gate::Verify;
                verdict.gate == gate && verdict.verdict == securityhotfix::api::VerdictWord::Pass && hashed
            })
        };
        let tested = observed.policy.as_ref().is_some_and(|policy| !policy.spec.gates.analyze.is_empty());
        attempt.scanned_at.is_some() && !proven(securityhotfix::api::Gate::Scan)
            || attempt.verified_at.is_some() && !proven(securityhotfix::api::Gate::Verify)
            || tested && attempt.analyzed_at.is_some() && !proven(securityhotfix::api::Gate::Analyze)
    });
    say(&mut broken, unproven, "verdicts-are-on-record", || "a gate is said to have passed without its verdict".into());
    broken
}

/// What an answer without a write must still do.
pub fn answered(view: &View, decision: &Decision, intern: &Intern) -> Vec<Broken> {
    let mut broken = Vec::new();
    let rests = intern.mile_of(view.status).finished() == 1 && decision.actions.is_empty();
    let quiet = view.hot.deleting() == 0 && view.hot.retry() == 0;
    let restarted = intern.mile_of(view.status).outcome() == outcome(securityhotfix::api::Outcome::Restarted);
    say(&mut broken, rests && quiet && !restarted && decision.wake.is_none(), "it-looks-again", || {
        "a hotfix that has just come to rest does not look once more".into()
    });
    broken
}

/// True when an attempt has acknowledged that its traffic is back, or is gone.
fn acknowledged(state: &State, side: usize, attempt: u8) -> bool {
    let crate::state::Side { hot, mile, green, .. } = state.sides[side];
    // What one that was made to vanish left ends when the other has returned its traffic.
    hot.here() == 0 && green.gone() != LEFT
        || hot.here() == 1 && (mile.attempt() != attempt || mile.drained() == 1 || mile.finished() == 1)
}

/// What a write did.
pub fn wrote(before: &State, after: &State, act: &Act, late: bool, _: &Intern) -> Vec<Broken> {
    let mut broken = Vec::new();
    let side = usize::from(act.side);
    let mile = before.sides[side].mile;
    outage(before, after, *act, &mut broken);
    let opened =
        act.kind == Kind::Open && acknowledged(before, side, before.prod.greens[side][usize::from(act.at)].attempt());
    let switched = act.kind == Kind::Switch && acknowledged(before, side, coded(act.service().1.slot()).1);
    // The hold of one that vanished moves nothing, and the next hotfix takes its mark off.
    let vanished = before.sides[side].green.gone() != 0;
    let held = !vanished
        && act.kind == Kind::Hold
        && marked(act.service().1.mark()).is_some_and(|(_, code)| acknowledged(before, side, coded(code).1));
    say(&mut broken, opened || switched || held, "nothing-after-the-acknowledgement", || {
        format!("{} took effect after the attempt had acknowledged its end", act.name())
    });
    // A seal or an unmark of one that vanished leads where the other leads, too.
    let gone =
        before.sides[side].hot.here() == 0 && !vanished && matches!(act.kind, Kind::Seal | Kind::Unpin | Kind::Unmark);
    say(&mut broken, gone, "nothing-after-the-acknowledgement", || {
        format!("{} took effect on a Service after the hotfix was gone", act.name())
    });
    let folds = act.kind == Kind::FoldBack
        && !vanished
        && (mile.verified() == 0 || mile.latched() == 1 || mile.finished() == 1);
    say(&mut broken, folds, "blue-untouched", || {
        "the fold-back took effect in an attempt that was not believed, or over".into()
    });
    let template = before.blue.template() != after.blue.template() && act.kind != Kind::FoldBack;
    say(&mut broken, template, "blue-untouched", || format!("{} changed the Deployment", act.name()));
    say(&mut broken, before.blue.replicas() != after.blue.replicas(), "blue-keeps-its-size", || {
        format!("{} scaled the Deployment", act.name())
    });
    let owned = after.sides[side].green.owned() == 1 && after.sides[side].green.here() == 1;
    let gated = |pod: &&crate::state::Pod| pod.serves() && pod.bare() == 0;
    let selected = |at: usize| {
        before.prod.greens[side].iter().filter(gated).any(|pod| before.prod.services[at].selects_green(side, *pod))
    };
    let serves = (0..SERVICES).any(selected);
    let of_owned = |pod: &crate::state::Pod| pod.inc() == after.sides[side].green.inc();
    let pods = &before.prod.greens[side];
    let moves = match act.kind {
        Kind::Open => of_owned(&pods[usize::from(act.at)]),
        Kind::Switch => pods.iter().any(|pod| pod.serves() && pod.bare() == 0 && of_owned(pod)),
        _ => false,
    };
    let unsafe_end = owned && (act.kind == Kind::RemoveFinalizer && serves || moves);
    say(&mut broken, unsafe_end, "owned-never-serves", || {
        format!("{} while the hotfix owns the candidate", act.name())
    });
    let same = |state: &State| (state.terminating, state.claim, state.prod, state.blue, state.sides);
    say(&mut broken, !late && same(before) == same(after), "no-write-without-effect", || {
        format!("{} changed nothing", act.name())
    });
    let now = after.sides[side].mile;
    let lost = now.attempt() == mile.attempt() && after.sides[side].hot.here() == 1 && {
        let steps = |mile: Mile| {
            [
                mile.scanned(),
                mile.staged(),
                mile.analyzed(),
                mile.promoting(),
                mile.converged(),
                mile.verified(),
                mile.latched(),
                mile.drained(),
                mile.finished(),
            ]
        };
        steps(mile).iter().zip(steps(now)).any(|(was, is)| *was > is)
    };
    say(
        &mut broken,
        lost || now.attempt() < mile.attempt() && after.sides[side].hot.here() == 1,
        "milestones-stay",
        || format!("{} took back a milestone", act.name()),
    );
    broken
}

fn outage(before: &State, after: &State, act: Act, broken: &mut Vec<Broken>) {
    let given_up = before.terminating || before.blue.here() == 0 || before.blue.replicas() == 0;
    let side = usize::from(act.side);
    if given_up || act.flags & act::BACKED != 0 || before.sides[side].hot.release() > 0 {
        return;
    }
    for at in 0..SERVICES {
        let total = |(blues, greens): (usize, [usize; SIDES])| blues + greens.iter().sum::<usize>();
        let was = total(before.serving(at));
        let mut is = total(after.serving(at));
        if act.kind == Kind::DeleteGreen {
            is -= after.serving(at).1[side];
        }
        say(broken, was > 0 && is == 0 && before.prod.services[at].here() == 1, "no-outage-by-us", || {
            format!("{} left Service {at} without a pod that serves", act.name())
        });
    }
}

/// What must hold in every state.
pub fn holds(state: &State, _: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    for at in 0..SERVICES {
        let svc = state.prod.services[at];
        if svc.here() == 0 {
            continue;
        }
        for side in 0..SIDES {
            for pod in state.prod.greens[side].iter().filter(|pod| pod.serves() && pod.bare() == 0) {
                let mile = state.sides[side].mile;
                let passed = mile.attempt() == pod.attempt() && mile.promoting() == 1 && pod.version() == wanted(side);
                // One whose hotfix vanished had passed them.
                let left = state.sides[side].green.gone() == LEFT && pod.version() == wanted(side);
                let is = svc.selects_green(side, *pod) && !passed && !left;
                say(&mut broken, is, "no-early-traffic", || {
                    format!("Service {at} sends traffic to a candidate whose gates have not passed")
                });
            }
        }
        if svc.slot() != 0 {
            let (side, attempt) = coded(svc.slot());
            let owner = &state.sides[side];
            let known =
                owner.mile.attempt() == attempt && owner.mile.promoting() == 1 && owner.mile.services() >> at & 1 == 1;
            say(&mut broken, owner.alive() && !known, "only-recorded-services", || {
                format!("Service {at} is switched without being recorded")
            });
        }
    }
    one_at_a_time(state, &mut broken);
    for side in 0..SIDES {
        let crate::state::Side { hot, mile, green, .. } = state.sides[side];
        let unscanned =
            green.here() == 1 && hot.here() == 1 && mile.attempt() == green.attempt() && mile.scanned() == 0;
        say(&mut broken, unscanned, "no-candidate-before-its-scan", || {
            "a candidate exists before its scan passed".into()
        });
        say(&mut broken, hot.switched_again() > 1, "people-win", || "a selector was set again twice".into());
        let ready = |pod: &&crate::state::Pod| pod.serves() && pod.bare() == 0 && pod.open() != OPEN;
        say(&mut broken, state.prod.greens[side].iter().any(|pod| ready(&pod)), "no-early-traffic", || {
            "a pod of ours is ready without being open".into()
        });
    }
    broken
}

/// Two living hotfixes that both have a Service.
fn one_at_a_time(state: &State, broken: &mut Vec<Broken>) {
    let holder = |at: usize| {
        let svc = state.prod.services[at];
        let held = marked(svc.mark()).filter(|(seals, _)| !seals).map(|(_, code)| code);
        let code = if svc.slot() != 0 { Some(svc.slot()) } else { held };
        code.map(|code| coded(code).0).filter(|side| svc.here() == 1 && state.sides[*side].alive())
    };
    if let (Some(one), Some(other)) = (holder(0), holder(1)) {
        say(broken, one != other, "one-hotfix-at-a-time", || "two hotfixes each have a Service of one workload".into());
    }
}
