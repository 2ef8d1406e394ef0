//! Whether the process lives, whether it works, and what it counts: three pages over HTTP.
//!
//! Alive: nothing that is due has been left undone for minutes while nothing else came to its end. An API server that is
//! away does not make it dead, since a restart would not help. Ready: every kind it needs is there and every standing
//! watch is open; the page names what is missing.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::ledger::Ledger;
use super::metrics::{Gauges, Metrics};

/// What must be there before the operator works, each with what is wrong with it now; empty when all is well.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<BTreeMap<&'static str, String>>);

impl Readiness {
    /// `what` is missing. True when it was not known to be, or for another reason.
    pub fn missing(&self, what: &'static str, why: &str) -> bool {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.insert(what, why.to_owned()).is_none_or(|before| before != why)
    }

    /// `what` is there. True when it was missing.
    pub fn there(&self, what: &'static str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what).is_some()
    }

    /// What is missing, a line each.
    fn told(&self) -> Vec<String> {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.iter().map(|(what, why)| format!("{what}: {why}")).collect()
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
    ready(&health.readiness)
}

fn ready(readiness: &Readiness) -> (StatusCode, String) {
    let missing = readiness.told();
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for:\n{}\n", missing.join("\n")))
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let gauges = Gauges {
        phases: health.ledger.phases(),
        failing: health.ledger.failing(),
        watches: health.watches.load(std::sync::atomic::Ordering::Relaxed),
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
