//! From `Verified` on there is no way but forward: the patched image goes into the user's own Deployment, which rolls out
//! without traffic while the candidate serves, and the Services are returned to it.

use jiff::Timestamp;

use crate::api::names;
use crate::api::time::{Moment, after};
use crate::api::{Attempt, Outcome, Reason, Timeouts};

use super::action::ImagePatch;
use super::decision::Note;
use super::interrupt::{self, End};
use super::leaving::Leaving;
use super::observed::{Observed, Pod, Workload};
use super::stage::{self, LOOK_AGAIN};
use super::step::{Step, Trouble};
use super::{Action, cutover, facts, wayout};

/// How often the patched image is written into the Deployment before people win.
const FOLDS_MAX: i32 = 2;

/// The next step after `Verified`.
pub fn next(o: &Observed, attempt: &Attempt, timeouts: &Timeouts, now: Timestamp) -> Step {
    let Some(blue) = o.recorded_blue(&attempt.blue).filter(|blue| !blue.deleting) else {
        return hand_back(
            o,
            attempt,
            End::new(Reason::BlueGone, "The Deployment was deleted while the patched image was put into it."),
            now,
        );
    };
    if !blue.is_patched(attempt) {
        return put(o, attempt, blue, now);
    }
    let leaving = attempt.drained_from.is_some()
        || o.recorded_services(attempt).iter().any(|service| service.is_sealed_by(&o.hotfix.uid, attempt.number));
    if leaving {
        return leave(o, attempt, blue, timeouts, now);
    }
    if rolled_out(o, blue, attempt) {
        return match uncovered(o, blue, attempt).filter(|_| now < rolled_out_by(attempt, timeouts, now)) {
            Some(trouble) => Step::trouble(trouble, Some(after(now, LOOK_AGAIN))),
            None => leave(o, attempt, blue, timeouts, now),
        };
    }
    if o.green_ready() == 0
        && o.blue_ready() > 0
        && let Some(step) = wayout::seal(o, &Leaving::own(o, attempt))
    {
        return step;
    }
    if let Some(step) = cutover::open_late(o, attempt, &o.green_pods()) {
        return step;
    }
    rolls_out(o, attempt, blue, timeouts, now)
}

/// The image is not in the Deployment: put it in, put it in once more, or give way.
fn put(o: &Observed, attempt: &Attempt, blue: &Workload, now: Timestamp) -> Step {
    let who = facts::last_foreign(&blue.managers);
    if !blue.is_as_recorded(&attempt.blue) {
        let end = End::new(
            Reason::BlueRedeployed,
            format!("{who} deployed another version of {} while the patched image was put into it.", blue.name),
        );
        return hand_back(o, attempt, end, now);
    }
    // Our write and its undoing are two changes. A single one since the announcement was not about the image: an
    // autoscaler's, most likely.
    if attempt.fold_generation.is_some_and(|announced| blue.generation <= announced + 1) {
        return Step::act(Action::FoldBack { blue: blue.versioned(), images: patches(blue, attempt) });
    }
    if attempt.folds < FOLDS_MAX {
        let mut again = attempt.clone();
        again.folds += 1;
        again.fold_generation = Some(blue.generation);
        let text = format!(
            "{who} took the patched image out of {name} again; it is put in once more. Put it into the source that {name} is deployed from.",
            name = blue.name
        );
        return stage::record(o, again, vec![Note::warning(Reason::FoldBackReverted, "FoldBack", text)]);
    }
    let end = End::new(
        Reason::FoldBackReverted,
        format!(
            "{who} took the patched image out of {name} twice. Put it into the source that {name} is deployed from, then retry.",
            name = blue.name
        ),
    );
    hand_back(o, attempt, end, now)
}

/// The Deployment is its owner's again, whatever it now runs.
fn hand_back(o: &Observed, attempt: &Attempt, end: End, now: Timestamp) -> Step {
    interrupt::latch(o, attempt, end, now)
}

/// The Services go back to a Deployment that runs the patched image; then everything of ours goes.
fn leave(o: &Observed, attempt: &Attempt, blue: &Workload, timeouts: &Timeouts, now: Timestamp) -> Step {
    let leaving = Leaving::own(o, attempt);
    if let Some(step) = wayout::close(o, &leaving, now) {
        return step;
    }
    if let Some(step) = wayout::clean(o, &leaving, now) {
        return step;
    }
    if o.old_version_is_gone(attempt) {
        return wayout::finish(o, attempt, Outcome::Remediated, now);
    }
    rolls_out(o, attempt, blue, timeouts, now)
}

/// The Deployment's own pods of its newest ReplicaSet that run the patched image: those that stay.
fn patched_pods<'a>(o: &'a Observed, blue: &Workload, attempt: &Attempt) -> Vec<&'a Pod> {
    let newest = o.newest_replica_set(&blue.uid).map(|set| &set.uid);
    let stays = |pod: &&Pod| pod.controller.as_ref() == newest && pod.runs_approved(attempt);
    o.blue_pods().into_iter().filter(stays).collect()
}

/// True when the Deployment's own pods run the patched image, all of them ready.
fn rolled_out(o: &Observed, blue: &Workload, attempt: &Attempt) -> bool {
    let Some(newest) = o.newest_replica_set(&blue.uid) else { return false };
    let ready = patched_pods(o, blue, attempt).iter().filter(|pod| pod.serves()).count();
    let wanted = usize::try_from(blue.replicas).unwrap_or(usize::MAX);
    blue.observed_generation >= blue.generation && newest.uid != attempt.blue.replica_set && ready >= wanted
}

/// A `Local` policy drops what arrives on a node without a ready pod: the Deployment must be on every node the candidate
/// serves on before it takes the traffic back. It is waited for up to the deadline of the fold-back; where the owner's
/// pods are scheduled is the owner's affair after that, as in every roll-out of theirs.
fn uncovered(o: &Observed, blue: &Workload, attempt: &Attempt) -> Option<Trouble> {
    o.recorded_services(attempt).into_iter().filter(|service| service.local_traffic).find_map(|service| {
        let node = Observed::node_left_out(&o.green_pods(), &patched_pods(o, blue, attempt))?;
        Some(stage::left_out(service, &blue.name, &node))
    })
}

/// Until when the Deployment's own roll-out is waited for without a word.
fn rolled_out_by(attempt: &Attempt, timeouts: &Timeouts, now: Timestamp) -> Timestamp {
    after(attempt.verified_at.map_or(now, Moment::timestamp), timeouts.fold_back.get())
}

/// Waits for the Deployment's own roll-out, and says what keeps it.
fn rolls_out(o: &Observed, attempt: &Attempt, blue: &Workload, timeouts: &Timeouts, now: Timestamp) -> Step {
    let deadline = rolled_out_by(attempt, timeouts, now);
    let look = after(now, LOOK_AGAIN);
    let (name, slot) = (&blue.name, names::slot(&o.hotfix.uid, attempt.number));
    let candidate = o.recorded_services(attempt).iter().any(|service| service.selects_slot(&slot));
    let serving = if candidate { "The candidate serves meanwhile" } else { "Its own pods serve meanwhile" };
    if blue.paused && !rolled_out(o, blue, attempt) {
        let message = format!(
            "Deployment {name} is paused, so its pods do not get the patched image that was put into it. {serving}; `kubectl rollout resume deployment/{name}` lets it go on."
        );
        return Step::trouble(Trouble::person(Reason::TargetPaused, message), Some(look));
    }
    if now < deadline {
        return Step::wait(Some(deadline.min(look)));
    }
    let message = format!(
        "The roll-out of the patched image in {name} takes longer than the policy says. {serving}; look at `kubectl rollout status deployment/{name}`."
    );
    Step::trouble(Trouble::person(Reason::FoldBackSlow, message), Some(look))
}

fn patches(blue: &Workload, attempt: &Attempt) -> Vec<ImagePatch> {
    let containers = blue.template_containers();
    attempt
        .images
        .iter()
        .filter_map(|image| {
            let (pointer, container, from) = containers.iter().find(|(_, name, _)| *name == image.container)?.clone();
            (from != image.image).then(|| ImagePatch { pointer, container, from, to: image.image.clone() })
        })
        .collect()
}
