//! The framed document in a check pod's log, written and read.
//!
//! ```text
//! stderr| a line that the check wrote to its standard error, passed on for people
//! securityhotfix.dev/check-frame/v1 begin
//! exit code 1
//! report 18734 5f1c…
//! stderr 210 99ab…
//! <the report in base64, in lines>
//! -
//! <the end of standard error in base64, in lines>
//! securityhotfix.dev/check-frame/v1 end 07d2…
//! ```
//!
//! Lines are short enough for every runtime to leave whole, and a body that was split all the same reads back: line
//! ends within it mean nothing. Lengths and hashes show what is cut or harmed; the last hash is of the three headers. Nothing may stand before the frame but
//! prefixed lines of standard error, and nothing after it: a check cannot slip in a second frame through its standard
//! error, and one that writes to the log behind the runner's back only spoils its own result.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::api::names::hex;
use crate::findings::MAX_REPORT_BYTES;

const BEGIN: &str = "securityhotfix.dev/check-frame/v1 begin";
const END: &str = "securityhotfix.dev/check-frame/v1 end ";
const EXIT: &str = "exit ";
const REPORT: &str = "report ";
const STDERR: &str = "stderr ";
const SEPARATOR: &str = "-";
/// Stands before each line of the check's standard error that is passed on.
pub const STDERR_PREFIX: &str = "stderr| ";

/// Bytes of a report in one line: 8 KiB of base64, half of the 16 KiB at which runtimes split a line.
const LINE_BYTES: usize = 6 * 1024;

/// How much of the end of standard error goes into the frame: enough for the last message of a tool.
pub const MAX_STDERR_TAIL: usize = 4 * 1024;

/// How much of standard error is passed on before the frame.
pub const MAX_STDERR_RELAYED: usize = 64 * 1024;

/// The most a log can hold and be read: 8 MiB in base64 with their line ends are 10.7 MiB, and the rest leaves room for
/// standard error. Whoever fetches a log need never fetch more.
pub const MAX_LOG_BYTES: usize = 12 * 1024 * 1024;

/// How the check's command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It could not be started.
    NotStarted(NotStarted),
}

/// Why a command could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// There is no such program in the image.
    NotFound,
    /// It is there but may not be executed.
    NotPermitted,
    /// Anything else.
    Other,
}

impl Exit {
    /// The exit code a shell would tell: 126 and 127 for a command that could not be started, 128 and the signal's
    /// number for one that a signal ended.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_i32.saturating_add(signal),
            Self::NotStarted(NotStarted::NotFound) => 127,
            Self::NotStarted(NotStarted::NotPermitted | NotStarted::Other) => 126,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "the command ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "the command was ended by signal {signal}"),
            Self::NotStarted(NotStarted::NotFound) => {
                f.write_str("the command could not be started: there is no such program in the image")
            }
            Self::NotStarted(NotStarted::NotPermitted) => {
                f.write_str("the command could not be started: the program may not be executed")
            }
            Self::NotStarted(NotStarted::Other) => f.write_str("the command could not be started"),
        }
    }
}

/// What the runner captured of the command's standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// All of it.
    Whole(Vec<u8>),
    /// More than [`MAX_REPORT_BYTES`]; the command was ended.
    Overflow,
    /// The command ended but left a process behind that held its standard output open.
    Held,
}

/// A frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How the command ended. Never a verdict by itself for a scan.
    pub exit: Exit,
    /// Its standard output, whole.
    pub report: Vec<u8>,
    /// SHA-256 of the report, in hex: the evidence that verdicts name.
    pub sha256: String,
    /// The end of its standard error, for the operator's log. Scanners have been seen to print credentials, so it has
    /// no place in a status.
    pub stderr_tail: Vec<u8>,
}

/// Why a log holds no usable frame.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The log is larger than anything the runner writes.
    #[error("the log of the check is larger than {MAX_LOG_BYTES} bytes")]
    LogTooLarge,
    /// There is no frame in it.
    #[error("the log of the check holds no result")]
    Missing,
    /// Something else than the runner wrote before the frame.
    #[error("the log of the check holds other text before its result: something wrote past the runner")]
    Noise,
    /// The frame begins and does not end.
    #[error("the result of the check was cut off")]
    Cut,
    /// Something follows the frame, or there is a second one.
    #[error("the log of the check goes on after its result, or holds a second one")]
    Trailing,
    /// The report is larger than what is read.
    #[error("the report has more than {MAX_REPORT_BYTES} bytes")]
    ReportTooLarge,
    /// A process that the command left behind kept standard output open.
    #[error("the command ended but a process it had started went on writing the report")]
    ReportHeld,
    /// The frame is there, but not as it was written.
    #[error("the result of the check was damaged: {0}")]
    Damaged(&'static str),
}

/// Writes a frame.
pub fn write(out: &mut impl Write, exit: Exit, captured: &Captured, stderr_tail: &[u8]) -> io::Result<()> {
    let ended = match exit {
        Exit::Code(code) => format!("code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::NotStarted(NotStarted::NotFound) => "unstarted not-found".to_owned(),
        Exit::NotStarted(NotStarted::NotPermitted) => "unstarted not-permitted".to_owned(),
        Exit::NotStarted(NotStarted::Other) => "unstarted other".to_owned(),
    };
    let (described, report): (String, &[u8]) = match captured {
        Captured::Whole(report) => (format!("{} {}", report.len(), sha256(report)), report),
        Captured::Overflow => ("overflow".to_owned(), &[]),
        Captured::Held => ("held".to_owned(), &[]),
    };
    let tail = format!("{} {}", stderr_tail.len(), sha256(stderr_tail));
    let headers = format!("{EXIT}{ended}\n{REPORT}{described}\n{STDERR}{tail}\n");
    write!(out, "{BEGIN}\n{headers}")?;
    write_body(out, report)?;
    writeln!(out, "{SEPARATOR}")?;
    write_body(out, stderr_tail)?;
    writeln!(out, "{END}{}", sha256(headers.as_bytes()))?;
    out.flush()
}

fn write_body(out: &mut impl Write, body: &[u8]) -> io::Result<()> {
    body.chunks(LINE_BYTES).try_for_each(|chunk| writeln!(out, "{}", BASE64.encode(chunk)))
}

/// Reads the one frame of a log.
pub fn parse(log: &[u8]) -> Result<Frame, FrameError> {
    if log.len() > MAX_LOG_BYTES {
        return Err(FrameError::LogTooLarge);
    }
    let mut lines = Lines(log);
    loop {
        let line = lines.next().ok_or(FrameError::Missing)?;
        if line == BEGIN.as_bytes() {
            break;
        }
        let relayed = line.starts_with(STDERR_PREFIX.as_bytes()) || line == STDERR_PREFIX.trim_end().as_bytes();
        if !relayed {
            return Err(FrameError::Noise);
        }
    }
    let (exit, report, stderr) = (header(&mut lines, EXIT)?, header(&mut lines, REPORT)?, header(&mut lines, STDERR)?);
    let headers = sha256(format!("{EXIT}{exit}\n{REPORT}{report}\n{STDERR}{stderr}\n").as_bytes());
    let exit = read_exit(exit)?;
    let report_size = read_size(report, MAX_REPORT_BYTES)?;
    let stderr_size = read_size(stderr, MAX_STDERR_TAIL)?;
    let report = read_body(&mut lines, SEPARATOR, report_size)?;
    let stderr_tail = read_body(&mut lines, &format!("{END}{headers}"), stderr_size)?;
    if !lines.0.is_empty() {
        return Err(FrameError::Trailing);
    }
    Ok(Frame { exit, sha256: sha256(&report), report, stderr_tail })
}

/// The lines of a log, each ended by a line feed. A last line without one was cut and is not given out.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn header<'a>(lines: &mut Lines<'a>, name: &str) -> Result<&'a str, FrameError> {
    let line = lines.next().ok_or(FrameError::Cut)?;
    let line = str::from_utf8(line).map_err(|_| FrameError::Damaged("a header is not text"))?;
    line.strip_prefix(name).ok_or(FrameError::Damaged("a header is missing"))
}

fn read_exit(text: &str) -> Result<Exit, FrameError> {
    let damaged = FrameError::Damaged("how the command ended cannot be read");
    match text.split_once(' ') {
        Some(("code", code)) => code.parse().map(Exit::Code).map_err(|_| damaged),
        Some(("signal", signal)) => signal.parse().map(Exit::Signal).map_err(|_| damaged),
        Some(("unstarted", "not-found")) => Ok(Exit::NotStarted(NotStarted::NotFound)),
        Some(("unstarted", "not-permitted")) => Ok(Exit::NotStarted(NotStarted::NotPermitted)),
        Some(("unstarted", "other")) => Ok(Exit::NotStarted(NotStarted::Other)),
        _ => Err(damaged),
    }
}

/// Length and hash of a body, as its header declares them.
#[derive(Clone, Copy)]
struct Size<'a> {
    bytes: usize,
    sha256: &'a str,
}

fn read_size(text: &str, max: usize) -> Result<Size<'_>, FrameError> {
    let damaged = FrameError::Damaged("a length cannot be read");
    match text.split_once(' ') {
        None if text == "overflow" => Err(FrameError::ReportTooLarge),
        None if text == "held" => Err(FrameError::ReportHeld),
        None => Err(damaged),
        Some((bytes, sha256)) => {
            let bytes = bytes.parse().map_err(|_| damaged)?;
            if bytes > max {
                return Err(FrameError::ReportTooLarge);
            }
            Ok(Size { bytes, sha256 })
        }
    }
}

/// Reads base64 up to a line that ends it. Line ends within it mean nothing.
fn read_body(lines: &mut Lines<'_>, end: &str, size: Size<'_>) -> Result<Vec<u8>, FrameError> {
    let mut encoded = Vec::with_capacity(size.bytes.div_ceil(3) * 4);
    loop {
        let line = lines.next().ok_or(FrameError::Cut)?;
        if line == end.as_bytes() {
            break;
        }
        // Neither line is base64, and what follows them is not of this body.
        if line == BEGIN.as_bytes() || line.starts_with(END.as_bytes()) {
            return Err(FrameError::Damaged("a body ends where it should not"));
        }
        encoded.extend_from_slice(line);
    }
    // Every line but the last is a multiple of three bytes and so has no padding: the lines are one base64 text.
    let body = BASE64.decode(&encoded).map_err(|_| FrameError::Damaged("a body is not base64"))?;
    if body.len() != size.bytes {
        return Err(FrameError::Damaged("a body has not the declared length"));
    }
    if sha256(&body) != size.sha256 {
        return Err(FrameError::Damaged("a body has not the declared hash"));
    }
    Ok(body)
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes), 64)
}

/// Passes standard error on line by line, so that people see it in the log and nobody takes it for a frame.
#[derive(Default)]
pub struct Relay {
    line: String,
    relayed: usize,
    tail: Vec<u8>,
}

/// Bytes of one passed-on line; longer lines are broken, so that no runtime splits them.
const MAX_RELAYED_LINE: usize = 4 * 1024;

impl Relay {
    /// Takes some bytes of standard error and gives the prefixed lines to print.
    pub fn take(&mut self, bytes: &[u8]) -> String {
        self.keep_tail(bytes);
        let mut out = String::new();
        for c in String::from_utf8_lossy(bytes).chars() {
            if c == '\n' || self.line.len() >= MAX_RELAYED_LINE {
                self.print(&mut out);
            }
            // Colours, cursor movements and carriage returns of progress bars have no place in a log.
            if !c.is_control() || c == '\t' {
                self.line.push(c);
            }
        }
        out
    }

    /// The last line, when it did not end with a line feed, and the end of standard error.
    pub fn finish(mut self) -> (String, Vec<u8>) {
        let mut out = String::new();
        if !self.line.is_empty() {
            self.print(&mut out);
        }
        (out, self.tail)
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(MAX_STDERR_TAIL)..]);
        let excess = self.tail.len().saturating_sub(MAX_STDERR_TAIL);
        self.tail.drain(..excess);
    }

    fn print(&mut self, out: &mut String) {
        let line = std::mem::take(&mut self.line);
        if self.relayed >= MAX_STDERR_RELAYED {
            return;
        }
        self.relayed += line.len() + 1;
        let more = if self.relayed >= MAX_STDERR_RELAYED { " (what follows is left out)" } else { "" };
        writeln!(out, "{STDERR_PREFIX}{line}{more}").expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
