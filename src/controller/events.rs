//! Events for people: best effort, beside the loop.
//!
//! An event never delays a write and never fails a look: it is put into a queue of fixed size and written by a task of
//! its own. What does not fit, or is refused, is counted and forgotten; conditions carry what must not be lost.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Reporter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::metrics::{Counter, Metrics};
use super::recorders::Recorders;
use crate::api::conditions::shorten;
use crate::api::{GROUP, VERSION, names};
use crate::observe::HotfixId;
use crate::plan::{Note, Weight};

/// How many events may wait. A rollout has about a dozen: enough for twenty that come at once while the API server is
/// slow, and little enough memory to forget about.
const QUEUE_MAX: usize = 256;

/// The longest note the API takes, in bytes.
const NOTE_MAX: usize = 1024;

/// How long writing one event may take before it is given up: the next one waits for it.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// How long events may still be written after the operator was told to stop.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Whom an event is about.
#[derive(Clone, Debug)]
pub struct Regarding {
    /// Name of the hotfix.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID, by which `kubectl describe` finds its events.
    pub uid: String,
}

/// Where events are put.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<(ObjectReference, Event)>,
    metrics: Arc<Metrics>,
}

/// The task that writes them.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Regarding {
    /// This hotfix.
    pub fn of(id: &HotfixId) -> Self {
        Self { name: id.name.clone(), namespace: id.namespace.clone(), uid: id.uid.clone() }
    }
}

impl Events {
    /// Starts writing events with `client`, in the name of this `instance`.
    pub fn start(client: Client, instance: Option<String>, metrics: Arc<Metrics>) -> (Self, Writer) {
        let (queue, mut waiting) = mpsc::channel::<(ObjectReference, Event)>(QUEUE_MAX);
        // Kept for the process: only then are repetitions seen as such.
        let mut recorders = Recorders::new(client, Reporter { controller: names::MANAGER.to_owned(), instance });
        let counted = metrics.clone();
        let task = tokio::spawn(async move {
            let mut was_refused = false;
            while let Some((regarding, event)) = waiting.recv().await {
                let recorder = recorders.of(regarding.uid.as_deref().unwrap_or_default(), &event);
                let label = match tokio::time::timeout(WRITE_MAX, recorder.publish(&event, &regarding)).await {
                    Ok(Ok(())) => {
                        was_refused = false;
                        "written"
                    }
                    Ok(Err(error)) => {
                        // Once for each time it begins: whoever misses the events finds out here why there are none.
                        if std::mem::replace(&mut was_refused, true) {
                            debug!(%error, reason = event.reason, "an event was not written");
                        } else {
                            warn!(%error, reason = event.reason, "an event was not written; the conditions and the log tell the same");
                        }
                        "refused"
                    }
                    Err(_) => "late",
                };
                counted.count(Counter::Events, label);
            }
        });
        (Self { queue, metrics }, Writer(task))
    }

    /// Tells people something. Never waits.
    pub fn tell(&self, regarding: &Regarding, note: &Note) {
        if self.queue.try_send((reference(regarding), event(note))).is_err() {
            self.metrics.count(Counter::Events, "dropped");
        }
    }
}

impl Writer {
    /// Waits until everything told so far is written, or it has taken too long; to be called when every [`Events`] is
    /// dropped.
    pub async fn flush(self) {
        let _ = tokio::time::timeout(FLUSH_MAX, self.0).await;
    }
}

fn reference(regarding: &Regarding) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("SecurityHotfix".to_owned()),
        name: Some(regarding.name.clone()),
        namespace: Some(regarding.namespace.clone()),
        uid: Some(regarding.uid.clone()),
        ..ObjectReference::default()
    }
}

fn event(note: &Note) -> Event {
    Event {
        type_: match note.weight {
            Weight::Normal => EventType::Normal,
            Weight::Warning => EventType::Warning,
        },
        reason: note.reason.as_str(),
        note: Some(shorten(&note.text, NOTE_MAX)),
        action: note.action.to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn an_event_fits_the_api_whatever_was_to_be_said() {
        let note =
            Note { weight: Weight::Warning, reason: Reason::ScanFailed, action: "Scan", text: "ö".repeat(5000) };
        let event = event(&note);
        assert!(event.note.unwrap().len() <= NOTE_MAX);
        assert_eq!((event.reason.as_str(), event.action.as_str()), ("ScanFailed", "Scan"));
        assert_eq!(event.type_, EventType::Warning);
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_never_waits() {
        let metrics = Arc::new(Metrics::default());
        let (queue, _unread) = mpsc::channel(1);
        let events = Events { queue, metrics: metrics.clone() };
        let about = Regarding { name: "web".into(), namespace: "shop".into(), uid: "1".into() };
        let note = Note { weight: Weight::Normal, reason: Reason::Passed, action: "Scan", text: "passed".into() };
        for _ in 0..3 {
            events.tell(&about, &note);
        }
        let text = metrics.text(&super::super::metrics::Gauges::default());
        assert!(text.contains("hotfix_events_total{result=\"dropped\"} 2"), "{text}");
    }
}
