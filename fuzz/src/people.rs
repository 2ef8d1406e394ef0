//! What people write beside the spec: commands by annotation, marks, labels.

use securityhotfix::api::Reason;
use securityhotfix::api::names::{ABORT, MARK, RELEASE, RETRY, SLOT};
use securityhotfix::plan::{Action, Observed, decide};

use crate::answer::{Trust, sound};
use crate::bytes::Bytes;
use crate::picture::begun;

/// The first bytes choose a picture; every line then is one text, and its first byte says where it is written.
pub fn people(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    let (mut observed, now) = begun(&mut choices);
    for line in choices.0.split(|byte| *byte == b'\n').take(8) {
        let mut choices = Bytes(line);
        let place = choices.below(7);
        write(&mut observed, place, &String::from_utf8_lossy(choices.0));
    }
    let ends = match decide(&observed, now).actions.as_slice() {
        [Action::Record { status, .. }] => status.attempt.clone().filter(|attempt| {
            let before = observed.attempt().is_some_and(|attempt| attempt.latch.is_some());
            !before && attempt.latch.as_ref().is_some_and(|latch| latch.reason == Reason::Aborted)
        }),
        _ => None,
    };
    if let Some(attempt) = ends {
        let command = observed.hotfix.annotations.get(ABORT).map(String::as_str).unwrap_or_default();
        let number = command.split('/').next().unwrap_or_default().trim();
        assert_eq!(number.parse(), Ok(attempt.number), "an abort of another attempt was carried out: {command}");
    }
    sound(&observed, now, Trust::Sound);
}

fn write(o: &mut Observed, place: usize, text: &str) {
    let text = text.to_owned();
    match place {
        0 => drop(o.hotfix.annotations.insert(ABORT.into(), text)),
        1 => drop(o.hotfix.annotations.insert(RETRY.into(), text)),
        2 => drop(o.hotfix.annotations.insert(RELEASE.into(), text)),
        3 => o
            .services
            .iter_mut()
            .take(1)
            .for_each(|service| drop(service.annotations.insert(MARK.into(), text.clone()))),
        4 => o.services.iter_mut().take(1).for_each(|service| drop(service.selector.insert(SLOT.into(), text.clone()))),
        5 => o.pods.iter_mut().take(1).for_each(|pod| drop(pod.labels.insert(SLOT.into(), text.clone()))),
        _ => o.namespace.policy = Some(text),
    }
}
