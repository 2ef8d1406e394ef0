//! The kinds people read and write, and the words they share.
//!
//! Types only: nothing in here decides, reads a cluster or writes to one. What a field means to a
//! user stands in its doc comment, since `kubectl explain` prints exactly that.

mod check;
pub mod conditions;
mod crds;
mod duration;
mod hotfix;
pub mod image;
pub mod names;
mod policy;
pub mod rbac;
mod report;
mod rules;
mod status;
pub mod time;

pub use check::{
    CheckContainer, CheckVolume, ConfigMapSource, EmptyDirSource, EnvVar, HttpCheck, PvcSource, ReportFormat,
    Resources, ScanCheck, ScanFormat, SecretSource, SecurityCheck, SecurityCheckSpec, TestCheck,
};
pub use conditions::{Condition, ConditionType, Reason, Truth};
pub use crds::{all as crds, file_name as crd_file_name, yaml as crd_yaml};
pub use hotfix::{Advisory, ImageChange, SecurityHotfix, SecurityHotfixSpec, Severity, Staging, Target, TargetKind};
pub use policy::{FailOn, GateCheck, Gates, HotfixPolicy, HotfixPolicySpec, ImageRules, Timeouts};
pub use report::{AttemptRecord, Exposure, HotfixRef, HotfixReport, HotfixReportSpec, REPORT_MOVES_MAX, TrafficMove};
pub use status::{
    ATTEMPT_HISTORY_MAX, Attempt, AttemptSummary, BaselineImage, Blue, Gate, GreenRecord, Handled, Latch, Leftover,
    Outcome, Phase, Reassertion, RecordedService, ResolvedImage, SecurityHotfixStatus, Side, Suspension, Unchecked,
    VerdictRecord, VerdictWord,
};

/// API group of every kind of the project.
pub const GROUP: &str = "securityhotfix.dev";
/// API version of every kind of the project.
pub const VERSION: &str = "v1alpha1";
