//! What surrounds a look: failures that stay with their hotfix, and when it is looked at again.

use futures::StreamExt;
use serde_json::json;

use super::*;
use crate::api::SecurityHotfixStatus;
use crate::api::names::RETRY;
use crate::cluster::lease::Leadership;
use crate::controller::metrics::Gauges;
use crate::controller::script::{Script, id};
use crate::controller::stop::{self, Stopper};
use crate::plan::Decision;

fn context(script: Script, decide: fn(&Observed, Timestamp) -> Decision) -> (Arc<Context<Script>>, Stopper) {
    crate::cluster::install_crypto();
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let client = kube::Client::try_from(nowhere).unwrap();
    let ledger = Arc::new(Ledger::new(Instant::now()));
    let metrics = Arc::new(Metrics::default());
    let queue = Queue::new(ledger.clone());
    let (events, _) = Events::start(client.clone(), None, metrics.clone());
    let (stopper, stop) = stop::pair();
    let permit = Permit::new(stop, Leadership::alone());
    let context = Context {
        rooms: script,
        mind: Mind { decide, check: |_, _| Ok(()), now: || Timestamp::UNIX_EPOCH },
        ledger,
        metrics: metrics.clone(),
        queue: queue.clone(),
        watches: Watches::new(client, "checks".into(), queue, metrics),
        events,
        permit,
    };
    (Arc::new(context), stopper)
}

fn status(attempt: &serde_json::Value) -> SecurityHotfixStatus {
    let mut whole = json!({
        "number": 1, "startedAt": "2026-11-23T12:00:00Z", "policy": "default", "images": [],
        "blue": {
            "uid": "b", "templateHash": "h", "replicaSet": "r", "replicas": 1, "images": {}, "baseline": [],
        },
    });
    whole.as_object_mut().unwrap().extend(attempt.as_object().unwrap().clone());
    serde_json::from_value(json!({"attempt": whole})).unwrap()
}

fn over(outcome: &str) -> SecurityHotfixStatus {
    status(&json!({"finishedAt": "2026-11-23T12:10:00Z", "outcome": outcome}))
}

fn nothing(_: &Observed, _: Timestamp) -> Decision {
    Decision::default()
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_hotfix_and_nothing_else() {
    let (context, _stopper) = context(Script::default(), |_, _| panic!("out of its mind"));
    let again = reconcile(id(), context.clone()).await.unwrap();
    assert_ne!(again, Requeue::await_change());
    assert_eq!(context.rooms.story(), ["complains"]);
    let text = context.metrics.text(&Gauges::default());
    assert!(text.contains("hotfix_reconcile_errors_total{category=\"panicked\"} 1"), "{text}");
    assert_eq!(context.ledger.failing(), 1);
}

#[tokio::test]
async fn a_hotfix_that_failed_is_not_looked_at_again_at_once() {
    let (context, _stopper) = context(Script::default(), |_, _| panic!("out of its mind"));
    for _ in 0..3 {
        assert_ne!(reconcile(id(), context.clone()).await.unwrap(), Requeue::await_change());
    }
    assert_eq!(context.rooms.story(), ["complains"]);
}

#[tokio::test]
async fn a_process_that_does_not_lead_looks_at_nothing() {
    let (context, _stopper) = context(Script::default(), nothing);
    let mut context = Arc::into_inner(context).unwrap();
    let (_announcer, standby) = Leadership::elected();
    context.permit = Permit::new(context.permit.stop().clone(), standby);
    let context = Arc::new(context);
    assert_eq!(reconcile(id(), context.clone()).await.unwrap(), Requeue::await_change());
    assert_eq!(context.rooms.story(), [""; 0]);
}

#[tokio::test]
async fn an_active_hotfix_is_looked_at_again_though_nothing_happens() {
    let (context, _stopper) = context(Script::default(), nothing);
    assert_eq!(reconcile(id(), context).await.unwrap(), Requeue::requeue(ACTIVE_MAX));
}

#[tokio::test]
async fn a_moment_that_has_passed_is_no_hot_loop() {
    let past = |_: &Observed, _: Timestamp| Decision { wake: Some(Timestamp::MIN), ..Decision::default() };
    let (context, _stopper) = context(Script::default(), past);
    assert_eq!(reconcile(id(), context).await.unwrap(), Requeue::requeue(WAIT_MIN));
}

#[tokio::test]
async fn a_hotfix_at_rest_costs_nothing_and_frees_those_that_wait() {
    let (context, _stopper) = context(Script { status: over("Remediated"), ..Script::default() }, nothing);
    let neighbour = Key { namespace: "shop".into(), name: "next".into() };
    context.ledger.seen(&neighbour, "n", None);
    assert_eq!(reconcile(id(), context.clone()).await.unwrap(), Requeue::await_change());
    let mut triggered = Box::pin(context.queue.stream());
    assert_eq!(triggered.next().await, Some(neighbour));
    assert!(futures::poll!(triggered.next()).is_pending());
}

#[tokio::test]
async fn a_rest_may_end_at_a_moment() {
    let later = |_: &Observed, _: Timestamp| Decision {
        wake: Some(Timestamp::from_second(75).unwrap()),
        ..Decision::default()
    };
    let (context, _stopper) = context(Script { status: over("RolledBack"), ..Script::default() }, later);
    assert_eq!(reconcile(id(), context).await.unwrap(), Requeue::requeue(Duration::from_secs(75)));
}

#[test]
fn a_hotfix_rests_when_it_is_over_and_nobody_asked_for_more() {
    let mut observed = crate::controller::script::picture(1);
    let mut stands = |status: SecurityHotfixStatus| {
        observed.hotfix.status = status;
        standing(&observed)
    };
    assert_eq!(stands(SecurityHotfixStatus::default()), Standing::Active);
    assert_eq!(stands(status(&json!({}))), Standing::Active);
    assert_eq!(stands(over("Restarted")), Standing::Active);
    assert_eq!(stands(over("Failed")), Standing::Resting);
    observed.hotfix.annotations.insert(RETRY.to_owned(), "again".to_owned());
    assert_eq!(standing(&observed), Standing::Active, "a retry waits to begin");
    observed.hotfix.status.last_handled = serde_json::from_value(json!({"retry": "again"})).unwrap();
    assert_eq!(standing(&observed), Standing::Resting);
}

#[test]
fn a_hotfix_that_only_others_hold_rests() {
    let mut observed = crate::controller::script::picture(1);
    observed.hotfix.deleting = Some(Timestamp::UNIX_EPOCH.into());
    observed.hotfix.finalizers = vec!["others/finalizer".into()];
    assert_eq!(standing(&observed), Standing::Resting);
    observed.hotfix.finalizers.push(FINALIZER.into());
    assert_eq!(standing(&observed), Standing::Active);
}
