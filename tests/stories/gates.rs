//! Gates that fail before any traffic moves: production is untouched, and nothing is left.

use securityhotfix::api::{ConditionType, Reason};

use crate::moments::{analyzing, finished, growing, in_trouble, staging, started, suspended};
use crate::story::{Story, Told};
use crate::world::World;
use crate::world::arrange::{V1, V2};

/// What holds for all of these: no write of ours touched a Service or the Deployment.
fn untouched(told: &Told) {
    for write in ["hold", "switch", "seal", "fold back", "open"] {
        assert!(!told.world.writes.contains_key(write), "{write}");
    }
}

#[test]
fn an_image_that_still_has_the_vulnerability_fails_the_scan() {
    let told = Story::of("The scan finds the vulnerability in the image that should fix it")
        .given("v2 is still vulnerable.", |w: &mut World| w.image(V2).vulnerable = true)
        .tell("scan_fails");
    untouched(&told);
}

#[test]
fn an_image_that_brings_worse_fails_the_scan() {
    let told = Story::of("The patched image brings in something worse")
        .given("v2 has another vulnerability, a critical one.", |w: &mut World| w.image(V2).worse = true)
        .tell("scan_introduces");
    untouched(&told);
}

#[test]
fn a_scanner_that_is_blind_proves_nothing() {
    let told = Story::of("A scanner that does not see the vulnerability where it is proves nothing")
        .given("The scanner does not recognise the vulnerability in v1.", |w: &mut World| w.image(V1).invisible = true)
        .tell("scanner_blind");
    untouched(&told);
}

#[test]
fn a_scanner_that_prints_garbage_is_run_again_and_then_fails() {
    let told = Story::of("A scanner that prints garbage is run again after 10, 30 and 90 s, and then fails")
        .given("Every scan of v2 prints garbage.", |w: &mut World| w.script.garbage = [(V2.into(), 99)].into())
        .tell("scanner_garbage");
    untouched(&told);
    for run in 1..=3 {
        let said = format!("CheckInconclusive: Run {run} of 4 of check trivy proved nothing; the next one is made at ");
        assert!(told.text.contains(&said), "run {run}\n{}", told.text);
    }
}

#[test]
fn a_scanner_that_recovers_is_believed() {
    Story::of("A scanner that prints garbage once is believed the second time")
        .given("The first scan of v2 prints garbage.", |w: &mut World| w.script.garbage = [(V2.into(), 1)].into())
        .tell("scanner_recovers");
}

#[test]
fn a_candidate_that_never_starts_fails_staging() {
    let told = Story::of("A candidate that never becomes ready fails staging after ten minutes")
        .given("v2 never becomes ready.", |w: &mut World| w.image(V2).never_ready = true)
        .tell("staging_never_ready");
    untouched(&told);
}

#[test]
fn a_candidate_that_no_node_takes_fails_with_the_schedulers_word() {
    Story::of("No node has room for the candidate")
        .given("v2 never becomes ready.", |w: &mut World| w.image(V2).never_ready = true)
        .when(started, "the scheduler finds no node for its pod", |w: &mut World| {
            let name = w.green().unwrap().name.clone();
            let pods: Vec<String> = w.pods_of(&name).map(|pod| pod.name.clone()).collect();
            for pod in pods {
                let pod = w.pods.get_mut(&pod).unwrap();
                (pod.node, pod.unplaced) = (None, Some("0/1 nodes are available: 1 Insufficient cpu".into()));
            }
        })
        .tell("staging_no_room");
}

#[test]
fn a_webhook_that_strips_the_gate_is_noticed_before_a_pod_exists() {
    let told = Story::of("A webhook that takes the readiness gate off is noticed in the rehearsal")
        .given("A webhook removes readiness gates.", |w: &mut World| w.script.gate_stripped = true)
        .tell("admission_strips_the_gate");
    untouched(&told);
    assert!(!told.world.writes.contains_key("create green"));
}

#[test]
fn a_webhook_that_changes_the_template_is_noticed() {
    let told = Story::of("A webhook that changes the candidate's template is noticed in the rehearsal")
        .given("A webhook adds a label to every template.", |w: &mut World| {
            let labels = serde_json::json!({"app": "api"});
            w.script.injected = Some(("/spec/template/metadata/labels".into(), labels));
        })
        .tell("admission_changes_the_template");
    untouched(&told);
}

#[test]
fn an_admission_that_refuses_is_quoted() {
    let told = Story::of("Admission refuses the candidate")
        .given("The quota of the namespace is used up.", |w: &mut World| {
            w.script.refusal = Some("exceeded quota: pods".into());
        })
        .tell("admission_refuses");
    untouched(&told);
}

#[test]
fn a_missing_right_is_waited_for_and_is_no_fault_of_the_candidate() {
    Story::of("A right to rehearse the candidate is missing for a while")
        .given("The operator may not create Deployments.", |w: &mut World| {
            w.script.denied = Some("deployments.apps is forbidden: User cannot create resource".into());
        })
        .when(in_trouble, "the role is installed again", |w: &mut World| w.script.denied = None)
        .tell("rehearsal_denied");
}

#[test]
fn a_candidate_that_fails_its_test_gets_no_traffic() {
    let told = Story::of("A candidate that fails its smoke test gets no traffic")
        .given("Tests fail.", |w: &mut World| w.script.tests_fail = true)
        .tell("analysis_fails");
    untouched(&told);
}

#[test]
fn a_registry_that_does_not_answer_is_asked_again() {
    Story::of("A registry that does not answer is asked again every 30 s")
        .given("The registry is down.", |w: &mut World| w.script.registry_fails = Some("connection refused".into()))
        .when(in_trouble, "the registry comes back", |w: &mut World| w.script.registry_fails = None)
        .tell("registry_down");
}

#[test]
fn a_failed_hotfix_can_be_retried() {
    Story::of("A hotfix that failed begins again when a person asks for it")
        .given("Tests fail.", |w: &mut World| w.script.tests_fail = true)
        .when(finished, "the test is mended, and the hotfix is retried", |w: &mut World| {
            w.script.tests_fail = false;
            w.annotate("securityhotfix.dev/retry", "once-more");
        })
        .when(scanned_again, "somebody reads its record", |w: &mut World| {
            let record = &w.reports.values().next().expect("it has one").spec;
            let told = record.attempt.as_ref().map(|attempt| attempt.number);
            assert_eq!(
                (told, record.outcome, record.closed_at),
                (Some(2), None, None),
                "it tells of what is under way"
            );
            assert_eq!(record.history.len(), 1, "and of what was before");
        })
        .tell("retry");
}

fn scanned_again(world: &World) -> bool {
    let attempt = world.hotfix().and_then(|hotfix| hotfix.status.attempt.as_ref());
    attempt.is_some_and(|attempt| attempt.number == 2 && attempt.scanned_at.is_some())
}

const NOT_FOUND: &str = "ErrImagePull (image registry.example/trivy:9): registry.example/trivy:9: not found";

#[test]
fn a_check_whose_image_cannot_be_pulled_is_named_while_it_is_waited_for() {
    let told = Story::of("The scanner's image cannot be pulled, and the administrator corrects it")
        .given("No node can pull the scanner's image.", |w: &mut World| w.script.stuck = Some(NOT_FOUND.into()))
        .when(in_trouble, "the administrator corrects the image in the SecurityCheck", |w: &mut World| {
            w.script.stuck = None;
            std::sync::Arc::make_mut(&mut w.checks).get_mut("trivy").unwrap().generation += 1;
        })
        .tell("check_not_started");
    assert!(
        told.text.contains("not ready CheckNotStarted: Check trivy has not started: ErrImagePull"),
        "{}",
        told.text
    );
}

#[test]
fn the_condition_of_the_gate_says_which_check_has_not_started() {
    let world =
        Story::of("").given("", |w: &mut World| w.script.stuck = Some(NOT_FOUND.into())).world_after(in_trouble);
    let conditions = &world.hotfix().unwrap().status.conditions;
    for type_ in [ConditionType::Ready, ConditionType::Stalled, ConditionType::Scanned] {
        let condition = conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        assert_eq!(condition.reason, Reason::CheckNotStarted, "{type_:?}");
        for what in ["Check trivy", "registry.example/trivy:9", "not found", "namespace hotfix-system-checks"] {
            assert!(condition.message.contains(what), "{type_:?}: {}", condition.message);
        }
    }
}

#[test]
fn a_check_that_never_starts_fails_its_gate_and_is_named() {
    let told = Story::of("The scanner's image can never be pulled")
        .given("No node can pull the scanner's image.", |w: &mut World| w.script.stuck = Some(NOT_FOUND.into()))
        .tell("check_never_starts");
    untouched(&told);
    let attempt = told.world.hotfix().unwrap().status.attempt.clone().unwrap();
    let why = attempt.latch.unwrap().message;
    assert!(why.contains("trivy") && why.contains("its pod had not started: ErrImagePull"), "{why}");
}

#[test]
fn whoever_is_needed_after_a_failure_is_told_how_to_try_again() {
    let world = Story::of("").given("", |w: &mut World| w.script.stuck = Some(NOT_FOUND.into())).world_after(finished);
    let conditions = &world.hotfix().unwrap().status.conditions;
    let message = |type_| &conditions.iter().find(|condition| condition.type_ == type_).unwrap().message;
    let advice = "to do so, annotate the hotfix with securityhotfix.dev/retry=\"<any new word>\".";
    assert!(message(ConditionType::Stalled).ends_with(advice), "{}", message(ConditionType::Stalled));
    assert!(message(ConditionType::Stalled).starts_with(message(ConditionType::Finished).as_str()));
}

fn an_hour_passes(world: &mut World) {
    world.now = world.now.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
}

#[test]
fn time_in_which_a_hotfix_was_suspended_does_not_count() {
    for (word, when) in [("staging", staging as fn(&World) -> bool), ("growing", growing)] {
        let told = Story::of(
            "A hotfix is suspended for an hour, and fails ten minutes after that: its candidate is never ready",
        )
        .when(when, "v2 is not ready any more, and spec.suspend is set", |w: &mut World| {
            w.image(V2).never_ready = true;
            w.suspend(true);
        })
        .when(suspended, "an hour later spec.suspend is taken back", |w: &mut World| {
            an_hour_passes(w);
            w.suspend(false);
        })
        .tell(&format!("suspended_{word}"));
        untouched(&told);
        let attempt = told.world.hotfix().unwrap().status.attempt.clone().unwrap();
        let resumed = attempt.suspension.unwrap().until.unwrap().timestamp();
        let failed = attempt.latch.unwrap().at.timestamp();
        assert_eq!(failed.duration_since(resumed), jiff::SignedDuration::from_mins(10), "{word}");
    }
}

#[test]
fn a_suspension_holds_no_way_back() {
    let told = Story::of("A person ends the attempt of a hotfix that is suspended")
        .when(analyzing, "spec.suspend is set", |w: &mut World| w.suspend(true))
        .when(suspended, "the hotfix is annotated with abort: 1/the shop is closing", |w: &mut World| w.abort(1))
        .tell("suspended_aborted");
    untouched(&told);
}

#[test]
fn a_suspended_hotfix_waits_before_its_next_step() {
    Story::of("A hotfix that is suspended waits before its next step")
        .when(analyzing, "spec.suspend is set", |w: &mut World| w.suspend(true))
        .when(suspended, "spec.suspend is taken back", |w: &mut World| w.suspend(false))
        .tell("suspended");
}

#[test]
fn a_policy_that_is_missing_is_waited_for() {
    Story::of("Without a policy nothing begins, and it begins when there is one")
        .given("There is no policy.", |w: &mut World| w.policy = None)
        .when(in_trouble, "an administrator creates the policy", |w: &mut World| w.policy = World::at_rest().policy)
        .tell("policy_missing");
}
