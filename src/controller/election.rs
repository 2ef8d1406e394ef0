//! The part of the process that campaigns for the lead.

use std::sync::Arc;

use kube::Client;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::health::Readiness;
use super::operator::{Failure, LEAVE_MAX};
use super::stop::{self, Stopper};
use crate::cluster::lease::{Candidate, End, Leadership, Place, Times, campaign};

/// A campaign in the background, or none where this process is the only one.
pub struct Election {
    /// Whether this process leads.
    pub lead: Leadership,
    campaign: Option<(JoinHandle<End>, Stopper)>,
}

impl Election {
    /// Begins to campaign for this Lease as soon as everything is there that a leader needs: who cannot work yet must not
    /// keep others from working.
    pub fn begin(
        place: Option<Place>,
        identity: String,
        (api, watching): (Client, Client),
        readiness: Arc<Readiness>,
    ) -> Self {
        let Some(place) = place else { return Self { lead: Leadership::alone(), campaign: None } };
        let (announcer, lead) = Leadership::elected();
        let (leave, left) = stop::pair();
        let candidate = Candidate::new(identity, Times::OURS);
        let running = tokio::spawn(async move {
            tokio::select! {
                () = left.told() => return End::Released,
                () = readiness.complete() => {}
            }
            campaign(api, watching, place, candidate, announcer, left.told()).await
        });
        Self { lead, campaign: Some((running, leave)) }
    }

    /// Resolves when the lead is lost, with what that means for the process; never when there is no election.
    pub async fn lost(&mut self) -> Failure {
        let Some((running, _)) = &mut self.campaign else { return std::future::pending().await };
        match running.await {
            Ok(End::Lost(lost)) => Failure::Lost(lost),
            // It was not told to end, so it did not end well.
            Ok(End::Released | End::Kept) | Err(_) => Failure::Ended("the campaign for the lead"),
        }
    }

    /// Gives up the lead, after everything that acts has stopped; or leaves it to run out.
    pub async fn leave(self, release: bool) {
        let Some((running, leave)) = self.campaign.filter(|_| release) else { return };
        leave.tell();
        match tokio::time::timeout(LEAVE_MAX, running).await {
            Ok(Ok(End::Released)) => info!("the lease is free"),
            Ok(Ok(End::Kept | End::Lost(_)) | Err(_)) | Err(_) => warn!("the lease could not be given up; it runs out"),
        }
    }
}
