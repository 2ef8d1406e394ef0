//! The operator as a process: what is started in which order, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::Controller;
use kube::runtime::controller::{self as runtime, Action as Requeue, Config as ControllerConfig};
use kube::runtime::reflector::ObjectRef;
use thiserror::Error;
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::args::{Config, Watch};
use super::definitions;
use super::events::Events;
use super::health::{Health, Readiness};
use super::ledger::{Key, Ledger};
use super::metrics::Metrics;
use super::queue::Queue;
use super::reconcile::{Context, reconcile};
use super::rooms::World;
use super::standing::{self, Hotfix, Sinks};
use super::stop;
use super::turn::Mind;
use super::watches::Watches;
use crate::cluster::{self, ClientError};
use crate::plan;

/// How many hotfixes are looked at at the same time. A look is some twenty reads, and a rollback must not queue behind
/// others; the API server gives all its clients a few hundred calls at a time.
const AT_ONCE: u16 = 32;

/// How long running looks may take to finish their write after the operator was told to stop; a write takes at most
/// ten seconds, and Kubernetes kills after thirty.
const STOP_MAX: Duration = Duration::from_secs(12);

/// Why the operator ended without being told to.
#[derive(Debug, Error)]
pub enum Failure {
    /// The cluster cannot be reached with what was given.
    #[error("{0}: run it in a pod with a service account, or set KUBECONFIG")]
    Client(#[from] ClientError),
    /// The address is taken, or not ours.
    #[error("{0} cannot be listened on ({1}): give another --listen")]
    Listen(SocketAddr, io::Error),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(io::Error),
    /// A part that must never end has ended.
    #[error("{0} ended, so the operator cannot work any more; it is to be started again")]
    Ended(&'static str),
}

/// Runs the operator until it is told to stop by SIGTERM or SIGINT, or a part of it fails.
pub async fn run(config: Config) -> Result<(), Failure> {
    let Config { watch, settings, registries, listen } = config;
    let signalled = stop::signalled().map_err(Failure::Signals)?;
    let (stopper, stop) = stop::pair();
    let api = cluster::api_client().await?;
    let watching = cluster::watch_client().await?;
    let listener = TcpListener::bind(listen).await.map_err(|error| Failure::Listen(listen, error))?;
    let metrics = Arc::new(Metrics::default());
    let ledger = Arc::new(Ledger::new(Instant::now()));
    let readiness = Arc::new(Readiness::default());
    let queue = Queue::new(ledger.clone());
    let watches = Watches::new(watching.clone(), settings.checks_namespace.clone(), queue.clone(), metrics.clone());
    let (events, writer) = Events::start(api.clone(), std::env::var("POD_NAME").ok(), metrics.clone());
    let health = Health {
        readiness: readiness.clone(),
        ledger: ledger.clone(),
        metrics: metrics.clone(),
        watches: watches.count(),
    };
    info!(version = env!("CARGO_PKG_VERSION"), ?watch, %listen, "started");

    let sinks =
        Sinks { queue: queue.clone(), ledger: ledger.clone(), readiness: readiness.clone(), metrics: metrics.clone() };
    let context = Arc::new(Context {
        rooms: World::new(api.clone(), settings, registries, queue.clone()),
        mind: Mind { decide: plan::decide, check: plan::invariants::check, now: Timestamp::now },
        ledger,
        metrics,
        queue: queue.clone(),
        watches,
        events,
        stop: stop.clone(),
    });

    let work = work(&watch, &api, watching, sinks, context.clone());
    let pages = tokio::spawn({
        let stop = stop.clone();
        health.serve(listener, async move { stop.told().await })
    });
    let mut work = std::pin::pin!(work);
    let ended = tokio::select! {
        () = signalled => None,
        part = &mut work => Some(part),
        _ = pages => Some(HEALTH),
    };
    info!(why = ended.unwrap_or("it was told to"), "stopping");
    stopper.tell();
    // What has ended must not be waited for again.
    if ended.is_none_or(|part| part == HEALTH) && tokio::time::timeout(STOP_MAX, work).await.is_err() {
        warn!("a write was not answered in time; the next start looks at what became of it");
    }
    drop(context);
    writer.flush().await;
    info!("stopped");
    ended.map_or(Ok(()), |part| Err(Failure::Ended(part)))
}

const HEALTH: &str = "the health server";

/// Waits for the definitions, then watches and reconciles until the operator is to stop. Returns the part that ended.
async fn work(
    watch: &Watch,
    api: &Client,
    watching: Client,
    sinks: Sinks,
    context: Arc<Context<World>>,
) -> &'static str {
    let stop = context.stop.clone();
    definitions::installed(api, &sinks.readiness, &stop).await;
    if stop.is_told() {
        return "the wait for the definitions";
    }
    let forget = context.clone();
    let (changed, store) = standing::hotfixes(watching.clone(), watch, sinks.clone(), move |key| forget.gone(key));
    let queue = context.queue.clone();
    let mut results = Controller::for_stream(changed, store)
        .with_config(ControllerConfig::default().concurrency(AT_ONCE))
        .reconcile_on(queue.stream().map(|key| standing::reference(&key)))
        .graceful_shutdown_on(async move { stop.told().await })
        .run(|hotfix, context| reconcile(hotfix.id(), context), |_, never, _| match *never {}, context.clone())
        .boxed();
    let controller = async {
        while let Some(result) = results.next().await {
            note(&context, result);
        }
    };
    tokio::select! {
        // The controller is asked first: when it is told to stop it finishes what runs, and the others have no end.
        biased;
        () = controller => "the controller",
        () = standing::policies(watching.clone(), sinks.clone()) => "the watch of policies",
        () = standing::checks(watching, sinks) => "the watch of checks",
    }
}

/// What the queue says beside the looks themselves.
fn note<E, Q>(context: &Context<World>, result: Result<(ObjectRef<Hotfix>, Requeue), runtime::Error<E, Q>>)
where
    E: std::error::Error,
    Q: std::error::Error,
{
    match result {
        Ok(_) => {}
        // It was due, or triggered, and does not exist any more.
        Err(runtime::Error::ObjectNotFound(gone)) => {
            context.gone(&Key { namespace: gone.namespace.unwrap_or_default(), name: gone.name });
        }
        Err(error) => warn!(%error, "the queue"),
    }
}
