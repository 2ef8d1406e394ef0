//! A write in the model: what the planner asked for, in eight bytes.

use crate::state::{Job, Preview, Svc};

/// Which write: one for each variant of `Action` that can occur here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// An empty place.
    #[default]
    None,
    /// Write the status.
    Record,
    /// Put the finalizer on.
    AddFinalizer,
    /// Take it off.
    RemoveFinalizer,
    /// Create the Lease.
    Claim,
    /// Delete it.
    Unclaim,
    /// Create the record.
    OpenReport,
    /// Write it.
    WriteReport,
    /// Create a check Job.
    CreateJob,
    /// Delete one.
    DeleteJob,
    /// Create the candidate.
    CreateGreen,
    /// Resize it, or take its owner off.
    ResizeGreen,
    /// Delete it.
    DeleteGreen,
    /// Create the preview.
    CreatePreview,
    /// Delete it.
    DeletePreview,
    /// Hold a Service.
    Hold,
    /// Switch it.
    Switch,
    /// Seal it.
    Seal,
    /// Take its pin off.
    Unpin,
    /// Take its mark off.
    Unmark,
    /// Open a pod.
    Open,
    /// Close it.
    Close,
    /// Put the image into the user's Deployment.
    FoldBack,
    /// Take our managedFields entries off it.
    Disown,
}

/// A write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Act {
    /// Which.
    pub kind: Kind,
    /// For which hotfix.
    pub side: u8,
    /// On which Service or pod; the attempt of what is created.
    pub at: u8,
    /// See the constants.
    pub flags: u8,
    /// What: a status or record by number, a Service before and after, a Job, a uid.
    pub data: u32,
}

/// What it is written to is still at the version it was decided on.
pub const FRESH: u8 = 1;
/// The side the traffic goes to had pods ready when it was decided.
pub const BACKED: u8 = 2;
/// A record announces the fold-back anew; how often blue's spec has changed since is in [`GENERATIONS`].
pub const ANNOUNCES: u8 = 4;
/// A record notes that a Service is set again; whether it is still at that version is in [`AGAIN_FRESH`].
pub const AGAIN: u8 = 8;
/// See [`AGAIN`].
pub const AGAIN_FRESH: u8 = 16;
/// Two bits.
pub const GENERATIONS: u8 = 32;
/// A record was decided by another replica than the one that leads.
pub const ANOTHERS: u8 = 128;

impl Act {
    /// The same, of this replica.
    #[must_use]
    pub fn by(mut self, replica: u8) -> Self {
        self.flags |= if replica > 0 && self.kind == Kind::Record { ANOTHERS } else { 0 };
        self
    }

    /// True for an empty place.
    pub fn is_none(&self) -> bool {
        self.kind == Kind::None
    }

    /// True while its precondition on the version can hold.
    pub fn is_fresh(&self) -> bool {
        self.flags & FRESH != 0
    }

    /// How often blue's spec changed since the announcement it makes.
    pub fn generations(&self) -> u8 {
        (self.flags / GENERATIONS) & 3
    }

    /// Blue's spec has changed once more.
    pub fn bump(&mut self) {
        if self.kind == Kind::Record && self.flags & ANNOUNCES != 0 && self.generations() < 2 {
            self.flags += GENERATIONS;
        }
    }

    /// Of a write to a Service: how it was seen, and how it is to be.
    pub fn service(&self) -> (Svc, Svc) {
        let [a, b, c, d] = self.data.to_le_bytes();
        (Svc(u16::from_le_bytes([a, b])), Svc(u16::from_le_bytes([c, d])))
    }

    /// A write to a Service.
    pub fn on_service(kind: Kind, side: u8, at: u8, seen: Svc, to: Svc) -> Self {
        let ([a, b], [c, d]) = (seen.0.to_le_bytes(), to.0.to_le_bytes());
        Self { kind, side, at, flags: 0, data: u32::from_le_bytes([a, b, c, d]) }
    }

    /// Of a write to a Job: which.
    pub fn job(&self) -> Job {
        Job(self.data)
    }

    /// Of a write to a preview: which.
    pub fn preview(&self) -> Preview {
        Preview(u8::try_from(self.data).expect("a preview has eight bits"))
    }

    /// A short name, as actions have.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::None => "nothing",
            Kind::Record => "record",
            Kind::AddFinalizer => "add finalizer",
            Kind::RemoveFinalizer => "remove finalizer",
            Kind::Claim => "claim",
            Kind::Unclaim => "unclaim",
            Kind::OpenReport => "open report",
            Kind::WriteReport => "write report",
            Kind::CreateJob => "create check",
            Kind::DeleteJob => "delete check",
            Kind::CreateGreen => "create green",
            Kind::ResizeGreen => "resize green",
            Kind::DeleteGreen => "delete green",
            Kind::CreatePreview => "create preview",
            Kind::DeletePreview => "delete preview",
            Kind::Hold => "hold",
            Kind::Switch => "switch",
            Kind::Seal => "seal",
            Kind::Unpin => "unpin",
            Kind::Unmark => "unmark",
            Kind::Open => "open",
            Kind::Close => "close",
            Kind::FoldBack => "fold back",
            Kind::Disown => "disown",
        }
    }
}
