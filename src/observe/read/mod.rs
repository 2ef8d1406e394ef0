//! From raw JSON to the planner's facts, one reader a kind.
//!
//! A reader decides what a field means, never whether that is good. It answers `None` only for an object without
//! identity (a name, a uid, a version), which an API server never returns.

mod custom;
mod guards;
mod job;
mod managers;
mod pod;
mod service;
mod stuck;
mod workload;

pub use custom::{check, hotfix, namespace, other, policy, report};
pub use guards::{autoscaler, budget, claim, target_group_service};
pub use job::{Job, run};
pub use pod::pod;
pub use service::{registers_pods, service, slice};
pub use stuck::stuck;
pub use workload::{replica_set, selector_query, workload};
