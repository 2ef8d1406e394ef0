//! Moments that have passed, or have not.

use jiff::{SignedDuration, Timestamp};
use securityhotfix::api::time::Moment;

use crate::intern::{moment, now};

/// An hour ago: longer than every deadline, and shorter than nothing is kept.
pub fn old() -> Timestamp {
    now().checked_sub(SignedDuration::from_hours(1)).expect("a time")
}

/// The present, or an hour ago.
pub fn at(passed: u8) -> Moment {
    if passed == 1 { Moment::new(old()) } else { moment() }
}

/// So many seconds ago.
pub fn seconds_ago(seconds: i64) -> Moment {
    Moment::new(now().checked_sub(SignedDuration::from_secs(seconds)).expect("a time"))
}
