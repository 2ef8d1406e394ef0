//! What the operator wrote in a namespace, counted from the API server's audit log.

use std::collections::BTreeMap;
use std::fmt;

use super::OPERATOR_USER;
use crate::cluster::AuditRecord;

/// Writes by resource and verb, each with how often it was answered with success and how often not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writes(BTreeMap<(String, String), Count>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    done: u32,
    refused: u32,
}

impl Writes {
    /// Those of the operator about objects of this namespace.
    pub fn of_operator(records: &[AuditRecord], namespace: &str) -> Self {
        let mut writes = Self::default();
        for record in records {
            let there = record.object_ref.as_ref().is_some_and(|object| object.namespace == namespace);
            if !there || !record.is_write() || record.user.username != OPERATOR_USER {
                continue;
            }
            let count = writes.0.entry((record.resource(), record.verb.clone())).or_default();
            if record.code() < 300 {
                count.done += 1;
            } else {
                count.refused += 1;
            }
        }
        writes
    }

    /// How many count as writes of an update: all but the record's, the events', and those that open and close pods.
    pub fn counted(&self) -> u32 {
        let counted = self.0.iter().filter(|((resource, _), _)| !is_exempt(resource));
        counted.map(|(_, count)| count.done + count.refused).sum()
    }

    /// How many writes went to resources of this name, subresources included.
    pub fn to(&self, resource: &str) -> u32 {
        let matching = self.0.iter().filter(|((found, _), _)| found.split('/').next() == Some(resource));
        matching.map(|(_, count)| count.done).sum()
    }
}

fn is_exempt(resource: &str) -> bool {
    matches!(resource, "hotfixreports" | "events" | "pods/status" | "jobs")
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((resource, verb), Count { done, refused }) in &self.0 {
            let exempt = if is_exempt(resource) { " (not counted)" } else { "" };
            write!(f, "{done:>4} {verb:<7} {resource}{exempt}")?;
            if *refused > 0 {
                write!(f, ", {refused} refused")?;
            }
            writeln!(f)?;
        }
        write!(f, "{:>4} counted", self.counted())
    }
}
