//! The clients.
//!
//! Each is one task with at most one request under way, so that a slow server lowers the rate and never piles up
//! requests; the tasks are started evenly over one period, so that requests are spread in time.

use std::{net::SocketAddr, pin::pin, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use super::sample::{Clock, Line, Micros, Opened, Outcome, Sample};
use crate::http::{Connection, Failure, FailureKind, GetError, Keep, Reply};

/// After this time a request has failed.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// More clients than this are not a test of a cut-over but of the machine.
const MAX_CLIENTS: u16 = 256;
/// The most requests of one run: a ledger of as many takes about 200 MB.
const MAX_REQUESTS: u64 = 1_000_000;
/// The longest text of a failure.
const MAX_SEEN: usize = 200;
/// How often finished requests are written down; the latency of a snapshot.
const FLUSH: Duration = Duration::from_millis(20);

/// Who asks what, how often and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The Host header.
    pub host: String,
    /// The path.
    pub path: String,
    /// Clients that open a connection for each request.
    pub new_clients: u16,
    /// Clients that keep their connection.
    pub keep_alive_clients: u16,
    /// Requests per second, of all clients together.
    pub rate: u32,
    /// When they stop by themselves.
    pub duration: Duration,
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No client, or too many.
    #[error("{0} clients: there must be 1 to {MAX_CLIENTS}")]
    Clients(u32),
    /// No request, or too many.
    #[error("{0} requests in all: there must be 1 to {MAX_REQUESTS}; lower the rate or the duration")]
    Requests(u64),
}

impl Plan {
    fn clients(&self) -> Result<u16, PlanError> {
        let clients = u32::from(self.new_clients) + u32::from(self.keep_alive_clients);
        let requests = u64::from(self.rate).saturating_mul(self.duration.as_secs().max(1));
        if !(1..=MAX_REQUESTS).contains(&requests) {
            return Err(PlanError::Requests(requests));
        }
        let bounded = u16::try_from(clients).ok().filter(|clients| (1..=MAX_CLIENTS).contains(clients));
        bounded.ok_or(PlanError::Clients(clients))
    }
}

/// Carries out the plan until its duration has passed or `stop` comes, and hands each line to `write`. Requests under
/// way are waited for.
///
/// # Errors
/// When the plan is out of bounds, or `write` fails.
pub async fn run<E: From<PlanError>>(
    plan: Plan,
    stop: impl Future<Output = ()>,
    mut write: impl FnMut(Line) -> Result<(), E>,
) -> Result<(), E> {
    let clients = plan.clients()?;
    let clock = Clock::start();
    let period = Duration::from_secs(1) * u32::from(clients) / plan.rate;
    let (samples, mut finished) = mpsc::channel(usize::from(clients) * 64);
    write(Line::Started { at: clock.now(), clients })?;

    let start = time::Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let first = start + period * u32::from(number) / u32::from(clients);
        let client = Client::new(number, &plan, clock);
        tasks.spawn(client.ask(first, period, start + plan.duration, samples.clone()));
    }
    drop(samples);

    let mut stop = pin!(stop);
    let mut stopped = false;
    let mut count = 0;
    let mut flush = time::interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            sample = finished.recv() => match sample {
                Some(sample) => batch.push(sample),
                None => break,
            },
            _ = flush.tick(), if !batch.is_empty() => {
                count += batch.len() as u64;
                write(Line::Samples(std::mem::take(&mut batch)))?;
            }
            () = &mut stop, if !stopped => {
                stopped = true;
                // The clients finish what is under way and find nobody to hand the next to.
                finished.close();
            }
        }
    }
    if !batch.is_empty() {
        count += batch.len() as u64;
        write(Line::Samples(batch))?;
    }
    tasks.join_all().await;
    write(Line::Finished { at: clock.now(), samples: count })
}

/// A connection that a client keeps, and the version that answered on it last.
struct Kept {
    connection: Connection,
    version: Option<String>,
}

struct Client {
    number: u16,
    keeps: Keep,
    address: SocketAddr,
    host: String,
    path: String,
    clock: Clock,
    kept: Option<Kept>,
    began: Began,
}

/// Whether a client has had a connection before.
#[derive(PartialEq, Eq)]
enum Began {
    NotYet,
    Before,
}

/// A request as far as it has got.
struct Sent {
    opened: Opened,
    connected: Option<Micros>,
    on: Option<String>,
}

impl Client {
    fn new(number: u16, plan: &Plan, clock: Clock) -> Self {
        Self {
            number,
            keeps: if number < plan.new_clients { Keep::Close } else { Keep::Open },
            address: plan.address,
            host: plan.host.clone(),
            path: plan.path.clone(),
            clock,
            kept: None,
            began: Began::NotYet,
        }
    }

    /// Asks once per period until the end, or until nobody takes the samples any more.
    async fn ask(mut self, first: time::Instant, period: Duration, end: time::Instant, samples: mpsc::Sender<Sample>) {
        let mut ticks = time::interval_at(first, period);
        // After a slow answer the next request waits its full turn: the rate is a bound.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = samples.closed() => return,
            }
            // The place is taken before the request is made: what was asked is always written down.
            let Ok(place) = samples.reserve().await else { return };
            if time::Instant::now() >= end {
                return;
            }
            place.send(self.request().await);
        }
    }

    async fn request(&mut self) -> Sample {
        let sent = self.clock.now();
        let mut state = Sent { opened: self.next_opened(), connected: None, on: None };
        let outcome = match time::timeout(TIMEOUT, self.exchange(&mut state)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => failed(&failure, state.on),
            Err(_elapsed) => {
                failed(&Failure::new(FailureKind::Timeout, format_args!("no answer in {TIMEOUT:?}")), state.on)
            }
        };
        let received = self.clock.now();
        self.began = Began::Before;
        let connected = state.connected.unwrap_or(received);
        Sample { client: self.number, opened: state.opened, sent, connected, received, outcome }
    }

    fn next_opened(&self) -> Opened {
        match (self.keeps, &self.kept) {
            (Keep::Close, _) => Opened::New,
            (Keep::Open, None) if self.began == Began::NotYet => Opened::First,
            (Keep::Open, Some(kept)) if !kept.connection.is_closed() => Opened::Kept,
            (Keep::Open, _) => Opened::Reopened,
        }
    }

    async fn exchange(&mut self, state: &mut Sent) -> Result<Outcome, Failure> {
        // Taken out: a connection on which anything went wrong, a time-out included, is not used again.
        let kept = self.kept.take().filter(|_| state.opened == Opened::Kept);
        if let Some(mut kept) = kept {
            state.connected = Some(self.clock.now());
            state.on = kept.version.take();
            match kept.connection.get(&self.host, &self.path, self.keeps).await {
                Ok(reply) => return self.answered(&reply, kept.connection),
                Err(GetError::Failed(failure)) => return Err(failure),
                Err(GetError::NotSent) => {
                    *state = Sent { opened: Opened::Retried, connected: None, on: None };
                }
            }
        }
        let mut connection = Connection::open(self.address).await?;
        state.connected = Some(self.clock.now());
        match connection.get(&self.host, &self.path, self.keeps).await {
            Ok(reply) => self.answered(&reply, connection),
            Err(GetError::Failed(failure)) => Err(failure),
            // A connection just opened was not idle: its end is a failure.
            Err(GetError::NotSent) => Err(Failure::new(FailureKind::Closed, "closed as soon as it was open")),
        }
    }

    fn answered(&mut self, reply: &Reply, connection: Connection) -> Result<Outcome, Failure> {
        let text = reply.text();
        if !reply.status.is_success() {
            return Err(Failure::new(FailureKind::Status, format_args!("{}: {}", reply.status.as_u16(), text.trim())));
        }
        let words = text.strip_suffix('\n').and_then(|line| line.split_once(' '));
        let Some((version, pod)) = words.filter(|(version, pod)| is_word(version) && is_word(pod)) else {
            return Err(Failure::new(FailureKind::Garbled, format_args!("{text:?} is not the application's answer")));
        };
        if reply.keep == Keep::Open {
            self.kept = Some(Kept { connection, version: Some(version.to_owned()) });
        }
        Ok(Outcome::Answered { version: version.to_owned(), pod: pod.to_owned() })
    }
}

/// A version or a pod's name: not empty, no blanks, no longer than a name in Kubernetes.
fn is_word(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.chars().all(|character| character.is_ascii_graphic())
}

fn failed(failure: &Failure, on: Option<String>) -> Outcome {
    let seen = failure.seen.chars().take(MAX_SEEN).collect();
    Outcome::Failed { kind: failure.kind, seen, on }
}

#[cfg(test)]
mod tests;
