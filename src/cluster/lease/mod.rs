//! Which of several replicas acts: one Lease, taken and kept by compare-and-swap.
//!
//! Leading saves work, it is not what keeps a rollout safe: the mark on a Service and the preconditions of every write are.
//! Hence the one rule here is that a replica stops in time, by its own monotonic clock, and a replica that lost the lead ends.
//!
//! [`Candidate`] decides and touches nothing outside; [`campaign`] carries out what it decides.

mod campaign;
mod candidate;
mod leadership;
mod record;

pub use campaign::{End, Place, campaign, identity};
pub use candidate::{Answer, Candidate, Kind, Lost, Source, Step, Times, Write};
pub use leadership::{Announcer, Leadership, View};
pub use record::Record;
