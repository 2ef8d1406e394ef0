//! What other hotfixes made for this workload: one of them may have vanished and left it.
//!
//! The candidates are listed with the pods, and the hotfixes after them: what is of no hotfix of that list is of one that
//! is gone.

use std::collections::BTreeSet;

use super::error::ObserveError;
use super::reads::{self, Reads, Which, nameless, read_all, read_own};
use super::{HotfixId, read, relevant};
use crate::api::names::{self, HOTFIX_UID, RETRY, SLOT};
use crate::api::{Leftover, Outcome};
use crate::plan::observed::{Hotfix, Other, Pod, Report, StrayJob, Strays, Workload};
use crate::plan::others::recent_slots;

/// True while it matters what others left: before the promotion, and where an attempt is about to begin. A hotfix that
/// rests costs no read for it.
pub(super) fn matter(hotfix: &Hotfix) -> bool {
    let Some(attempt) = &hotfix.status.attempt else { return true };
    let again = attempt.outcome == Some(Outcome::Restarted) || hotfix.annotations.contains_key(RETRY);
    if attempt.finished_at.is_some() { again } else { attempt.promoting_at.is_none() && attempt.latch.is_none() }
}

/// The Deployments that have the name a candidate of this workload would have, made for another hotfix.
pub(super) async fn candidates(reads: Reads<'_>, id: &HotfixId, matter: bool) -> Result<Vec<Workload>, ObserveError> {
    if !matter {
        return Ok(Vec::new());
    }
    let made = reads.all(reads::DEPLOYMENTS, Which::Labels(HOTFIX_UID.to_owned())).await?;
    let made =
        made.into_iter().map(|deployment| read::workload(deployment).ok_or_else(|| nameless(reads::DEPLOYMENTS)));
    let mut made: Vec<Workload> = made.collect::<Result<_, _>>()?;
    made.retain(|deployment| {
        let uid = deployment.labels.get(HOTFIX_UID).filter(|uid| **uid != id.uid);
        uid.is_some_and(|uid| deployment.name == names::green(&id.target, uid))
    });
    Ok(made)
}

/// The slots of this hotfix, of these candidates, and of what is being taken away: whose pods are looked at.
pub(super) fn slots(own: &BTreeSet<String>, candidates: &[Workload], left: Option<&Leftover>) -> BTreeSet<String> {
    let theirs = candidates.iter().filter_map(|candidate| candidate.labels.get(SLOT));
    own.iter().chain(theirs).chain(left.map(|left| &left.slot)).cloned().collect()
}

/// The other hotfixes that may matter, `strange` being whether a Service bears something foreign: all of the namespace as
/// soon as those of this target do not explain what was seen.
pub(super) async fn others(
    reads: Reads<'_>,
    id: &HotfixId,
    strange: bool,
    candidates: &[Workload],
    pods: &[Pod],
    hotfix: &Hotfix,
) -> Result<Vec<Other>, ObserveError> {
    let others = relevant::others(reads, id, strange).await?;
    if strange || explained(candidates, pods, hotfix, &others) {
        return Ok(others);
    }
    relevant::others(reads, id, true).await
}

/// True when every candidate and every slot seen is of one of these hotfixes. (Whatever is not may be of one that is gone,
/// and that is said only after all of the namespace were listed.)
fn explained(candidates: &[Workload], pods: &[Pod], hotfix: &Hotfix, others: &[Other]) -> bool {
    let known = |uid: &String| others.iter().any(|other| other.uid == *uid);
    let made_for = candidates.iter().filter_map(|candidate| candidate.labels.get(HOTFIX_UID));
    let mut slots = pods.iter().filter_map(|pod| pod.labels.get(SLOT)).collect::<BTreeSet<_>>();
    let own = hotfix.status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let all = others.iter().map(|other| (other.uid.as_str(), other.attempt)).chain([(hotfix.uid.as_str(), own)]);
    for (uid, last) in all {
        if slots.is_empty() {
            break;
        }
        recent_slots(uid, last).for_each(|slot| {
            slots.remove(&slot);
        });
    }
    hotfix.status.leftover.is_none() && slots.is_empty() && made_for.into_iter().all(known)
}

/// The candidates, the check Jobs of those of their hotfixes that do not exist any more, and the record of the one that is
/// being taken away.
pub(super) async fn with_leavings(
    reads: Reads<'_>,
    checks: Reads<'_>,
    candidates: Vec<Workload>,
    hotfix: &Hotfix,
    others: &[Other],
) -> Result<Strays, ObserveError> {
    let report = record(reads, hotfix.status.leftover.as_ref()).await?;
    let made_for = candidates.iter().filter_map(|candidate| candidate.labels.get(HOTFIX_UID));
    let left = hotfix.status.leftover.as_ref().and_then(|left| left.hotfix.as_ref());
    let gone: BTreeSet<&String> =
        made_for.chain(left).filter(|uid| others.iter().all(|other| other.uid != **uid)).collect();
    if gone.is_empty() {
        return Ok(Strays { candidates, jobs: Vec::new(), report });
    }
    // As many as a namespace has candidates of one workload: two would be many.
    let uids: Vec<&str> = gone.iter().map(|uid| uid.as_str()).collect();
    let jobs = checks.all(reads::JOBS, Which::Labels(format!("{HOTFIX_UID} in ({})", uids.join(",")))).await?;
    let jobs = read_all(reads::JOBS, &jobs, read::run)?.into_iter().filter_map(|mut job| {
        let hotfix = job.labels.remove(HOTFIX_UID)?;
        Some(StrayJob { name: job.name, uid: job.uid, hotfix })
    });
    Ok(Strays { candidates, jobs: jobs.collect(), report })
}

/// The record of the hotfix whose leavings are being taken away, where its name is known: the record's follows from it.
async fn record(reads: Reads<'_>, left: Option<&Leftover>) -> Result<Option<Report>, ObserveError> {
    let name = left.and_then(|left| Some(names::report(left.name.as_ref()?, left.hotfix.as_ref()?)));
    let Some(name) = name else { return Ok(None) };
    let report = reads.one(reads::REPORTS, &name).await?;
    report.map(|object| read_own(reads::REPORTS, &object, read::report)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hotfix(metadata: &Value, attempt: &Value) -> Hotfix {
        let blue =
            json!({"uid": "d", "templateHash": "h", "replicaSet": "r", "replicas": 1, "images": {}, "baseline": []});
        let mut whole = json!({"number": 1, "startedAt": AT, "policy": "default", "images": [], "blue": blue});
        whole.as_object_mut().unwrap().extend(attempt.as_object().cloned().unwrap_or_default());
        let mut object = json!({
            "metadata": {"name": "h", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
            "spec": {"advisory": {"ids": ["CVE-1"]}, "target": {"name": "web"}, "images": [], "reason": "r"},
            "status": if attempt.is_null() { json!({}) } else { json!({"attempt": whole}) },
        });
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().cloned().unwrap_or_default());
        read::hotfix(&object).unwrap()
    }

    const AT: &str = "2026-01-01T00:00:00Z";

    fn candidate(uid: &str, slot: &str) -> Workload {
        let labels = json!({HOTFIX_UID: uid, SLOT: slot});
        read::workload(json!({"metadata": {"name": "g", "uid": "g", "resourceVersion": "1", "labels": labels}}))
            .unwrap()
    }

    #[test]
    fn strays_matter_until_the_promotion_and_never_at_rest() {
        let latch = json!({"reason": "Aborted", "message": "m", "at": AT});
        for (metadata, attempt, wanted) in [
            (json!({}), Value::Null, true),
            (json!({}), json!({"scannedAt": AT}), true),
            (json!({}), json!({"promotingAt": AT}), false),
            (json!({}), json!({"latch": latch}), false),
            (json!({}), json!({"finishedAt": AT, "outcome": "Remediated"}), false),
            (json!({}), json!({"finishedAt": AT, "outcome": "Restarted"}), true),
            (json!({"annotations": {RETRY: "again"}}), json!({"finishedAt": AT, "outcome": "Failed"}), true),
        ] {
            assert_eq!(matter(&hotfix(&metadata, &attempt)), wanted, "{metadata} {attempt}");
        }
    }

    #[test]
    fn what_no_listed_hotfix_explains_asks_for_all_of_the_namespace() {
        let own = hotfix(&json!({}), &json!({}));
        let other = |uid: &str| Other { name: uid.into(), uid: uid.into(), alive: true, attempt: 1 };
        let pod = |uid: &str| Pod { labels: [(SLOT.to_owned(), names::slot(uid, 1))].into(), ..Pod::default() };
        assert!(explained(&[], &[pod("u"), Pod::default()], &own, &[]));
        assert!(explained(&[candidate("x", "s")], &[pod("x")], &own, &[other("x")]));
        assert!(!explained(&[candidate("x", "s")], &[], &own, &[other("y")]));
        assert!(!explained(&[], &[pod("x")], &own, &[other("y")]));
        let mut leaving = own;
        leaving.status.leftover =
            Some(Leftover { hotfix: Some("x".into()), name: None, attempt: 1, slot: "s".into(), drained_from: None });
        assert!(!explained(&[], &[], &leaving, &[]));
    }
}
