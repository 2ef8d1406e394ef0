//! Moments that have passed, or have not.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use securityhotfix::api::time::{Moment, after, second};

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

/// What was told with the present in it, or with the end of what begins now, where that is an hour ago by now.
pub fn aged(message: &str) -> String {
    tellable().iter().fold(message.to_owned(), |message, [now, then]| message.replace(now, then))
}

/// And the other way round: every time that is told made the same.
pub fn young(message: &str) -> String {
    tellable().iter().fold(message.to_owned(), |message, [now, then]| message.replace(then, now))
}

/// Moments that messages hold, as they are told now and an hour later: one, and one five minutes after it.
fn tellable() -> &'static [[String; 2]; 2] {
    static TELLABLE: OnceLock<[[String; 2]; 2]> = OnceLock::new();
    TELLABLE.get_or_init(|| {
        let later = |moment: Moment| Moment::new(after(moment.timestamp(), Duration::from_secs(300)));
        [[moment(), at(1)], [later(moment()), later(at(1))]].map(|both| both.map(second))
    })
}

/// So many seconds ago.
pub fn seconds_ago(seconds: i64) -> Moment {
    Moment::new(now().checked_sub(SignedDuration::from_secs(seconds)).expect("a time"))
}
