//! The planner with pictures that were changed, and with pictures that make no sense.

use jiff::{SignedDuration, Timestamp};
use securityhotfix::plan::Observed;

use crate::answer::{Trust, sound};
use crate::bytes::Bytes;
use crate::changes::{CLUSTER, Change, STATUS};
use crate::pictures::{PICTURES, Picture};
use crate::tangles::TANGLES;

/// The most changes to one picture: each is one thing that goes wrong, and more than so many at once are noise.
const CHANGES_MAX: usize = 12;

/// How much later a picture is decided upon, in seconds: at once, around every deadline of the default policy, and long
/// after all of them.
const LATER: [i64; 8] = [0, 1, 16, 61, 301, 601, 4_000, 400_000];

/// A picture chosen by the first two bytes.
pub fn begun(choices: &mut Bytes<'_>) -> Picture {
    let (observed, now) = &PICTURES[choices.below(PICTURES.len())];
    let later = SignedDuration::from_secs(choices.of(&LATER));
    (observed.clone(), now.checked_add(later).expect("these times are far from the end of all"))
}

fn change(observed: &mut Observed, of: &[Change], choices: &mut Bytes<'_>) {
    for _ in 0..CHANGES_MAX {
        let Some(which) = choices.byte() else { return };
        of[usize::from(which) % of.len()](observed, choices);
    }
}

/// Whatever the cluster looks like.
pub fn decide(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    let (mut observed, now) = begun(&mut choices);
    change(&mut observed, CLUSTER, &mut choices);
    sound(&observed, now, Trust::Sound);
}

/// Whatever the picture says, the status and the time included.
pub fn tangle(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    let (mut observed, now) = begun(&mut choices);
    let now = choices.of(&[now, now, now, Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX]);
    let all: Vec<Change> = TANGLES.iter().chain(CLUSTER).chain(STATUS).copied().collect();
    change(&mut observed, &all, &mut choices);
    sound(&observed, now, Trust::Damaged);
}
