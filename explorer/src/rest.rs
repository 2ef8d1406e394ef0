//! Where everything comes to rest, and whether that is right.

use securityhotfix::api::Outcome;

use crate::config::Config;
use crate::intern::outcome;
use crate::laws::Broken;
use crate::state::{ABSENT, SERVICES, SIDES, State, TAKEN, coded, marked};

/// What is wrong with a state in which nothing fair happens any more.
pub fn wrong(state: &State, config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut say = |is: bool, name: &'static str, what: String| {
        if is {
            broken.push((name, what));
        }
    };
    let blue = state.blue;
    let can_serve = blue.here() == 1 && blue.replicas() > 0 && blue.broken() == 0 && !state.terminating;
    let has_service = state.prod.services.iter().any(|svc| svc.here() == 1);
    let busy = state.sides.iter().any(crate::state::Side::alive);
    let mut all_ended = true;
    for side in 0..SIDES {
        let crate::state::Side { hot, mile, green, .. } = state.sides[side];
        let restarted = mile.outcome() == outcome(Outcome::Restarted);
        let waits = hot.here() == 1 && (mile.attempt() == 0 || restarted);
        let under_way = hot.here() == 1 && !waits && mile.finished() == 0;
        // One that has not begun waits for its workload; one that has begun waits for blue to recover, and for nothing else.
        say(
            waits && !busy && hot.deleting() == 0 && can_serve && has_service && settled(state),
            "it-ends",
            format!("hotfix {side} never begins"),
        );
        say(under_way && blue.broken() == 0, "it-ends", format!("hotfix {side} is stuck"));
        say(hot.here() == 1 && hot.deleting() > 0 && !under_way, "it-ends", format!("hotfix {side} is never let go"));
        say(
            hot.here() == 1 && state.terminating && !under_way,
            "it-ends",
            format!("hotfix {side} keeps its namespace"),
        );
        if under_way || state.is_forgotten(side) {
            all_ended = false;
            continue;
        }
        let open = green.gone() == TAKEN && state.sides[side].report != 0;
        let number = u8::try_from(side).expect("few");
        let mut left = |is: bool, what: &str| say(is, "nothing-is-left", format!("{what} of hotfix {side} is left"));
        left(green.here() == 1, "the candidate");
        left(open, "the open record");
        left(state.prod.greens[side].iter().any(|pod| pod.life() != ABSENT), "a pod");
        left(state.prod.previews[side].here() == 1, "the preview");
        left(state.sides[side].jobs.iter().any(|job| job.kind() != 0), "a check Job");
        left(!waits && state.claim.holder() == number + 1, "the Lease");
        left(!waits && hot.finalizer() == 1, "the finalizer");
        for svc in state.prod.services.iter().filter(|svc| svc.here() == 1) {
            let of = |code: u8| coded(code).0 == side;
            left(svc.slot() != 0 && of(svc.slot()), "the slot in a selector");
            left(marked(svc.mark()).is_some_and(|(_, code)| of(code)), "the mark on a Service");
        }
    }
    for at in 0..SERVICES {
        let svc = state.prod.services[at];
        if svc.here() == 0 {
            continue;
        }
        // What a hotfix left that vanished is people's until the next one comes.
        if (0..SIDES).any(|side| state.is_forgotten(side)) {
            continue;
        }
        let (blues, greens) = state.serving(at);
        let serving = blues + greens.iter().sum::<usize>();
        say(can_serve && serving == 0, "every-service-serves", format!("nobody answers for Service {at}"));
        if all_ended {
            say(
                svc.variant() != svc.owners(),
                "nothing-is-left",
                format!("the selector of Service {at} is not its owner's"),
            );
            say(svc.pin() != 0, "nothing-is-left", format!("the pin of Service {at} is left"));
            say(svc.ours() == 1, "nothing-is-left", format!("our entry in the managedFields of Service {at} is left"));
        }
    }
    say(
        all_ended && blue.here() == 1 && blue.ours() == 1,
        "nothing-is-left",
        "our entry in the Deployment's managedFields is left".into(),
    );
    let undisturbed = state.moves == config.moves && config.free == 0;
    let good = state.sides[0].mile.outcome() == outcome(Outcome::Remediated);
    say(undisturbed && !good, "it-remediates", "nobody interfered, and it did not come to its good end".into());
    broken
}

/// True when the workload is not in the middle of a rollout of its own.
fn settled(state: &State) -> bool {
    state.prod.blues.iter().filter(|pod| pod.lives()).all(|pod| pod.version() == state.blue.newest() && pod.serves())
}
