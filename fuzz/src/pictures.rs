//! Pictures to begin with: those of whole rollouts, told in the world of the stories.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use securityhotfix::api::Phase;
use securityhotfix::api::names::{MARK, SLOT};
use securityhotfix::plan::Observed;

use crate::order::Dice;
use crate::world::World;
use crate::world::arrange::{V1, V2, V3};
use crate::world::controllers::{ALL, Controller};

/// What is seen, and when.
pub type Picture = (Observed, Timestamp);

type Act = fn(&mut World);
type When = fn(&World) -> bool;

/// Nothing has changed for so long: the rollout is over. Longer than every deadline of the default policy.
const REST: SignedDuration = SignedDuration::from_mins(45);

/// Every picture of rollouts that differ much, each in the natural order and in a drawn one.
pub static PICTURES: LazyLock<Vec<Picture>> = LazyLock::new(|| {
    let rollouts: [(Act, When, Act); 11] = [
        (|w| w.add_service("web-internal"), never, nothing),
        (World::add_budget, never, nothing),
        (nothing, |w| phase(w, Phase::Verifying), |w| w.image(V2).sick = true),
        (nothing, switched, |w| w.image(V2).dead = true),
        (nothing, |w| phase(w, Phase::Analyzing), |w| w.deploy(V3)),
        (
            nothing,
            |w| w.blue().and_then(|blue| blue.template_image("web")).is_some_and(|it| it == V2),
            |w| w.deploy(V1),
        ),
        (nothing, |w| w.production().any(|service| service.annotations.contains_key(MARK)), World::delete_the_hotfix),
        (|w| w.image(V2).vulnerable = true, never, nothing),
        (nothing, |w| phase(w, Phase::Verifying), |w| w.put_selector_back("web")),
        (nothing, |w| phase(w, Phase::Verifying), |w| w.abort(1)),
        (
            nothing,
            |w| phase(w, Phase::Verifying),
            |w| {
                w.vanish("web-cve-2024-22195");
                w.ask("web-second", V2);
            },
        ),
    ];
    let tell = |(given, when, act): (Act, When, Act)| {
        [None, Some(Dice::new(1))].into_iter().flat_map(move |dice| told(given, (when, act), dice))
    };
    rollouts.into_iter().flat_map(tell).collect()
});

fn never(_: &World) -> bool {
    false
}

fn nothing(_: &mut World) {}

fn phase(world: &World, phase: Phase) -> bool {
    world.hotfix().is_some_and(|hotfix| hotfix.status.phase == Some(phase))
}

fn switched(world: &World) -> bool {
    world.production().any(|service| service.selector.contains_key(SLOT))
}

/// Who takes the next step.
enum Turn {
    Operator,
    Controller(Controller),
}

fn told(given: Act, (when, act): (When, Act), mut dice: Option<Dice>) -> Vec<Picture> {
    let mut world = World::with_hotfix();
    given(&mut world);
    world.settle();
    let (mut pictures, mut acted, mut changed) = (Vec::new(), false, (world.version, world.now));
    loop {
        if !acted && when(&world) {
            acted = true;
            act(&mut world);
            world.tick();
        }
        if changed.0 != world.version {
            changed = (world.version, world.now);
        }
        let name = world.operators.keys().find(|name| world.operator_is_due(name)).cloned();
        pictures.extend(name.as_ref().and_then(|name| world.observe(name)).map(|observed| (observed, world.now)));
        let mut turns: Vec<Turn> = std::iter::once(Turn::Operator).chain(ALL.map(Turn::Controller)).collect();
        if let Some(dice) = &mut dice {
            dice.shuffle(&mut turns);
        }
        let stepped = turns.into_iter().any(|turn| match (turn, &name) {
            (Turn::Operator, Some(name)) => {
                world.step_operator(name);
                true
            }
            (Turn::Operator, None) => false,
            (Turn::Controller(controller), _) => world.step(controller),
        });
        if stepped {
            continue;
        }
        match world.next_wake().filter(|next| next.duration_since(changed.1) <= REST) {
            Some(next) => world.now = next,
            None => return pictures,
        }
    }
}
