//! Whether this process leads, for everybody in it who acts.

use std::time::Instant;

use tokio::sync::watch;

/// What a campaign last knew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Until when this process may act. It ends by itself when nothing extends it.
    pub until: Option<Instant>,
    /// Who holds the Lease.
    pub holder: Option<String>,
    /// Why the Lease cannot be read or written.
    pub trouble: Option<String>,
}

/// Tells whether this process leads.
#[derive(Clone, Debug)]
pub struct Leadership(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Alone,
    Elected(watch::Receiver<View>),
}

/// Where a campaign tells what it knows.
#[derive(Debug)]
pub struct Announcer(watch::Sender<View>);

impl Leadership {
    /// There is no election: this process is the only one.
    pub fn alone() -> Self {
        Self(Kind::Alone)
    }

    /// The one that is elected, by a campaign that tells the other end.
    pub fn elected() -> (Announcer, Self) {
        let (sender, receiver) = watch::channel(View::default());
        (Announcer(sender), Self(Kind::Elected(receiver)))
    }

    /// Whether this process may start a write now. Cheap, and true to the moment: it asks the clock, not the campaign.
    pub fn holds(&self) -> bool {
        match &self.0 {
            Kind::Alone => true,
            Kind::Elected(view) => view.borrow().until.is_some_and(|until| Instant::now() < until),
        }
    }

    /// Resolves when this process leads; never when it does not come to that.
    pub async fn gained(&self) {
        if let Kind::Elected(view) = &self.0
            && view.clone().wait_for(|view| view.until.is_some()).await.is_err()
        {
            // The campaign is over.
            std::future::pending::<()>().await;
        }
    }

    /// What the campaign last knew; nothing without an election.
    pub fn view(&self) -> Option<View> {
        match &self.0 {
            Kind::Alone => None,
            Kind::Elected(view) => Some(view.borrow().clone()),
        }
    }
}

impl Announcer {
    /// Tells it, and says whether anything is new.
    pub fn tell(&self, view: View) -> bool {
        self.0.send_if_modified(|before| {
            let news = *before != view;
            *before = view;
            news
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn until(moment: Instant) -> View {
        View { until: Some(moment), ..View::default() }
    }

    #[test]
    fn it_ends_by_the_clock_though_nobody_says_so() {
        let (announcer, lead) = Leadership::elected();
        assert!(!lead.holds());
        announcer.tell(until(Instant::now() + Duration::from_millis(20)));
        assert!(lead.holds());
        std::thread::sleep(Duration::from_millis(25));
        assert!(!lead.holds());
    }

    #[tokio::test]
    async fn who_waits_for_it_hears_of_it_also_late() {
        let (announcer, lead) = Leadership::elected();
        let mut gained = Box::pin(lead.gained());
        assert!(futures::poll!(gained.as_mut()).is_pending());
        announcer.tell(until(Instant::now() + Duration::from_secs(5)));
        gained.await;
        lead.gained().await;
    }

    #[tokio::test]
    async fn after_the_campaign_nobody_gains_it() {
        let (announcer, lead) = Leadership::elected();
        drop(announcer);
        assert!(futures::poll!(std::pin::pin!(lead.gained())).is_pending());
        assert!(!lead.holds());
    }

    #[tokio::test]
    async fn the_only_one_leads_always() {
        let lead = Leadership::alone();
        lead.gained().await;
        assert!(lead.holds() && lead.view().is_none());
    }
}
