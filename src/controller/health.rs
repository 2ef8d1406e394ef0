//! Whether the process lives, whether it works, and what it counts: three pages over HTTP.
//!
//! Alive: nothing that is due has been left undone for minutes while nothing else came to its end. An API server that is
//! away does not make it dead, since a restart would not help. Ready: every kind it needs is there and every standing
//! watch is open; the page names what is missing. A replica that stands by is as ready as the one that leads, so that a
//! roll-out of the operator goes on; the page names who leads.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ledger::Ledger;
use super::metrics::{Gauges, Metrics};
use crate::cluster::lease::{Leadership, View};

/// What must be there before the operator works, each with what is wrong with it now; empty when all is well.
#[derive(Debug, Default)]
pub struct Readiness(watch::Sender<BTreeMap<&'static str, String>>);

impl Readiness {
    /// `what` is missing. True when it was not known to be, or for another reason.
    pub fn missing(&self, what: &'static str, why: &str) -> bool {
        self.0.send_if_modified(|missing| missing.insert(what, why.to_owned()).is_none_or(|before| before != why))
    }

    /// `what` is there. True when it was missing.
    pub fn there(&self, what: &'static str) -> bool {
        self.0.send_if_modified(|missing| missing.remove(what).is_some())
    }

    /// Resolves when nothing is missing.
    pub async fn complete(&self) {
        // There is no error: the sender is here.
        let _ = self.0.subscribe().wait_for(BTreeMap::is_empty).await;
    }

    /// What is missing, a line each.
    fn told(&self) -> Vec<String> {
        self.0.borrow().iter().map(|(what, why)| format!("{what}: {why}")).collect()
    }
}

/// What the pages are made from.
#[derive(Clone, Debug)]
pub struct Health {
    /// What is missing.
    pub readiness: Arc<Readiness>,
    /// What is due.
    pub ledger: Arc<Ledger>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Whether this process leads, and who else does.
    pub lead: Leadership,
    /// How many scoped watches are open.
    pub watches: Arc<std::sync::atomic::AtomicUsize>,
}

impl Health {
    /// Serves the pages until `stop` resolves.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), io::Error> {
        let pages = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self);
        axum::serve(listener, pages).with_graceful_shutdown(stop).await
    }
}

async fn livez(State(health): State<Health>) -> (StatusCode, &'static str) {
    alive(&health.ledger, Instant::now())
}

fn alive(ledger: &Ledger, now: Instant) -> (StatusCode, &'static str) {
    if ledger.stuck(now) {
        (StatusCode::INTERNAL_SERVER_ERROR, "work is overdue and nothing has come to its end for minutes\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    ready(&health.readiness, &health.lead)
}

fn ready(readiness: &Readiness, lead: &Leadership) -> (StatusCode, String) {
    let mut missing = readiness.told();
    let view = lead.view();
    missing.extend(view.as_ref().and_then(|view| Some(format!("the lease: {}", view.trouble.as_ref()?))));
    if missing.is_empty() {
        (StatusCode::OK, format!("ok\n{}", stands(lead, view)))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for:\n{}\n", missing.join("\n")))
    }
}

/// How this process stands among its like.
fn stands(lead: &Leadership, view: Option<View>) -> String {
    match view {
        None => "leads, without an election\n".to_owned(),
        Some(View { holder, .. }) => {
            let holder = holder.unwrap_or_else(|| "nobody".to_owned());
            let how = if lead.holds() { "leads" } else { "stands by" };
            format!("{how}; the lease is held by {holder}\n")
        }
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let gauges = Gauges {
        phases: health.ledger.phases(),
        failing: health.ledger.failing(),
        watches: health.watches.load(std::sync::atomic::Ordering::Relaxed),
        leads: health.lead.holds(),
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], health.metrics.text(&gauges))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::controller::ledger::{Key, STUCK_AFTER, Standing};

    #[test]
    fn readiness_names_what_is_missing_until_it_is_there() {
        let readiness = Readiness::default();
        let ready = |readiness: &Readiness| ready(readiness, &Leadership::alone());
        assert_eq!(ready(&readiness).0, StatusCode::OK);
        assert!(readiness.missing("CRD hotfixpolicies", "it is not installed"));
        assert!(!readiness.missing("CRD hotfixpolicies", "it is not installed"), "said once");
        let (status, page) = ready(&readiness);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(page.contains("CRD hotfixpolicies: it is not installed"), "{page}");
        assert!(readiness.there("CRD hotfixpolicies"));
        assert_eq!(ready(&readiness).0, StatusCode::OK);
    }

    #[test]
    fn who_stands_by_is_ready_and_says_who_leads() {
        let (announcer, lead) = Leadership::elected();
        announcer.tell(View { holder: Some("operator-a".into()), ..View::default() });
        let standby = ready(&Readiness::default(), &lead);
        assert_eq!(standby, (StatusCode::OK, "ok\nstands by; the lease is held by operator-a\n".to_owned()));
        let until = Some(Instant::now() + Duration::from_secs(60));
        announcer.tell(View { until, holder: Some("operator-b".into()), trouble: None });
        assert_eq!(ready(&Readiness::default(), &lead).1, "ok\nleads; the lease is held by operator-b\n");
        assert_eq!(ready(&Readiness::default(), &Leadership::alone()).1, "ok\nleads, without an election\n");
    }

    #[test]
    fn who_cannot_read_the_lease_is_not_ready_and_says_why() {
        let (announcer, lead) = Leadership::elected();
        announcer.tell(View { trouble: Some("forbidden".into()), ..View::default() });
        let (status, page) = ready(&Readiness::default(), &lead);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(page.contains("the lease: forbidden"), "{page}");
    }

    #[tokio::test]
    async fn a_candidate_hears_when_everything_is_there() {
        let readiness = Readiness::default();
        readiness.missing("a watch", "not open");
        let mut complete = Box::pin(readiness.complete());
        assert!(futures::poll!(complete.as_mut()).is_pending());
        readiness.there("a watch");
        complete.await;
    }

    #[test]
    fn work_left_undone_for_minutes_makes_the_process_dead() {
        let start = Instant::now();
        let ledger = Ledger::new(start);
        let key = Key { namespace: "shop".into(), name: "web".into() };
        ledger.seen(&key, "1", None);
        ledger.settled(&key, Standing::Active, Some(Duration::ZERO), start);
        assert_eq!(alive(&ledger, start + Duration::from_secs(60)).0, StatusCode::OK);
        let late = start + STUCK_AFTER + Duration::from_secs(1);
        assert_eq!(alive(&ledger, late).0, StatusCode::INTERNAL_SERVER_ERROR);
        ledger.failed(&key, Duration::from_secs(10), late);
        assert_eq!(alive(&ledger, late).0, StatusCode::OK, "a failure is an end too");
    }
}
