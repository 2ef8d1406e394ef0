//! What the planner can ask for: each variant is exactly one API write, with what must still be true when it commits.
//!
//! An action carries names, uids and resource versions, and no choice: whoever carries it out only turns it into bytes.

use serde_json::Value;

use super::observed::Map;
use crate::api::{HotfixReportSpec, SecurityHotfixStatus};

/// One API write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the hotfix's status, if it is still at this version.
    Record {
        /// Version of the hotfix the decision was made on.
        resource_version: String,
        /// The whole new status.
        status: Box<SecurityHotfixStatus>,
    },
    /// Put our finalizer on the hotfix, if it is still at this version.
    AddFinalizer {
        /// Version of the hotfix the decision was made on.
        resource_version: String,
        /// True when the hotfix has no list of finalizers yet, so that one must be made.
        first: bool,
    },
    /// Take our finalizer off the hotfix, if it is still at this version.
    RemoveFinalizer {
        /// Version of the hotfix the decision was made on.
        resource_version: String,
        /// Its place in the list.
        index: usize,
    },
    /// Create the Lease that claims the workload.
    Claim(Value),
    /// Delete the Lease that claims the workload.
    Unclaim(Target),
    /// Create the record.
    OpenReport(Value),
    /// Write the record anew, if it is still at this version.
    WriteReport {
        /// Its name.
        name: String,
        /// Version of this read.
        resource_version: String,
        /// What it is to say.
        spec: Box<HotfixReportSpec>,
    },
    /// Create a check Job in the checks' namespace.
    CreateJob(Value),
    /// Delete a check Job, with its pods.
    DeleteJob(Target),
    /// Create the candidate Deployment.
    CreateGreen(Value),
    /// Give the candidate this many replicas, and take the hotfix's ownership off it where it is still on.
    ResizeGreen {
        /// The candidate.
        green: Versioned,
        /// Replicas.
        replicas: i32,
        /// What becomes of the ownerReference.
        ownership: Ownership,
    },
    /// Delete the candidate Deployment, its pods after it.
    DeleteGreen(Target),
    /// Create the preview Service.
    CreatePreview(Value),
    /// Delete the preview Service.
    DeletePreview(Target),
    /// Create the candidate's own PodDisruptionBudget.
    CreateBudget(Value),
    /// Delete it.
    DeleteBudget(Target),
    /// Put our `hold` mark on a Service that has no mark and no slot.
    Hold {
        /// The Service.
        service: Versioned,
        /// The mark to write.
        mark: String,
        /// Its selector, which must still be this.
        selector: Map,
        /// Whether it has annotations already.
        annotations: Annotations,
    },
    /// Send a Service's traffic to the candidate: the owner's selector plus the slot.
    Switch {
        /// The Service.
        service: Versioned,
        /// The mark it must still carry.
        mark: String,
        /// The selector it must still have.
        from: Map,
        /// The selector it gets.
        to: Map,
    },
    /// Return a Service to its owner's selector and void whatever is still in flight.
    Seal {
        /// The Service.
        service: Versioned,
        /// The mark it has now; a pinned seal requires it to be this attempt's `hold`.
        was: Option<String>,
        /// The mark it gets.
        mark: String,
        /// The selector it must still have.
        from: Map,
        /// The selector it gets.
        to: Map,
        /// Whether it has annotations already.
        annotations: Annotations,
    },
    /// Take blue's `pod-template-hash` off a Service that was sealed with it.
    Unpin {
        /// The Service.
        service: Versioned,
        /// The selector it must still have.
        from: Map,
        /// The selector it gets.
        to: Map,
    },
    /// Take our mark and our managedFields entries off a Service.
    Unmark {
        /// The Service.
        service: Versioned,
        /// The mark it must still carry; `None` where only managedFields entries are left.
        mark: Option<String>,
        /// Places of our entries in managedFields, ascending.
        managers: Vec<usize>,
        /// Whether the mark is its only annotation.
        annotations: Annotations,
    },
    /// Open a pod of the candidate.
    Open(Versioned),
    /// Close a pod of the candidate for good.
    Close(Versioned),
    /// Put the patched images into the user's own Deployment.
    FoldBack {
        /// The Deployment.
        blue: Versioned,
        /// What changes.
        images: Vec<ImagePatch>,
    },
    /// Take our managedFields entries off the user's Deployment.
    Disown {
        /// The Deployment.
        blue: Versioned,
        /// Places of our entries in managedFields, ascending.
        managers: Vec<usize>,
    },
}

/// An object by name and uid: one made later under the same name is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// An object at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The version it must still have.
    pub resource_version: String,
}

/// What becomes of the candidate's ownerReference to the hotfix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It is taken off: a candidate that may serve must not be collected with the hotfix.
    Drop,
    /// There is none any more.
    Dropped,
}

/// Whether an object has a map of annotations, beside what is written or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotations {
    /// It has others.
    Some,
    /// It has no others.
    None,
}

/// A container's image, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePatch {
    /// JSON pointer to the container in the Deployment.
    pub pointer: String,
    /// Name the container must still have.
    pub container: String,
    /// Image it must still have.
    pub from: String,
    /// Image it gets.
    pub to: String,
}

impl Action {
    /// The object it makes, where it makes one.
    pub fn makes(&self) -> Option<&Value> {
        match self {
            Self::Claim(object)
            | Self::OpenReport(object)
            | Self::CreateJob(object)
            | Self::CreateGreen(object)
            | Self::CreatePreview(object)
            | Self::CreateBudget(object) => Some(object),
            _ => None,
        }
    }

    /// A short name for logs, metrics and stories.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Record { .. } => "record",
            Self::AddFinalizer { .. } => "add finalizer",
            Self::RemoveFinalizer { .. } => "remove finalizer",
            Self::Claim(_) => "claim",
            Self::Unclaim(_) => "unclaim",
            Self::OpenReport(_) => "open report",
            Self::WriteReport { .. } => "write report",
            Self::CreateJob(_) => "create check",
            Self::DeleteJob(_) => "delete check",
            Self::CreateGreen(_) => "create green",
            Self::ResizeGreen { .. } => "resize green",
            Self::DeleteGreen(_) => "delete green",
            Self::CreatePreview(_) => "create preview",
            Self::DeletePreview(_) => "delete preview",
            Self::CreateBudget(_) => "create budget",
            Self::DeleteBudget(_) => "delete budget",
            Self::Hold { .. } => "hold",
            Self::Switch { .. } => "switch",
            Self::Seal { .. } => "seal",
            Self::Unpin { .. } => "unpin",
            Self::Unmark { .. } => "unmark",
            Self::Open(_) => "open",
            Self::Close(_) => "close",
            Self::FoldBack { .. } => "fold back",
            Self::Disown { .. } => "disown",
        }
    }
}
