//! Opening and closing pods.

use securityhotfix::effect::Effect;
use securityhotfix::plan::action::{Action, Versioned};
use serde_json::Value;

use super::world::{PODS, World, at, version};

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let conditions = pod["status"]["conditions"].as_array().expect("a pod has conditions");
    conditions.iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

const OPEN: &str = "securityhotfix.dev/open";

pub async fn a_close_outdates_every_open(world: &World<'_>) {
    let pods = world.list(PODS).await.expect("the list");
    let first = pods.first().expect("the workload has pods");
    let name = first["metadata"]["name"].as_str().expect("it has a name");
    let read = async || world.get(PODS, name).await;

    let fresh = read().await;
    let stranger = Versioned { uid: "another".into(), ..at(&fresh) };
    world.outdated(PODS, name, Action::Open(stranger)).await;
    world.must(Effect::Done, Action::Open(at(&fresh))).await;
    let opened = read().await;
    assert_eq!(condition(&opened, OPEN)["status"], "True");
    world.outdated(PODS, name, Action::Open(at(&fresh))).await;

    // One that was decided on before the close, and arrives after it.
    let late = Action::Open(at(&opened));
    world.must(Effect::Done, Action::Close(at(&opened))).await;
    let closed = read().await;
    for kind in [OPEN, "Ready"] {
        assert_eq!(condition(&closed, kind)["status"], "False", "{kind}");
        assert_eq!(condition(&closed, kind)["reason"], "HotfixClosed", "{kind}");
    }
    world.outdated(PODS, name, late).await;

    // A close changes the pod also where nothing is open, within the same second too.
    world.must(Effect::Done, Action::Close(at(&closed))).await;
    assert_ne!(version(&read().await), version(&closed));

    let gone = Versioned { name: "gone".into(), ..at(&closed) };
    world.must(Effect::Gone, Action::Close(gone.clone())).await;
    world.must(Effect::Gone, Action::Open(gone)).await;
}
