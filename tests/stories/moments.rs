//! Moments of a rollout at which people may do something.

use securityhotfix::api::names::{MARK, SLOT};
use securityhotfix::api::time::Moment;
use securityhotfix::api::{Attempt, Phase};

use crate::story::When;
use crate::world::World;
use crate::world::arrange::V2;

fn attempt(world: &World, is: impl Fn(&Attempt) -> bool) -> bool {
    world.hotfix().and_then(|hotfix| hotfix.status.attempt.as_ref()).is_some_and(is)
}

fn phase(world: &World, phase: Phase) -> bool {
    world.hotfix().is_some_and(|hotfix| hotfix.status.phase == Some(phase))
}

pub fn at_once(_: &World) -> bool {
    true
}

pub fn scanning(world: &World) -> bool {
    phase(world, Phase::Scanning) && !world.jobs.is_empty()
}

pub fn staging(world: &World) -> bool {
    world.green().is_some()
}

/// The candidate has a pod.
pub fn started(world: &World) -> bool {
    world.green().is_some_and(|green| world.pods_of(&green.name).next().is_some())
}

pub fn analyzing(world: &World) -> bool {
    phase(world, Phase::Analyzing)
}

pub fn growing(world: &World) -> bool {
    phase(world, Phase::Promoting) && world.green().is_some_and(|green| green.replicas > 1)
}

pub fn announced(world: &World) -> bool {
    attempt(world, |attempt| attempt.promoting_at.is_some())
}

pub fn held(world: &World) -> bool {
    world.production().any(|service| service.annotations.contains_key(MARK))
}

pub fn opened(world: &World) -> bool {
    world.pods.values().any(|pod| pod.open.is_some())
}

pub fn switched(world: &World) -> bool {
    world.production().any(|service| service.selector.contains_key(SLOT))
}

pub fn verifying(world: &World) -> bool {
    phase(world, Phase::Verifying)
}

/// The candidate has served for three of the five minutes of its soak.
pub fn soaking(world: &World) -> bool {
    const LONG: jiff::SignedDuration = jiff::SignedDuration::from_mins(3);
    let long = |at: Moment| world.now.duration_since(at.timestamp()) >= LONG;
    attempt(world, |attempt| attempt.converged_at.is_some_and(long) && attempt.verified_at.is_none())
}

/// The candidate has served unchecked for three minutes, and still does.
pub fn unchecked(world: &World) -> bool {
    const LONG: jiff::SignedDuration = jiff::SignedDuration::from_mins(3);
    let long = |at: Moment| world.now.duration_since(at.timestamp()) >= LONG;
    attempt(world, |attempt| attempt.unchecked.is_some_and(|now| now.until.is_none() && long(now.since)))
}

/// The selector was put back by somebody and set again by us.
pub fn set_again(world: &World) -> bool {
    attempt(world, |attempt| attempt.reassert.is_some()) && switched(world)
}

pub fn verified(world: &World) -> bool {
    attempt(world, |attempt| attempt.verified_at.is_some())
}

pub fn folding(world: &World) -> bool {
    world.blue().and_then(|blue| blue.template_image("web")).is_some_and(|image| image == V2)
}

/// The image was put in for the second time.
pub fn folding_again(world: &World) -> bool {
    attempt(world, |attempt| attempt.folds == 2) && folding(world)
}

pub fn draining(world: &World) -> bool {
    attempt(world, |attempt| attempt.drained_from.is_some() && attempt.finished_at.is_none())
}

pub fn rolling_back(world: &World) -> bool {
    phase(world, Phase::RollingBack)
}

pub fn finished(world: &World) -> bool {
    attempt(world, |attempt| attempt.finished_at.is_some())
        && world.hotfixes.values().all(|hotfix| hotfix.finalizers.is_empty())
}

/// The Deployment is not on every node the candidate serves on.
pub fn left_out(world: &World) -> bool {
    use securityhotfix::api::Reason;
    world.hotfix().is_some_and(|hotfix| {
        hotfix.status.conditions.iter().any(|condition| condition.reason == Reason::LocalTrafficPolicy)
    })
}

/// The hotfix says that it is held up.
pub fn in_trouble(world: &World) -> bool {
    use securityhotfix::api::{ConditionType, Truth};
    world.hotfix().is_some_and(|hotfix| {
        hotfix.status.conditions.iter().any(|c| c.type_ == ConditionType::Stalled && c.status == Truth::True)
    })
}

/// `spec.suspend` was seen, and holds the attempt.
pub fn suspended(world: &World) -> bool {
    attempt(world, |attempt| attempt.suspension.is_some_and(|suspension| suspension.until.is_none()))
}

/// Every phase of a rollout, by the word for the golden file.
pub const PHASES: &[(&str, When)] = &[
    ("scanning", scanning),
    ("staging", staging),
    ("analyzing", analyzing),
    ("growing", growing),
    ("announced", announced),
    ("held", held),
    ("opened", opened),
    ("switched", switched),
    ("verifying", verifying),
    ("verified", verified),
    ("folding", folding),
    ("draining", draining),
];
