//! Gates that fail before any traffic moves: production is untouched, and nothing is left.

use crate::moments::{analyzing, finished, in_trouble};
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
        .tell("retry");
}

#[test]
fn a_suspended_hotfix_waits_before_its_next_step() {
    Story::of("A hotfix that is suspended waits before its next step")
        .when(analyzing, "spec.suspend is set", |w: &mut World| w.suspend(true))
        .when(
            |w: &World| w.hotfix().is_some_and(|hotfix| hotfix.status.conditions[0].message.contains("suspend")),
            "spec.suspend is taken back",
            |w: &mut World| w.suspend(false),
        )
        .tell("suspended");
}

#[test]
fn a_policy_that_is_missing_is_waited_for() {
    Story::of("Without a policy nothing begins, and it begins when there is one")
        .given("There is no policy.", |w: &mut World| w.policy = None)
        .when(in_trouble, "an administrator creates the policy", |w: &mut World| w.policy = World::at_rest().policy)
        .tell("policy_missing");
}
