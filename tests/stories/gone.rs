//! A hotfix that vanished without its way out, since somebody took its finalizer off by hand: the next one on the workload
//! takes away what it left before it begins.

use securityhotfix::api::{Leftover, Reason, names};
use securityhotfix::plan::observed::{Hotfix, Map, Observed, Other, Policy};
use securityhotfix::plan::{Action, decide, invariants};

use crate::moments::{at_once, held, opened, switched, verifying};
use crate::story::{Story, When};
use crate::world::World;
use crate::world::arrange::{BLUE, V2};
use crate::world::policy::policy;

/// The first hotfix, as it is in every story here.
const FIRST: &str = "web-cve-2024-22195";
/// The second.
const SECOND: &str = "web-second";

/// Somebody takes the finalizer off and deletes the hotfix, then asks once more.
fn vanishes(title: &'static str, when: When) -> Story {
    Story::of(title)
        .when(when, "somebody takes the finalizer off the hotfix by hand, and deletes it", |w| w.vanish(FIRST))
        .when(at_once, "somebody asks for v2 once more", |w| w.ask(SECOND, V2))
}

/// The same, after every pod of the Deployment broke.
fn vanishes_with_blue_broken(title: &'static str) -> Story {
    let broken = |w: &World| w.pods_of(BLUE).all(|pod| !pod.serves());
    Story::of(title)
        .when(verifying, "every pod of the Deployment breaks", World::break_blue)
        .when(broken, "somebody takes the finalizer off the hotfix by hand, and deletes it", |w| w.vanish(FIRST))
        .when(at_once, "somebody asks for v2 once more", |w| w.ask(SECOND, V2))
}

/// Whether the second hotfix gives this reason.
fn second_says(world: &World, reason: Reason) -> bool {
    let says = |hotfix: &Hotfix| hotfix.status.conditions.iter().any(|condition| condition.reason == reason);
    world.hotfixes.get(SECOND).is_some_and(says)
}

fn taken_away(world: &World) -> bool {
    second_says(world, Reason::LeftBehind)
}

fn policy_missing(world: &World) -> bool {
    second_says(world, Reason::PolicyMissing)
}

fn stalled(world: &World) -> bool {
    second_says(world, Reason::BlueNotReady)
}

fn sealed(world: &World) -> bool {
    world.production().any(|service| service.mark_text().is_some_and(|mark| mark.starts_with("sealed/")))
}

#[test]
fn a_candidate_left_serving_is_taken_away_first() {
    vanishes("A hotfix vanishes while its candidate serves: the next one returns the traffic first", verifying)
        .tell("gone_verifying");
}

#[test]
fn a_candidate_left_at_any_moment_of_the_cut_over_is_taken_away_first() {
    for (word, when) in [("held", held as When), ("opened", opened), ("switched", switched)] {
        vanishes("A hotfix vanishes in the middle of its cut-over", when).tell(&format!("gone_{word}"));
    }
}

#[test]
fn a_candidate_left_sealed_or_pinned_is_taken_away_first() {
    Story::of("A hotfix vanishes in the middle of its roll-back, while its seal is pinned")
        .when(verifying, "v2 begins to answer its deep health check badly", |w| w.image(V2).sick = true)
        .when(sealed, "somebody takes the finalizer off the hotfix by hand, and deletes it", |w| {
            w.vanish(FIRST);
            w.image(V2).sick = false;
        })
        .when(at_once, "somebody asks for v2 once more", |w| w.ask(SECOND, V2))
        .tell("gone_pinned");
}

#[test]
fn a_candidate_left_with_two_services_gives_both_back() {
    vanishes("A hotfix vanishes while its candidate serves two Services", verifying)
        .given("Another Service selects the workload.", |w| w.add_service("web-internal"))
        .tell("gone_two_services");
}

#[test]
fn a_slot_left_without_its_mark_is_given_back() {
    vanishes("A hotfix vanishes, and its mark was taken off the Service too", verifying)
        .when(at_once, "somebody takes the mark off Service web", |w| w.strip_mark("web"))
        .tell("gone_mark_stripped");
}

#[test]
fn a_candidate_that_no_service_points_at_is_removed() {
    vanishes("A hotfix vanishes, and the owner has put the Service back already", verifying)
        .when(at_once, "the owner's tool applies Service web as it is in Git, and takes the mark off", |w| {
            w.put_selector_back("web");
            w.strip_mark("web");
        })
        .tell("gone_put_back");
}

#[test]
fn a_budget_left_is_removed_with_its_candidate() {
    vanishes("A hotfix vanishes while its candidate serves under a budget of its own", verifying)
        .given("A budget allows one pod to be missing.", World::add_budget)
        .tell("gone_budget");
}

#[test]
fn nothing_is_sent_to_a_side_with_nothing_ready() {
    vanishes_with_blue_broken("A hotfix vanishes while its candidate serves, and the Deployment is broken")
        .when(stalled, "they recover", World::mend_blue)
        .tell("gone_blue_broken");
}

#[test]
fn a_person_can_send_the_traffic_back_regardless() {
    vanishes_with_blue_broken("A hotfix vanishes, the Deployment is broken, and a person decides")
        .when(stalled, "a person releases the traffic", |w| {
            let slot = w.hotfixes[SECOND].status.leftover.clone().unwrap().slot;
            w.annotate(names::RELEASE, &format!("{slot}/v2 is worse than nothing"));
        })
        .when(
            |w: &World| w.production().all(|service| !service.selector.contains_key(names::SLOT)),
            "the pods recover",
            World::mend_blue,
        )
        .with_an_outage_by_others()
        .tell("gone_blue_broken_released");
}

#[test]
fn what_serves_for_nobody_is_returned_without_a_policy() {
    Story::of("A hotfix vanishes while its candidate serves, and its policy too")
        .when(verifying, "somebody takes the finalizer off the hotfix by hand, and deletes it and the policy", |w| {
            w.policy = None;
            w.vanish(FIRST);
        })
        .when(at_once, "somebody asks for v2 once more", |w| w.ask(SECOND, V2))
        .when(policy_missing, "an administrator makes the policy again", |w| {
            w.policy = Some(Policy { name: "default".into(), spec: policy() });
        })
        .tell("gone_policy_missing");
}

#[test]
fn a_candidate_that_died_keeps_nothing_waiting() {
    vanishes("A hotfix vanishes while its candidate serves, and the candidate dies", verifying)
        .when(taken_away, "v2 dies", |w| w.image(V2).dead = true)
        .when(
            |w: &World| w.green().is_none_or(|green| green.name.ends_with(&uid(w, SECOND))),
            "v2 is repaired",
            |w| w.image(V2).dead = false,
        )
        .with_an_outage_by_others()
        .with_two_ends()
        .tell("gone_candidate_dies");
}

fn uid(world: &World, name: &str) -> String {
    world.hotfixes.get(name).map_or_else(String::new, |hotfix| hotfix.uid.chars().take(8).collect())
}

#[test]
fn pods_left_by_a_candidate_that_somebody_deleted_are_closed() {
    vanishes(
        "A hotfix vanishes while its candidate serves, and somebody deletes the candidate's Deployment",
        verifying,
    )
    .when(at_once, "somebody deletes the candidate", World::delete_green)
    .when(at_once, "the time to live of its check Jobs passes", |w| w.jobs.clear())
    .with_an_outage_by_others()
    .with_two_ends()
    .tell("gone_candidate_deleted");
}

#[test]
fn two_that_are_gone_are_taken_away_one_after_the_other() {
    vanishes(
        "Three hotfixes are gone: one left its candidate, one its mark and slot, one began to clear up",
        verifying,
    )
    .when(at_once, "Service web-internal is made, with hold/dead/1 and a slot nobody has", |w| {
        w.add_service("web-internal");
        let service = w.services.get_mut("web-internal").unwrap();
        service.annotations.insert(names::MARK.into(), names::hold("dead", 1));
        service.selector.insert(names::SLOT.into(), names::slot("dead", 1));
    })
    .when(taken_away, "the second vanishes as well, and a third is asked for", |w| {
        w.vanish(SECOND);
        w.ask("web-third", V2);
    })
    .with_an_outage_by_others()
    .tell("gone_twice");
}

#[test]
fn one_that_vanishes_before_its_promotion_leaves_what_kubernetes_collects() {
    vanishes("A hotfix vanishes while its candidate is analyzed: what it made goes with it", crate::moments::analyzing)
        .when(at_once, "the time to live of its check Jobs passes", |w| w.jobs.clear())
        .tell("gone_analyzing");
}

#[test]
fn a_service_of_a_living_hotfix_beside_one_of_a_dead_one_is_left_to_it() {
    // The first holds both Services, and vanishes; a third hotfix, which lives, has taken one of them meanwhile.
    let mut world = Story::of("One Service of a dead hotfix, one of a living one")
        .given("Another Service selects the workload.", |w| w.add_service("web-internal"))
        .world_after(verifying);
    let slot = names::slot(&world.hotfixes[FIRST].uid, 1);
    let under_way = world.hotfixes[FIRST].status.attempt.clone();
    world.vanish(FIRST);
    world.ask("living", V2);
    world.ask(SECOND, V2);
    world.settle();
    let living = world.hotfixes["living"].uid.clone();
    world.hotfixes.get_mut("living").unwrap().status.attempt = under_way;
    let service = world.services.get_mut("web-internal").unwrap();
    service.annotations.insert(names::MARK.into(), names::hold(&living, 1));
    service.selector = Map::from([("app".to_owned(), "web".to_owned())]);

    let seen = drive(&mut world, |_| false);
    assert!(!world.services["web"].selects_slot(&slot), "the dead one's is returned: {seen:?}");
    assert_eq!(world.services["web-internal"].mark_text(), Some(&names::hold(&living, 1)), "the living one's is not");
    assert!(world.deployments.keys().all(|name| *name == BLUE), "the dead one's candidate is gone: {seen:?}");
    let ready = &world.hotfixes[SECOND].status.conditions[0];
    assert_eq!(ready.reason, Reason::ServiceHeld, "{}", ready.message);
}

/// Lets the operator act for the second hotfix until then, twenty times at most; what it wrote.
fn drive(world: &mut World, until: When) -> Vec<&'static str> {
    let mut wrote = Vec::new();
    for _ in 0..20 {
        let Some(observed) = world.observe(SECOND).filter(|_| !until(world)) else { break };
        let decision = decide(&observed, world.now);
        for action in &decision.actions {
            invariants::check(&observed, action).unwrap();
            wrote.push(action.name());
            world.write(SECOND, action);
        }
        world.settle();
        if decision.actions.is_empty() {
            let Some(wake) = decision.wake else { break };
            world.now = wake;
        }
    }
    wrote
}

fn left(observed: &mut Observed) -> &mut Leftover {
    observed.hotfix.status.leftover.as_mut().unwrap()
}

/// A change of a picture.
type Change = fn(&mut Observed);

/// What makes the deletion of a candidate wrong that was right before.
const WRONG: &[(&str, Change)] = &[
    ("its hotfix exists", |o| {
        let uid = left(o).hotfix.clone().unwrap();
        o.others.push(Other { name: FIRST.into(), uid, alive: false, attempt: 1 });
    }),
    ("nothing was recorded", |o| o.hotfix.status.leftover = None),
    ("another was recorded", |o| left(o).hotfix = Some("another".into())),
    ("it was not drained", |o| left(o).drained_from = None),
    ("a Service selects it", |o| {
        let slot = left(o).slot.clone();
        o.services.iter_mut().for_each(|service| drop(service.selector.insert(names::SLOT.into(), slot.clone())));
    }),
    ("it was made anew", |o| o.strays.candidates[0].uid = "another".into()),
];

#[test]
fn a_candidate_is_destroyed_only_on_proof_and_on_record() {
    let mut world = Story::of("A candidate is left").world_after(verifying);
    world.vanish(FIRST);
    world.ask(SECOND, V2);
    world.settle();
    drive(&mut world, |w| w.hotfixes[SECOND].status.leftover.as_ref().is_some_and(|left| left.drained_from.is_some()));
    let observed = world.observe(SECOND).unwrap();
    let delete = Action::DeleteGreen(observed.strays.candidates[0].target());
    invariants::check(&observed, &delete).unwrap();
    for (what, change) in WRONG {
        let mut changed = observed.clone();
        change(&mut changed);
        assert!(invariants::check(&changed, &delete).is_err(), "{what}");
        let decided = decide(&changed, world.now);
        assert!(!decided.actions.contains(&delete), "{what}: {decided:?}");
    }
}

#[test]
fn what_exists_is_not_taken_for_gone() {
    let mut world = Story::of("A candidate of a hotfix that waits").world_after(verifying);
    world.leases.clear();
    world.ask(SECOND, V2);
    world.settle();
    let wrote = drive(&mut world, |_| false);
    assert_eq!(wrote, ["record"], "it waits");
    let status = &world.hotfixes[SECOND].status;
    assert_eq!((status.conditions[0].reason, &status.leftover), (Reason::ServiceHeld, &None));
}
