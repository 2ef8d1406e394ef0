use std::{future::pending, sync::Mutex};

use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::{JoinHandle, spawn},
};

use super::*;
use crate::{
    app::{self, Settings, faults::Scheduled},
    load::{Ledger, Snapshot},
};

fn plan(address: SocketAddr) -> Plan {
    Plan {
        address,
        host: "web".to_owned(),
        path: "/".to_owned(),
        new_clients: 3,
        keep_alive_clients: 3,
        rate: 400,
        duration: Duration::from_secs(60),
    }
}

/// A generator at work, stopped by hand.
struct Work {
    stop: oneshot::Sender<()>,
    news: watch::Receiver<Snapshot>,
    done: JoinHandle<Ledger>,
}

fn work(plan: Plan) -> Work {
    let (stop, stopped) = oneshot::channel();
    let (tell, news) = watch::channel(Snapshot::default());
    let done = spawn(async move {
        let ledger = Mutex::new(Ledger::default());
        let counted = Mutex::new(None);
        let write = |line| {
            let mut ledger = ledger.lock().expect("nobody panics with it");
            match line {
                Line::Started { .. } => {}
                Line::Samples(samples) => {
                    for sample in samples {
                        ledger.push(sample);
                    }
                    tell.send_replace(ledger.total().clone());
                }
                Line::Finished { samples, .. } => *counted.lock().expect("nobody panics with it") = Some(samples),
            }
            Ok::<_, PlanError>(())
        };
        run(plan, async { drop(stopped.await) }, write).await.expect("the plan is within bounds");
        let ledger = ledger.into_inner().expect("nobody panicked with it");
        assert_eq!(counted.into_inner().expect("nobody panicked with it"), Some(ledger.total().requests));
        ledger
    });
    Work { stop, news, done }
}

impl Work {
    async fn until(&mut self, condition: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        self.news.wait_for(condition).await.expect("it is at work").clone()
    }

    async fn stop(self) -> Ledger {
        drop(self.stop);
        self.done.await.expect("it does not panic")
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

#[tokio::test]
async fn every_request_is_accounted_for_by_version_and_by_kind_of_client() {
    let (listener, address) = listen().await;
    spawn(app::serve(listener, Settings::healthy("v1", "web-1"), pending()));
    let mut work = work(plan(address));
    work.until(|seen| seen.answers("v1") > 60).await;
    let ledger = work.stop().await;

    assert_eq!(ledger.total().failed, 0, "{}", ledger.describe_failures(5));
    let served = ledger.total().versions["v1"];
    assert_eq!(served.answers(), ledger.total().requests);
    assert!(served.new_connections > 0 && served.keep_alive > 0);
    let opened = |kind| ledger.samples().iter().filter(|sample| sample.opened == kind).count();
    assert_eq!((opened(Opened::First), opened(Opened::Reopened), opened(Opened::Retried)), (3, 0, 0));
    assert!(
        ledger.samples().iter().all(|sample| sample.sent <= sample.connected && sample.connected < sample.received)
    );
}

#[tokio::test]
async fn the_rate_is_a_bound() {
    let (listener, address) = listen().await;
    spawn(app::serve(listener, Settings::healthy("v1", "web-1"), pending()));
    let mut work = work(plan(address));
    work.until(|seen| seen.requests > 100).await;
    let ledger = work.stop().await;
    let samples = ledger.samples();
    let span = samples.iter().map(|sample| sample.sent).max().expect("there are some").since(samples[0].sent);
    // Six clients may each be one request ahead.
    assert!(samples.len() as u128 <= span.as_micros() * 400 / 1_000_000 + 6, "{} in {span:?}", samples.len());
}

#[tokio::test]
async fn kept_connections_that_were_told_to_close_are_reopened_and_nothing_is_lost() {
    let (first, address) = listen().await;
    // A second instance takes the connections that come after the first has gone, as an endpoint would.
    let second = first.into_std().expect("it is a socket");
    let first = TcpListener::from_std(second.try_clone().expect("there are descriptors")).expect("it is a socket");
    let (stop, stopped) = oneshot::channel::<()>();
    let settings = Settings { drain: Duration::from_millis(100), ..Settings::healthy("v1", "web-1") };
    let old = spawn(app::serve(first, settings, async { drop(stopped.await) }));
    let mut work = work(plan(address));
    work.until(|seen| seen.versions.get("v1").is_some_and(|served| served.keep_alive > 30)).await;

    let second = TcpListener::from_std(second).expect("it is a socket");
    spawn(app::serve(second, Settings::healthy("v2", "web-2"), pending()));
    drop(stop);
    old.await.expect("it does not panic").expect("it could accept");
    work.until(|seen| seen.versions.get("v2").is_some_and(|served| served.keep_alive > 30)).await;
    let ledger = work.stop().await;

    assert_eq!(ledger.total().failed, 0, "{}", ledger.describe_failures(5));
    assert!(ledger.total().reconnects > 0, "the old version told its clients to leave");
    assert!(ledger.mixed("v1", "v2").is_some());
}

#[tokio::test]
async fn what_goes_wrong_is_named() {
    for (fault, expected) in [("sick", FailureKind::Status), ("die@0.1", FailureKind::Connect)] {
        let (listener, address) = listen().await;
        let faults = Scheduled::list(fault).expect("it is written right");
        spawn(app::serve(listener, Settings { faults, ..Settings::healthy("v1", "web-1") }, pending()));
        let mut work = work(plan(address));
        work.until(|seen| seen.failed > 20).await;
        let ledger = work.stop().await;
        let kinds =
            |wanted| move |sample: &&Sample| matches!(&sample.outcome, Outcome::Failed { kind, .. } if *kind == wanted);
        assert!(ledger.failures().any(|sample| kinds(expected)(&sample)), "{}", ledger.describe_failures(30));
    }
}

#[tokio::test]
async fn an_answer_of_something_else_is_a_failure() {
    let (listener, address) = listen().await;
    spawn(app::serve(listener, Settings::healthy("v1", "web-1"), pending()));
    let mut work = work(Plan { path: "/healthz".to_owned(), ..plan(address) });
    work.until(|seen| seen.failed > 0).await;
    let ledger = work.stop().await;
    let first = ledger.failures().next().expect("there is one");
    assert!(matches!(&first.outcome, Outcome::Failed { kind: FailureKind::Garbled, .. }), "{first:?}");
}

#[tokio::test]
async fn a_plan_out_of_bounds_is_refused() {
    let (_, address) = listen().await;
    let refused = |plan| async move { run(plan, pending(), |_| Ok(())).await.expect_err("it is out of bounds") };
    let nobody = Plan { new_clients: 0, keep_alive_clients: 0, ..plan(address) };
    assert_eq!(refused(nobody).await, PlanError::Clients(0));
    assert_eq!(refused(Plan { rate: 0, ..plan(address) }).await, PlanError::Requests(0));
    let endless = Plan { duration: Duration::MAX, ..plan(address) };
    assert!(matches!(refused(endless).await, PlanError::Requests(_)));
}
