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
use kube::runtime::reflector::{ObjectRef, Store};
use thiserror::Error;
use tokio::net::TcpListener;
use tracing::{error, info, warn};

use super::args::{Config, Watch};
use super::definitions;
use super::election::Election;
use super::events::Events;
use super::health::{Health, Readiness};
use super::ledger::{Key, Ledger};
use super::metrics::Metrics;
use super::permit::Permit;
use super::queue::Queue;
use super::reconcile::{Context, reconcile};
use super::rooms::World;
use super::standing::{self, Hotfix, Sinks};
use super::stop;
use super::sweep::sweeps;
use super::turn::Mind;
use super::watches::Watches;
use crate::cluster::lease::{Leadership, Lost, identity};
use crate::cluster::{self, ClientError};
use crate::plan;

/// How many hotfixes are looked at at the same time. A look is some twenty reads, and a rollback must not queue behind
/// others; the API server gives all its clients a few hundred calls at a time.
const AT_ONCE: u16 = 32;

/// How long running looks may take to finish their write after the operator was told to stop; a write takes at most
/// ten seconds, and Kubernetes kills after thirty.
const STOP_MAX: Duration = Duration::from_secs(12);

/// How long giving up the lead may take, after everything else has stopped; a call of it takes a second at most.
pub(super) const LEAVE_MAX: Duration = Duration::from_secs(3);

/// How long the hotfixes that rest leave the others alone when a process begins to lead. Those under way are looked at at
/// once, and a look takes a fraction of a second.
const OTHERS_LATER: Duration = Duration::from_secs(1);

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
    /// Another process may lead by now.
    #[error("the lead is lost: {0}; another replica takes over, and this process is to be started again")]
    Lost(Lost),
    /// A part that must never end has ended.
    #[error("{0} ended, so the operator cannot work any more; it is to be started again")]
    Ended(&'static str),
}

/// Runs the operator until it is told to stop by SIGTERM or SIGINT, or a part of it fails.
pub async fn run(config: Config) -> Result<(), Failure> {
    let Config { watch, settings, registries, lease, listen } = config;
    let signalled = stop::signalled().map_err(Failure::Signals)?;
    let (stopper, stop) = stop::pair();
    let api = cluster::api_client().await?;
    let watching = cluster::watch_client().await?;
    let listener = TcpListener::bind(listen).await.map_err(|error| Failure::Listen(listen, error))?;
    let metrics = Arc::new(Metrics::default());
    let ledger = Arc::new(Ledger::new(Instant::now()));
    let readiness = Arc::new(Readiness::default());
    standing::expected(&readiness);
    definitions::expected(&readiness);
    let queue = Queue::new(ledger.clone());
    let watches = Watches::new(watching.clone(), settings.checks_namespace.clone(), queue.clone(), metrics.clone());
    let pod = std::env::var("POD_NAME").ok();
    let (events, writer) = Events::start(api.clone(), pod.clone(), metrics.clone());
    let identity = identity(pod.as_deref().unwrap_or("hotfix-operator"));
    let election = Election::begin(lease, identity, (api.clone(), watching.clone()), readiness.clone());
    let health = Health {
        readiness: readiness.clone(),
        ledger: ledger.clone(),
        metrics: metrics.clone(),
        lead: election.lead.clone(),
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
        permit: Permit::new(stop.clone(), election.lead.clone()),
    });

    let work = work(&watch, &api, watching, sinks, context.clone());
    let pages = tokio::spawn({
        let stop = stop.clone();
        health.serve(listener, async move { stop.told().await })
    });
    let mut work = std::pin::pin!(work);
    let mut election = election;
    let ended = tokio::select! {
        () = signalled => Ok(()),
        part = &mut work => Err(Failure::Ended(part)),
        _ = pages => Err(Failure::Ended(HEALTH)),
        failure = election.lost() => Err(failure),
    };
    match &ended {
        Ok(()) => info!("stopping, as it was told to"),
        Err(failure) => error!(%failure, "stopping"),
    }
    stopper.tell();
    match &ended {
        // What has ended must not be waited for again.
        Err(Failure::Ended(part)) if *part != HEALTH => {}
        // Somebody else may act on what is under way here, the sooner this ends the better.
        Err(Failure::Lost(_)) => return ended,
        _ => {
            let drained = tokio::time::timeout(STOP_MAX, work).await.is_ok();
            if !drained {
                warn!("a write was not answered in time; the next leader looks at what became of it");
            }
            // A write that may still be made is given the time of the lease to come to its end.
            election.leave(drained).await;
        }
    }
    drop(context);
    writer.flush().await;
    info!("stopped");
    ended
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
    let stop = context.permit.stop().clone();
    definitions::installed(api, &sinks.readiness, &stop).await;
    if stop.is_told() {
        return "the wait for the definitions";
    }
    let forget = context.clone();
    let (changed, store) = standing::hotfixes(watching.clone(), watch, sinks.clone(), move |key| forget.gone(key));
    let queue = context.queue.clone();
    let takes_up = takes_up(context.permit.lead().clone(), store.clone(), queue.clone());
    let sweeps = sweeps(watch, store.clone(), &context);
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
        () = takes_up => "the taking up of the work",
        () = sweeps => "the sweep of check Jobs",
    }
}

/// Has everything looked at when this process begins to lead, those under way first. Without an end.
async fn takes_up(lead: Leadership, store: Store<Hotfix>, queue: Queue) {
    lead.gained().await;
    let (active, others) = standing::known(&store);
    info!(active = active.len(), others = others.len(), "takes up the work");
    queue.trigger_all(&active);
    tokio::time::sleep(OTHERS_LATER).await;
    queue.trigger_all(&others);
    std::future::pending::<()>().await;
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
