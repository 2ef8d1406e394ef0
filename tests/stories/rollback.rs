//! Rollouts that fail after traffic may have moved: it goes back, and nobody notices.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use securityhotfix::api::time::Moment;
use securityhotfix::api::{Attempt, Outcome, Reason};
use securityhotfix::plan::decide;

use crate::moments::{
    PHASES, analyzing, announced, finished, folding, in_trouble, opened, rolling_back, scanning, soaking, switched,
    unchecked, verifying,
};
use crate::story::{Order, Story, Told};
use crate::world::World;
use crate::world::arrange::V2;

#[test]
fn a_candidate_that_cannot_be_opened_is_taken_back() {
    Story::of("The kubelet does not follow the opening, so nothing is switched")
        .given("Kubelets hang for gated pods.", |w: &mut World| w.script.kubelet_hangs = true)
        .tell("opening_fails");
}

#[test]
fn endpoints_that_do_not_follow_are_given_a_minute() {
    Story::of("The endpoints do not follow the switch within the deadline")
        .when(switched, "the EndpointSlice controller hangs", |w: &mut World| {
            w.script.slices_hang.insert("web".into());
        })
        .when(rolling_back, "the EndpointSlice controller recovers", |w: &mut World| w.script.slices_hang.clear())
        .tell("convergence_deadline");
}

#[test]
fn a_sick_candidate_is_sealed_off_with_a_pin() {
    Story::of("A candidate that is sick but ready loses its traffic at once: the seal names blue's ReplicaSet")
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .tell("verification_fails");
}

#[test]
fn a_sick_candidate_behind_two_services_is_sealed_off_from_both() {
    Story::of("A sick candidate behind two Services")
        .given("Another Service, web-internal, selects the same pods.", |w: &mut World| w.add_service("web-internal"))
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .tell("verification_fails_two_services");
}

#[test]
fn a_dead_candidate_gives_the_traffic_back_in_one_reconcile() {
    let told = Story::of("The candidate dies after the switch; the seal does not wait for anybody")
        .when(verifying, "every container of v2 dies", |w: &mut World| w.image(V2).dead = true)
        .with_an_outage_by_others()
        .tell("green_dies");
    assert_eq!(told.world.serving("web").len(), 3);
}

#[test]
fn a_candidate_that_dies_while_it_is_switched_to_gives_the_traffic_back() {
    Story::of("The candidate dies between the switch and convergence")
        .when(switched, "every container of v2 dies", |w: &mut World| w.image(V2).dead = true)
        .with_an_outage_by_others()
        .with_a_race()
        .tell("green_dies_at_the_switch");
}

#[test]
fn a_candidate_that_dies_during_the_fold_back_is_sealed_early() {
    Story::of("The candidate dies while the Deployment rolls: the seal comes early, and the fold-back goes on")
        .when(folding, "the candidate's pods break", |w: &mut World| {
            let name = w.green().unwrap().name.clone();
            let broken: Vec<String> = w.pods_of(&name).map(|pod| pod.name.clone()).collect();
            w.script.broken.extend(broken);
        })
        .with_an_outage_by_others()
        .tell("green_dies_folding");
}

#[test]
fn a_pod_of_the_candidate_that_is_replaced_is_opened_late() {
    Story::of("A pod of the candidate is evicted while it serves; its successor is opened at once")
        .when(verifying, "a pod of the candidate is evicted", |w: &mut World| {
            let name = w.green().unwrap().name.clone();
            let pod = w.pods_of(&name).next().unwrap().name.clone();
            w.delete_pod(&pod);
        })
        .tell("green_pod_replaced");
}

/// From a moment of the candidate's serving to its being believed, in seconds.
fn believed_after(told: &Told, from: impl Fn(&Attempt) -> Moment) -> u64 {
    let attempt = told.world.hotfix().unwrap().status.attempt.clone().unwrap();
    attempt.verified_at.unwrap().since(from(&attempt)).as_secs()
}

#[test]
fn a_soak_is_counted_anew_when_the_operator_dies_in_it() {
    let told =
        Story::of("The operator dies three minutes into the soak: its successor counts the soak anew, and says so")
            .when(soaking, "the operator dies, and another begins", World::crash)
            .tell("soak_anew_after_a_crash");
    assert_eq!(believed_after(&told, |attempt| attempt.converged_at.unwrap()), 180 + 300);
    assert!(told.text.contains("the operator that leads began to look only then"), "{}", told.text);
}

#[test]
fn a_soak_is_counted_anew_when_its_check_is_changed() {
    let told = Story::of("A check of the verification is changed three minutes into the soak")
        .when(soaking, "an administrator changes the check deep-health", |w: &mut World| {
            std::sync::Arc::make_mut(&mut w.checks).get_mut("deep-health").unwrap().generation += 1;
        })
        .tell("soak_anew_after_a_changed_check");
    assert_eq!(believed_after(&told, |attempt| attempt.converged_at.unwrap()), 180 + 300);
    assert!(told.text.contains("check deep-health was not asked before as it is now"), "{}", told.text);
}

#[test]
fn another_policy_in_the_soak_is_told_and_costs_the_soak_until_then() {
    let told = Story::of(
        "Somebody gives the namespace another policy, with no check and a soak of a minute, while the candidate serves",
    )
    .when(soaking, "policy fast applies to the namespace", |w: &mut World| {
        let policy = w.policy.as_mut().unwrap();
        policy.name = "fast".into();
        policy.spec.gates.verify.clear();
        policy.spec.soak = std::time::Duration::from_secs(60).into();
    })
    .tell("policy_changed_verifying");
    assert_eq!(believed_after(&told, |attempt| attempt.unchecked.unwrap().until.unwrap()), 60);
    assert_eq!(told.world.hotfix().unwrap().status.attempt.as_ref().unwrap().policy, "fast");
}

fn the_check_goes(world: &mut World) {
    Arc::make_mut(&mut world.checks).remove("deep-health");
}

fn nothing_may_be_read(world: &mut World) {
    world.policy = None;
    world.unread = Some("The operator may not list hotfixpolicies.".into());
}

fn the_check_is_spoilt(world: &mut World) {
    let check = Arc::make_mut(&mut world.checks).get_mut("deep-health").unwrap();
    check.generation += 1;
    check.spec.http.as_mut().unwrap().path = "/$(ARG_PATH)".into();
}

#[test]
fn a_policy_that_goes_and_comes_back_costs_the_soak_until_then() {
    let told = Story::of("The policy is deleted while the candidate serves, and made again in time")
        .when(soaking, "the policy is deleted", |w: &mut World| w.policy = None)
        .when(unchecked, "an administrator creates it again", |w: &mut World| w.policy = World::at_rest().policy)
        .tell("policy_gone_verifying");
    let over = |attempt: &Attempt| attempt.unchecked.unwrap().until.unwrap();
    assert_eq!(believed_after(&told, over), 300);
}

#[test]
fn a_candidate_that_nothing_can_check_is_taken_back_after_five_minutes() {
    Story::of("The policy is deleted while the candidate serves, and nobody makes it again")
        .when(soaking, "the policy is deleted", |w: &mut World| w.policy = None)
        .tell("policy_gone_too_long");
}

#[test]
fn whatever_keeps_the_candidate_from_being_checked_ends_it_whoever_leads() {
    let causes: [(crate::story::Act, &str); 4] = [
        (nothing_may_be_read, "The operator may not list hotfixpolicies."),
        (|w| w.policy = None, "There is no HotfixPolicy default."),
        (the_check_goes, "Policy default names the check deep-health, which does not exist."),
        (the_check_is_spoilt, "Check deep-health cannot be run: The path /$(ARG_PATH) needs the argument PATH"),
    ];
    for (cause, why) in causes {
        let story = Story::of("").when(soaking, "it can be checked no more", cause);
        for told in [
            story.clone().play(Order::Natural),
            story.clone().when(unchecked, "the operator dies, and another begins", World::crash).play(Order::Natural),
            story.play(Order::Forgetful),
        ] {
            let attempt = told.world.hotfix().unwrap().status.attempt.clone().unwrap();
            let (since, latch) = (attempt.unchecked.unwrap().since, attempt.latch.unwrap());
            assert_eq!((latch.reason, latch.at.since(since).as_secs()), (Reason::VerificationFailed, 300), "{why}");
            assert!(latch.message.contains(why), "{}", latch.message);
            assert_eq!(attempt.outcome, Some(Outcome::RolledBack), "{why}");
        }
    }
}

#[test]
fn an_opening_outlives_the_operator() {
    Story::of("The operator dies when it has opened one pod, and its successor opens the other instead of going back")
        .when(opened, "the operator dies, and leads again after seven seconds", |w: &mut World| {
            w.crash();
            w.now += SignedDuration::from_secs(7);
        })
        .tell("opened_by_two");
}

#[test]
fn an_opening_is_not_gone_on_with_for_ever() {
    Story::of("The operator dies when it has opened one pod, and comes back too late to go on")
        .when(opened, "the operator dies, and leads again after half a minute", |w: &mut World| {
            w.crash();
            w.now += SignedDuration::from_secs(30);
        })
        .tell("opened_too_late");
}

#[test]
fn a_hotfix_can_be_deleted_in_every_phase() {
    for (word, when) in PHASES {
        Story::of("The hotfix is deleted")
            .when(*when, "kubectl delete of the hotfix", World::delete_the_hotfix)
            .tell(&format!("deleted_{word}"));
    }
}

#[test]
fn a_hotfix_can_be_aborted_in_every_phase() {
    for (word, when) in PHASES {
        Story::of("A person aborts the attempt")
            .when(*when, "the hotfix is annotated with abort: 1/the shop is closing", |w: &mut World| w.abort(1))
            .tell(&format!("aborted_{word}"));
    }
}

#[test]
fn an_abort_of_another_attempt_is_acknowledged_and_not_carried_out() {
    Story::of("An abort that names another attempt does nothing")
        .when(analyzing, "the hotfix is annotated with abort: 7/the shop is closing", |w: &mut World| w.abort(7))
        .tell("stale_abort");
}

#[test]
fn nothing_is_sent_to_a_broken_deployment_while_the_candidate_serves() {
    Story::of("Verification fails while the Deployment's own pods are broken: the traffic stays until they recover")
        .when(verifying, "every pod of web breaks", World::break_blue)
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .when(in_trouble, "the pods of web recover", World::mend_blue)
        .with_an_outage_by_others()
        .tell("blue_broken_recovers");
}

#[test]
fn a_person_can_release_the_traffic_to_a_broken_deployment() {
    Story::of(
        "Verification fails while the Deployment's own pods are broken: a person sends the traffic back regardless",
    )
    .when(verifying, "every pod of web breaks", World::break_blue)
    .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
    .when(in_trouble, "the hotfix is annotated with release: 1/better nothing than this", |w: &mut World| {
        w.annotate("securityhotfix.dev/release", "1/better nothing than this");
    })
    .with_an_outage_by_others()
    .tell("blue_broken_released");
}

#[test]
fn a_namespace_can_be_deleted_in_every_phase() {
    for (word, when) in PHASES {
        Story::of("The namespace is deleted")
            .when(*when, "kubectl delete namespace", World::terminate_namespace)
            .with_an_outage_by_others()
            .tell(&format!("namespace_deleted_{word}"));
    }
}

#[test]
fn a_create_that_lands_late_is_swept() {
    Story::of("A create of the candidate that was in flight lands after the end, and is removed")
        .given("Tests fail.", |w: &mut World| w.script.tests_fail = true)
        .when(finished, "a create of the candidate lands that was sent long before", World::land_late_create)
        .tell("late_create");
}

#[test]
fn a_hotfix_looks_once_more_when_nothing_of_it_can_be_under_way_any_more() {
    let story = Story::of("Tests fail").given("They do.", |w: &mut World| w.script.tests_fail = true);
    let mut world = story.play(Order::Natural).world;
    for (api_request_max, wait) in [(60, 75), (5, 20)] {
        let name = world.hotfixes.keys().next().cloned().unwrap();
        let finished = world.hotfixes[&name].status.attempt.as_ref().and_then(|attempt| attempt.finished_at).unwrap();
        Arc::make_mut(&mut world.settings).api_request_max = Duration::from_secs(api_request_max);
        let look = |after: i64| {
            let now = finished.timestamp() + SignedDuration::from_secs(after);
            let wake = decide(&world.observe(&name).unwrap(), now).wake;
            wake.map(|wake| wake.duration_since(finished.timestamp()).as_secs())
        };
        assert_eq!((look(0), look(wait - 1), look(wait)), (Some(wait), Some(wait), None));
    }
}

#[test]
fn a_claim_is_given_up_with_the_attempt() {
    let told = Story::of("The scan fails after somebody removed the claim")
        .when(scanning, "somebody deletes the Lease", |w: &mut World| w.leases.clear())
        .tell("claim_removed");
    assert!(told.world.leases.is_empty());
}

#[test]
fn a_service_that_is_deleted_counts_as_done() {
    Story::of("One of two Services is deleted between hold and switch")
        .given("Another Service, web-internal, selects the same pods.", |w: &mut World| w.add_service("web-internal"))
        .when(announced, "Service web-internal is deleted", |w: &mut World| {
            w.services.remove("web-internal");
        })
        .tell("service_deleted");
}
