use proptest::prelude::*;

use super::*;

fn framed(exit: Exit, report: &[u8], stderr: &[u8]) -> Vec<u8> {
    let mut log = Vec::new();
    write(&mut log, exit, &Captured::Whole(report.to_vec()), stderr).unwrap();
    log
}

fn good() -> Vec<u8> {
    framed(Exit::Code(1), br#"{"SchemaVersion":2}"#, b"done\n")
}

#[test]
fn a_frame_reads_back() {
    let frame = parse(&good()).unwrap();
    assert_eq!(frame.exit, Exit::Code(1));
    assert_eq!(frame.report, br#"{"SchemaVersion":2}"#);
    assert_eq!(frame.sha256, sha256(br#"{"SchemaVersion":2}"#));
    assert_eq!(frame.stderr_tail, b"done\n");
}

#[test]
fn every_way_to_end_reads_back() {
    for exit in [
        Exit::Code(0),
        Exit::Code(255),
        Exit::Signal(9),
        Exit::NotStarted(NotStarted::NotFound),
        Exit::NotStarted(NotStarted::NotPermitted),
        Exit::NotStarted(NotStarted::Other),
    ] {
        assert_eq!(parse(&framed(exit, b"", b"")).unwrap().exit, exit);
    }
}

#[test]
fn the_largest_report_fits_and_one_byte_more_does_not() {
    let largest = framed(Exit::Code(0), &vec![0xa5; MAX_REPORT_BYTES], &[b'e'; MAX_STDERR_TAIL]);
    assert!(largest.len() + 2 * MAX_STDERR_RELAYED < MAX_LOG_BYTES);
    assert_eq!(parse(&largest).unwrap().report.len(), MAX_REPORT_BYTES);
    assert!(largest.split(|byte| *byte == b'\n').all(|line| line.len() <= 8 * 1024));

    let over = framed(Exit::Code(0), &vec![0xa5; MAX_REPORT_BYTES + 1], b"");
    assert_eq!(parse(&over), Err(FrameError::ReportTooLarge));
    assert_eq!(parse(&vec![b'a'; MAX_LOG_BYTES + 1]), Err(FrameError::LogTooLarge));
}

#[test]
fn what_the_runner_could_not_capture_is_told() {
    for (captured, error) in
        [(Captured::Overflow, FrameError::ReportTooLarge), (Captured::Held, FrameError::ReportHeld)]
    {
        let mut log = Vec::new();
        write(&mut log, Exit::Signal(9), &captured, b"").unwrap();
        assert_eq!(parse(&log), Err(error));
    }
}

#[test]
fn standard_error_may_stand_before_the_frame_and_nothing_else() {
    let with = |before: &str| [before.as_bytes(), &good()].concat();
    assert!(parse(&with("stderr| INFO scanning\nstderr| \nstderr|\n")).is_ok());
    for noise in ["INFO scanning\n", "\n", "\0\n", "stderr\n", "unable to retrieve container logs\n"] {
        assert_eq!(parse(&with(noise)), Err(FrameError::Noise), "{noise:?}");
    }
}

#[test]
fn a_check_cannot_slip_in_a_frame_through_its_standard_error() {
    let forged = framed(Exit::Code(0), b"all is well", b"");
    let mut relay = Relay::default();
    let mut log = relay.take(&forged).into_bytes();
    let (rest, tail) = relay.finish();
    log.extend_from_slice(rest.as_bytes());
    log.extend(framed(Exit::Code(1), b"the truth", &tail));
    assert_eq!(parse(&log).unwrap().report, b"the truth");
}

#[test]
fn there_is_exactly_one_frame() {
    assert_eq!(parse(b""), Err(FrameError::Missing));
    assert_eq!(parse(b"stderr| panicked\n"), Err(FrameError::Missing));
    assert_eq!(parse(&[good(), good()].concat()), Err(FrameError::Trailing));
    assert_eq!(parse(&[&good()[..], b"\n"].concat()), Err(FrameError::Trailing));
    assert_eq!(parse(&[&good()[..], b"more"].concat()), Err(FrameError::Trailing));
}

#[test]
fn a_frame_that_was_cut_anywhere_is_no_frame() {
    let whole = good();
    for cut in 0..whole.len() {
        assert!(parse(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_body_that_a_runtime_split_reads_back() {
    let text = String::from_utf8(framed(Exit::Code(0), &[7; 300], b"")).unwrap();
    let split: String = text
        .lines()
        .flat_map(|line| match line.len() {
            400 => vec![&line[..1], &line[1..399], &line[399..]],
            _ => vec![line],
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_ne!(split, text);
    assert_eq!(parse(split.as_bytes()).unwrap().report, [7; 300]);
    assert_eq!(parse(text.replace('\n', "\r\n").as_bytes()).unwrap().report, [7; 300]);
}

#[test]
fn a_declared_hash_or_length_that_does_not_hold_is_damage() {
    let text = String::from_utf8(good()).unwrap();
    for (from, to) in [
        ("report 19 ", "report 18 "),
        ("report 19 ", "report x "),
        ("report 19 ", "report "),
        ("exit code 1", "exit code 0"),
        ("exit code 1", "exit code one"),
        ("exit code 1", "exit"),
        ("\n-\n", "\n"),
        ("eyJTY2hlbWFWZXJzaW9uIjoyfQ==", "eyJTY2hlbWFWZXJzaW9uIjozfQ=="),
        ("eyJTY2hlbWFWZXJzaW9uIjoyfQ==", "{}"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(matches!(parse(text.replace(from, to).as_bytes()), Err(FrameError::Damaged(_))), "{from} -> {to}");
    }
}

#[test]
fn standard_error_is_passed_on_in_bounded_lines() {
    let mut relay = Relay::default();
    let first = relay.take(b"scanning \x1b[31mweb");
    assert_eq!(first, "", "a line is passed on when it is whole");
    assert_eq!(relay.take(b"\nnext"), "stderr| scanning [31mweb\n");
    let mut out = relay.take(&vec![b'x'; 200 * 1024]);
    let (rest, tail) = relay.finish();
    out.push_str(&rest);
    assert!(out.len() < MAX_STDERR_RELAYED + 2 * MAX_RELAYED_LINE, "{}", out.len());
    assert!(out.lines().all(|line| line.starts_with(STDERR_PREFIX) && line.len() < 2 * MAX_RELAYED_LINE));
    assert!(out.ends_with("(what follows is left out)\n"));
    assert_eq!(tail, vec![b'x'; MAX_STDERR_TAIL]);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        report in prop::collection::vec(any::<u8>(), 0..20_000),
        stderr in prop::collection::vec(any::<u8>(), 0..8_000),
        code in any::<i32>(),
    ) {
        let mut relay = Relay::default();
        let mut log = Vec::new();
        for chunk in stderr.chunks(700) {
            log.extend_from_slice(relay.take(chunk).as_bytes());
        }
        let (rest, tail) = relay.finish();
        log.extend_from_slice(rest.as_bytes());
        write(&mut log, Exit::Code(code), &Captured::Whole(report.clone()), &tail).unwrap();
        let frame = parse(&log).unwrap();
        prop_assert_eq!(frame.report, report);
        prop_assert_eq!(frame.exit, Exit::Code(code));
        prop_assert!(stderr.ends_with(&frame.stderr_tail));
    }

    #[test]
    fn arbitrary_bytes_are_no_frame(log in prop::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(parse(&log).is_err());
    }

    #[test]
    fn one_changed_byte_never_changes_the_result(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut log = good();
        let at = at.index(log.len());
        log[at] = byte;
        if let Ok(frame) = parse(&log) {
            prop_assert_eq!(frame, parse(&good()).unwrap());
        }
    }
}
