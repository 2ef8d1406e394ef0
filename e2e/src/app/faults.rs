//! The ways the application can be made to fail, and when each begins.
//!
//! A fault is scheduled through the environment (`FAULT=deep@8,unready@20`), so that it can be part of an image
//! and begin by itself after the instance took traffic, or raised by a request to `/_fault/<name>` of one
//! instance. This module keeps the books; the server and the routes act on them.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::OnceLock, time::Duration};

use tokio::sync::watch;

/// One way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process ends at once, with connections open, as if killed.
    Die,
    /// The process stays, but nothing listens any more and open connections are reset: dead without a restart.
    Deaf,
    /// Connections are accepted and never answered.
    Hang,
    /// `/` answers 500.
    Sick,
    /// `/deep`, the deep health check, answers 500; clients are still served.
    Deep,
    /// `/ready` answers 503; clients are still served.
    Unready,
}

impl Fault {
    const ALL: [Self; 6] = [Self::Die, Self::Deaf, Self::Hang, Self::Sick, Self::Deep, Self::Unready];

    const fn name(self) -> &'static str {
        match self {
            Self::Die => "die",
            Self::Deaf => "deaf",
            Self::Hang => "hang",
            Self::Sick => "sick",
            Self::Deep => "deep",
            Self::Unready => "unready",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a fault was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("there is no fault {0:?}; there are die, deaf, hang, sick, deep and unready")]
    Unknown(String),
    /// What follows the `@` is no number of seconds.
    #[error("{0:?} is not a number of seconds")]
    Delay(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(name: &str) -> Result<Self, FaultError> {
        let known = Self::ALL.into_iter().find(|fault| fault.name() == name);
        known.ok_or_else(|| FaultError::Unknown(name.to_owned()))
    }
}

/// When a scheduled fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onset {
    /// From the very start.
    AtStart,
    /// This long after the first request on `/`, that is, after the instance took traffic. Checks that run
    /// before it serves must therefore use another path.
    AfterTraffic(Duration),
}

/// A fault and when it begins: `unready` from the start, `deep@8` eight seconds after the first request on `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// What fails.
    pub fault: Fault,
    /// When.
    pub onset: Onset,
}

impl Scheduled {
    /// The fault begins this long after the instance took traffic.
    pub const fn after_traffic(fault: Fault, delay: Duration) -> Self {
        Self { fault, onset: Onset::AfterTraffic(delay) }
    }

    /// The instance never works in this respect.
    pub const fn at_start(fault: Fault) -> Self {
        Self { fault, onset: Onset::AtStart }
    }

    /// Reads a list as it stands in the environment, separated by commas; an empty one is no fault.
    pub fn list(text: &str) -> Result<Vec<Self>, FaultError> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.onset {
            Onset::AtStart => write!(f, "{}", self.fault),
            Onset::AfterTraffic(delay) => write!(f, "{}@{}", self.fault, delay.as_secs_f64()),
        }
    }
}

impl FromStr for Scheduled {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let Some((fault, delay)) = text.split_once('@') else {
            return Ok(Self::at_start(text.parse()?));
        };
        let seconds = delay.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let delay = seconds.ok_or_else(|| FaultError::Delay(delay.to_owned()))?;
        Ok(Self::after_traffic(fault.parse()?, delay))
    }
}

/// The faults of one instance that are active now.
#[derive(Debug)]
pub(super) struct Active {
    now: watch::Sender<BTreeSet<Fault>>,
    delayed: Vec<(Fault, Duration)>,
    traffic: OnceLock<()>,
}

impl Active {
    pub(super) fn new(schedule: &[Scheduled]) -> Self {
        let mut now = BTreeSet::new();
        let mut delayed = Vec::new();
        for scheduled in schedule {
            match scheduled.onset {
                Onset::AtStart => drop(now.insert(scheduled.fault)),
                Onset::AfterTraffic(delay) => delayed.push((scheduled.fault, delay)),
            }
        }
        Self { now: watch::Sender::new(now), delayed, traffic: OnceLock::new() }
    }

    /// The instance took a request on `/`: the first one starts the clocks of the delayed faults.
    pub(super) fn took_traffic(&self) {
        if self.traffic.set(()).is_err() {
            return;
        }
        for (fault, delay) in self.delayed.clone() {
            let now = self.now.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                now.send_if_modified(|active| active.insert(fault));
            });
        }
    }

    pub(super) fn raise(&self, fault: Fault) {
        self.now.send_if_modified(|active| active.insert(fault));
    }

    pub(super) fn clear(&self) {
        self.now.send_replace(BTreeSet::new());
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.now.borrow().contains(&fault)
    }

    /// Comes back once the fault is active.
    pub(super) async fn until(&self, fault: Fault) {
        self.wait(|active| active.contains(&fault)).await;
    }

    /// Comes back once the fault is not active.
    pub(super) async fn without(&self, fault: Fault) {
        self.wait(|active| !active.contains(&fault)).await;
    }

    async fn wait(&self, wanted: impl FnMut(&BTreeSet<Fault>) -> bool) {
        self.now.subscribe().wait_for(wanted).await.expect("the sender is borrowed for as long as we wait");
    }
}
