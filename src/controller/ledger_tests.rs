//! What is remembered, and for how long.

use super::*;

fn key(name: &str) -> Key {
    Key { namespace: "shop".into(), name: name.into() }
}

#[test]
fn delays_grow_with_failures_and_end_with_success() {
    let (start, ledger) = (Instant::now(), Ledger::new(Instant::now()));
    ledger.seen(&key("web"), "1", None);
    let first = ledger.failed(&key("web"), backoff::TRANSIENT_MAX, start);
    let mut last = first;
    for _ in 0..8 {
        last = ledger.failed(&key("web"), backoff::TRANSIENT_MAX, start);
    }
    assert!(last > first * 4, "{first:?} {last:?}");
    assert_eq!(ledger.failing(), 1);
    ledger.settled(&key("web"), Standing::Active, None, start);
    assert_eq!((ledger.failing(), ledger.too_early(&key("web"), start)), (0, None));
    assert!(ledger.failed(&key("web"), backoff::TRANSIENT_MAX, start) <= Duration::from_millis(250));
}

#[test]
fn an_event_cuts_a_delay_short_but_not_below_a_second() {
    let (start, ledger) = (Instant::now(), Ledger::new(Instant::now()));
    for _ in 0..9 {
        ledger.failed(&key("web"), backoff::REFUSED_MAX, start);
    }
    assert_eq!(ledger.too_early(&key("web"), start), Some(SPACING));
    assert_eq!(ledger.too_early(&key("web"), start + SPACING), None);
}

#[test]
fn a_hotfix_made_again_under_its_name_has_no_past() {
    let (start, ledger) = (Instant::now(), Ledger::new(Instant::now()));
    assert_eq!(ledger.seen(&key("web"), "1", Some(Phase::Pending)), Seen::New);
    assert_eq!(ledger.seen(&key("web"), "1", Some(Phase::Pending)), Seen::Same);
    assert_eq!(ledger.seen(&key("web"), "1", Some(Phase::Scanning)), Seen::Moved(Some(Phase::Pending)));
    ledger.failed(&key("web"), backoff::REFUSED_MAX, start);
    assert_eq!(ledger.seen(&key("web"), "2", Some(Phase::Scanning)), Seen::New);
    assert_eq!(ledger.failing(), 0);
}

#[test]
fn coming_to_rest_is_told_once_and_ends_the_activity() {
    let (start, ledger) = (Instant::now(), Ledger::new(Instant::now()));
    ledger.seen(&key("web"), "1", None);
    ledger.seen(&key("api"), "2", None);
    assert_eq!(ledger.active(Some("shop")).len(), 2);
    assert_eq!(ledger.active(Some("else")).len(), 0);
    assert_eq!(ledger.settled(&key("web"), Standing::Resting, None, start), Settled::CameToRest);
    assert_eq!(ledger.settled(&key("web"), Standing::Resting, None, start), Settled::AsBefore);
    assert_eq!(ledger.active(None), [key("api")]);
    assert_eq!(ledger.forget(&key("api")), Standing::Active);
    assert_eq!(ledger.forget(&key("api")), Standing::Resting);
}

#[test]
fn what_is_no_longer_listed_is_forgotten() {
    let ledger = Ledger::new(Instant::now());
    ledger.seen(&key("web"), "1", None);
    ledger.seen(&key("api"), "2", Some(Phase::Remediated));
    assert_eq!(ledger.retain(|key| key.name == "api"), [key("web")]);
    assert_eq!(ledger.phases(), BTreeMap::from([("Remediated".to_owned(), 1)]));
}

#[test]
fn only_overdue_work_that_nobody_does_counts_as_stuck() {
    let (start, ledger) = (Instant::now(), Ledger::new(Instant::now()));
    let later = start + STUCK_AFTER + Duration::from_secs(31);
    assert!(!ledger.stuck(later), "nothing is due");
    ledger.seen(&key("web"), "1", None);
    ledger.settled(&key("web"), Standing::Active, Some(Duration::from_secs(30)), start);
    assert!(!ledger.stuck(start + STUCK_AFTER), "due, but not overdue for long");
    assert!(ledger.stuck(later), "overdue and nothing ends");
    ledger.seen(&key("api"), "2", None);
    ledger.settled(&key("api"), Standing::Active, None, later);
    assert!(!ledger.stuck(later), "others still come to their end");
}

#[test]
fn a_trigger_makes_due_at_once_and_never_later() {
    let (start, ledger) = (Instant::now(), Ledger::new(Instant::now()));
    ledger.seen(&key("web"), "1", None);
    ledger.settled(&key("web"), Standing::Active, None, start);
    ledger.triggered(&key("web"), start);
    ledger.triggered(&key("web"), start + Duration::from_secs(60));
    assert!(ledger.stuck(start + STUCK_AFTER + Duration::from_secs(1)));
}
