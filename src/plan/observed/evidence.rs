//! What was found out: by checks, and by the operator itself.

use serde_json::Value;

use super::Map;
use crate::api::time::Moment;
use crate::api::{Gate, ResolvedImage};
use crate::findings::{ScanReport, TestReport};

/// A check Job.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the Job.
    pub job: String,
    /// Its UID.
    pub uid: String,
    /// Its labels: they repeat what it was made for, and it counts only if all of them match.
    pub labels: Map,
    /// Where it stands.
    pub state: RunState,
    /// Why its pod has not started, as Kubernetes says, where it says so. Example: `ErrImagePull: not found`. Visible text of
    /// at most 300 bytes.
    pub stuck: Option<String>,
}

/// Where a check Job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It runs, or waits to.
    Running,
    /// It has ended, and this is what it printed.
    Ended {
        /// When.
        at: Moment,
        /// What came of it.
        output: Output,
    },
}

/// What a check Job printed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Exactly one whole frame.
    Framed {
        /// Exit code of the check's command.
        exit_code: i32,
        /// SHA-256 of the report, in hex.
        sha256: String,
        /// The report, read by the format its check declares.
        content: Content,
        /// The end of its standard error, bounded, for messages.
        stderr: String,
    },
    /// No frame, more than one, or a broken one; the Job hit its deadline; its pod is gone. Why, in a sentence.
    Unusable(String),
}

/// A report, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A scanner's findings.
    Scan(Box<ScanReport>),
    /// A test's results.
    Test(Box<TestReport>),
    /// The check declares no format.
    None,
    /// It could not be read. Why, in a sentence.
    Malformed(String),
}

/// What the operator found out itself. Kept in memory only: losing it costs a repetition, never a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// What the registry said of the patched images.
    pub resolution: Option<Vec<Resolution>>,
    /// What admission made of the candidate in a dry run.
    pub rehearsal: Option<Rehearsal>,
    /// What pods answered.
    pub probes: Vec<Probe>,
    /// From when on this operator has looked at the hotfix without a gap; `None` where nobody has told, which counts as now.
    pub watched_since: Option<Moment>,
}

/// What the registry said of one patched image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The container it is for.
    pub container: String,
    /// The image as the hotfix asks for it.
    pub image: String,
    /// When it was asked.
    pub at: Moment,
    /// Its digests, or why there are none.
    pub outcome: Result<ResolvedImage, String>,
}

/// What admission made of the candidate and of one pod of its template in a dry run.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// The slot it was made for.
    pub slot: String,
    /// When it was tried.
    pub at: Moment,
    /// The Deployment as admission gave it back, or its refusal.
    pub green: Result<Value, String>,
    /// The pod as admission gave it back, or its refusal.
    pub pod: Result<Value, String>,
    /// Why admission was not even asked: a right the operator lacks. It says nothing about the candidate.
    pub denied: Option<String>,
}

/// How one pod answered one HTTP check in one gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The attempt it was asked in.
    pub attempt: i64,
    /// The gate it was asked for.
    pub gate: Gate,
    /// The check, with the generation of its spec.
    pub check: (String, i64),
    /// From when on the check has been asked without a gap, of this pod or of others.
    pub since: Moment,
    /// UID of the pod.
    pub pod: String,
    /// Consecutive successes up to now.
    pub successes: i32,
    /// Consecutive failures up to now.
    pub failures: i32,
    /// Consecutive answers up to now that came to no verdict.
    pub unsettled: i32,
    /// The last answer, in words.
    pub last: String,
}
