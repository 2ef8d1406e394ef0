//! A proxy between one operator process and the API server: it names and records every call, and lets some of them go wrong.
//!
//! It carries bytes and decides nothing by itself: which call meets which fault is the plan's, what happens after a write is the
//! scenario's, and what a mutant does to a call is the mutant's. Rights are the operator's own, since its token is passed on.

mod call;
mod ledger;
mod stream;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub use call::Call;
pub use ledger::{Entry, Ledger, NOT_MADE};

use super::fault::{self, Fault};
use super::mutant::{Mutant, Rewritten};
use super::name::{Asked, Class, Namer};
use super::operator::Operators;
use super::plan::Plan;
use super::replies;
use super::scenario::Move;
use crate::rights;

/// The longest request: the API server takes no longer one either.
const MAX_REQUEST: usize = 3 << 20;

/// How long no answer comes when none is to come: a little longer than the operator waits.
const SILENCE: Duration = Duration::from_secs(11);

/// How long the API server may take to refuse a log, or to find that there is none.
const LOG: Duration = Duration::from_secs(3);
/// A log comes so late when it comes late: a little longer than the operator waits for one.
const LATE: Duration = Duration::from_secs(13);

/// How long a right is missing: the operator has been refused several times by then, and people have been told.
const FORBIDDEN: Duration = Duration::from_secs(3);

/// How much longer a delayed read takes.
const DELAY: Duration = Duration::from_secs(2);

/// An answer's body.
type Answer = Response<UnsyncBoxBody<Bytes, Cut>>;

/// The connection is to end without an answer, or in the middle of one.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
pub struct Cut;

/// Lets happen what happens beside the operator.
pub type Mover = Box<dyn Fn(Move) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Lets something happen before a call goes on to the API server; the number is its place among the calls.
pub type Before = Box<dyn Fn(Asked<'_>, usize) -> BoxFuture<'static, ()> + Send + Sync>;

/// Lets something happen after the first write of a name is made, before the operator hears of it.
pub type After = Box<dyn Fn(&str) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What else is done with calls, for suites that have stories of their own.
#[derive(Default)]
pub struct Hooks {
    /// Before each call.
    pub before: Option<Before>,
    /// After the first write of each name.
    pub after: Option<After>,
}

/// What a proxy is to do.
pub struct Script {
    /// The calls that go wrong, and how; none for a run without a fault.
    pub plans: Vec<Plan>,
    /// What happens after which write.
    pub moves: &'static [(&'static str, Move)],
    /// Candidates in which the scanner sees the advisory.
    pub vulnerable: &'static [&'static str],
    /// What each write meets when it comes for the first time, one fault after the other; nothing where there is none.
    pub storm: Storm,
    /// Whether pods really run, so that checks print by themselves.
    pub real_pods: bool,
    /// What is wrong with the operator, as the API server sees it.
    pub mutant: Option<Mutant>,
    /// How a move is made.
    pub mover: Mover,
    /// What else is done with calls.
    pub hooks: Hooks,
}

impl Default for Script {
    /// Nothing goes wrong, and nothing happens beside.
    fn default() -> Self {
        Self {
            plans: Vec::new(),
            moves: &[],
            vulnerable: &[],
            storm: Storm::default(),
            real_pods: false,
            mutant: None,
            mover: Box::new(|_| Box::pin(async { Ok(()) })),
            hooks: Hooks::default(),
        }
    }
}

/// Faults that go round: the first write meets the one in place `from`, the next write the next one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Storm {
    /// The faults, of single writes.
    pub faults: &'static [Fault],
    /// Where in them it begins.
    pub from: usize,
}

impl Storm {
    /// What the write in this place among those that came for the first time meets.
    fn at(&self, place: usize) -> Option<Fault> {
        self.faults.iter().cycle().nth((self.from + place) % self.faults.len().max(1)).copied()
    }
}

/// A proxy at work; it ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    upstream: Client,
    operators: Arc<Operators>,
    script: Script,
    state: Mutex<State>,
    /// Turns true when a held write may go on.
    released: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    namer: Namer,
    ledger: Ledger,
    holding: bool,
    /// How often streams were cut, for each plan.
    cuts: HashMap<usize, usize>,
    /// What may not be done, until when.
    forbidden: Option<(String, Instant)>,
    /// What each list held when it was answered last.
    lists: HashMap<String, Bytes>,
    troubles: Vec<String>,
    lost: Vec<String>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Listens on a port of this machine. `upstream` has no credentials of its own.
    pub async fn start(upstream: Client, operators: Arc<Operators>, script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (released, _) = watch::channel(false);
        let shared = Arc::new(Shared { upstream, operators, script, state: Mutex::default(), released });
        let serving = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // What is cut is reset, as by a peer that has lost its memory of the connection.
                let _ = stream.set_zero_linger();
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| handle(Arc::clone(&shared), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, shared, server: server.abort_handle() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks at the calls up to now.
    pub fn ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.state().ledger)
    }

    /// Whether a write is being held.
    pub fn is_holding(&self) -> bool {
        self.shared.state().holding
    }

    /// Lets a held write go on, and waits until it is answered.
    pub async fn release(&self) {
        self.shared.released.send_replace(true);
        while self.is_holding() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether the API server gave no answer to a call: what became of it is not known, and no plan is about it.
    pub fn has_lost(&self) -> bool {
        !self.shared.state().lost.is_empty()
    }

    /// What went wrong in the proxy itself, and what was lost.
    pub fn troubles(&self) -> Vec<String> {
        let state = self.shared.state();
        [&*state.troubles, &*state.lost].concat()
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST).collect().await.map_err(|_| Cut)?.to_bytes();
    let json = serde_json::from_slice(&body).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let path = head.uri.path().to_owned();
    let call = Call { method: head.method, path, query, headers: head.headers, body, json };
    // In a task of its own: a write goes on when whoever asked for it is dead.
    tokio::spawn(async move { shared.answer(call).await }).await.unwrap_or(Err(Cut))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: Arc<Self>, mut call: Call) -> Result<Answer, Cut> {
        let (name, place, met) = {
            let mut state = self.state();
            state.namer.ordered(call.asked());
            let name = state.namer.name(call.asked());
            let (place, mut met) = state.ledger.arrive(name.clone(), &self.script.plans);
            if let Some(storm) = state.ledger.is_new(place).and_then(|nth| self.script.storm.at(nth)) {
                met = met.or(Some(storm));
            }
            if met == Some(Fault::Forbidden) {
                state.forbidden = Some((name.text.clone(), Instant::now() + FORBIDDEN));
            }
            if state.forbidden.as_ref().is_some_and(|(what, until)| *what == name.text && Instant::now() < *until) {
                met = Some(Fault::Forbidden);
            }
            (name, place, met)
        };
        if let Some(before) = &self.script.hooks.before {
            before(call.asked(), place).await;
        }
        if name.class == Class::Watch {
            return self.watch(&name.text, place, &call).await;
        }
        if let Some(mutant) = self.script.mutant {
            match mutant.rewrite(&name.text, &mut call) {
                Rewritten::As(more) => {
                    for extra in more {
                        // What the mutant does beside has no name: its effect is what is to be noticed.
                        let _ = self.send(&extra).await;
                    }
                }
                Rewritten::Swallowed => return Ok(reply(StatusCode::OK, self.read(&call).await.into())),
            }
        }
        match met {
            None => self.pass(place, &name.class, &call).await,
            Some(Fault::Forbidden) => Ok(unauthorized(&call)),
            Some(Fault::ListStale) => {
                let before = self.state().lists.get(&call.question()).cloned();
                match before {
                    Some(before) => Ok(reply(StatusCode::OK, before)),
                    None => self.pass(place, &name.class, &call).await,
                }
            }
            Some(fault @ (Fault::LogLate | Fault::LogTwice | Fault::LogCut | Fault::LogGarbled)) => {
                if fault == Fault::LogLate {
                    tokio::time::sleep(LATE).await;
                }
                self.printed(&call, Some(fault)).map_or_else(|| Ok(refusal(500)), Ok)
            }
            Some(Fault::KillBefore) => {
                self.operators.crash().await;
                Err(Cut)
            }
            Some(Fault::KillAfter) => {
                let _ = self.pass(place, &name.class, &call).await;
                self.operators.crash().await;
                Err(Cut)
            }
            Some(Fault::LostReply) => {
                let _ = self.pass(place, &name.class, &call).await;
                Err(Cut)
            }
            Some(Fault::TimeOut) => {
                tokio::time::sleep(SILENCE).await;
                Err(Cut)
            }
            Some(Fault::Held) => {
                self.state().holding = true;
                let mut released = self.released.subscribe();
                self.operators.crash().await;
                let _ = released.wait_for(|released| *released).await;
                let _ = self.pass(place, &name.class, &call).await;
                self.state().holding = false;
                Err(Cut)
            }
            Some(Fault::Answer(code)) => Ok(refusal(code)),
            Some(Fault::ReadFails) => Ok(refusal(500)),
            Some(Fault::Handover) => {
                let reply = self.pass(place, &name.class, &call).await;
                let shared = Arc::clone(&self);
                tokio::spawn(async move { shared.operators.hand_over().await });
                reply
            }
            Some(Fault::ReadDelayed) => {
                tokio::time::sleep(DELAY).await;
                self.pass(place, &name.class, &call).await
            }
            // Those of watches meet no single call.
            Some(_) => Err(Cut),
        }
    }

    /// Asks the API server, and lets happen what happens after it.
    async fn pass(&self, place: usize, class: &Class, call: &Call) -> Result<Answer, Cut> {
        if *class == Class::Log
            && !self.script.real_pods
            && let Some(printed) = self.printed(call, None)
        {
            // A simulated node has no logs, but whether they may be read the API server says.
            if self.script.hooks.before.is_some()
                && let Ok(Ok((StatusCode::FORBIDDEN, body))) = tokio::time::timeout(LOG, self.send(call)).await
            {
                self.state().ledger.answered(place, StatusCode::FORBIDDEN.as_u16());
                return Ok(reply(StatusCode::FORBIDDEN, body));
            }
            return Ok(printed);
        }
        let (status, body) = self.send(call).await?;
        // Of rehearsals, which write nothing, no answer is remembered: each is about another object.
        if *class == Class::Read && call.method == Method::GET && status.is_success() {
            self.remember(place, call, &body);
        }
        // The only answers that later names depend on; to read the others would take as long as all else here.
        let telling = status.is_success() && call.path.contains("/securityhotfixes/");
        let json: Value = if telling { serde_json::from_slice(&body).unwrap_or_default() } else { Value::Null };
        let first = {
            let mut state = self.state();
            if telling {
                state.namer.learn(call.asked(), &json);
            }
            state.ledger.answered(place, status.as_u16())
        };
        let moves = self.script.moves.iter().filter(|(after, _)| first.as_deref() == Some(*after));
        for (after, happens) in moves {
            if let Err(why) = (self.script.mover)(*happens).await {
                self.state().troubles.push(format!("{happens:?} after {after}: {why}"));
            }
        }
        if let (Some(first), Some(after)) = (&first, &self.script.hooks.after)
            && let Err(why) = after(first).await
        {
            self.state().troubles.push(format!("after {first}: {why}"));
        }
        Ok(reply(status, body))
    }

    /// What a check has printed; `None` where no check is known of that name.
    fn printed(&self, call: &Call, fault: Option<Fault>) -> Option<Answer> {
        let pod = call.path.trim_end_matches("/log").rsplit('/').next().unwrap_or_default();
        let log = self.state().namer.job_of(pod).map(|job| replies::log(job, self.script.vulnerable))?;
        Some(reply(StatusCode::OK, replies::spoiled(log, fault).into()))
    }

    /// Remembers what a list held, and whether that is news.
    fn remember(&self, place: usize, call: &Call, body: &Bytes) {
        // What is before the items differs each time: the version.
        let items = |body: &Bytes| body.windows(8).position(|at| at == b"\"items\":").map(|from| body.slice(from..));
        let Some(now) = items(body) else { return };
        let mut state = self.state();
        let before = state.lists.insert(call.question(), body.clone());
        if before.is_some_and(|before| items(&before) != Some(now)) {
            state.ledger.changed(place);
        }
    }

    /// The object a call is about, as it is.
    async fn read(&self, call: &Call) -> Vec<u8> {
        let path = call.path.trim_end_matches("/status").to_owned();
        let mut get = call.aside(Method::GET, path, "application/json", Value::Null);
        get.query.clear();
        get.body = Bytes::new();
        self.send(&get).await.map(|(_, body)| body.to_vec()).unwrap_or_default()
    }

    async fn send(&self, call: &Call) -> Result<(StatusCode, Bytes), Cut> {
        let answer = self.ask(call).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| self.lost(&error))?;
        Ok((status, body.to_bytes()))
    }

    fn lost(&self, error: &dyn std::fmt::Display) -> Cut {
        self.state().lost.push(format!("the API server did not answer the suite: {error}"));
        Cut
    }

    async fn ask(&self, call: &Call) -> Result<Response<Body>, Cut> {
        let target = if call.query.is_empty() { call.path.clone() } else { format!("{}?{}", call.path, call.query) };
        let mut request = Request::builder().method(call.method.clone()).uri(target);
        for name in [AUTHORIZATION, CONTENT_TYPE, ACCEPT, USER_AGENT] {
            if let Some(value) = call.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Body::from(call.body.to_vec())).map_err(|_| Cut)?;
        self.upstream.send(request).await.map_err(|error| self.lost(&error))
    }
}

fn reply(status: StatusCode, body: Bytes) -> Answer {
    let mut reply = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn refusal(code: u16) -> Answer {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = reply(status, fault::status(code).to_string().into());
    if code == 429 {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    reply
}

/// What the API server answers to who lacks the right: in its words, since admission answers with 403 too.
fn unauthorized(call: &Call) -> Answer {
    let mut status = fault::status(403);
    if let Some(told) = rights::refusal(call.method.as_str(), &call.path, &call.query) {
        status["message"] = told.into();
    }
    reply(StatusCode::FORBIDDEN, status.to_string().into())
}

#[cfg(test)]
#[path = "../proxy_tests.rs"]
mod tests;
