//! Stories nobody has written: people, tools and failures do things at moments drawn from a seed, in an order drawn from
//! the same. No golden file says how they end; every invariant and every law holds on the way, they end, and nothing is
//! left.

use securityhotfix::api::names;
use securityhotfix::plan::observed::Owns;

use crate::order::Dice;
use crate::story::{Act, Order, Story};
use crate::world::World;
use crate::world::arrange::{V1, V2, V3};

/// What may happen, whenever.
const ACTS: &[(&str, Act)] = &[
    ("the hotfix is deleted", World::delete_the_hotfix),
    ("attempt 1 is aborted", |w| w.abort(1)),
    ("attempt 2 is aborted", |w| w.abort(2)),
    ("the hotfix is retried", |w| w.annotate(names::RETRY, "again")),
    ("the traffic is released", |w| w.annotate(names::RELEASE, "1/whatever")),
    ("the hotfix is suspended", |w| w.suspend(true)),
    ("the hotfix is resumed", |w| w.suspend(false)),
    ("another hotfix is asked for", |w| {
        if !w.hotfixes.contains_key("web-second") {
            w.ask("web-second", V2);
        }
    }),
    ("the owner deploys v3", |w| w.deploy(V3)),
    ("the owner deploys v1", |w| w.deploy(V1)),
    ("the owner deploys v2", |w| w.deploy(V2)),
    ("web is scaled to 5", |w| w.scale_blue(5)),
    ("web is scaled to 2", |w| w.scale_blue(2)),
    ("the selector of web is put back", |w| w.put_selector_back("web")),
    ("the selector of web-internal is put back", |w| w.put_selector_back("web-internal")),
    ("the mark of web is taken off", |w| w.strip_mark("web")),
    ("the mark of web-internal is taken off", |w| w.strip_mark("web-internal")),
    ("web-internal is deleted", |w| drop(w.services.remove("web-internal"))),
    ("the candidate is deleted", World::delete_green),
    ("the Lease is deleted", |w| w.leases.clear()),
    ("every check Job is deleted", |w| w.jobs.clear()),
    ("v2 falls sick", |w| w.image(V2).sick = true),
    ("v2 dies", |w| w.image(V2).dead = true),
    ("v2 recovers", |w| *w.image(V2) = crate::world::script::Image::default()),
    ("web breaks", World::break_blue),
    ("web recovers", World::mend_blue),
    ("tests fail", |w| w.script.tests_fail = true),
    ("tests pass", |w| w.script.tests_fail = false),
    ("the EndpointSlice controller hangs", |w| {
        w.script.slices_hang.insert("web".into());
    }),
    ("a pod is evicted", |w| {
        let last = w.pods.values().rev().find(|pod| pod.lives()).map(|pod| pod.name.clone());
        if let Some(name) = last {
            w.delete_pod(&name);
        }
    }),
    ("web is paused", |w| w.change_blue(Owns::Else, |raw| raw["spec"]["paused"] = serde_json::json!(true))),
    ("a create of the candidate lands late", World::land_late_create),
    ("the operator dies", World::crash),
];

/// How many are told in `cargo test`; `CHAOS_SEEDS` says another number.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    if let Some(one) = number("CHAOS_SEED") {
        return one..=one;
    }
    1..=number("CHAOS_SEEDS").unwrap_or(150)
}

#[test]
fn whatever_happens_it_ends_and_nothing_is_left() {
    for seed in seeds() {
        let mut dice = Dice::new(seed);
        for _ in 0..16 {
            dice.roll(2);
        }
        let story =
            Story::of("Whatever happens").given("Another Service.", |w: &mut World| w.add_service("web-internal"));
        let acts = (0..=dice.roll(4)).map(|_| (dice.roll(120), ACTS[dice.roll(ACTS.len())])).collect::<Vec<_>>();
        let order = if dice.roll(4) == 0 { Order::Forgetful } else { Order::Drawn(dice) };
        story.play_with(seed, acts, order);
    }
}
