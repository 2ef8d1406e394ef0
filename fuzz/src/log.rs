//! The log of a check's pod: the frame in it, and the report in the frame.

use securityhotfix::api::{ReportFormat, ScanFormat};
use securityhotfix::check::frame::{self, Captured, Exit, NotStarted};
use securityhotfix::findings::text;
use securityhotfix::observe::untrusted::{Declared, output};
use securityhotfix::plan::observed::{Content, Output};

use crate::bytes::{Bytes, cuts};
use crate::reports::{refused, shown};

const DECLARED: [Declared; 6] = [
    Declared::Test(None),
    Declared::Unknown,
    Declared::Scan(ScanFormat::TrivyJson),
    Declared::Scan(ScanFormat::OsvScannerJson),
    Declared::Test(Some(ReportFormat::Sarif)),
    Declared::Test(Some(ReportFormat::Junit)),
];

/// The first byte says what is tried: a log as it is, or one whose frame holds the bytes and is then harmed.
pub fn log(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    if choices.flip() {
        as_it_is(choices.0);
    } else {
        written(&mut choices);
    }
}

fn as_it_is(log: &[u8]) {
    for declared in DECLARED {
        sound_output(&output(log, declared, Some("OOMKilled")));
    }
    let Ok(read) = frame::parse(log) else { return };
    // Written again it is the same, so nothing was read that was not there.
    let again = frame::parse(&frame_of(read.exit, &read.report, &read.stderr_tail));
    assert_eq!(again.as_ref(), Ok(&read));
    for cut in cuts(log) {
        assert!(frame::parse(cut).is_err(), "a log that was cut off is taken for a whole one");
    }
}

fn written(choices: &mut Bytes<'_>) {
    let exit = match choices.below(5) {
        0 => Exit::Code(i32::from(choices.byte().unwrap_or_default())),
        1 => Exit::Signal(i32::from(choices.byte().unwrap_or_default())),
        2 => Exit::NotStarted(NotStarted::NotFound),
        3 => Exit::NotStarted(NotStarted::NotPermitted),
        _ => Exit::NotStarted(NotStarted::Other),
    };
    let declared = choices.of(&DECLARED);
    let (at, change, harm) = (choices.below(65_536), choices.byte().unwrap_or_default(), choices.below(4));
    let length = choices.below(256);
    let stderr = choices.take(length);
    let report = choices.0;
    let log = frame_of(exit, report, stderr);
    let read = frame::parse(&log).expect("what was written can be read");
    assert_eq!((read.exit, &read.report[..], &read.stderr_tail[..]), (exit, report, stderr));
    sound_output(&output(&log, declared, None));
    harmed(&log, &read, (at, change, harm));
}

/// One harm is seen, or changes nothing of what is read.
fn harmed(log: &[u8], read: &frame::Frame, (at, change, harm): (usize, u8, usize)) {
    let at = at % log.len();
    let mut harmed = log.to_vec();
    match harm {
        0 => harmed[at] ^= change,
        1 => harmed.truncate(at),
        2 => harmed.insert(at, change),
        _ => drop(harmed.remove(at)),
    }
    if let Ok(found) = frame::parse(&harmed) {
        assert_eq!(&found, read, "harm {harm} at {at} changed what was read");
    }
    let twice = [log, log].concat();
    assert!(frame::parse(&twice).is_err(), "a second frame was taken");
}

fn frame_of(exit: Exit, report: &[u8], stderr: &[u8]) -> Vec<u8> {
    let mut log = Vec::new();
    let whole = Captured::Whole(report.to_vec());
    frame::write(&mut log, exit, &whole, stderr).expect("writing to memory cannot fail");
    log
}

fn sound_output(output: &Output) {
    match output {
        Output::Unusable(why) => refused(why),
        Output::Framed { sha256, content, stderr, .. } => {
            assert_eq!(sha256.len(), 64);
            assert!(stderr.is_empty(), "standard error may hold credentials");
            if let Content::Malformed(why) = content {
                shown(why, 2 * text::MAX_DETAIL + 128);
            }
        }
    }
}
