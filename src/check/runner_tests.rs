use super::*;
use crate::check::frame::{Frame, FrameError, parse};

/// Runs a shell line as a check's command and gives the log.
fn log_of(script: &str) -> Vec<u8> {
    log_of_command(&["/bin/sh", "-c", script])
}

fn log_of_command(argv: &[&str]) -> Vec<u8> {
    let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    let mut log = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&argv, &mut log)).unwrap();
    log
}

fn frame_of(script: &str) -> Frame {
    parse(&log_of(script)).unwrap()
}

#[test]
fn standard_output_is_the_report_and_standard_error_is_not() {
    let log = log_of("echo looking >&2; printf '{}'; echo found >&2; exit 3");
    assert!(log.starts_with(b"stderr| looking\nstderr| found\n"));
    let frame = parse(&log).unwrap();
    assert_eq!(
        (frame.exit, &*frame.report, &*frame.stderr_tail),
        (Exit::Code(3), &b"{}"[..], &b"looking\nfound\n"[..])
    );
}

#[test]
fn binary_output_survives() {
    let frame = frame_of(r"printf '\000\n\377\r\n'");
    assert_eq!(frame.report, b"\0\n\xff\r\n");
}

#[test]
fn a_command_that_is_not_there_or_not_executable_is_told() {
    for (argv, why) in [
        (&["/nowhere/trivy", "image"][..], NotStarted::NotFound),
        (&["/etc/passwd"][..], NotStarted::NotPermitted),
        (&[][..], NotStarted::NotFound),
    ] {
        assert_eq!(parse(&log_of_command(argv)).unwrap().exit, Exit::NotStarted(why));
    }
}

#[test]
fn output_without_end_is_cut_short_and_ends_the_command() {
    assert_eq!(parse(&log_of("cat /dev/zero")), Err(FrameError::ReportTooLarge));
}

#[test]
fn the_largest_report_passes() {
    let frame = frame_of("head -c 8388608 /dev/zero");
    assert_eq!((frame.exit, frame.report.len()), (Exit::Code(0), MAX_REPORT_BYTES));
}

#[test]
fn a_flood_of_standard_error_neither_blocks_nor_fills_the_log() {
    let log = log_of("head -c 2000000 /dev/zero | tr '\\0' 'e' >&2; printf ok");
    assert!(log.len() < 100_000, "{}", log.len());
    assert_eq!(parse(&log).unwrap().report, b"ok");
}

#[test]
fn a_process_left_behind_that_holds_the_output_spoils_the_report() {
    let began = std::time::Instant::now();
    assert_eq!(parse(&log_of("printf '{}'; sleep 60 & exit 0")), Err(FrameError::ReportHeld));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_command_ended_by_a_signal_is_told() {
    assert_eq!(frame_of("kill -9 $$").exit, Exit::Signal(9));
}

#[test]
fn the_installed_runner_is_this_program_and_can_be_installed_again() {
    let folder = std::env::temp_dir().join(format!("hotfix-runner-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let dest = folder.join("hotfix-operator");
    install_runner(&dest).unwrap();
    install_runner(&dest).unwrap();
    let installed = fs::metadata(&dest).unwrap();
    assert_eq!(installed.permissions().mode() & 0o777, 0o555);
    assert_eq!(installed.len(), fs::metadata("/proc/self/exe").unwrap().len());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    fs::remove_dir_all(&folder).unwrap();
    assert!(install_runner(&dest).is_err());
}
