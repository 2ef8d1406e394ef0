//! The parts of a picture: each group of reads that belongs together, and how they are put side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};

use futures::future::try_join_all;
use serde_json::Value;
use tracing::warn;

use super::error::ObserveError;
use super::json::{text, word};
use super::memory::Known;
use super::outputs::{Declared, Fetched, Outputs, Source};
use super::reads::{self, Reads, Which, nameless, read_all, read_own};
use super::stuck::Stuck;
use super::{read, relevant};
use crate::api::names::{self, SLOT};
use crate::plan::jobs::{CHECK, late};
use crate::plan::observed::{
    Autoscaler, Budget, Check, Claim, Hotfix, Namespace, Output, Pod, Policy, ReplicaSet, Run, RunState, Slice,
    Workload,
};
use crate::plan::others::recent_slots;

/// How far a hotfix has come, and with it what a look cannot go without. While production is untouched a hole in the
/// picture is said and waited for; once traffic may have moved nothing but the way back matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No Service was touched, or all of it is over.
    Untouched,
    /// Services may be held or switched.
    Moving,
    /// The attempt is latched: it goes back by what was recorded, and needs no policy, check or verdict any more.
    Leaving,
}

impl Stage {
    pub(super) fn of(hotfix: &Hotfix) -> Self {
        match hotfix.status.attempt.as_ref().filter(|attempt| attempt.finished_at.is_none()) {
            Some(attempt) if attempt.latch.is_some() => Self::Leaving,
            Some(attempt) if attempt.promoting_at.is_some() => Self::Moving,
            Some(_) | None => Self::Untouched,
        }
    }

    /// Reads something that a rollback can go without: once traffic may have moved, a missing right or kind is logged
    /// and counts as nothing there, so that it cannot keep traffic on a dead candidate.
    pub(super) async fn tolerating<T: Default>(
        self,
        reading: impl Future<Output = Result<T, ObserveError>>,
    ) -> Result<T, ObserveError> {
        self.noting(reading).await.map(|(found, _)| found)
    }

    /// Does the same, and gives the reason beside what was read where it counts as nothing there.
    async fn noting<T: Default>(
        self,
        reading: impl Future<Output = Result<T, ObserveError>>,
    ) -> Result<(T, Option<String>), ObserveError> {
        match (self, reading.await) {
            (Self::Moving | Self::Leaving, Err(error)) if error.needs_a_person() => {
                warn!(%error, "looked on without it, since traffic may have moved");
                Ok((T::default(), Some(error.to_string())))
            }
            (_, answer) => answer.map(|found| (found, None)),
        }
    }
}

/// What administrators wrote.
pub(super) struct Setup {
    pub(super) namespace: Namespace,
    pub(super) policy: Option<Policy>,
    /// The checks that the policy names and that exist.
    pub(super) checks: BTreeMap<String, Check>,
    /// Why some of this could not be read, where the look goes on without.
    pub(super) unread: Option<String>,
    /// What every check declares of its report, also one that the policy names no more.
    pub(super) declared: BTreeMap<String, Declared>,
}

/// The two Deployments.
pub(super) struct Sides {
    pub(super) blue: Option<Workload>,
    pub(super) green: Option<Workload>,
}

/// What stands around the workload.
pub(super) struct Guards {
    pub(super) budgets: Vec<Budget>,
    pub(super) autoscalers: Vec<Autoscaler>,
    pub(super) target_groups: BTreeSet<String>,
}

/// What administrators wrote: the namespace's policy and the checks.
pub(super) async fn setup(reads: Reads<'_>, stage: Stage) -> Result<Setup, ObserveError> {
    let written = async {
        match stage {
            Stage::Leaving => Ok(Default::default()),
            Stage::Untouched | Stage::Moving => tokio::try_join!(
                stage.noting(reads.all(reads::POLICIES, Which::All)),
                stage.noting(reads.all(reads::CHECKS, Which::All)),
            ),
        }
    };
    let namespace = reads.one(reads::NAMESPACES, reads.namespace);
    let (namespace, ((policies, no_policies), (checks, no_checks))) = tokio::try_join!(namespace, written)?;
    // A namespace that is gone is one whose deletion has come to its end.
    let namespace = namespace.map_or(Namespace { terminating: true, policy: None }, |object| read::namespace(&object));
    let wanted = namespace.policy.as_deref().unwrap_or(names::DEFAULT_POLICY);
    let chosen = policies.iter().find(|policy| text(policy, "/metadata/name") == Some(wanted));
    let policy = chosen.map(|object| read_own(reads::POLICIES, object, read::policy)).transpose();
    let (policy, no_policy) = stage.noting(ready(policy)).await?;
    let checks: BTreeMap<String, Value> =
        checks.into_iter().map(|check| (word(&check, "/metadata/name"), check)).collect();
    // A check that cannot be read declares nothing; where the policy names it, that is said.
    let declared = checks.iter().filter_map(|(name, object)| {
        let check = read::check(object).ok()?;
        Some((name.clone(), Declared::of(Some(&check.spec))))
    });
    let declared = declared.collect();
    let (checks, no_check) = stage.noting(ready(named_checks(policy.as_ref(), &checks))).await?;
    let unread = no_policies.or(no_checks).or(no_policy).or(no_check);
    Ok(Setup { namespace, policy, checks, unread, declared })
}

fn named_checks(
    policy: Option<&Policy>,
    checks: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Check>, ObserveError> {
    let gates = policy.map(|policy| &policy.spec.gates);
    let named = gates.into_iter().flat_map(|gates| gates.scan.iter().chain(&gates.analyze).chain(&gates.verify));
    let mut chosen = BTreeMap::new();
    for check in named {
        if let Some(object) = checks.get(&check.check) {
            chosen.insert(check.check.clone(), read_own(reads::CHECKS, object, read::check)?);
        }
    }
    Ok(chosen)
}

/// The check Jobs, with what they printed.
pub(super) async fn runs(
    (outputs, stuck): (&Outputs, &Stuck),
    source: &Source,
    stage: Stage,
    jobs: &[Value],
    declared: &BTreeMap<String, Declared>,
) -> Result<Vec<Run>, ObserveError> {
    let jobs = read_all(reads::JOBS, jobs, read::run)?;
    let mut runs = try_join_all(jobs.into_iter().map(|mut job| async move {
        if let Some(no_output) = job.ended.as_mut().and_then(|ended| ended.no_output.as_mut()) {
            *no_output = late(&job.name, stuck.of(&job.uid).as_deref());
        }
        let run_state = match &job.ended {
            None => RunState::Running,
            Some(ended) if stage == Stage::Leaving => {
                let why = "It was not read any more, since the attempt was over.".to_owned();
                RunState::Ended { at: ended.at, output: Output::Unusable(why) }
            }
            Some(ended) => {
                let declared = job.labels.get(CHECK).and_then(|check| declared.get(check));
                let declared = declared.copied().unwrap_or(Declared::Unknown);
                match stage.tolerating(outputs.of(source, &job, declared)).await? {
                    Fetched::Output(output) => RunState::Ended { at: ended.at, output },
                    Fetched::NotYet => RunState::Running,
                }
            }
        };
        Ok::<_, ObserveError>(Run { job: job.name, uid: job.uid, labels: job.labels, state: run_state, stuck: None })
    }))
    .await?;
    for run in runs.iter_mut().filter(|run| run.state == RunState::Running) {
        run.stuck = stuck.of(&run.uid);
    }
    Ok(runs)
}

/// True when blue is not what the reads before went by: their pods could be another workload's.
pub(super) fn blue_is_another(known: &Known, blue: Option<&Workload>) -> bool {
    let now = Known::of(blue.map(|blue| &*blue.raw));
    now.uid != known.uid || now.query != known.query
}

pub(super) async fn pods_of_blue(reads: Reads<'_>, known: &Known) -> Result<Vec<Value>, ObserveError> {
    match &known.query {
        Some(query) => reads.all(reads::PODS, Which::Labels(query.clone())).await,
        None => Ok(Vec::new()),
    }
}

pub(super) async fn sides(reads: Reads<'_>, target: &str, green: &str) -> Result<Sides, ObserveError> {
    let (blue, green) = tokio::try_join!(reads.one(reads::DEPLOYMENTS, target), reads.one(reads::DEPLOYMENTS, green))?;
    let read = |object: Option<Value>| match object {
        Some(object) => read::workload(object).map(Some).ok_or_else(|| nameless(reads::DEPLOYMENTS)),
        None => Ok(None),
    };
    Ok(Sides { blue: read(blue)?, green: read(green)? })
}

/// The budgets, and what could stand in the way of a rollout as long as it can still be refused.
pub(super) async fn guards(reads: Reads<'_>, target: &str, stage: Stage) -> Result<Guards, ObserveError> {
    let preflight = async {
        match stage {
            Stage::Untouched => tokio::try_join!(
                reads.all(reads::AUTOSCALERS, Which::All),
                reads.all_if_installed(reads::TARGET_GROUPS)
            ),
            Stage::Moving | Stage::Leaving => Ok(Default::default()),
        }
    };
    let (budgets, (autoscalers, target_groups)) = tokio::try_join!(reads.all(reads::BUDGETS, Which::All), preflight)?;
    Ok(Guards {
        budgets: read_all(reads::BUDGETS, &budgets, read::budget)?,
        autoscalers: autoscalers.iter().filter_map(|object| read::autoscaler(object, target)).collect(),
        target_groups: target_groups.iter().filter_map(read::target_group_service).collect(),
    })
}

/// The Lease that claims the Deployment the current attempt is about, else the one that is there now.
pub(super) async fn claim(reads: Reads<'_>, known: &Known, hotfix: &Hotfix) -> Result<Option<Claim>, ObserveError> {
    let attempt = hotfix.status.attempt.as_ref();
    // The finalizer goes after the claim: while it is there, the claim is on the Deployment the attempt was about.
    let held = hotfix.finalizers.iter().any(|finalizer| finalizer == names::FINALIZER);
    let under_way = attempt.filter(|attempt| held || attempt.finished_at.is_none()).map(|attempt| &attempt.blue.uid);
    let Some(uid) = under_way.or(known.uid.as_ref()).or(attempt.map(|attempt| &attempt.blue.uid)) else {
        return Ok(None);
    };
    match reads.one(reads::LEASES, &names::claim(uid)).await? {
        Some(lease) => read::claim(&lease).map(Some).ok_or_else(|| nameless(reads::LEASES)),
        None => Ok(None),
    }
}

pub(super) async fn slices_of(reads: Reads<'_>, services: &BTreeSet<String>) -> Result<Vec<Slice>, ObserveError> {
    let Some(which) = relevant::slices_query(services) else { return Ok(Vec::new()) };
    let slices = reads.all(reads::SLICES, which).await?;
    Ok(slices.iter().filter_map(read::slice).filter(|slice| services.contains(&slice.service)).collect())
}

/// The slots of this hotfix's attempts, of the next one too: it may have been begun meanwhile.
pub(super) fn slots(hotfix: &Hotfix) -> BTreeSet<String> {
    let current = hotfix.status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    recent_slots(&hotfix.uid, current).collect()
}

/// Blue's pods and those of our slots, each once.
pub(super) fn merged(of_blue: Vec<Pod>, with_slot: Vec<Pod>, slots: &BTreeSet<String>) -> Vec<Pod> {
    let mut pods: BTreeMap<String, Pod> = with_slot
        .into_iter()
        .filter(|pod| pod.labels.get(SLOT).is_some_and(|slot| slots.contains(slot)))
        .map(|pod| (pod.uid.clone(), pod))
        .collect();
    pods.extend(of_blue.into_iter().map(|pod| (pod.uid.clone(), pod)));
    let mut pods: Vec<Pod> = pods.into_values().collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

/// The ReplicaSets of blue and green, as they are now and as they were recorded.
pub(super) fn controlled(
    objects: &[Value],
    blue: Option<&Workload>,
    green: Option<&Workload>,
    hotfix: &Hotfix,
) -> Vec<ReplicaSet> {
    let attempt = hotfix.status.attempt.as_ref();
    let recorded_green = attempt.and_then(|attempt| attempt.green.as_ref()).map(|green| &green.uid);
    let owners: BTreeSet<&String> = [
        blue.map(|blue| &blue.uid),
        green.map(|green| &green.uid),
        attempt.map(|attempt| &attempt.blue.uid),
        recorded_green,
    ]
    .into_iter()
    .flatten()
    .collect();
    objects.iter().filter_map(read::replica_set).filter(|set| owners.contains(&set.controller)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hotfix(attempt: &Value) -> Hotfix {
        let blue =
            json!({"uid": "d", "templateHash": "h", "replicaSet": "r", "replicas": 1, "images": {}, "baseline": []});
        let mut whole = json!({"number": 40, "startedAt": "2026-01-01T00:00:00Z", "policy": "default", "images": [],
            "blue": blue});
        for (key, value) in attempt.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        read::hotfix(&json!({
            "metadata": {"name": "h", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
            "spec": {"advisory": {"ids": ["CVE-1"]}, "target": {"name": "web"}, "images": [], "reason": "r"},
            "status": {"attempt": whole}
        }))
        .unwrap()
    }

    fn denied() -> Result<Vec<Value>, ObserveError> {
        Err(ObserveError::Denied("no".into()))
    }

    #[test]
    fn a_stage_is_told_by_what_was_recorded() {
        let at = "2026-01-01T00:00:00Z";
        let latch = json!({"reason": "VerificationFailed", "message": "m", "at": at});
        assert_eq!(Stage::of(&hotfix(&json!({}))), Stage::Untouched);
        assert_eq!(Stage::of(&hotfix(&json!({"promotingAt": at}))), Stage::Moving);
        assert_eq!(Stage::of(&hotfix(&json!({"promotingAt": at, "latch": latch}))), Stage::Leaving);
        assert_eq!(Stage::of(&hotfix(&json!({"latch": latch, "finishedAt": at}))), Stage::Untouched);
    }

    #[tokio::test]
    async fn a_missing_right_keeps_no_traffic_on_a_dead_candidate() {
        assert!(Stage::Untouched.tolerating(ready(denied())).await.is_err());
        assert!(Stage::Moving.tolerating(ready(denied())).await.is_ok_and(|found| found.is_empty()));
        assert!(Stage::Leaving.tolerating(ready(denied())).await.is_ok());
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_not_taken_for_what_is_not_there() {
        assert_eq!(Stage::Moving.noting(ready(denied())).await.unwrap(), (Vec::new(), Some("no".to_owned())));
        assert_eq!(Stage::Moving.noting(ready(Ok(vec![json!(1)]))).await.unwrap(), (vec![json!(1)], None));
    }

    #[tokio::test]
    async fn a_passing_failure_is_never_taken_for_nothing_there() {
        let failed: Result<Vec<Value>, _> = Err(ObserveError::Restless(3));
        assert!(Stage::Moving.tolerating(ready(failed)).await.is_err());
    }

    #[test]
    fn slots_of_late_attempts_are_ours_and_of_the_next_one() {
        let slots = slots(&hotfix(&json!({})));
        assert_eq!(slots.len(), 33);
        assert!(slots.contains(&names::slot("u", 41)) && slots.contains(&names::slot("u", 9)));
        assert!(!slots.contains(&names::slot("u", 8)));
    }

    #[test]
    fn a_pod_is_seen_once_and_somebody_elses_slot_not_at_all() {
        let pod = |uid: &str, slot: &str| Pod {
            uid: uid.into(),
            name: uid.into(),
            labels: [(SLOT.to_owned(), slot.to_owned())].into(),
            ..Pod::default()
        };
        let slots = BTreeSet::from(["mine".to_owned()]);
        let found =
            merged(vec![pod("b", "mine")], vec![pod("b", "mine"), pod("a", "mine"), pod("c", "theirs")], &slots);
        assert_eq!(found.iter().map(|pod| pod.uid.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_replica_set_counts_by_who_controls_it() {
        let set = |name: &str, controller: &str| json!({"metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": controller, "controller": true}]}});
        let sets = [set("recorded", "d"), set("foreign", "x")];
        let found = controlled(&sets, None, None, &hotfix(&json!({})));
        assert_eq!(found.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["recorded"]);
    }
}
