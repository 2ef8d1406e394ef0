//! People and their tools, who change things meanwhile: they win, and the operator says who it was.

use securityhotfix::api::{Attempt, ConditionType, Phase, Reason, names};
use securityhotfix::plan::observed::{Budget, Claim, Map, Owns};
use securityhotfix::plan::{Action, decide};

use crate::moments::{
    analyzing, at_once, finished, folding, folding_again, growing, held, in_trouble, left_out, opened, rolling_back,
    scanning, set_again, staging, switched, verified, verifying,
};
use crate::story::{Order, Story};
use crate::world::World;
use crate::world::arrange::{BLUE, V1, V2, V3, V4, V5};

#[test]
fn a_retry_without_a_word_asks_for_nothing() {
    let mut world = Story::of("An attempt has failed")
        .when(scanning, "v2 turns out to be vulnerable", |w: &mut World| w.image(V2).vulnerable = true)
        .world_after(finished);
    let name = world.hotfix().unwrap().name.clone();
    let mut ask = |word: &str| {
        world.hotfixes.get_mut(&name).unwrap().annotations.insert(names::RETRY.into(), word.into());
        decide(&world.observe(&name).unwrap(), world.now).actions.iter().any(|it| matches!(it, Action::Record { .. }))
    };
    assert!(!ask("") && !ask(" "));
    assert!(ask("again"));
}

#[test]
fn a_second_hotfix_waits_for_the_first() {
    Story::of("Two hotfixes on one workload: the second waits, and finds the workload patched")
        .when(scanning, "somebody asks for v2 once more", |w: &mut World| w.ask("web-second", V2))
        .tell("two_hotfixes");
}

#[test]
fn a_hotfix_that_has_begun_and_waits_for_another_is_pending_and_names_it() {
    let begun = |w: &World| w.hotfix().is_some_and(|hotfix| hotfix.status.attempt.is_some());
    let mut world = Story::of("").given("", |w: &mut World| w.ask("web-second", V2)).world_after(begun);
    // Both have begun at once, and the other was the first to claim the workload.
    let first = world.hotfix().unwrap().name.clone();
    let attempt = world.hotfix().unwrap().status.attempt.clone();
    let second = world.hotfixes.get_mut("web-second").unwrap();
    second.status.attempt = attempt;
    let (holder, holder_name) = (second.uid.clone(), second.name.clone());
    let name = names::claim(&world.blue().unwrap().uid);
    world.leases.insert(name.clone(), Claim { name, uid: "lease".into(), holder, holder_name });
    world.hotfixes.get_mut(&first).unwrap().finalizers = vec![names::FINALIZER.into()];
    let decision = decide(&world.observe(&first).unwrap(), world.now);
    let [Action::Record { status, .. }] = decision.actions.as_slice() else { panic!("{:?}", decision.actions) };
    assert_eq!(status.phase, Some(Phase::Pending));
    let condition = |type_| status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    let ready = condition(ConditionType::Ready);
    assert_eq!(ready.message, "Hotfix web-second has claimed Deployment web; waiting until it is done.");
    assert_eq!(condition(ConditionType::Scanned).reason, Reason::NotReached);
}

#[test]
fn two_hotfixes_asked_for_at_once_do_not_mix() {
    Story::of("Two hotfixes asked for at once: one takes the claim")
        .given("Another hotfix asks for v2 as well.", |w: &mut World| w.ask("web-second", V2))
        .with_two_ends()
        .tell("two_hotfixes_at_once");
}

#[test]
fn a_hotfix_that_another_has_overtaken_names_it() {
    let mut world = Story::of("Two hotfixes begun at the same moment, one of which folds back").world_after(folding);
    let begun = world.hotfix().unwrap().status.attempt.clone().unwrap();
    let begun = Attempt {
        services: Vec::new(),
        green: None,
        scanned_at: None,
        staged_at: None,
        promoting_at: None,
        converged_at: None,
        verified_at: None,
        ..begun
    };
    world.ask("web-second", V2);
    world.hotfixes.get_mut("web-second").unwrap().status.attempt = Some(begun);
    let decision = decide(&world.observe("web-second").unwrap(), world.now);
    let [Action::Record { status, .. }] = decision.actions.as_slice() else { panic!("{decision:?}") };
    let latch = status.attempt.as_ref().and_then(|attempt| attempt.latch.clone()).unwrap();
    assert_eq!(latch.message, "Hotfix web-cve-2024-22195 deployed another version of web meanwhile.");
}

#[test]
fn a_candidate_that_is_owned_again_is_nobodys_before_its_service_is_set_again() {
    Story::of("A tool puts the selector back, and makes the hotfix the owner of the candidate that serves")
        .when(verifying, "a tool puts both back", |w: &mut World| {
            w.put_selector_back("web");
            w.give_the_candidate_back();
        })
        .tell("put_back_and_owned");
}

#[test]
fn an_abort_longer_than_is_remembered_is_handled_once() {
    let told = Story::of("A long abort of another attempt")
        .when(scanning, "somebody ends attempt 7, at length", |w: &mut World| {
            w.annotate(names::ABORT, &format!("7/{}", "so ".repeat(200)));
        })
        .play(Order::Natural);
    let handled = told.world.hotfix().and_then(|hotfix| hotfix.status.last_handled.clone());
    assert_eq!(handled.and_then(|handled| handled.abort).map(|abort| abort.len()), Some(256));
}

#[test]
fn a_command_that_cannot_be_carried_out_is_told_once() {
    Story::of("An abort that names no attempt")
        .when(analyzing, "somebody annotates the hotfix with abort: why not", |w: &mut World| {
            w.annotate(names::ABORT, "why not");
        })
        .tell("abort_garbled");
    Story::of("An abort of an attempt that has ended")
        .when(finished, "the hotfix is annotated with abort: 1/the shop is closing", |w: &mut World| w.abort(1))
        .tell("abort_finished");
    Story::of("An abort before anything has begun")
        .given("There is no policy.", |w: &mut World| w.policy = None)
        .when(in_trouble, "the hotfix is annotated with abort: 7/the shop is closing", |w: &mut World| w.abort(7))
        .when(refused, "an administrator creates the policy", |w: &mut World| w.policy = World::at_rest().policy)
        .tell("abort_before");
    Story::of("A retry while the attempt goes forward")
        .when(analyzing, "the hotfix is annotated with retry: now", |w: &mut World| w.annotate(names::RETRY, "now"))
        .tell("retry_under_way");
    Story::of("A retry of what is remediated")
        .when(finished, "the hotfix is annotated with retry: again", |w: &mut World| w.annotate(names::RETRY, "again"))
        .tell("retry_remediated");
}

/// A command was acknowledged.
fn refused(world: &World) -> bool {
    world.hotfix().is_some_and(|hotfix| hotfix.status.last_handled.is_some())
}

#[test]
fn a_retry_asked_for_during_the_rollback_follows_it() {
    Story::of("A person asks for a retry while the traffic goes back")
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .when(rolling_back, "v2 recovers, and the hotfix is annotated with retry: now", |w: &mut World| {
            w.image(V2).sick = false;
            w.annotate(names::RETRY, "now");
        })
        .tell("retry_rolling_back");
}

#[test]
fn a_retry_that_cannot_begin_yet_says_what_it_waits_for() {
    let waits = |w: &World| {
        finished(w) && w.hotfix().unwrap().status.conditions.iter().any(|it| it.reason == Reason::PolicyMissing)
    };
    let told = Story::of("A retry waits for a policy that is missing")
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .when(finished, "v2 recovers, the policy is deleted, and the hotfix is annotated with retry: now", |w| {
            w.image(V2).sick = false;
            w.policy = None;
            w.annotate(names::RETRY, "now");
        })
        .when(waits, "an administrator creates the policy", |w: &mut World| w.policy = World::at_rest().policy)
        .tell("retry_waits");
    assert!(told.text.contains("not ready PolicyMissing: A retry was asked for"), "{}", told.text);
}

fn pause(world: &mut World) {
    world.change_blue(Owns::Else, |raw| raw["spec"]["paused"] = serde_json::json!(true));
}

fn resume(world: &mut World) {
    world.change_blue(Owns::Else, |raw| drop(raw["spec"].as_object_mut().unwrap().remove("paused")));
}

#[test]
fn a_deployment_paused_during_the_fold_back_is_told() {
    let told = Story::of("The owner pauses the Deployment during the fold-back")
        .when(verified, "the owner pauses the Deployment", pause)
        .when(in_trouble, "and resumes it", resume)
        .tell("fold_back_paused");
    assert!(told.text.contains("not ready TargetPaused: Deployment web is paused"), "{}", told.text);
}

#[test]
fn an_abort_is_told_by_its_number_alone() {
    let told = Story::of("An abort with a tab before its number")
        .when(scanning, "somebody ends attempt 1", |w: &mut World| w.annotate(names::ABORT, "\t1/enough"))
        .play(Order::Natural);
    let attempt = told.world.hotfix().and_then(|hotfix| hotfix.status.attempt.clone());
    let latch = attempt.and_then(|attempt| attempt.latch);
    assert_eq!(latch.map(|latch| latch.message).as_deref(), Some("A person ended attempt 1: enough."));
}

#[test]
fn a_workload_that_is_patched_already_is_left_alone() {
    Story::of("The workload runs the patched image already")
        .given("The owner has deployed v2.", |w: &mut World| w.deploy(V2))
        .given("All of its pods run it.", roll_out)
        .tell("already_patched");
}

fn roll_out(world: &mut World) {
    world.settle();
    while let Some(next) = world.next_wake() {
        world.now = next;
        world.settle();
    }
    world.now = World::at_rest().now;
}

#[test]
fn a_selector_changed_before_the_hold_is_the_owners() {
    Story::of("The owner changes the Service's selector while the candidate is analyzed")
        .when(analyzing, "the owner narrows the selector of Service web", |w: &mut World| {
            w.change_selector("web", &narrow());
        })
        .tell("selector_changed_before_the_hold");
}

fn narrow() -> Map {
    [("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "front".to_owned())].into()
}

#[test]
fn a_selector_changed_after_the_hold_ends_the_attempt() {
    Story::of("The owner changes the Service's selector between hold and switch")
        .when(held, "the owner narrows the selector of Service web", |w: &mut World| {
            w.change_selector("web", &narrow());
        })
        .tell("selector_changed_after_the_hold");
}

#[test]
fn a_selector_changed_while_the_candidate_serves_ends_the_attempt() {
    Story::of("The owner changes the Service's selector while the candidate serves")
        .when(verifying, "the owner narrows the selector of Service web", |w: &mut World| {
            w.change_selector("web", &narrow());
        })
        .tell("selector_changed_verifying");
}

#[test]
fn a_selector_that_selects_nobody_any_more_is_said() {
    let told =
        Story::of("The owner changes the Service's selector while the candidate serves, to one that selects nobody")
            .when(verifying, "the owner gives Service web the selector app=shop", |w: &mut World| {
                w.change_selector("web", &Map::from([("app".to_owned(), "shop".to_owned())]));
            })
            .with_an_outage_by_others()
            .tell("selector_selects_nobody");
    let conditions = &told.world.hotfix().unwrap().status.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == ConditionType::Ready).unwrap();
    assert!(ready.message.contains("It selects no pod of Deployment web any more"), "{}", ready.message);
    assert!(!ready.message.contains("back on the Deployment"), "{}", ready.message);
}

#[test]
fn a_selector_put_back_is_set_again_once() {
    Story::of("A GitOps engine puts the selector back: it is set again once")
        .when(verifying, "the owner's tool applies Service web as it is in Git", |w: &mut World| {
            w.put_selector_back("web");
        })
        .tell("selector_put_back_once");
}

#[test]
fn a_selector_put_back_twice_ends_the_attempt() {
    Story::of("A GitOps engine puts the selector back twice: it wins")
        .when(verifying, "the owner's tool applies Service web as it is in Git", |w: &mut World| {
            w.put_selector_back("web");
        })
        .when(set_again, "the owner's tool applies Service web as it is in Git, again", |w: &mut World| {
            w.put_selector_back("web");
        })
        .tell("selector_put_back_twice");
}

#[test]
fn one_of_two_services_made_again_from_git_ends_the_attempt() {
    Story::of("One of two Services is deleted and made again as it is in Git while the candidate serves: it reaches both versions")
        .given("Another Service, web-internal, selects the same pods.", |w: &mut World| w.add_service("web-internal"))
        .when(verifying, "Service web-internal is deleted and made again as it is in Git", |w: &mut World| {
            w.add_service("web-internal");
        })
        .tell("one_of_two_made_again");
}

#[test]
fn a_service_that_comes_while_the_candidate_serves_is_told() {
    let told = Story::of("Another Service of the workload is made while the candidate serves")
        .when(verifying, "the owner makes Service web-internal, which selects the same pods", |w: &mut World| {
            w.add_service("web-internal");
        })
        .tell("service_made_verifying");
    assert!(told.text.contains("reaches both versions"), "{}", told.text);
}

#[test]
fn a_replica_set_that_the_deployment_adopts_is_told() {
    let told =
        Story::of("Somebody takes the owner off the candidate's ReplicaSet, and the user's Deployment adopts it")
            .when(
                verifying,
                "a ReplicaSet of the candidate becomes Deployment web's",
                World::adopt_a_set_of_the_candidate,
            )
            .tell("set_adopted");
    assert!(told.world.sets.values().any(|set| set.view.slot.is_some()), "it is not ours to delete any more");
    assert!(told.text.contains("WARNING   LeftBehind: Somebody took the owner off ReplicaSet"), "{}", told.text);
}

#[test]
fn a_service_made_again_from_what_it_was_is_returned_like_the_one_before() {
    for (word, when) in [("switched", switched as fn(&World) -> bool), ("verifying", verifying), ("folding", folding)] {
        Story::of("Somebody replaces the Service by force, slot and mark included")
            .when(when, "Service web is deleted and made again from what it was", |w: &mut World| {
                w.replace_by_force("web");
            })
            .tell(&format!("replaced_by_force_{word}"));
    }
}

#[test]
fn a_selector_put_back_before_convergence_is_switched_again() {
    Story::of("A GitOps engine puts the selector back right after the switch")
        .when(switched, "the owner's tool applies Service web as it is in Git", |w: &mut World| {
            w.put_selector_back("web");
        })
        .tell("selector_put_back_at_the_switch");
}

#[test]
fn a_mark_that_is_stripped_before_the_switch_is_put_on_again() {
    Story::of("Somebody takes the mark off between hold and switch")
        .when(held, "somebody takes the mark off Service web", |w: &mut World| w.strip_mark("web"))
        .tell("mark_stripped_held");
}

#[test]
fn a_mark_that_is_stripped_while_the_candidate_serves_ends_the_attempt() {
    for (word, when) in [("switched", switched as fn(&World) -> bool), ("verifying", verifying), ("folding", folding)] {
        Story::of("Somebody takes the mark off")
            .when(when, "somebody takes the mark off Service web", |w: &mut World| w.strip_mark("web"))
            .tell(&format!("mark_stripped_{word}"));
    }
}

#[test]
fn a_workload_deployed_anew_before_the_hold_begins_again() {
    Story::of("The owner deploys another image while the candidate is analyzed: a new attempt begins from the scan")
        .when(analyzing, "the owner deploys v3", |w: &mut World| w.deploy(V3))
        .tell("redeployed_once");
}

fn in_attempt(world: &World, number: i64) -> bool {
    analyzing(world) && world.hotfix().unwrap().status.attempt.as_ref().is_some_and(|a| a.number == number)
}

#[test]
fn a_workload_deployed_anew_three_times_is_not_raced() {
    Story::of("The owner deploys again and again: after three attempts a person has to ask")
        .when(|w: &World| in_attempt(w, 1), "the owner deploys v3", |w: &mut World| w.deploy(V3))
        .when(|w: &World| in_attempt(w, 2), "the owner deploys v4", |w: &mut World| w.deploy(V4))
        .when(|w: &World| in_attempt(w, 3), "the owner deploys v5", |w: &mut World| w.deploy(V5))
        .tell("redeployed_three_times");
}

#[test]
fn a_workload_deployed_anew_after_the_hold_gets_its_services_back() {
    for (word, when) in [
        ("growing", growing as fn(&World) -> bool),
        ("held", held),
        ("opened", opened),
        ("switched", switched),
        ("verifying", verifying),
        ("verified", verified),
        ("folding", folding),
    ] {
        Story::of("The owner deploys another image")
            .when(when, "the owner deploys v3", |w: &mut World| w.deploy(V3))
            .tell(&format!("redeployed_{word}"));
    }
}

#[test]
fn a_workload_deployed_anew_while_the_seal_is_pinned_is_unpinned() {
    Story::of("The owner deploys another image in the middle of the rollback of a sick candidate")
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .when(
            |w: &World| w.production().any(|service| service.selector.contains_key(names::POD_TEMPLATE_HASH)),
            "the owner deploys v3",
            |w: &mut World| w.deploy(V3),
        )
        .tell("redeployed_pinned");
}

#[test]
fn a_fold_back_that_is_reverted_is_made_once_more() {
    Story::of("A GitOps engine takes the patched image out: it is put in once more")
        .when(folding, "the owner's tool applies the Deployment as it is in Git", |w: &mut World| w.deploy(V1))
        .tell("fold_back_reverted_once");
}

#[test]
fn a_fold_back_that_is_reverted_twice_fails() {
    Story::of("A GitOps engine takes the patched image out twice: the exposure stays open, and that is said")
        .when(folding, "the owner's tool applies the Deployment as it is in Git", |w: &mut World| w.deploy(V1))
        .when(folding_again, "the owner's tool applies the Deployment as it is in Git, again", |w: &mut World| {
            w.deploy(V1);
        })
        .tell("fold_back_reverted_twice");
}

#[test]
fn a_workload_deleted_while_the_candidate_serves_is_let_go() {
    Story::of("The Deployment is deleted while the candidate serves")
        .when(verifying, "kubectl delete deployment web", World::delete_blue)
        .with_an_outage_by_others()
        .tell("blue_deleted");
}

#[test]
fn a_workload_scaled_to_zero_while_the_candidate_serves_is_let_go() {
    Story::of("The Deployment is scaled to zero while the candidate serves")
        .when(verifying, "kubectl scale deployment web --replicas 0", |w: &mut World| w.scale_blue(0))
        .with_an_outage_by_others()
        .tell("blue_scaled_to_zero");
}

#[test]
fn the_candidate_follows_an_autoscaler() {
    for (word, when) in [
        ("analyzing", analyzing as fn(&World) -> bool),
        ("held", held),
        ("opened", opened),
        ("switched", switched),
        ("verifying", verifying),
        ("verified", verified),
    ] {
        Story::of("An autoscaler scales the Deployment up")
            .when(when, "the autoscaler scales web to 5", |w: &mut World| w.scale_blue(5))
            .tell(&format!("scaled_up_{word}"));
    }
}

#[test]
fn the_candidate_does_not_follow_downward() {
    Story::of("An autoscaler scales the Deployment down while the candidate serves")
        .when(verifying, "the autoscaler scales web to 2", |w: &mut World| w.scale_blue(2))
        .tell("scaled_down_verifying");
}

#[test]
fn a_budget_over_the_workload_covers_the_candidate_too() {
    Story::of("A PodDisruptionBudget covers the workload: the candidate gets its own while it is there")
        .given("A budget allows one pod to be missing.", World::add_budget)
        .tell("budget");
}

#[test]
fn a_budget_of_that_name_is_not_taken_for_ours() {
    Story::of("A PodDisruptionBudget of somebody else has the name ours would get")
        .given("A budget allows one pod to be missing.", World::add_budget)
        .when(staging, "somebody makes a budget with the candidate's name", |w: &mut World| {
            let name = w.green().unwrap().name.clone();
            let selector = serde_json::json!({"matchLabels": {"app": "api"}});
            let uid = w.next_uid("budget");
            let budget = Budget { name: name.clone(), uid, labels: Map::new(), selector, spec: serde_json::json!({}) };
            w.budgets.insert(name, budget);
        })
        .when(finished, "they take it away", |w: &mut World| w.budgets.retain(|name, _| name == "web"))
        .tell("budget_taken");
}

#[test]
fn the_mark_of_a_dead_hotfix_is_cleared_away() {
    Story::of("A hotfix that is gone left its mark and its slot on the Service")
        .given("Service web has hold/dead/1 and a slot nobody has.", |w: &mut World| {
            let service = w.services.get_mut("web").unwrap();
            service.annotations.insert(names::MARK.into(), names::hold("dead", 1));
            service.selector.insert(names::SLOT.into(), names::slot("dead", 1));
        })
        .with_an_outage_by_others()
        .tell("dead_mark");
}

#[test]
fn a_candidate_deleted_by_somebody_ends_the_attempt() {
    for (word, when) in [("analyzing", analyzing as fn(&World) -> bool), ("held", held), ("verifying", verifying)] {
        Story::of("Somebody deletes the candidate")
            .when(when, "somebody deletes the candidate", World::delete_green)
            .with_an_outage_by_others()
            .tell(&format!("green_deleted_{word}"));
    }
}

#[test]
fn a_candidate_deleted_during_the_fold_back_does_not_stop_it() {
    Story::of("Somebody deletes the candidate during the fold-back")
        .when(folding, "somebody deletes the candidate", World::delete_green)
        .with_an_outage_by_others()
        .tell("green_deleted_folding");
}

#[test]
fn a_headless_service_is_drained_for_longer() {
    Story::of("The Service is headless: clients resolve pods themselves, and get 30 s")
        .given("Service web is headless.", |w: &mut World| w.services.get_mut("web").unwrap().headless = true)
        .tell("headless");
}

#[test]
fn a_claim_taken_away_does_not_let_two_hotfixes_mix() {
    Story::of(
        "Somebody deletes the Lease while the candidate serves, and a second hotfix begins: the mark is the fence",
    )
    .when(verifying, "somebody deletes the Lease", |w: &mut World| w.leases.clear())
    .when(at_once, "somebody asks for v2 once more", |w: &mut World| w.ask("web-second", V2))
    .tell("claim_stolen");
}

#[test]
fn a_deployment_paused_during_the_rollback_is_no_matter() {
    Story::of("The owner pauses the Deployment while the rollback runs")
        .when(verifying, "v2 begins to answer its deep health check badly", |w: &mut World| w.image(V2).sick = true)
        .when(rolling_back, "the owner pauses the Deployment", pause)
        .when(finished, "and resumes it", resume)
        .tell("blue_paused");
}

#[test]
fn the_services_ports_may_change_meanwhile() {
    Story::of("Somebody changes the ports of the Service while the candidate serves")
        .when(verifying, "a port is added to Service web", |w: &mut World| {
            let version = w.next_version();
            let service = w.services.get_mut("web").unwrap();
            service.ports.push(serde_json::json!({"name": "metrics", "port": 9090}));
            service.resource_version = version;
        })
        .tell("ports_changed");
}

fn local_traffic(world: &mut World) {
    world.services.get_mut("web").unwrap().local_traffic = true;
}

#[test]
fn traffic_that_stays_on_its_node_is_returned_once_every_node_is_covered() {
    Story::of("A Service keeps traffic on its node, and the Deployment's new pods find room on one node only")
        .given("Service web has internalTrafficPolicy Local.", local_traffic)
        .when(verifying, "node-1 and node-2 are full", |w: &mut World| w.script.crowded = true)
        .when(left_out, "there is room again, and two of the new pods are evicted", |w: &mut World| {
            w.script.crowded = false;
            let new: Vec<String> = w.pods_of(BLUE).filter(|pod| pod.serves()).map(|pod| pod.name.clone()).collect();
            new.iter().take(2).for_each(|name| w.delete_pod(name));
        })
        .tell("local_traffic_covered");
}

#[test]
fn traffic_that_stays_on_its_node_is_returned_at_the_deadline_all_the_same() {
    Story::of("A Service keeps traffic on its node, and the Deployment's new pods never leave the one node")
        .given("Service web has internalTrafficPolicy Local.", local_traffic)
        .when(verifying, "node-1 and node-2 are full", |w: &mut World| w.script.crowded = true)
        .tell("local_traffic_uncovered");
}
