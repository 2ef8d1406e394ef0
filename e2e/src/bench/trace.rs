//! What the API server's audit log tells of one run: when it was told of something, and when the operator answered.
//!
//! All moments are the API server's own, to the microsecond. What happened counts from the end of the request that told it, since
//! nobody can know of it before; an answer of the operator counts when its request came in, and a change when it was complete.

use std::collections::BTreeSet;

use jiff::Timestamp;
use securityhotfix::api::names::HOTFIX_UID;
use securityhotfix::plan::jobs::GATE;
use serde_json::Value;

use crate::cluster::AuditRecord;
use crate::lab::OPERATOR_USER;

/// The requests of a run, in the order in which they came in.
#[derive(Debug)]
pub struct Trace(Vec<AuditRecord>);

impl Trace {
    /// Of these records.
    pub fn new(mut records: Vec<AuditRecord>) -> Self {
        records.sort_by_key(|record| record.request_received_timestamp);
        Self(records)
    }

    /// When the last Job of a gate of this hotfix was complete: the end of the write by which the Job controller said so. With it
    /// the Job's name.
    pub fn job_complete(&self, hotfix_uid: &str, gate: &str) -> Option<(Timestamp, &str)> {
        let complete = self.written("jobs/status").filter(|(_, body)| {
            let label = |key: &str| body.pointer("/metadata/labels")?.get(key)?.as_str();
            label(HOTFIX_UID) == Some(hotfix_uid) && label(GATE) == Some(gate) && holds(body, "Complete", "True")
        });
        let mut seen = BTreeSet::new();
        // What is written of a Job that is complete already tells nothing new.
        let first = complete.filter(|(record, _)| seen.insert(name(record)));
        first.map(|(record, _)| (record.stage_timestamp, name(record))).max()
    }

    /// When the pod of a Job had ended: the end of the write by which the kubelet said so.
    pub fn pod_ended(&self, job: &str) -> Option<Timestamp> {
        let ended = self.written("pods/status").find(|(record, body)| {
            let of_job = name(record).strip_prefix(job).is_some_and(|rest| rest.starts_with('-'));
            of_job && body.pointer("/status/phase").and_then(Value::as_str) == Some("Succeeded")
        });
        ended.map(|(record, _)| record.stage_timestamp)
    }

    /// The operator's first write to objects of the namespace after a moment; Events are not counted, since they follow a write.
    pub fn next_write(&self, namespace: &str, after: Timestamp) -> Option<&AuditRecord> {
        self.operators(namespace, after).find(|record| record.resource() != "events")
    }

    /// The operator's first write to a Service after a moment.
    pub fn service_written(&self, namespace: &str, service: &str, after: Timestamp) -> Option<&AuditRecord> {
        self.operators(namespace, after).find(|record| record.resource() == "services" && name(record) == service)
    }

    /// When none of these pods was ready any more: the end of the last of the writes by which the kubelet first said so of each,
    /// after a moment.
    pub fn unready(&self, namespace: &str, pods: &BTreeSet<String>, after: Timestamp) -> Option<Timestamp> {
        let first = |pod: &String| {
            let told = self.written("pods/status").find(|(record, body)| {
                let there = record.object_ref.as_ref().is_some_and(|object| object.namespace == namespace);
                let kubelet = record.user.username.starts_with("system:node:");
                there
                    && kubelet
                    && name(record) == pod
                    && record.request_received_timestamp >= after
                    && holds(body, "Ready", "False")
            });
            told.map(|(record, _)| record.stage_timestamp)
        };
        pods.iter().map(first).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn written(&self, resource: &'static str) -> impl Iterator<Item = (&AuditRecord, &Value)> {
        let done = self.0.iter().filter(move |record| record.is_write() && record.code() < 300);
        done.filter(move |record| record.resource() == resource)
            .filter_map(|record| Some((record, record.request_object.as_ref()?)))
    }

    fn operators(&self, namespace: &str, after: Timestamp) -> impl Iterator<Item = &AuditRecord> {
        self.0.iter().filter(move |record| {
            let there = record.object_ref.as_ref().is_some_and(|object| object.namespace == namespace);
            let done = record.is_write() && record.code() < 300;
            there && done && record.user.username == OPERATOR_USER && record.request_received_timestamp > after
        })
    }
}

fn name(record: &AuditRecord) -> &str {
    record.object_ref.as_ref().map_or("", |object| &object.name)
}

fn holds(object: &Value, condition: &str, status: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|found| found["type"] == condition && found["status"] == status)
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
