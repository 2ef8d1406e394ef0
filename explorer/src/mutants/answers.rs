//! Planners whose answer is changed on the way out.

use securityhotfix::api::Leftover;
use securityhotfix::api::names::{self, POD_TEMPLATE_HASH, SLOT};
use securityhotfix::plan::action::Target;
use securityhotfix::plan::{Action, Decision, Observed};

use super::{Mutant, NONE, SEES, drop_all, forge};

/// All of them.
pub const ALL: &[Mutant] = &[
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
        name: "the fold-back writes another image",
        rewrites: Some(|_, decision| {
            for action in &mut decision.actions {
                if let Action::FoldBack { images, .. } = action {
                    for image in images {
                        image.to = crate::names::image(3);
                    }
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
        name: "what a hotfix left is deleted before its traffic is back",
        rewrites: Some(|observed, decision| {
            let left = observed.hotfix.status.leftover.as_ref().filter(|left| left.drained_from.is_none());
            if let (Some(_), Some(candidate)) = (left, observed.strays.candidates.first()) {
                decision.actions = vec![Action::DeleteGreen(candidate.target())];
            }
        }),
        world: ("vanished", 0, 2),
        breaks: "closed-before-destruction",
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
