//! What is known of one request, and how it is written down.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::http::FailureKind;

/// An instant: microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// The present, by the system's clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The time since an earlier instant; zero if it is a later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Micros {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A clock that starts at the system's time and from then on only goes forward.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    epoch: Micros,
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { epoch: Micros::now(), start: Instant::now() }
    }

    pub(super) fn now(&self) -> Micros {
        let elapsed = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Micros(self.epoch.0.saturating_add(elapsed))
    }
}

/// What connection a request went out on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Opened {
    /// A client that opens a connection for each request.
    New,
    /// The first connection of a client that keeps its own.
    First,
    /// The kept connection.
    Kept,
    /// A new one, since the old one had ended: announced by the server, or closed while idle.
    Reopened,
    /// A new one for a request that found the kept connection closed just before its first byte was written.
    Retried,
}

impl Opened {
    /// Whether the client is one that opens a connection for each request.
    pub fn by_new_client(self) -> bool {
        self == Self::New
    }

    /// Whether the cluster chose an endpoint for this very request, between the moments it was asked for and its
    /// connection stood. Of a retried one that choice came later.
    pub fn is_fresh(self) -> bool {
        matches!(self, Self::New | Self::First | Self::Reopened)
    }

    /// Whether a kept connection had to be replaced.
    pub fn is_reconnect(self) -> bool {
        matches!(self, Self::Reopened | Self::Retried)
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The application answered in full.
    Answered {
        /// Its version.
        version: String,
        /// The pod.
        pod: String,
    },
    /// It did not.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// What was seen, cut to a line.
        seen: String,
        /// The version that answered last on the same connection, if one did.
        on: Option<String>,
    },
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The client's number.
    pub client: u16,
    /// What it went out on.
    pub opened: Opened,
    /// When it was begun: before connecting, or before writing on a kept connection.
    pub sent: Micros,
    /// When its connection stood; for a kept one, when it was sent.
    pub connected: Micros,
    /// When the answer was complete, or the failure known.
    pub received: Micros,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// One line of the generator's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// The clients are about to start.
    Started {
        /// When.
        at: Micros,
        /// How many clients.
        clients: u16,
    },
    /// What came to its end since the last line.
    Samples(Vec<Sample>),
    /// No client asks any more; this many samples were written in all.
    Finished {
        /// When.
        at: Micros,
        /// How many samples.
        samples: u64,
    },
}
