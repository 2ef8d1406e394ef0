//! Watches: what comes through of a stream of events.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Answer, Call, Cut, Shared};
use crate::faults::fault::{self, Fault};
use crate::faults::plan::{ALL_WATCHES, Plan};
use crate::faults::world::text;

/// How often the streams of one plan are cut: often enough that several events are not told, seldom enough that the run ends.
const CUTS_MAX: usize = 6;

/// How long events are gathered before the last of each object is told.
const GATHER: Duration = Duration::from_millis(700);

type Sink = mpsc::Sender<Result<Frame<Bytes>, Cut>>;

impl Shared {
    /// Opens a watch, and lets through what the plan lets through.
    pub(super) async fn watch(self: &Arc<Self>, name: &str, place: usize, call: &Call) -> Result<Answer, Cut> {
        let answer = self.ask(call).await?;
        self.state().ledger.answered(place, answer.status().as_u16());
        let meets = |plan: &Plan| plan.fault.is_of_watches() && (plan.call == name || plan.call == ALL_WATCHES);
        let met = self.script.plans.iter().enumerate().find(|(_, plan)| meets(plan));
        let met = met.map(|(at, plan)| (at, plan.fault));
        let (head, body) = answer.into_parts();
        let (sink, mut source) = mpsc::channel(64);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let lines = lines(body.into_data_stream().map(Result::ok));
            tokio::select! {
                () = shared.pump(place, met, lines, &sink) => {}
                // Nobody listens any more.
                () = sink.closed() => {}
            }
        });
        let stream = futures::stream::poll_fn(move |context| source.poll_recv(context));
        let mut reply = Response::new(StreamBody::new(stream).boxed_unsync());
        *reply.status_mut() = head.status;
        if let Some(kind) = head.headers.get(hyper::header::CONTENT_TYPE) {
            reply.headers_mut().insert(hyper::header::CONTENT_TYPE, kind.clone());
        }
        Ok(reply)
    }

    /// Lets a stream through as the plan that it meets, told by its place among the plans, says.
    async fn pump(&self, place: usize, met: Option<(usize, Fault)>, lines: impl Stream<Item = Bytes>, sink: &Sink) {
        let (plan, fault) = met.unzip();
        let plan = plan.unwrap_or_default();
        let mut lines = pin!(lines);
        let mut told_any = false;
        loop {
            let next = match fault {
                Some(Fault::WatchCoalesced) => self.gathered(plan, &mut lines).await,
                _ => lines.next().await.map(|line| vec![line]),
            };
            if fault == Some(Fault::WatchFrozen) && self.has_begun() {
                // Neither an event nor the end of the stream comes through.
                self.state().ledger.interfered(plan);
                std::future::pending::<()>().await;
            }
            let Some(told) = next else { return };
            for line in told {
                if !told_any && self.is_news(&line) {
                    told_any = true;
                    self.state().ledger.changed(place);
                }
                match fault {
                    Some(Fault::WatchDropped) if self.may_cut(plan, &line) => {
                        let _ = sink.send(Err(Cut)).await;
                        return;
                    }
                    Some(Fault::WatchGone) if self.may_cut(plan, &line) => {
                        let _ = sink.send(Ok(Frame::data(gone()))).await;
                        return;
                    }
                    Some(Fault::WatchDuplicated) => {
                        self.state().ledger.interfered(plan);
                        let _ = sink.send(Ok(Frame::data(line.clone()))).await;
                    }
                    _ => {}
                }
                if sink.send(Ok(Frame::data(line))).await.is_err() {
                    return;
                }
            }
        }
    }

    /// From the first record of an attempt on: before it there is nothing under way, and nobody need look.
    fn has_begun(&self) -> bool {
        self.state().ledger.committed("record begun") > 0
    }

    /// Something changed, while a hotfix was under way.
    fn is_news(&self, line: &Bytes) -> bool {
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        text(&event, "/type") != "BOOKMARK" && self.has_begun()
    }

    fn may_cut(&self, plan: usize, line: &Bytes) -> bool {
        let news = self.is_news(line);
        let mut state = self.state();
        let cuts = state.cuts.get(&plan).copied().unwrap_or(0);
        let cut = cuts < CUTS_MAX && news;
        if cut {
            state.cuts.insert(plan, cuts + 1);
            state.ledger.interfered(plan);
        }
        cut
    }

    /// What comes within a while, of each object only the last.
    async fn gathered(&self, plan: usize, lines: &mut (impl Stream<Item = Bytes> + Unpin)) -> Option<Vec<Bytes>> {
        let mut told: Vec<(String, Bytes)> = Vec::new();
        let first = lines.next().await?;
        told.push((uid(&first), first));
        let end = tokio::time::Instant::now() + GATHER;
        while let Ok(Some(line)) = tokio::time::timeout_at(end, lines.next()).await {
            let uid = uid(&line);
            told.retain(|(known, _)| *known != uid);
            told.push((uid, line));
        }
        self.state().ledger.interfered(plan);
        Some(told.into_iter().map(|(_, line)| line).collect())
    }
}

fn uid(line: &Bytes) -> String {
    let event: Value = serde_json::from_slice(line).unwrap_or_default();
    text(&event, "/object/metadata/uid").to_owned()
}

fn gone() -> Bytes {
    let mut status = fault::status(410);
    status["reason"] = "Expired".into();
    status["message"] = "too old resource version".into();
    format!("{}\n", serde_json::json!({"type": "ERROR", "object": status})).into()
}

/// The lines of a body, each with its end; what is left when it ends is left out, as a reader would.
fn lines(chunks: impl Stream<Item = Option<Bytes>>) -> impl Stream<Item = Bytes> {
    let state = (Box::pin(chunks), Vec::<u8>::new());
    futures::stream::unfold(state, |(mut chunks, mut rest)| async move {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                return Some((Bytes::from(line), (chunks, rest)));
            }
            match chunks.next().await {
                Some(Some(chunk)) => rest.extend_from_slice(&chunk),
                Some(None) | None => return None,
            }
        }
    })
}
