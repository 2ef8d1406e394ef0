//! Moments that have passed, or have not.

use jiff::{SignedDuration, Timestamp};
use securityhotfix::api::time::{Moment, second};

use crate::intern::{moment, now};

/// An hour ago: longer than every deadline, and shorter than nothing is kept.
pub fn old() -> Timestamp {
    now().checked_sub(SignedDuration::from_hours(1)).expect("a time")
}

/// The present, or an hour ago.
pub fn at(passed: u8) -> Moment {
    if passed == 1 { Moment::new(old()) } else { moment() }
}

/// Before all of these.
pub fn older() -> Moment {
    seconds_ago(7_200)
}

/// What was told with the present in it, where that is an hour ago by now.
pub fn renamed(message: &str, passed: u8) -> String {
    if passed == 1 { message.replace(&second(moment()), &second(at(1))) } else { message.to_owned() }
}

/// So many seconds ago.
pub fn seconds_ago(seconds: i64) -> Moment {
    Moment::new(now().checked_sub(SignedDuration::from_secs(seconds)).expect("a time"))
}
