//! The fence: what holds, switches, seals and unmarks a Service.

use securityhotfix::effect::Effect;
use securityhotfix::plan::action::{Action, Annotations, Versioned};
use securityhotfix::plan::observed::Map;
use serde_json::{Value, json};

use super::world::{SERVICES, World, at, our_entries, owners_view, service};

const HOLD: &str = "hold/u/1";
const SEALED: &str = "sealed/u/1";

fn owners() -> Map {
    Map::from([("app".into(), "web".into())])
}

fn with(key: &str, value: &str) -> Map {
    let mut selector = owners();
    selector.insert(key.into(), value.into());
    selector
}

fn slotted() -> Map {
    with("securityhotfix.dev/slot", "s1")
}

fn pinned() -> Map {
    with("pod-template-hash", "abc")
}

fn hold(service: Versioned, annotations: Annotations) -> Action {
    Action::Hold { service, mark: HOLD.into(), selector: owners(), annotations }
}

fn switch(service: Versioned, mark: &str, from: Map) -> Action {
    Action::Switch { service, mark: mark.into(), from, to: slotted() }
}

fn mark(service: &Value) -> &Value {
    &service["metadata"]["annotations"]["securityhotfix.dev/mark"]
}

pub async fn a_service_goes_through_a_whole_rollout_and_is_as_before(world: &World<'_>) {
    let manifest = service("web", &json!({"team": "shop"}));
    world.apply(&manifest, &[]);
    let read = async || world.get(SERVICES, "web").await;
    let before = read().await;

    let other = Versioned { uid: "another".into(), ..at(&before) };
    world.outdated(SERVICES, "web", hold(other, Annotations::Some)).await;
    world.must(Effect::Done, hold(at(&before), Annotations::Some)).await;
    let held = read().await;
    assert_eq!((mark(&held), &held["spec"]), (&json!(HOLD), &before["spec"]));
    world.outdated(SERVICES, "web", hold(at(&before), Annotations::Some)).await;

    world.outdated(SERVICES, "web", switch(at(&before), HOLD, owners())).await;
    world.outdated(SERVICES, "web", switch(at(&held), "hold/u/2", owners())).await;
    world.outdated(SERVICES, "web", switch(at(&held), HOLD, with("x", "y"))).await;
    world.must(Effect::Done, switch(at(&held), HOLD, owners())).await;
    let switched = read().await;
    assert_eq!(switched["spec"]["selector"], json!(slotted()));

    let seal = |service, from, to| Action::Seal {
        service,
        was: Some(HOLD.into()),
        mark: SEALED.into(),
        from,
        to,
        annotations: Annotations::Some,
    };
    world.must(Effect::Done, seal(at(&switched), slotted(), pinned())).await;
    let sealed = read().await;
    assert_eq!((mark(&sealed), &sealed["spec"]["selector"]), (&json!(SEALED), &json!(pinned())));
    // Whatever was in flight, at whatever version, finds another mark.
    world.outdated(SERVICES, "web", switch(at(&sealed), HOLD, pinned())).await;
    world.outdated(SERVICES, "web", seal(at(&sealed), pinned(), owners())).await;

    let unpin = |from| Action::Unpin { service: at(&sealed), from, to: owners() };
    world.outdated(SERVICES, "web", unpin(slotted())).await;
    world.must(Effect::Done, unpin(pinned())).await;
    let unpinned = read().await;
    assert!(!our_entries(&unpinned).is_empty(), "the selector is ours until we give it back");

    let unmark = |mark: &str, managers| Action::Unmark {
        service: at(&unpinned),
        mark: Some(mark.into()),
        managers,
        annotations: Annotations::Some,
    };
    world.outdated(SERVICES, "web", unmark(HOLD, our_entries(&unpinned))).await;
    let owners_entry = vec![0];
    assert_eq!(unpinned["metadata"]["managedFields"][0]["manager"], "owner");
    world.outdated(SERVICES, "web", unmark(SEALED, owners_entry)).await;
    world.must(Effect::Done, unmark(SEALED, our_entries(&unpinned))).await;
    let after = read().await;
    assert_eq!(owners_view(&after), owners_view(&before));
    assert_eq!(our_entries(&after), Vec::<usize>::new());

    // What its owner applies now meets no conflict, a changed selector included.
    world.apply(&manifest, &[]);
    let mut changed = manifest;
    changed["spec"]["selector"]["tier"] = json!("front");
    world.apply(&changed, &[]);
    world.kubectl(&["delete", "service", "web", "-n", "shop"], None);
    world.must(Effect::Gone, switch(at(&after), HOLD, owners())).await;
}

pub async fn a_service_without_annotations_has_none_afterwards(world: &World<'_>) {
    world.apply(&service("bare", &json!({})), &[]);
    let read = async || world.get(SERVICES, "bare").await;
    let before = read().await;
    world.must(Effect::Done, hold(at(&before), Annotations::None)).await;
    let held = read().await;
    assert_eq!(mark(&held), &json!(HOLD));
    let unmark = Action::Unmark {
        service: at(&held),
        mark: Some(HOLD.into()),
        managers: our_entries(&held),
        annotations: Annotations::None,
    };
    world.must(Effect::Done, unmark).await;
    let after = read().await;
    assert_eq!(owners_view(&after), owners_view(&before));
    assert_eq!(our_entries(&after), Vec::<usize>::new());
    world.kubectl(&["delete", "service", "bare", "-n", "shop"], None);
}
