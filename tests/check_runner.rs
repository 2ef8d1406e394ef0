//! The runner as a check's pod has it: the binary itself, its pipes and its signals.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use securityhotfix::check::frame::{Exit, Frame, FrameError, parse};

const OPERATOR: &str = env!("CARGO_BIN_EXE_hotfix-operator");

fn start(program: &str, script: &str) -> Child {
    Command::new(program)
        .args(["run-check", "--", "/bin/sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the runner printed, and nothing it should not have.
fn frame(runner: Child) -> Result<Frame, FrameError> {
    let output = runner.wait_with_output().unwrap();
    assert!(output.status.success(), "a runner that printed a frame ends with 0: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "one stream carries everything, so that nothing overtakes");
    parse(&output.stdout)
}

#[test]
fn a_check_is_framed_whatever_its_exit_code() {
    for code in [0, 1, 42] {
        let frame = frame(start(OPERATOR, &format!("printf report; exit {code}"))).unwrap();
        assert_eq!((frame.exit, &*frame.report), (Exit::Code(code), &b"report"[..]));
    }
}

#[test]
fn a_command_line_is_passed_on_as_it_is() {
    let output = Command::new(OPERATOR)
        .args(["run-check", "--", "/bin/echo", "-n", "--help", "$(IMAGE)", "a b", "*"])
        .output()
        .unwrap();
    assert_eq!(parse(&output.stdout).unwrap().report, b"--help $(IMAGE) a b *");
}

#[test]
fn a_request_to_end_reaches_the_check_and_its_last_words_are_kept() {
    let mut runner = start(
        OPERATOR,
        "trap 'printf ended; exit 7' TERM; echo ready >&2; while :; do sleep 3 >/dev/null 2>&1 & wait $!; done",
    );
    let mut out = BufReader::new(runner.stdout.take().unwrap());
    let mut log = String::new();
    out.read_line(&mut log).unwrap();
    assert_eq!(log, "stderr| ready\n");
    let pid = Pid::from_raw(i32::try_from(runner.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    out.read_to_string(&mut log).unwrap();
    assert!(runner.wait().unwrap().success());
    let frame = parse(log.as_bytes()).unwrap();
    assert_eq!((frame.exit, &*frame.report), (Exit::Code(7), &b"ended"[..]));
}

#[test]
fn a_runner_that_is_killed_leaves_no_result() {
    let mut runner = start(OPERATOR, "echo ready >&2; sleep 3");
    let mut out = BufReader::new(runner.stdout.take().unwrap());
    let mut log = String::new();
    out.read_line(&mut log).unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    assert_eq!(parse(log.as_bytes()), Err(FrameError::Missing));
}

#[test]
fn the_installed_copy_runs_by_itself() {
    let folder: PathBuf = std::env::temp_dir().join(format!("hotfix-installed-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let dest = folder.join("hotfix-operator");
    assert!(Command::new(OPERATOR).arg("install-runner").arg(&dest).status().unwrap().success());
    let frame = frame(start(dest.to_str().unwrap(), "printf copied")).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(frame.report, b"copied");
}
