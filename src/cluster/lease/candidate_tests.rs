//! What a candidate does, case by case. Moments are milliseconds since the test began.

use super::*;

struct Story {
    candidate: Candidate,
    begun: Instant,
}

fn story() -> Story {
    Story { candidate: Candidate::new("me", Times::OURS), begun: Instant::now() }
}

fn lease(version: &str, holder: Option<&str>, renewed: &str) -> Record {
    Record {
        version: version.into(),
        holder: holder.map(str::to_owned),
        duration: Duration::from_secs(5),
        renewed: Some(renewed.into()),
        transitions: 4,
    }
}

impl Story {
    fn at(&self, ms: u64) -> Instant {
        self.begun + Duration::from_millis(ms)
    }

    fn step(&self, ms: u64) -> String {
        match self.candidate.step(self.at(ms)) {
            Step::Read => "read".into(),
            Step::Write(Write { kind, over, .. }) => format!("{kind:?} over {}", over.as_deref().unwrap_or("nothing")),
            Step::Wait(until) => format!("wait until {}", until.duration_since(self.begun).as_millis()),
            Step::Stop(lost) => format!("stop: {lost}"),
        }
    }

    fn reads(&mut self, ms: u64, record: Option<Record>) {
        self.candidate.saw(record, Source::Read, self.at(ms));
    }

    fn watches(&mut self, ms: u64, record: Option<Record>) {
        self.candidate.saw(record, Source::Watch, self.at(ms));
    }

    fn wrote(&mut self, kind: Kind, sent: u64, answer: Answer, ms: u64) {
        self.candidate.wrote(kind, self.at(sent), answer, self.at(ms));
    }

    /// Leads since 100, acknowledged at 110.
    fn leading() -> Self {
        let mut story = story();
        story.reads(90, Some(lease("7", None, "t")));
        story.wrote(Kind::Take, 100, Answer::Done(lease("8", Some("me"), "u")), 110);
        story
    }
}

#[test]
fn what_was_never_seen_is_looked_at_first() {
    assert_eq!(story().step(0), "read");
}

#[test]
fn a_lease_that_is_not_there_is_created_and_a_free_one_taken() {
    let mut story = story();
    story.reads(5, None);
    assert_eq!(story.step(5), "Take over nothing");
    story.reads(5, Some(lease("7", None, "t")));
    assert_eq!(story.step(5), "Take over 7");
}

#[test]
fn taking_it_counts_one_more_change_of_hands() {
    let mut story = story();
    story.reads(5, Some(lease("7", None, "t")));
    assert!(matches!(story.candidate.step(story.at(5)), Step::Write(Write { transitions: 5, .. })));
}

#[test]
fn a_claim_is_abandoned_when_it_was_seen_unchanged_for_its_time_whatever_its_clock_says() {
    let mut story = story();
    // Both long past and far in the future, by its own words.
    story.reads(1_000, Some(lease("7", Some("other"), "1970-01-01T00:00:00.000000Z")));
    assert_eq!(story.step(1_000), "wait until 2500", "then it looks by itself");
    story.reads(2_500, Some(lease("8", Some("other"), "2999-01-01T00:00:00.000000Z")));
    for look in [4_000, 5_500, 7_000] {
        assert_eq!(story.step(look), "read");
        story.reads(look, Some(lease("8", Some("other"), "2999-01-01T00:00:00.000000Z")));
    }
    assert_eq!(story.step(7_299), "wait until 7300");
    assert_eq!(story.step(7_300), "Take over 8");
}

#[test]
fn somebodys_label_on_the_lease_is_no_renewal_but_moves_the_version() {
    let mut story = story();
    story.reads(0, Some(lease("7", Some("other"), "t")));
    story.watches(4_900, Some(lease("9", Some("other"), "t")));
    assert_eq!(story.step(4_900), "Take over 9");
}

#[test]
fn a_longer_claim_is_respected_and_one_without_an_end_is_not() {
    let mut long = lease("7", Some("other"), "t");
    long.duration = Duration::from_secs(15);
    let mut story = story();
    story.reads(0, Some(long.clone()));
    story.reads(14_000, Some(long.clone()));
    assert_eq!(story.step(14_000), "wait until 15000");
    long.duration = Duration::from_secs(1_000_000);
    story.reads(59_000, Some(long.clone()));
    assert_eq!(story.step(59_000), "wait until 60000");
    // Shorter than what this version leads by: another may run it too.
    long.duration = Duration::ZERO;
    long.renewed = None;
    story.reads(60_000, Some(long.clone()));
    story.reads(64_000, Some(long));
    assert_eq!(story.step(64_000), "wait until 64800");
}

#[test]
fn a_release_is_seen_by_the_watch_and_taken_at_once() {
    let mut story = story();
    story.reads(0, Some(lease("7", Some("other"), "t")));
    story.watches(300, Some(lease("8", None, "u")));
    assert_eq!(story.step(300), "Take over 8");
}

#[test]
fn a_lease_deleted_under_its_holder_counts_for_as_long_as_the_holder_may_believe_in_it() {
    let mut story = story();
    story.reads(0, Some(lease("7", Some("other"), "t")));
    story.watches(1_000, None);
    story.reads(5_500, None);
    assert_eq!(story.step(5_799), "wait until 5800");
    assert_eq!(story.step(5_800), "Take over nothing");
}

#[test]
fn a_leader_counts_from_before_its_write_was_sent() {
    let story = Story::leading();
    assert_eq!(story.candidate.leads_until(), Some(story.at(3_600)));
    assert_eq!(story.step(110), "wait until 1100");
    assert_eq!(story.step(1_100), "Keep over 8");
}

#[test]
fn a_renewal_counts_when_it_is_acknowledged_and_from_when_it_was_sent() {
    let mut story = Story::leading();
    story.wrote(Kind::Keep, 1_100, Answer::Done(lease("9", Some("me"), "v")), 1_900);
    assert_eq!(story.candidate.leads_until(), Some(story.at(4_600)));
    assert_eq!(story.step(2_100), "Keep over 9");
}

#[test]
fn a_leader_without_an_answer_tries_again_and_stops_in_time() {
    let mut story = Story::leading();
    story.wrote(Kind::Keep, 1_100, Answer::Unknown, 2_100);
    assert_eq!(story.step(2_100), "wait until 2350");
    assert_eq!(story.step(2_350), "Keep over 8");
    story.wrote(Kind::Keep, 2_350, Answer::Unknown, 3_350);
    assert_eq!(story.step(3_350), "wait until 3600", "not longer than it leads");
    assert_eq!(story.step(3_600), "stop: no renewal of the lease was acknowledged for 3500 ms");
}

#[test]
fn a_renewal_that_was_made_without_an_answer_is_found_and_carried_on() {
    let mut story = Story::leading();
    story.wrote(Kind::Keep, 1_100, Answer::Unknown, 2_100);
    story.wrote(Kind::Keep, 2_350, Answer::Overtaken, 2_360);
    assert_eq!(story.step(2_860), "read");
    story.reads(2_870, Some(lease("9", Some("me"), "v")));
    assert_eq!(story.candidate.leads_until(), Some(story.at(3_600)), "what was found extends nothing");
    assert_eq!(story.step(2_870), "Keep over 9");
}

#[test]
fn a_claim_of_ones_own_that_was_never_acknowledged_is_claimed_again() {
    let mut story = story();
    story.reads(0, Some(lease("7", None, "t")));
    story.wrote(Kind::Take, 0, Answer::Unknown, 1_000);
    assert_eq!(story.step(1_250), "Take over 7");
    story.wrote(Kind::Take, 1_250, Answer::Overtaken, 1_260);
    story.reads(1_800, Some(lease("8", Some("me"), "u")));
    assert_eq!(story.candidate.leads_until(), None, "not before an answer");
    assert_eq!(story.step(1_800), "Take over 8");
}

#[test]
fn a_watch_that_lags_behind_makes_a_leader_look_and_no_more() {
    let mut story = Story::leading();
    story.watches(200, Some(lease("7", None, "t")));
    assert_eq!(story.step(200), "read");
    story.reads(210, Some(lease("8", Some("me"), "u")));
    assert_eq!(story.step(210), "wait until 1100");
    story.watches(220, Some(lease("8", Some("me"), "u")));
    assert_eq!(story.step(220), "wait until 1100");
}

#[test]
fn a_leader_that_finds_another_in_its_place_stops() {
    for (found, said) in [
        (Some(lease("9", Some("other"), "v")), "stop: the lease was taken by other"),
        (Some(lease("9", None, "v")), "stop: somebody emptied or deleted the lease"),
        (None, "stop: somebody emptied or deleted the lease"),
    ] {
        let mut story = Story::leading();
        story.reads(500, found);
        assert_eq!(story.step(500), said);
        assert_eq!(story.candidate.leads_until(), None);
        assert_eq!(story.candidate.release(story.at(500)), None, "what is not one's own is not given up");
    }
}

#[test]
fn an_answer_in_anothers_name_is_no_lead() {
    let mut story = story();
    story.reads(0, Some(lease("7", None, "t")));
    story.wrote(Kind::Take, 1, Answer::Done(lease("8", Some("changed on the way in"), "u")), 2);
    assert_eq!(story.candidate.leads_until(), None);
    assert_eq!(story.step(2), "read");
}

#[test]
fn the_lead_is_given_up_once_and_only_while_it_is_held() {
    let mut story = Story::leading();
    let free = story.candidate.release(story.at(500)).unwrap();
    assert_eq!((free.kind, free.over.as_deref()), (Kind::Free, Some("8")));
    assert_eq!(story.candidate.release(story.at(3_600)), None);
    story.wrote(Kind::Free, 500, Answer::Done(lease("9", None, "v")), 510);
    assert_eq!(story.candidate.leads_until(), None);
    assert_eq!(story.candidate.release(story.at(520)), None);
}

#[test]
fn who_may_not_ask_asks_less_and_less_often() {
    let mut story = story();
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..5 {
        story.candidate.failed(story.at(now));
        let Step::Wait(until) = story.candidate.step(story.at(now)) else { panic!("no pause") };
        let next = u64::try_from(until.duration_since(story.begun).as_millis()).unwrap();
        waits.push(next - now);
        now = next;
    }
    assert_eq!(waits, [250, 500, 1_000, 1_500, 1_500]);
    assert_eq!(story.step(now), "read");
}
