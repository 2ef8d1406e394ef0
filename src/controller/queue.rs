//! The hotfixes that should be looked at, each at most once at a time.
//!
//! It holds names and no reasons: whoever looks reads everything anew. Its size is bounded by the number of hotfixes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::Stream;
use tokio::sync::Notify;

use super::ledger::{Key, Ledger};

/// Where triggers come in.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<BTreeSet<Key>>,
    filled: Notify,
}

impl Queue {
    /// An empty queue that tells `ledger` what is due.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { shared: Arc::default(), ledger }
    }

    /// This hotfix should be looked at. Never waits.
    pub fn trigger(&self, key: &Key) {
        self.ledger.triggered(key, Instant::now());
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        self.shared.filled.notify_one();
    }

    /// These hotfixes should be looked at.
    pub fn trigger_all(&self, keys: &[Key]) {
        for key in keys {
            self.trigger(key);
        }
    }

    /// The hotfixes, as they come; for one reader.
    pub fn stream(&self) -> impl Stream<Item = Key> + Send + use<> {
        futures::stream::unfold(self.shared.clone(), |shared| async move {
            loop {
                let next = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
                match next {
                    Some(key) => return Some((key, shared)),
                    None => shared.filled.notified().await,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_hotfix_triggered_many_times_is_looked_at_once() {
        let queue = Queue::new(Arc::new(Ledger::new(Instant::now())));
        let key = |name: &str| Key { namespace: "shop".into(), name: name.into() };
        for name in ["web", "api", "web", "web"] {
            queue.trigger(&key(name));
        }
        let mut stream = Box::pin(queue.stream());
        assert_eq!(stream.next().await, Some(key("api")));
        assert_eq!(stream.next().await, Some(key("web")));
        assert!(futures::poll!(stream.next()).is_pending());
        queue.trigger(&key("web"));
        assert_eq!(stream.next().await, Some(key("web")));
    }
}
