//! The account of all requests, and what is computed from it.

use std::{collections::BTreeMap, fmt, ops::Range, time::Duration};

use serde::Serialize;

use super::sample::{Micros, Outcome, Sample};

/// What one version has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// Answers to clients that open a connection for each request.
    pub new_connections: u64,
    /// Answers to clients that keep theirs.
    pub keep_alive: u64,
    /// The first answer on a connection of its own choosing (see [`Opened::is_fresh`](super::Opened::is_fresh)).
    pub first_fresh: Option<Micros>,
    /// The last such answer.
    pub last_fresh: Option<Micros>,
    /// The first answer of all.
    pub first: Micros,
    /// The last answer of all.
    pub last: Micros,
}

impl Served {
    /// All answers.
    pub fn answers(&self) -> u64 {
        self.new_connections + self.keep_alive
    }
}

/// The account up to a moment, in figures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// All requests that came to an end.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Kept connections that were replaced, with no request lost.
    pub reconnects: u64,
    /// Among them requests that were made again because the kept connection was closed just before.
    pub retried: u64,
    /// When the last of these requests ended.
    pub at: Micros,
    /// By version.
    pub versions: BTreeMap<String, Served>,
}

impl Snapshot {
    /// The answers of one version; none if it never answered.
    pub fn answers(&self, version: &str) -> u64 {
        self.versions.get(version).map_or(0, Served::answers)
    }

    /// Takes one more request into account.
    fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        self.reconnects += u64::from(sample.opened.is_reconnect());
        self.retried += u64::from(sample.opened == super::Opened::Retried);
        self.at = self.at.max(sample.received);
        let Outcome::Answered { version, .. } = &sample.outcome else {
            self.failed += 1;
            return;
        };
        if !self.versions.contains_key(version) {
            let served = Served { first: sample.received, ..Served::default() };
            self.versions.insert(version.clone(), served);
        }
        let Some(served) = self.versions.get_mut(version) else { return };
        if sample.opened.by_new_client() {
            served.new_connections += 1;
        } else {
            served.keep_alive += 1;
        }
        served.first = served.first.min(sample.received);
        served.last = served.last.max(sample.received);
        if sample.opened.is_fresh() {
            let first = served.first_fresh.get_or_insert(sample.received);
            *first = (*first).min(sample.received);
            served.last_fresh = served.last_fresh.max(Some(sample.received));
        }
    }
}

/// For how long both of two versions answered new connections.
///
/// The cluster chooses the endpoint of a connection at some moment between *sent* and *connected*, so the time is
/// known between two bounds: from the new version's first connection to the old version's last one, by the
/// stamps that make it shortest and longest. Both are zero when the old version's last connection stood before
/// the new version's first was asked for. The rate limits the resolution: nothing is known between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixed {
    /// It was this long, provably.
    pub at_least: Duration,
    /// It was not longer than this, as far as connections were made.
    pub at_most: Duration,
}

impl fmt::Display for Mixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [at_least, at_most] = [self.at_least, self.at_most].map(|time| format!("{:.3} s", time.as_secs_f64()));
        if at_least == at_most { f.write_str(&at_most) } else { write!(f, "{at_least} (at most {at_most})") }
    }
}

/// All requests of a run, in the order in which they came to an end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    samples: Vec<Sample>,
    total: Snapshot,
}

impl Ledger {
    /// Adds a request.
    pub fn push(&mut self, sample: Sample) {
        self.total.add(&sample);
        self.samples.push(sample);
    }

    /// All figures of the run.
    pub fn total(&self) -> &Snapshot {
        &self.total
    }

    /// Every request.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The account of the requests that came to an end in a span of time.
    #[must_use]
    pub fn during(&self, span: Range<Micros>) -> Self {
        let mut part = Self::default();
        for sample in self.samples.iter().filter(|sample| span.contains(&sample.received)) {
            part.push(sample.clone());
        }
        part
    }

    /// The account of the requests that came to an end at or after a moment.
    #[must_use]
    pub fn since(&self, moment: Micros) -> Self {
        self.during(moment..Micros(u64::MAX))
    }

    /// The requests that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| matches!(sample.outcome, Outcome::Failed { .. }))
    }

    /// When a version's last answer came, to whichever client; none if it never answered.
    pub fn last_answer(&self, version: &str) -> Option<Micros> {
        self.total.versions.get(version).map(|served| served.last)
    }

    /// When a version's first answer came, to whichever client.
    pub fn first_answer(&self, version: &str) -> Option<Micros> {
        self.total.versions.get(version).map(|served| served.first)
    }

    /// For how long both versions answered new connections when traffic moved from `old` to `new`; none if one of
    /// them never answered one. Where traffic moved more than once, ask this of a span with one move in it.
    pub fn mixed(&self, old: &str, new: &str) -> Option<Mixed> {
        let old = self.fresh(old);
        let last_old = old.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))?;
        let new = self.fresh(new);
        let first_new = new.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))?;
        Some(Mixed { at_least: last_old.0.since(first_new.1), at_most: last_old.1.since(first_new.0) })
    }

    /// When each new connection that a version answered was asked for, and when it stood.
    fn fresh(&self, wanted: &str) -> impl Iterator<Item = (Micros, Micros)> {
        let fresh = self.samples.iter().filter(|sample| sample.opened.is_fresh());
        fresh.filter_map(move |sample| match &sample.outcome {
            Outcome::Answered { version, .. } if version == wanted => Some((sample.sent, sample.connected)),
            _ => None,
        })
    }

    /// The failures in words, at most `limit` of them, for the message of an assertion.
    pub fn describe_failures(&self, limit: usize) -> String {
        let lines = self.failures().take(limit).map(|sample| {
            let Sample { client, opened, sent, received, outcome, .. } = sample;
            format!("{received} client {client} ({opened:?}), after {:?}: {outcome:?}", received.since(*sent))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http::FailureKind, load::Opened};

    /// A request of which every stamp is given in microseconds.
    fn request(version: &str, opened: Opened, sent: u64, connected: u64, received: u64) -> Sample {
        Sample {
            client: 0,
            opened,
            sent: Micros(sent),
            connected: Micros(connected),
            received: Micros(received),
            outcome: Outcome::Answered { version: version.to_owned(), pod: "web-1".to_owned() },
        }
    }

    fn failure(received: u64) -> Sample {
        let outcome = Outcome::Failed { kind: FailureKind::Reset, seen: String::new(), on: None };
        Sample { outcome, ..request("", Opened::New, 0, 0, received) }
    }

    fn ledger(samples: impl IntoIterator<Item = Sample>) -> Ledger {
        let mut ledger = Ledger::default();
        for sample in samples {
            ledger.push(sample);
        }
        ledger
    }

    fn between(at_least: u64, at_most: u64) -> Mixed {
        let [at_least, at_most] = [at_least, at_most].map(Duration::from_micros);
        Mixed { at_least, at_most }
    }

    #[test]
    fn a_clean_switch_mixes_nothing() {
        let ledger = ledger([request("v1", Opened::New, 10, 12, 20), request("v2", Opened::New, 13, 14, 22)]);
        assert_eq!(ledger.mixed("v1", "v2"), Some(between(0, 0)));
    }

    #[test]
    fn answers_that_overlap_but_were_routed_apart_mix_nothing() {
        // The old version's answer came late; its connection had been made before.
        let ledger = ledger([request("v2", Opened::New, 13, 14, 15), request("v1", Opened::New, 10, 12, 900)]);
        assert_eq!(ledger.mixed("v1", "v2"), Some(between(0, 0)));
    }

    #[test]
    fn connections_that_were_under_way_together_leave_a_doubt_between_two_bounds() {
        let ledger = ledger([request("v1", Opened::New, 10, 18, 20), request("v2", Opened::New, 13, 15, 22)]);
        assert_eq!(ledger.mixed("v1", "v2"), Some(between(0, 5)));
    }

    #[test]
    fn the_old_version_answering_new_connections_after_the_new_one_did_is_the_mixed_time() {
        let ledger =
            ledger([request("v2", Opened::New, 100, 101, 102), request("v1", Opened::New, 1_100, 1_101, 1_102)]);
        assert_eq!(ledger.mixed("v1", "v2"), Some(between(999, 1_001)));
        assert_eq!(between(999, 1_001).to_string(), "0.001 s");
        assert_eq!(between(999, 2_001).to_string(), "0.001 s (at most 0.002 s)");
    }

    #[test]
    fn kept_connections_stay_on_the_old_version_without_mixing_new_ones() {
        let ledger = ledger([
            request("v1", Opened::New, 10, 11, 12),
            request("v2", Opened::New, 20, 21, 22),
            request("v1", Opened::Kept, 5_000, 5_000, 5_001),
            request("v1", Opened::Retried, 6_000, 6_002, 6_003),
        ]);
        assert_eq!(ledger.mixed("v1", "v2"), Some(between(0, 0)));
        assert_eq!(ledger.last_answer("v1"), Some(Micros(6_003)));
        assert_eq!(ledger.total().versions["v1"].last_fresh, Some(Micros(12)));
    }

    #[test]
    fn a_version_that_never_answered_was_never_mixed() {
        let ledger = ledger([request("v1", Opened::New, 10, 11, 12), request("v2", Opened::Kept, 20, 20, 21)]);
        assert_eq!(ledger.mixed("v1", "v2"), None);
        assert_eq!(ledger.last_answer("v3"), None);
    }

    #[test]
    fn a_span_of_time_has_an_account_of_its_own() {
        let ledger = ledger([request("v1", Opened::New, 1, 2, 3), failure(10), request("v2", Opened::New, 11, 12, 13)]);
        assert_eq!(ledger.total().failed, 1);
        assert_eq!(ledger.since(Micros(11)).total().failed, 0);
        let during = ledger.during(Micros(0)..Micros(10));
        assert_eq!((during.total().requests, during.total().answers("v1")), (1, 1));
    }

    #[test]
    fn a_rollback_is_told_from_the_switch_by_asking_each_span() {
        let ledger = ledger([
            request("v1", Opened::New, 10, 11, 12),
            request("v2", Opened::New, 20, 21, 22),
            request("v1", Opened::New, 30, 31, 32),
        ]);
        assert_eq!(ledger.during(Micros(0)..Micros(25)).mixed("v1", "v2"), Some(between(0, 0)));
        assert_eq!(ledger.since(Micros(15)).mixed("v2", "v1"), Some(between(0, 0)));
    }

    #[test]
    fn reconnects_are_counted_apart_and_are_no_failures() {
        let opened = [Opened::First, Opened::Kept, Opened::Reopened, Opened::Retried];
        let ledger = ledger(opened.map(|opened| request("v1", opened, 1, 2, 3)));
        let total = ledger.total();
        assert_eq!((total.requests, total.failed, total.reconnects, total.retried), (4, 0, 2, 1));
    }
}
