//! Times and durations as the API writes them.
//!
//! A recorded time has milliseconds, because exposure and the length of a switch are told in them.

use std::fmt;
use std::time::Duration as StdDuration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::duration::Duration;

/// A recorded moment: RFC 3339 in UTC, cut to milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(Timestamp);

impl Moment {
    /// Cuts `at` to milliseconds, so that what is written reads back equal.
    pub fn new(at: Timestamp) -> Self {
        Self(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
    }

    /// The moment as a timestamp.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> StdDuration {
        elapsed(earlier.0, self.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self::new(at)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Time from `from` to `to`; zero when the clock went backwards, so that a skewed clock only delays.
pub fn elapsed(from: Timestamp, to: Timestamp) -> StdDuration {
    to.duration_since(from).try_into().unwrap_or(StdDuration::ZERO)
}

/// `at` plus `by`, saturating at the end of representable time.
pub fn after(at: Timestamp, by: StdDuration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// A moment as a person reads it, cut to seconds: `2026-11-26T08:00:00Z`.
pub fn second(moment: Moment) -> String {
    let cut = Timestamp::from_second(moment.0.as_millisecond().div_euclid(1000)).unwrap_or(moment.0);
    cut.to_string()
}

/// A duration in whole units as a person says it: `45s`, `5m`, `1h30m`.
pub fn spoken(duration: StdDuration) -> String {
    let seconds = duration.as_secs();
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m, s) {
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_equal() {
        let moment = Moment::new("2026-11-23T17:00:00.123456789Z".parse().unwrap());
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(text, "\"2026-11-23T17:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Moment>(&text).unwrap(), moment);
    }

    #[test]
    fn a_moment_is_read_in_whole_seconds() {
        let moment: Moment = serde_json::from_str("\"2026-11-23T17:00:00.999Z\"").unwrap();
        assert_eq!(second(moment), "2026-11-23T17:00:00Z");
    }

    #[test]
    fn a_clock_that_went_backwards_only_delays() {
        let early: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let late: Timestamp = "2026-01-01T00:00:05Z".parse().unwrap();
        assert_eq!(elapsed(late, early), StdDuration::ZERO);
        assert_eq!(elapsed(early, late), StdDuration::from_secs(5));
        assert_eq!(after(early, StdDuration::from_secs(5)), late);
    }

    #[test]
    fn durations_are_said_in_whole_units() {
        for (seconds, said) in [(45, "45s"), (300, "5m"), (330, "5m30s"), (5400, "1h30m"), (7200, "2h")] {
            assert_eq!(spoken(StdDuration::from_secs(seconds)), said);
        }
    }
}
