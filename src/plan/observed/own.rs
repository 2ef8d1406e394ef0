//! What is the project's own, or written for it: hotfixes, policies, checks, claims and records.

use super::{Map, Workload};
use crate::api::time::Moment;
use crate::api::{HotfixPolicySpec, HotfixReportSpec, SecurityCheckSpec, SecurityHotfixSpec, SecurityHotfixStatus};

/// The hotfix.
#[derive(Clone, Debug, PartialEq)]
pub struct Hotfix {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read; every status write carries it.
    pub resource_version: String,
    /// Generation of its spec.
    pub generation: i64,
    /// When it was created.
    pub created_at: Option<Moment>,
    /// Set when it is being deleted.
    pub deleting: Option<Moment>,
    /// Its finalizers, in order.
    pub finalizers: Vec<String>,
    /// Its annotations in the project's own domain.
    pub annotations: Map,
    /// Field managers that wrote its spec.
    pub managers: Vec<String>,
    /// What is asked for.
    pub spec: SecurityHotfixSpec,
    /// What was recorded.
    pub status: SecurityHotfixStatus,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// True once its deletion began: nothing can be created in it any more.
    pub terminating: bool,
    /// Its policy label.
    pub policy: Option<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: HotfixPolicySpec,
}

/// A check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its UID.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// How it is run.
    pub spec: SecurityCheckSpec,
}

/// The Lease that claims a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the hotfix that holds it.
    pub holder: String,
    /// Name of the hotfix that holds it.
    pub holder_name: String,
}

/// Another hotfix of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// True while it may still write: it has an attempt that is not finished.
    pub alive: bool,
    /// Number of its current or last attempt; 0 before its first.
    pub attempt: i64,
}

/// What other hotfixes made for this workload. Looked for only before the promotion, the only time it matters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strays {
    /// Deployments with the name that another hotfix's candidate of this workload has.
    pub candidates: Vec<Workload>,
    /// Check Jobs of those of these hotfixes that are gone.
    pub jobs: Vec<StrayJob>,
    /// The record of the one whose leavings are being taken away.
    pub report: Option<Report>,
}

/// A check Job of another hotfix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayJob {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the hotfix it was made for.
    pub hotfix: String,
}

/// The record.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Version of this read.
    pub resource_version: String,
    /// UID of the hotfix it says it is about.
    pub hotfix_uid: String,
    /// What it says.
    pub spec: HotfixReportSpec,
}
