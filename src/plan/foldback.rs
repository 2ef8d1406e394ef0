//! From `Verified` on there is no way but forward: the patched image goes into the user's own Deployment, which rolls out
//! without traffic while the candidate serves, and the Services are returned to it.

use jiff::Timestamp;

use crate::api::time::{Moment, after, positive};
use crate::api::{Attempt, Outcome, Reason, Timeouts};

use super::action::ImagePatch;
use super::decision::Note;
use super::interrupt::{self, End};
use super::observed::{Observed, Workload};
use super::stage::{self, LOOK_AGAIN};
use super::step::{Step, Trouble, Wait};
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
    if leaving || rolled_out(o, blue, attempt) {
        return leave(o, attempt, now);
    }
    if o.green_ready() == 0
        && o.blue_ready() > 0
        && let Some(step) = wayout::seal(o, attempt)
    {
        return step;
    }
    if let Some(step) = cutover::open_late(o, attempt, &o.green_pods()) {
        return step;
    }
    slowly(attempt, blue, timeouts, now)
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
            "{who} took the patched image out of {} again; it is put in once more. Put it into the source {who} deploys from.",
            blue.name
        );
        return stage::record(o, again, vec![Note::warning(Reason::FoldBackReverted, "FoldBack", text)]);
    }
    let end = End::new(
        Reason::FoldBackReverted,
        format!(
            "{who} took the patched image out of {} twice. Put it into the source {who} deploys from, then retry.",
            blue.name
        ),
    );
    hand_back(o, attempt, end, now)
}

/// The Deployment is its owner's again, whatever it now runs.
fn hand_back(o: &Observed, attempt: &Attempt, end: End, now: Timestamp) -> Step {
    interrupt::latch(o, attempt, end, now)
}

/// The Services go back to a Deployment that runs the patched image; then everything of ours goes.
fn leave(o: &Observed, attempt: &Attempt, now: Timestamp) -> Step {
    if let Some(step) = wayout::close(o, attempt, now) {
        return step;
    }
    if let Some(step) = wayout::clean(o, attempt, now) {
        return step;
    }
    if o.old_version_is_gone(attempt) {
        return wayout::finish(o, attempt, Outcome::Remediated, now);
    }
    Step::wait(Some(after(now, LOOK_AGAIN)))
}

/// True when the Deployment's own pods run the patched image, all of them ready.
fn rolled_out(o: &Observed, blue: &Workload, attempt: &Attempt) -> bool {
    let Some(newest) = o.newest_replica_set(&blue.uid) else { return false };
    let ready = o
        .blue_pods()
        .iter()
        .filter(|pod| pod.serves() && pod.controller.as_ref() == Some(&newest.uid) && pod.runs_approved(attempt))
        .count();
    let wanted = usize::try_from(blue.replicas).unwrap_or(usize::MAX);
    blue.observed_generation >= blue.generation && newest.uid != attempt.blue.replica_set && ready >= wanted
}

fn slowly(attempt: &Attempt, blue: &Workload, timeouts: &Timeouts, now: Timestamp) -> Step {
    let began = attempt.verified_at.map_or(now, Moment::timestamp);
    let deadline = after(began, positive(timeouts.fold_back));
    let look = after(now, LOOK_AGAIN);
    if now < deadline {
        return Step::wait(Some(deadline.min(look)));
    }
    let message = format!(
        "The roll-out of the patched image in {} takes longer than the policy says; the candidate serves meanwhile. Look at `kubectl rollout status deployment/{}`.",
        blue.name, blue.name
    );
    Step::Wait(Wait {
        trouble: Some(Trouble::person(Reason::FoldBackSlow, message)),
        wants: Vec::new(),
        wake: Some(look),
    })
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
