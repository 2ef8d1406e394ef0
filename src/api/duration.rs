//! Durations as users write them.

use std::borrow::Cow;
use std::time::Duration as StdDuration;

use kube::core::Duration as GoDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text that is read as a duration; the definitions allow half of it.
const TEXT_MAX: usize = 64;
/// The most digits in a row. A billion hours, as often as [`TEXT_MAX`] has room for, is far below what the parser can hold.
const DIGITS_MAX: usize = 9;
/// The longest duration, 31 years: written in seconds it has [`DIGITS_MAX`] digits, and so reads back.
const MAX: StdDuration = StdDuration::from_secs(999_999_999);
/// As many characters of a text that is none are told.
const TOLD: usize = 32;

/// A length of time in Go's grammar (`90s`, `5m30s`), because that is what Kubernetes users type. Never negative.
///
/// The definitions refuse what is not plain and within bounds of its own; this is for what was stored without them, since the
/// parser beneath panics on a number that is too large, and on one below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "GoDuration")]
pub struct Duration(StdDuration);

impl Duration {
    /// As the standard library has it.
    pub fn get(self) -> StdDuration {
        self.0
    }
}

impl From<StdDuration> for Duration {
    fn from(duration: StdDuration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        duration.0.into()
    }
}

/// The text is no duration that can be reckoned with.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no duration; write one such as 30s, 5m or 1h30m")]
pub struct NotADuration(String);

impl TryFrom<Cow<'_, str>> for Duration {
    type Error = NotADuration;

    fn try_from(text: Cow<'_, str>) -> Result<Self, NotADuration> {
        let none = || NotADuration(text.chars().filter(char::is_ascii_graphic).take(TOLD).collect());
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == 'µ');
        let short = text.split(|c: char| !c.is_ascii_digit()).all(|digits| digits.len() <= DIGITS_MAX);
        if text.is_empty() || text.len() > TEXT_MAX || !plain || !short {
            return Err(none());
        }
        let parsed: GoDuration = text.parse().map_err(|_| none())?;
        Some(Self(parsed.into())).filter(|duration| duration.0 <= MAX).ok_or_else(none)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        GoDuration::schema_name()
    }

    fn inline_schema() -> bool {
        GoDuration::inline_schema()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        GoDuration::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Duration, serde_json::Error> {
        serde_json::from_value(json!(text))
    }

    #[test]
    fn it_reads_what_users_type_and_writes_it_so_that_it_reads_back() {
        for (text, seconds) in
            [("90s", 90.0), ("5m30s", 330.0), ("1.5h", 5400.0), ("200ms", 0.2), ("1.5µs", 0.000_001_5), ("0s", 0.0)]
        {
            let read = read(text).unwrap();
            assert_eq!(read.get(), StdDuration::from_secs_f64(seconds), "{text}");
            assert_eq!(serde_json::from_value::<Duration>(json!(read)).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_reckoned_with_is_refused_with_a_sentence() {
        let long = format!("5{}m", "8".repeat(82));
        let many = "1h".repeat(33);
        for text in [
            long.as_str(),
            many.as_str(),
            "",
            "-5m",
            "1h-5m",
            "+1s",
            "1e9h",
            "inf",
            "NaNs",
            "5",
            "5 m",
            "1.2.3s",
            "1μs",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.ends_with("is no duration; write one such as 30s, 5m or 1h30m") && error.len() < 100,
                "{error}"
            );
        }
    }

    #[test]
    fn the_largest_reads_back_and_what_the_parser_is_given_at_most_it_can_hold() {
        let largest = read("999999999s").unwrap();
        assert_eq!(serde_json::from_value::<Duration>(json!(largest)).unwrap(), largest);
        assert!(read(&"999999999h".repeat(6)).is_err());
    }
}
