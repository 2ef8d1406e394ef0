//! The loop, over rooms that are scripts: what it reads when, when it stops, and what it refuses.

use serde_json::json;

use super::*;
use crate::api::Reason;
use crate::cluster::lease::{Leadership, View};
use crate::controller::script::{Script, id};
use crate::controller::stop;
use crate::plan::Weight;
use crate::plan::action::Target;

fn unclaim() -> Action {
    Action::Unclaim(Target { name: "hotfix-1".into(), uid: "l".into() })
}

fn mind(decide: fn(&Observed, Timestamp) -> Decision) -> Mind {
    Mind { decide, check: |_, _| Ok(()), now: || Timestamp::UNIX_EPOCH }
}

async fn run(script: &Script, mind: Mind) -> Result<End, Trouble> {
    let (_stopper, stop) = stop::pair();
    turn(script, script, mind, &Permit::new(stop, Leadership::alone()), &id()).await
}

/// Writes until two writes are done, telling of each.
fn two_writes(observed: &Observed, _: Timestamp) -> Decision {
    if observed.hotfix.generation >= 2 {
        return Decision { wake: Some(Timestamp::MAX), ..Decision::default() };
    }
    let note = Note { weight: Weight::Normal, reason: Reason::Passed, action: "Test", text: "written".into() };
    Decision { actions: vec![unclaim()], events: vec![note], ..Decision::default() }
}

#[tokio::test]
async fn every_write_follows_a_fresh_look_and_people_hear_after_it() {
    let script = Script::default();
    let end = run(&script, mind(two_writes)).await.unwrap();
    assert!(matches!(end, End::Idle(_, Some(wake)) if wake == Timestamp::MAX));
    let round = ["looks", "unclaim", "done", "tells: written"];
    assert_eq!(script.story(), [&round[..], &round[..], &["looks"]].concat());
}

#[tokio::test]
async fn an_overtaken_write_is_decided_anew_at_once_and_nobody_is_told() {
    let script = Script::answering([Ok(Effect::Conflict)]);
    run(&script, mind(two_writes)).await.unwrap();
    assert_eq!(script.story()[..3], ["looks", "unclaim", "looks"]);
}

#[tokio::test]
async fn a_fight_over_a_write_is_given_up() {
    let script = Script::answering((0..20).map(|_| Ok(Effect::AlreadyExists)));
    let trouble = run(&script, mind(two_writes)).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Contended { times: CONFLICTS_MAX, .. }), "{trouble}");
}

#[tokio::test]
async fn what_is_there_each_time_it_is_to_be_made_is_told_by_its_name() {
    let script = Script::answering((0..20).map(|_| Ok(Effect::AlreadyExists)));
    let job = |_: &Observed, _: Timestamp| {
        let job = json!({"kind": "Job", "metadata": {"name": "check-1", "namespace": "checks"}});
        Decision { actions: vec![Action::CreateJob(job)], ..Decision::default() }
    };
    let trouble = run(&script, mind(job)).await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Refused(why) if why.starts_with("Job check-1 in namespace checks")),
        "{trouble}"
    );
}

#[tokio::test]
async fn what_is_gone_counts_as_written() {
    let script = Script::answering([Ok(Effect::Gone), Ok(Effect::Done), Ok(Effect::Done)]);
    run(&script, mind(two_writes)).await.unwrap();
    assert_eq!(script.story()[..3], ["looks", "unclaim", "tells: written"]);
}

#[tokio::test]
async fn a_decision_that_never_ends_is_cut_off() {
    let script = Script::default();
    let end = run(&script, mind(|_, _| Decision { actions: vec![unclaim()], ..Decision::default() })).await.unwrap();
    assert!(matches!(end, End::Unfinished));
    assert_eq!(script.story().iter().filter(|line| *line == "looks").count(), 64);
}

#[tokio::test]
async fn one_failed_close_does_not_keep_the_others_from_being_sent() {
    let script = Script::answering([Err(Trouble::Transient("late".into())), Ok(Effect::Done), Ok(Effect::Conflict)]);
    let three = |_: &Observed, _: Timestamp| Decision { actions: vec![unclaim(); 3], ..Decision::default() };
    let trouble = run(&script, mind(three)).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Transient(_)));
    assert_eq!(script.story().iter().filter(|line| *line == "unclaim").count(), 3);
}

#[tokio::test]
async fn a_refusal_is_what_people_hear_of_several_troubles() {
    let script = Script::answering([Err(Trouble::Refused("forbidden".into())), Err(Trouble::Transient("late".into()))]);
    let two = |_: &Observed, _: Timestamp| Decision { actions: vec![unclaim(); 2], ..Decision::default() };
    assert!(matches!(run(&script, mind(two)).await, Err(Trouble::Refused(_))));
}

#[tokio::test]
async fn a_write_that_breaks_an_invariant_is_never_sent() {
    let script = Script::default();
    let mind = Mind {
        check: |_, _| Err(Violation { name: "one-claim", what: "unclaim of another's".into() }),
        ..mind(two_writes)
    };
    let trouble = run(&script, mind).await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Violation { action: "unclaim", why } if why.contains("one-claim")),
        "{trouble}"
    );
    assert_eq!(script.story(), ["looks"]);
}

#[tokio::test]
async fn wishes_are_granted_in_the_background_and_waited_for_by_nobody() {
    let script = Script::default();
    let wish = |_: &Observed, _: Timestamp| Decision { wants: vec![Want::Resolve(vec![])], ..Decision::default() };
    assert!(matches!(run(&script, mind(wish)).await, Ok(End::Idle(_, None))));
    assert_eq!(script.story(), ["looks", "gathers"]);
}

#[tokio::test]
async fn an_operator_that_is_to_stop_reads_nothing_more() {
    let script = Script::default();
    let (stopper, stop) = stop::pair();
    stopper.tell();
    let permit = Permit::new(stop, Leadership::alone());
    assert!(matches!(turn(&script, &script, mind(two_writes), &permit, &id()).await, Ok(End::Stopped)));
    assert_eq!(script.story(), [""; 0]);
}

/// Writes many at once, more than are sent at a time.
fn many_writes(_: &Observed, _: Timestamp) -> Decision {
    Decision { actions: vec![unclaim(); 40], ..Decision::default() }
}

#[tokio::test]
async fn who_leads_no_more_writes_nothing_though_it_has_decided() {
    let script = Script::default();
    let (_stopper, stop) = stop::pair();
    let (announcer, lead) = Leadership::elected();
    announcer.tell(View { until: Some(std::time::Instant::now()), ..View::default() });
    let permit = Permit::new(stop, lead);
    assert!(matches!(turn(&script, &script, mind(two_writes), &permit, &id()).await, Ok(End::Stopped)));
    assert_eq!(script.story(), ["looks"]);
}

#[tokio::test]
async fn a_lead_that_runs_out_between_many_writes_keeps_the_rest_from_being_begun() {
    let (announcer, lead) = Leadership::elected();
    let lasting = std::time::Instant::now() + std::time::Duration::from_secs(60);
    announcer.tell(View { until: Some(lasting), ..View::default() });
    let script = Script {
        on_write: Some(Box::new(move |nth| {
            if nth == 20 {
                announcer.tell(View::default());
            }
        })),
        ..Script::default()
    };
    let (_stopper, stop) = stop::pair();
    let permit = Permit::new(stop, lead);
    assert!(matches!(turn(&script, &script, mind(many_writes), &permit, &id()).await, Ok(End::Stopped)));
    assert_eq!(script.story().iter().filter(|line| *line == "unclaim").count(), 20);
}
