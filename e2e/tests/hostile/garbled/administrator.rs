//! What an administrator does about what the operator says it may not, or cannot, remove.

use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::scenario::{HOTFIX, WORKLOAD};
use hotfix_e2e::faults::world::{Kind, condition, label, list, text};
use securityhotfix::api::names::{HOTFIX_UID, SLOT};
use securityhotfix::plan::jobs::CHECK;
use serde_json::{Value, json};

use super::play::{is_gated, path};

/// What becomes of checks that nothing names any more, after the end: a Job goes by its own time to live, which is an hour and is
/// not waited for here. A pod of one whose owner was taken off stays, ended: it is the one thing that the operator leaves.
pub async fn let_checks_go(lane: &Lane<'_>) {
    let left: Vec<(bool, String)> = lane.shared.watcher.look(&lane.name, |world| {
        let ended = world.get(Kind::Hotfix, HOTFIX).is_some_and(|hotfix| condition(hotfix, "Finished") == "True");
        let unnamed = |job: &&Value| {
            label(job, HOTFIX_UID).is_none() && job.pointer("/spec/ttlSecondsAfterFinished") != Some(&json!(0))
        };
        let jobs = world.all(Kind::Job).filter(unnamed).map(|job| (true, path(Kind::Job, job)));
        let nobodys = |pod: &&Value| label(pod, CHECK).is_some() && list(pod, "/metadata/ownerReferences").is_empty();
        let pods = world.all(Kind::Pod).filter(nobodys).map(|pod| (false, path(Kind::Pod, pod)));
        if ended { jobs.chain(pods).collect() } else { Vec::new() }
    });
    for (of_job, path) in left {
        let ttl = json!({"spec": {"ttlSecondsAfterFinished": 0}});
        let deed = if of_job { Deed::merge_custom(path, ttl) } else { Deed::delete(path) };
        // It may have gone in between.
        let _ = deed.attempt(&lane.shared.admin).await;
    }
}

/// Deletes the pods of a candidate that are nobody's.
pub async fn delete_strays(lane: &Lane<'_>) {
    let strays: Vec<String> = lane.shared.watcher.look(&lane.name, |world| {
        let strays =
            world.all(Kind::Pod).filter(|pod| is_gated(pod) && list(pod, "/metadata/ownerReferences").is_empty());
        strays.map(|pod| path(Kind::Pod, pod)).collect()
    });
    for path in strays {
        // Somebody else may be quicker.
        let _ = Deed::delete(path).attempt(&lane.shared.admin).await;
    }
}

/// Deletes ReplicaSets of a candidate that the user's Deployment has adopted, once the hotfix has ended and an event named them.
pub async fn delete_adopted(lane: &Lane<'_>) {
    let adopted: Vec<(String, String)> = lane.shared.watcher.look(&lane.name, |world| {
        let ended = world.get(Kind::Hotfix, HOTFIX).is_some_and(|hotfix| condition(hotfix, "Finished") == "True");
        let blues =
            |set: &&Value| list(set, "/metadata/ownerReferences").iter().any(|it| text(it, "/name") == WORKLOAD);
        let sets = world.all(Kind::ReplicaSet).filter(|set| label(set, SLOT).is_some()).filter(blues);
        let named = sets.map(|set| (text(set, "/metadata/name").to_owned(), path(Kind::ReplicaSet, set)));
        if ended { named.collect() } else { Vec::new() }
    });
    if adopted.is_empty() {
        return;
    }
    let events = Deed::get(format!("/apis/events.k8s.io/v1/namespaces/{}/events", lane.name));
    // It is asked again until it is there.
    let Ok(events) = events.attempt(&lane.shared.admin).await else { return };
    for (name, path) in adopted {
        let names = |event: &Value| text(event, "/reason") == "LeftBehind" && text(event, "/note").contains(&*name);
        if list(&events, "/items").iter().any(names) {
            // Somebody else may be quicker.
            let _ = Deed::delete(path).attempt(&lane.shared.admin).await;
        }
    }
}
