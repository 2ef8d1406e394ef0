//! Checks as they should not be: what each does is something a gate must judge Inconclusive or Fail, never Pass.

use std::{
    io::{self, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

/// More than the 8 MiB of a report that the operator reads.
const FLOOD: usize = 9 << 20;

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Misbehaviour {
    /// Ends well and writes what is no report.
    Garbage,
    /// Ends well and writes nothing.
    Silent,
    /// Ends well with the beginning of a Trivy report.
    Truncated,
    /// Ends well with a Trivy report that is well formed, has no findings, and is about another image.
    Elsewhere,
    /// Ends well and writes more than anyone should read.
    Flood,
    /// Writes nothing and does not end for an hour.
    Hang,
    /// Writes an error and ends with status 1.
    Fail,
}

impl Misbehaviour {
    /// Does it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn run(self) -> io::Result<ExitCode> {
        let mut out = io::stdout().lock();
        match self {
            Self::Garbage => out.write_all(b"everything is fine, trust me\n")?,
            Self::Silent => {}
            Self::Truncated => out.write_all(br#"{"SchemaVersion":2,"ArtifactType":"container_image","Results":[{"#)?,
            Self::Elsewhere => out.write_all(ELSEWHERE.as_bytes())?,
            Self::Flood => {
                let line = [b'x'; 1023];
                for _ in 0..FLOOD / (line.len() + 1) {
                    out.write_all(&line)?;
                    out.write_all(b"\n")?;
                }
            }
            // Longer than any deadline of a check.
            Self::Hang => thread::sleep(Duration::from_secs(3600)),
            Self::Fail => {
                eprintln!("failed, as ordered");
                return Ok(ExitCode::FAILURE);
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

const ELSEWHERE: &str = r#"{"SchemaVersion":2,"ArtifactName":"elsewhere.example/other","ArtifactType":"container_image",
"Metadata":{"OS":{"Family":"debian","Name":"12"},"RepoDigests":["elsewhere.example/other@sha256:0000000000000000000000000000000000000000000000000000000000000000"]},
"Results":[{"Target":"Python","Class":"lang-pkgs","Type":"python-pkg"}]}
"#;
