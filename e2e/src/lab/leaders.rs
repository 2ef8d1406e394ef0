//! Which of the operator's replicas leads, how the lead is taken from it, and what a handover cost.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::error::{Asked, LabError};
use super::wait::until;
use super::{Lab, OPERATOR_NAMESPACE, OPERATOR_USER, PATIENCE, RELEASE};
use crate::cluster::AuditRecord;

/// Name of the Lease by which a replica leads: that of the release.
pub const LEASE: &str = RELEASE;

/// How a leader ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its pod is deleted, as by a drain: SIGTERM, and time to put things in order.
    Told,
    /// Its process is killed, as by a crash.
    Killed,
}

/// The change from one leader to another, as the API server saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Handover {
    /// The last write of the old leader to the Lease was answered: a renewal, or the release.
    pub last: Timestamp,
    /// The new leader's claim was answered: from here on it may act.
    pub taken: Timestamp,
    /// Its first write about anything else came in.
    pub first: Option<Timestamp>,
}

impl Handover {
    /// Of the requests since the old leader's pod began to end.
    pub fn read(records: &[AuditRecord], old: &str, from: Timestamp) -> Option<Self> {
        let mut writes: Vec<_> = records
            .iter()
            .filter(|record| record.is_write() && record.code() < 300 && record.user.username == OPERATOR_USER)
            .collect();
        writes.sort_by_key(|record| record.request_received_timestamp);
        let of_lead = |record: &AuditRecord| {
            let object = record.object_ref.as_ref();
            object.is_some_and(|object| object.resource == "leases" && object.namespace == OPERATOR_NAMESPACE)
        };
        let after = |record: &&&AuditRecord| record.request_received_timestamp >= from;
        let lead = || writes.iter().filter(|record| of_lead(record));
        let claim = lead().filter(after).find(|record| record.pod() != Some(old))?;
        let before = |record: &&&AuditRecord| record.request_received_timestamp < claim.request_received_timestamp;
        let last = lead().filter(before).rfind(|record| record.pod() == Some(old))?;
        let acts =
            |record: &&&AuditRecord| record.pod() == claim.pod() && !of_lead(record) && record.resource() != "events";
        let first =
            writes.iter().find(|record| record.request_received_timestamp >= claim.stage_timestamp && acts(record));
        Some(Self {
            last: last.stage_timestamp,
            taken: claim.stage_timestamp,
            first: first.map(|record| record.request_received_timestamp),
        })
    }

    /// For how long nobody could act.
    pub fn gap(&self) -> Duration {
        self.last.duration_until(self.taken).unsigned_abs()
    }
}

impl Lab {
    /// The pod that leads, or whatever else holds the Lease.
    pub async fn leader(&self, client: &Client) -> Result<String, LabError> {
        self.leader_but(client, &[]).await
    }

    /// Waits until somebody leads who is none of these, and gives the name.
    pub async fn leader_but(&self, client: &Client, not: &[&str]) -> Result<String, LabError> {
        let leases = Api::<Lease>::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let another = |lease: Option<&Lease>| holder(lease).is_some_and(|holder| !not.contains(&holder));
        let told = |lease: &Lease| format!("{:?}", lease.spec);
        let found = until(leases, LEASE, "another leader", PATIENCE, told, another).await?;
        holder(found.as_ref()).map(str::to_owned).ok_or_else(|| LabError::Unfit("the lease is gone".to_owned()))
    }

    /// Takes the lead from this pod, and says when.
    pub async fn end_leader(&self, client: &Client, pod: &str, how: Ending) -> Result<Timestamp, LabError> {
        let cluster = self.cluster().ok_or_else(|| LabError::Unfit("only a local cluster's leader is ended".into()))?;
        let pods = Api::<Pod>::namespaced(client.clone(), OPERATOR_NAMESPACE);
        match how {
            Ending::Told => {
                let at = Timestamp::now();
                pods.delete(pod, &DeleteParams::default()).await.asked(|| format!("deleting {pod}"))?;
                Ok(at)
            }
            Ending::Killed => {
                let found = pods.get(pod).await.asked(|| format!("reading {pod}"))?;
                let status = found.status.and_then(|status| status.container_statuses?.into_iter().next());
                let container = status.and_then(|status| status.container_id);
                let container = container.ok_or_else(|| LabError::Unfit(format!("{pod} has no container")))?;
                let at = Timestamp::now();
                if cluster.kill_container(&container) == 0 {
                    return Err(LabError::Unfit(format!("{pod} had no process left")));
                }
                // The kubelet waits longer before every restart in the same pod, and soon longer than any story.
                let deleted = pods.delete(pod, &DeleteParams::default().grace_period(0)).await;
                deleted.map(|_| at).asked(|| format!("deleting {pod}, which was killed"))
            }
        }
    }

    /// Runs so many replicas of the operator, and waits until they are ready, or gone.
    pub async fn replicas(&self, client: &Client, replicas: i32) -> Result<(), LabError> {
        let deployments = Api::<Deployment>::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = deployments.patch(RELEASE, &PatchParams::default(), &patch).await;
        scaled.asked(|| "scaling the operator".to_owned())?;
        self.all_stand_by(client).await
    }

    /// Waits until every replica of the operator is ready, and no other pod of it is there.
    pub async fn all_stand_by(&self, client: &Client) -> Result<(), LabError> {
        let deployments = Api::<Deployment>::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let complete = |deployment: Option<&Deployment>| {
            let Some((spec, status)) = deployment.and_then(|it| Some((it.spec.as_ref()?, it.status.as_ref()?))) else {
                return false;
            };
            let wanted = spec.replicas.unwrap_or(1);
            let counts = [status.replicas, status.ready_replicas, status.updated_replicas];
            status.observed_generation >= deployment.and_then(|it| it.metadata.generation)
                && counts.map(Option::unwrap_or_default) == [wanted; 3]
        };
        let told = |it: &Deployment| format!("{:?}", it.status);
        until(deployments, RELEASE, "the operator's replicas", PATIENCE, told, complete).await.map(drop)
    }
}

/// The pod in a holder's name: what stands before the part that is the process's own.
fn holder(lease: Option<&Lease>) -> Option<&str> {
    let holder = lease?.spec.as_ref()?.holder_identity.as_deref()?;
    Some(holder.rsplit_once('_').map_or(holder, |(pod, _)| pod))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn write(pod: &str, verb: &str, resource: &str, times: (i64, i64)) -> AuditRecord {
        let at = |ms| Timestamp::from_millisecond(ms).expect("a time").to_string();
        let namespace = if resource == "leases" { OPERATOR_NAMESPACE } else { "shop" };
        let extra: Value = json!({"authentication.kubernetes.io/pod-name": [pod]});
        serde_json::from_value(json!({
            "auditID": "a", "verb": verb, "requestURI": "/", "responseStatus": {"code": 200},
            "user": {"username": OPERATOR_USER, "extra": extra},
            "objectRef": {"resource": resource, "namespace": namespace, "name": "x"},
            "requestReceivedTimestamp": at(times.0), "stageTimestamp": at(times.1),
        }))
        .expect("a record")
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("a time")
    }

    #[test]
    fn a_handover_is_told_from_the_last_word_of_the_one_to_the_first_of_the_other() {
        let records = [
            write("a", "patch", "leases", (10, 12)),
            write("a", "patch", "leases", (30, 33)),
            write("b", "get", "leases", (34, 35)),
            write("b", "patch", "leases", (40, 44)),
            write("b", "create", "events", (45, 46)),
            write("a", "patch", "services", (47, 48)),
            write("b", "patch", "services", (50, 51)),
        ];
        let told = Handover::read(&records, "a", at(20)).expect("there was one");
        assert_eq!(told, Handover { last: at(33), taken: at(44), first: Some(at(50)) });
        assert_eq!(told.gap(), Duration::from_millis(11));
        assert_eq!(Handover::read(&records, "a", at(41)), None, "not yet");
    }
}
