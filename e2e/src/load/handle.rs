//! A running generator, from outside.

use std::{
    io,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin},
    sync::watch,
    task::JoinHandle,
    time,
};

use super::{
    generator::{Plan, TIMEOUT},
    ledger::{Ledger, Snapshot},
    sample::Line,
};

/// Why there is no full account.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The generator could not be started or read.
    #[error("cannot run the load generator: {0}")]
    Io(#[from] io::Error),
    /// It wrote something else than its lines.
    #[error("the load generator wrote {line:?}: {source}")]
    Line {
        /// The beginning of what it wrote.
        line: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Its output ended before it said that it had finished, or lines are missing.
    #[error("the load generator's account is incomplete: {seen} samples, {}", .written.map_or_else(|| "and no end".to_owned(), |n| format!("of {n}")))]
    Incomplete {
        /// The samples read.
        seen: u64,
        /// The samples written, if it said so.
        written: Option<u64>,
    },
    /// What was waited for did not come.
    #[error("{what} did not come within {waited:?}; so far: {so_far:?}")]
    TimedOut {
        /// What was awaited.
        what: String,
        /// For how long.
        waited: Duration,
        /// The figures by then.
        so_far: Box<Snapshot>,
    },
    /// The generator ended while it was waited for.
    #[error("the load generator ended before {0} came")]
    Ended(String),
}

/// A generator at work. Dropping it kills the process.
#[derive(Debug)]
pub struct Load {
    process: Option<(Child, ChildStdin)>,
    reader: JoinHandle<Result<(), LoadError>>,
    ledger: Arc<Mutex<Ledger>>,
    news: watch::Receiver<Snapshot>,
}

impl Load {
    /// Starts the program `load` with this plan. `command` runs it where the clients are to live, such as inside a
    /// cluster's network namespace; it has no arguments yet. The clients stop when [`Load::stop`] is called, when
    /// the plan's duration has passed, and when this process ends however it ends.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(mut command: Command, plan: &Plan) -> Result<Self, LoadError> {
        command
            .arg(plan.address.to_string())
            .args(["--host", &plan.host, "--path", &plan.path])
            .args(["--new", &plan.new_clients.to_string()])
            .args(["--keep-alive", &plan.keep_alive_clients.to_string()])
            .args(["--rate", &plan.rate.to_string()])
            .args(["--seconds", &plan.duration.as_secs().to_string()])
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the child has no pipes").into());
        };
        Ok(Self { process: Some((child, stdin)), ..Self::follow(stdout) })
    }

    /// Reads the lines of a generator that runs elsewhere, such as the log of a pod.
    pub fn follow(lines: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (news, snapshots) = watch::channel(Snapshot::default());
        let reader = tokio::spawn(read(lines, Arc::clone(&ledger), news));
        Self { process: None, reader, ledger, news: snapshots }
    }

    /// The figures up to now; 20 ms behind at most, if the machine keeps up.
    pub fn snapshot(&self) -> Snapshot {
        self.news.borrow().clone()
    }

    /// A receiver of the figures as they change.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.news.clone()
    }

    /// The full account up to now.
    pub fn ledger(&self) -> Ledger {
        lock(&self.ledger).clone()
    }

    /// Waits until the figures satisfy a condition. `what` names it for the error: "an answer of v2".
    pub async fn wait_for(
        &self,
        what: &str,
        timeout: Duration,
        condition: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot, LoadError> {
        let mut news = self.news.clone();
        let found =
            time::timeout(timeout, news.wait_for(condition)).await.map(|found| found.map(|found| found.clone()));
        match found {
            Ok(Ok(snapshot)) => Ok(snapshot),
            Ok(Err(_ended)) => Err(LoadError::Ended(what.to_owned())),
            Err(_elapsed) => {
                Err(LoadError::TimedOut { what: what.to_owned(), waited: timeout, so_far: Box::new(self.snapshot()) })
            }
        }
    }

    /// Tells the clients to stop, waits for what is under way, and gives the full account.
    ///
    /// # Errors
    /// When the account is not complete.
    pub async fn stop(mut self) -> Result<Ledger, LoadError> {
        let child = self.process.take().map(|(child, stdin)| {
            drop(stdin);
            child
        });
        // A request under way may take its full time; so may the machine.
        let ended = time::timeout(TIMEOUT * 3, &mut self.reader).await;
        let Ok(read) = ended else {
            let so_far = Box::new(self.snapshot());
            return Err(LoadError::TimedOut { what: "the end of the clients".to_owned(), waited: TIMEOUT * 3, so_far });
        };
        read.map_err(io::Error::other)??;
        if let Some(mut child) = child {
            child.wait().await?;
        }
        Ok(lock(&self.ledger).clone())
    }
}

/// The books are whole between two statements, so a panic elsewhere does not spoil them.
fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(
    lines: impl AsyncRead + Unpin,
    ledger: Arc<Mutex<Ledger>>,
    news: watch::Sender<Snapshot>,
) -> Result<(), LoadError> {
    let mut lines = BufReader::new(lines).lines();
    while let Some(line) = lines.next_line().await? {
        let parsed = serde_json::from_str(&line)
            .map_err(|source| LoadError::Line { line: line.chars().take(MAX_SHOWN).collect(), source })?;
        match parsed {
            Line::Started { .. } => {}
            Line::Samples(samples) => {
                let mut ledger = lock(&ledger);
                for sample in samples {
                    ledger.push(sample);
                }
                news.send_replace(ledger.total().clone());
            }
            Line::Finished { samples, .. } => {
                let seen = lock(&ledger).total().requests;
                if seen != samples {
                    return Err(LoadError::Incomplete { seen, written: Some(samples) });
                }
                return Ok(());
            }
        }
    }
    Err(LoadError::Incomplete { seen: lock(&ledger).total().requests, written: None })
}

/// So much of a strange line is shown.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAMPLE: &str = r#"{"samples":[{"client":1,"opened":"new","sent":1,"connected":2,"received":3,
        "answered":{"version":"v1","pod":"web-1"}}]}"#;

    fn text(lines: &[&str]) -> Load {
        let text = lines.iter().map(|line| line.replace('\n', " ") + "\n").collect::<String>();
        Load::follow(io::Cursor::new(text.into_bytes()))
    }

    #[tokio::test]
    async fn an_account_that_is_whole_is_given() {
        let load = text(&[SAMPLE, SAMPLE, r#"{"finished":{"at":9,"samples":2}}"#]);
        let seen = load.wait_for("answers of v1", Duration::from_secs(5), |seen| seen.answers("v1") > 0).await;
        assert!(seen.is_ok());
        let ledger = load.stop().await.expect("it is whole");
        assert_eq!(ledger.total().answers("v1"), 2);
    }

    #[tokio::test]
    async fn an_account_with_a_missing_line_is_an_error() {
        let stopped = text(&[SAMPLE, r#"{"finished":{"at":9,"samples":2}}"#]).stop().await;
        assert!(matches!(stopped, Err(LoadError::Incomplete { seen: 1, written: Some(2) })), "{stopped:?}");
    }

    #[tokio::test]
    async fn an_account_without_an_end_is_an_error() {
        let stopped = text(&[SAMPLE]).stop().await;
        assert!(matches!(stopped, Err(LoadError::Incomplete { seen: 1, written: None })), "{stopped:?}");
    }

    #[tokio::test]
    async fn what_is_no_line_is_an_error_that_shows_it() {
        let stopped = text(&["panicked at nothing"]).stop().await.expect_err("it is no line");
        assert!(stopped.to_string().contains("panicked at nothing"), "{stopped}");
    }

    #[tokio::test]
    async fn waiting_for_what_cannot_come_any_more_ends() {
        let load = text(&[]);
        let waited = load.wait_for("v9", Duration::from_secs(5), |seen| seen.answers("v9") > 0).await;
        assert!(matches!(waited, Err(LoadError::Ended(what)) if what == "v9"));
    }

    #[test]
    fn a_line_is_written_as_it_is_read() {
        let line: Line = serde_json::from_str(SAMPLE).expect("it is a line");
        let written = serde_json::to_value(&line).expect("it can be written");
        assert_eq!(written["samples"][0]["answered"], json!({"version": "v1", "pod": "web-1"}));
    }
}
