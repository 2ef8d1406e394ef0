//! Whether a look may go on: the process is not to stop, and leads.

use super::stop::Stop;
use crate::cluster::lease::Leadership;

/// Asked before every look, every read and every write.
#[derive(Clone, Debug)]
pub struct Permit {
    stop: Stop,
    lead: Leadership,
}

impl Permit {
    /// Made of the wish to stop and the lead.
    pub fn new(stop: Stop, lead: Leadership) -> Self {
        Self { stop, lead }
    }

    /// Whether this process leads at this moment. A write that was begun is waited for; after this says no, none is begun.
    pub fn leads(&self) -> bool {
        self.lead.holds()
    }

    /// The wish to stop.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The lead.
    pub fn lead(&self) -> &Leadership {
        &self.lead
    }
}
