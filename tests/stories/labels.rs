//! Somebody takes labels off what the operator made: it finds it all the same, or says what it cannot do.

use securityhotfix::api::Reason;
use securityhotfix::api::names::{HOTFIX_UID, POD_TEMPLATE_HASH, SLOT};

use crate::moments::{analyzing, growing, in_trouble, staging, switched, verifying};
use crate::story::Story;
use crate::world::World;
use crate::world::arrange::BLUE;

#[test]
fn a_candidate_whose_label_is_taken_off_is_deleted_all_the_same() {
    for (word, when) in [("growing", growing as fn(&World) -> bool), ("switched", switched)] {
        for (key, label) in [("uid", HOTFIX_UID), ("slot", SLOT)] {
            let unlabel: fn(&mut World) =
                if label == SLOT { |w| w.unlabel_green(SLOT) } else { |w| w.unlabel_green(HOTFIX_UID) };
            Story::of("Somebody takes a label off the candidate")
                .when(when, "somebody takes a label off the candidate", unlabel)
                .tell(&format!("candidate_without_{key}_{word}"));
        }
    }
}

#[test]
fn a_preview_that_is_deleted_is_made_again_before_anything_is_tested() {
    Story::of("Somebody deletes the preview while the candidate is analyzed: nothing else is tested in its place")
        .when(analyzing, "somebody deletes the preview", World::delete_preview)
        .tell("preview_deleted");
}

#[test]
fn behind_a_preview_that_reaches_what_runs_nothing_is_tested() {
    Story::of("Somebody lets the preview reach the old version")
        .when(analyzing, "somebody takes the slot out of the preview's selector", |w: &mut World| {
            w.change_preview(|preview| preview.selector = [("app".to_owned(), "web".to_owned())].into());
        })
        .tell("preview_reaches_all");
}

#[test]
fn a_preview_without_our_labels_goes_too() {
    Story::of("Somebody takes the label off the preview while the candidate grows")
        .when(growing, "somebody takes a label off the preview", |w: &mut World| {
            w.change_preview(|preview| drop(preview.labels.remove(HOTFIX_UID)));
        })
        .tell("preview_without_uid");
}

#[test]
fn a_preview_that_is_deleted_while_it_is_made_is_made_again() {
    Story::of("Somebody deletes the preview while the candidate starts")
        .when(staging, "somebody deletes the preview", World::delete_preview)
        .tell("preview_deleted_staging");
}

/// The hotfix says that pods were left.
fn left_behind(world: &World) -> bool {
    let told = |reason: Reason| reason == Reason::LeftBehind;
    world.hotfix().is_some_and(|hotfix| hotfix.status.conditions.iter().any(|it| told(it.reason)))
}

#[test]
fn pods_that_are_nobodys_are_closed_and_told() {
    Story::of("Somebody takes the slot off a pod of the candidate while it serves")
        .when(verifying, "somebody takes the slot off a pod of the candidate", |w: &mut World| {
            w.unlabel_a_candidate(SLOT);
        })
        .when(left_behind, "somebody deletes the pod", World::delete_stray_pods)
        .tell("pod_without_slot");
    Story::of("Somebody takes the hash off a pod of the candidate while it grows")
        .when(growing, "somebody takes the hash off a pod of the candidate", |w: &mut World| {
            w.unlabel_a_candidate(POD_TEMPLATE_HASH);
        })
        .when(left_behind, "somebody deletes the pod", World::delete_stray_pods)
        .tell("pod_without_hash");
}

#[test]
fn pods_that_are_nobodys_answer_until_the_deployment_does() {
    let broken = |w: &World| w.pods_of(BLUE).all(|pod| !pod.serves());
    Story::of("Somebody takes the slot off the candidate's pods while the Deployment's own are broken, and aborts")
        .when(verifying, "every pod of web breaks", World::break_blue)
        .when(broken, "somebody takes the slot off every pod of the candidate, and aborts", |w: &mut World| {
            for _ in 0..w.pods.len() {
                w.unlabel_a_candidate(SLOT);
            }
            w.abort(1);
        })
        .when(in_trouble, "the pods of web recover", World::mend_blue)
        .when(left_behind, "somebody deletes the pods", World::delete_stray_pods)
        .with_an_outage_by_others()
        .tell("pods_without_slot_blue_broken");
}

#[test]
fn a_claim_in_the_name_of_nobody_goes_too() {
    Story::of("Somebody writes a holder that does not exist into the claim while the candidate serves")
        .when(verifying, "somebody writes another holder into the claim", |w: &mut World| {
            w.leases.values_mut().for_each(|claim| claim.holder = "nobody".to_owned());
        })
        .tell("claim_of_nobody");
}
