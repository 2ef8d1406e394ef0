//! How long to leave a hotfix alone after something went wrong.
//!
//! Decides a delay from how often it went wrong in a row; never sleeps and never counts by itself.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The first delay. A conflict with another writer or a restarted API server is usually over by then, and a person
/// who waits for a rollback does not notice it.
const FIRST: Duration = Duration::from_millis(250);

/// The longest delay after an answer that was late, lost or an error of the server's: the traffic may be waiting to
/// be returned, and one look at one hotfix every ten seconds burdens no server.
pub const TRANSIENT_MAX: Duration = Duration::from_secs(10);

/// The longest delay after a refusal (a missing right, an admission rule): a person has to change something, which
/// takes minutes, and the same request again would only fill the audit log.
pub const REFUSED_MAX: Duration = Duration::from_secs(60);

/// The delay after `failures` in a row, at least one: it doubles from 250 ms up to `max`, and is then cut by up to a
/// half. The cut comes from a hash of `who` and the count instead of a random source, which spreads different hotfixes
/// just as well and can be tested.
pub fn delay(failures: u32, max: Duration, who: &str) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(max);
    let mut hasher = DefaultHasher::new();
    (who, failures).hash(&mut hasher);
    let per_mille = u32::try_from(hasher.finish() % 501).unwrap_or(0);
    full.saturating_sub(full * per_mille / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_delay_is_short_and_the_last_is_bounded() {
        for who in ["a", "b", "c"] {
            assert!(delay(1, TRANSIENT_MAX, who) <= FIRST);
            for failures in [10, 1000, u32::MAX] {
                let late = delay(failures, TRANSIENT_MAX, who);
                assert!(late >= TRANSIENT_MAX / 2 && late <= TRANSIENT_MAX, "{late:?}");
            }
        }
    }

    #[test]
    fn it_grows_by_doubling_whatever_the_jitter_cuts() {
        for failures in 1..8 {
            let full = FIRST * (1 << (failures - 1));
            let seen = delay(failures, REFUSED_MAX, "web");
            assert!(seen >= full / 2 && seen <= full, "{failures}: {seen:?}");
        }
    }

    #[test]
    fn different_hotfixes_do_not_come_back_together() {
        let seen: std::collections::BTreeSet<_> =
            (0..50).map(|n| delay(9, REFUSED_MAX, &format!("hotfix-{n}"))).collect();
        assert!(seen.len() > 40, "{seen:?}");
    }
}
