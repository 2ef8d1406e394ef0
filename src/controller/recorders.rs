//! Which recorder writes an event, so that another text is another event.
//!
//! A recorder counts what has one reason and is about one object as a series, and a series keeps the text it began with. So
//! each text of a reason goes to a recorder of its own; the same text again is counted, as before.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};

/// How many texts of one reason about one hotfix are events of their own at a time; what comes beyond is counted with the
/// last of them. As many as Kubernetes' own components write before they combine what is alike.
const TEXTS_MAX: usize = 10;

/// How long a text keeps its recorder after it was told last. A recorder counts for six minutes; the one more is for what
/// waits to be written.
const KEPT: Duration = Duration::from_secs(7 * 60);

/// The most reasons of hotfixes that are remembered; beyond it all begins anew, which makes some repetitions events of
/// their own. A few hundred bytes each.
const REASONS_MAX: usize = 1024;

/// The recorders of one process. One for each place among the texts of a reason, whichever hotfix and reason it is.
pub(super) struct Recorders {
    client: Client,
    reporter: Reporter,
    all: Vec<Recorder>,
    texts: Texts,
}

impl Recorders {
    pub(super) fn new(client: Client, reporter: Reporter) -> Self {
        Self { all: recorders(&client, &reporter), client, reporter, texts: Texts::default() }
    }

    /// The recorder for this event about the hotfix of that UID.
    pub(super) fn of(&mut self, uid: &str, event: &Event) -> &Recorder {
        let now = Instant::now();
        if self.texts.are_full(now) {
            // What recorders have counted is told by other places from now on.
            self.texts = Texts::default();
            self.all = recorders(&self.client, &self.reporter);
        }
        &self.all[self.texts.place(uid, &event.reason, event.note.as_deref().unwrap_or_default(), now)]
    }
}

fn recorders(client: &Client, reporter: &Reporter) -> Vec<Recorder> {
    (0..TEXTS_MAX).map(|_| Recorder::new(client.clone(), reporter.clone())).collect()
}

/// The hash of a text, and when it was told last.
type Told = (u64, Instant);

/// The texts that were told lately, by hotfix and reason.
#[derive(Default)]
struct Texts(HashMap<(String, String), [Option<Told>; TEXTS_MAX]>);

impl Texts {
    fn are_full(&mut self, now: Instant) -> bool {
        if self.0.len() >= REASONS_MAX {
            self.0.retain(|_, texts| texts.iter().flatten().any(|text| lasts(Some(text), now)));
        }
        self.0.len() >= REASONS_MAX
    }

    /// The place of a text among those of its reason: the one it has, a free one, or the last.
    fn place(&mut self, uid: &str, reason: &str, text: &str, now: Instant) -> usize {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        let texts = self.0.entry((uid.to_owned(), reason.to_owned())).or_default();
        let known =
            texts.iter().position(|text| text.is_some_and(|(known, _)| known == hash) && lasts(text.as_ref(), now));
        let free = || texts.iter().position(|text| !lasts(text.as_ref(), now));
        let own = known.or_else(free);
        let place = own.unwrap_or(TEXTS_MAX - 1);
        // What is counted with another text keeps that one's place for as long as it is told.
        let kept = texts[place].filter(|_| own.is_none()).map_or(hash, |(kept, _)| kept);
        texts[place] = Some((kept, now));
        place
    }
}

fn lasts(text: Option<&Told>, now: Instant) -> bool {
    text.is_some_and(|(_, told)| now.saturating_duration_since(*told) < KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_is_another_event_and_the_same_one_is_counted() {
        let (mut texts, now) = (Texts::default(), Instant::now());
        let mut place = |uid, reason, text| texts.place(uid, reason, text, now);
        assert_eq!(place("u", "ServiceChanged", "Service web"), 0);
        assert_eq!(place("u", "ServiceChanged", "Service api"), 1);
        assert_eq!(place("u", "ServiceChanged", "Service web"), 0);
        assert_eq!(place("u", "TestFailed", "Service api"), 0, "another reason");
        assert_eq!(place("v", "ServiceChanged", "Service api"), 0, "another hotfix");
    }

    #[test]
    fn more_texts_than_are_kept_apart_are_counted_with_the_last() {
        let (mut texts, now) = (Texts::default(), Instant::now());
        let places: Vec<_> = (0..TEXTS_MAX + 3).map(|nth| texts.place("u", "r", &nth.to_string(), now)).collect();
        assert_eq!(places[..TEXTS_MAX], (0..TEXTS_MAX).collect::<Vec<_>>());
        assert_eq!(places[TEXTS_MAX..], [TEXTS_MAX - 1; 3]);
        assert_eq!(texts.place("u", "r", "3", now), 3);
    }

    #[test]
    fn a_text_not_told_for_long_frees_its_place() {
        let (mut texts, now) = (Texts::default(), Instant::now());
        assert_eq!(texts.place("u", "r", "a", now), 0);
        assert_eq!(texts.place("u", "r", "b", now + KEPT / 2), 1);
        assert_eq!(texts.place("u", "r", "c", now + KEPT), 0);
        assert_eq!(texts.place("u", "r", "b", now + KEPT), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_goes_by_itself() {
        let (mut texts, now) = (Texts::default(), Instant::now());
        for nth in 0..REASONS_MAX {
            texts.place(&nth.to_string(), "r", "a", now);
        }
        assert!(texts.are_full(now));
        assert!(!texts.are_full(now + KEPT));
        assert!(texts.0.is_empty());
    }
}
