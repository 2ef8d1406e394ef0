//! The runner: what stands between a check's command and the log of its pod.
//!
//! It runs in the administrator's image, out of a folder that an init container filled with the operator's own static
//! binary. It runs the command without a shell, keeps its standard output apart from its standard error, passes a
//! termination on to it, and prints one frame. It never looks into a report, and its own exit status says only whether
//! a frame could be printed.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};

use super::frame::{self, Captured, Exit, NotStarted, Relay};
use crate::findings::MAX_REPORT_BYTES;

/// How long a process that the command left behind may keep its output open before it is ended too.
const LINGER: Duration = Duration::from_secs(2);

/// Runs `argv` and prints its result as one frame to standard output. Exits 0 when the frame was printed.
pub fn run_check(argv: &[OsString]) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(run(argv, &mut io::stdout())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the result of the check could not be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(argv: &[OsString], out: &mut impl Write) -> io::Result<()> {
    // As process 1 of its container the runner gets no signal it has no handler for, so they come first.
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let spawned = match argv {
        [] => Err(io::ErrorKind::NotFound.into()),
        [program, arguments @ ..] => Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: what the command starts is ended with it.
            .process_group(0)
            .spawn(),
    };
    match spawned {
        Ok(child) => attend(child, &mut signals, out).await,
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => NotStarted::NotFound,
                io::ErrorKind::PermissionDenied => NotStarted::NotPermitted,
                _ => NotStarted::Other,
            };
            frame::write(out, Exit::NotStarted(why), &Captured::Whole(Vec::new()), &[])
        }
    }
}

struct Signals {
    terminate: Incoming,
    interrupt: Incoming,
}

impl Signals {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
        }
    }
}

/// Captures both outputs until the command has ended, then prints the frame.
async fn attend(mut child: Child, signals: &mut Signals, out: &mut impl Write) -> io::Result<()> {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let (mut report, mut overflow) = (Vec::new(), false);
    let mut relay = Relay::default();
    let mut status = None;
    let linger = tokio::time::sleep(Duration::MAX);
    tokio::pin!(linger);
    let (mut from_stdout, mut from_stderr) = (vec![0; 64 * 1024], vec![0; 16 * 1024]);
    let mut held = false;
    while status.is_none() || stdout.is_some() || stderr.is_some() {
        tokio::select! {
            read = read(&mut stdout, &mut from_stdout) => {
                match read {
                    // A pipe that fails leaves open how much was missed.
                    Err(_) => {
                        held = true;
                        stdout = None;
                    }
                    Ok([]) => stdout = None,
                    Ok(more) if report.len() + more.len() > MAX_REPORT_BYTES => {
                        overflow = true;
                        stdout = None;
                        send(group, Signal::KILL);
                    }
                    Ok(more) => report.extend_from_slice(more),
                }
            }
            read = read(&mut stderr, &mut from_stderr) => {
                match read {
                    Err(_) | Ok([]) => stderr = None,
                    Ok(more) => out.write_all(relay.take(more).as_bytes())?,
                }
            }
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
            }
            () = &mut linger, if status.is_some() => {
                held |= stdout.is_some();
                send(group, Signal::KILL);
                break;
            }
            signal = signals.next() => send(group, signal),
        }
    }
    let captured = match (overflow, held) {
        (true, _) => Captured::Overflow,
        (false, true) => Captured::Held,
        (false, false) => Captured::Whole(report),
    };
    let (rest, tail) = relay.finish();
    out.write_all(rest.as_bytes())?;
    frame::write(out, status.map_or(Exit::Signal(0), exit), &captured, &tail)
}

/// Some bytes of a stream; none at its end. Never returns for a stream that is done, so that it is not asked again.
async fn read<'a>(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    match stream {
        Some(stream) => stream.read(buffer).await.map(|length| &buffer[..length]),
        None => std::future::pending().await,
    }
}

/// Signals the command and what it started. It may be gone already, which is as well.
fn send(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// Why the runner could not be put in place.
#[derive(Debug, Error)]
#[error("{path} could not be written: {source}")]
pub struct InstallError {
    /// Where it was to be put.
    pub path: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

/// Copies this very program to `dest`, for all to execute and nobody to change. Doing it again replaces it.
pub fn install_runner(dest: &Path) -> Result<(), InstallError> {
    let partial = dest.with_extension("partial");
    let copy = || {
        // A copy left over from a run that was ended could not be opened for writing.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::copy("/proc/self/exe", &partial)?;
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o555))?;
        fs::rename(&partial, dest)
    };
    copy().map_err(|source| InstallError { path: dest.to_owned(), source })
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
