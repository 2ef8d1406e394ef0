//! The operator as a process of this machine: started, killed, followed by another. It decides nothing about when.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::Mutex;

/// How long an operator may take to end after it was told to: as long as its Deployment gives it.
const GRACE: Duration = Duration::from_secs(30);

/// What an operator says that ends because it could not renew its lease in time, as on a machine that is too busy. Whoever runs
/// it starts it again.
const LOST: &str = "the lead is lost";

/// The operators of one plan: one at a time, but where another stands by. A lease says which of them leads.
pub struct Operators {
    command: Command,
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one that has been started first, and so leads, comes first.
    running: Vec<Child>,
    complaints: Vec<String>,
}

impl Operators {
    /// None runs yet; each is started by this command. What they say goes into the file `log`, which begins empty.
    pub fn new(command: Command, log: &Path) -> io::Result<Self> {
        File::create(log)?;
        Ok(Self { command, log: log.to_owned(), state: Mutex::default() })
    }

    /// Starts one.
    pub async fn start(&self) {
        let mut state = self.state.lock().await;
        self.add(&mut state);
    }

    fn add(&self, state: &mut State) {
        match self.spawn() {
            Ok(child) => state.running.push(child),
            Err(error) => state.complaints.push(format!("the operator could not be started: {error}")),
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let output = File::options().append(true).open(&self.log)?;
        let mut command = copy(&self.command);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        tokio::process::Command::from(command).kill_on_drop(true).spawn()
    }

    /// Kills what runs, as a lost node does, and starts a successor.
    pub async fn crash(&self) {
        let mut state = self.state.lock().await;
        self.note_ends(&mut state);
        for mut child in state.running.drain(..) {
            // One that has just ended by itself was noted above, or is noted by nobody: it could not be told apart.
            let _ = child.kill().await;
        }
        self.add(&mut state);
    }

    /// Tells the one that leads to end. Another has to stand by.
    pub async fn hand_over(&self) {
        let mut state = self.state.lock().await;
        if state.running.len() < 2 {
            state.complaints.push("nobody stood by to take over".to_owned());
            return;
        }
        let told = end(state.running.remove(0)).await;
        state.complaints.extend(told);
    }

    /// Starts those again that have lost their lease: others may have led since, and they know nothing any more.
    pub async fn tend(&self) {
        let mut state = self.state.lock().await;
        for _ in 0..self.note_ends(&mut state) {
            self.add(&mut state);
        }
    }

    /// Tells all to end, and waits for it.
    pub async fn stop(&self) {
        let mut state = self.state.lock().await;
        self.note_ends(&mut state);
        for child in std::mem::take(&mut state.running) {
            let told = end(child).await;
            state.complaints.extend(told);
        }
    }

    /// Notes operators that have ended although nobody told them to; says how many of them had lost their lease.
    fn note_ends(&self, state: &mut State) -> usize {
        let mut ended = Vec::new();
        state.running.retain_mut(|child| match child.try_wait() {
            Ok(Some(status)) => {
                ended.push(status);
                false
            }
            _ => true,
        });
        let said = |what: &str| fs::read_to_string(&self.log).unwrap_or_default().contains(what);
        let (lost, others): (Vec<_>, Vec<_>) =
            ended.into_iter().partition(|status| status.code() == Some(1) && said(LOST));
        state.complaints.extend(others.iter().map(|status| format!("the operator ended by itself: {status}")));
        lost.len()
    }

    /// What was wrong with the processes, and what they said that no operator may say.
    pub async fn complaints(&self) -> Vec<String> {
        let mut state = self.state.lock().await;
        self.note_ends(&mut state);
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let forbidden = ["panicked at", "Panicked", "a write was refused by the operator itself"];
        let lines = said.lines().filter(|line| forbidden.iter().any(|word| line.contains(word)));
        state.complaints.iter().cloned().chain(lines.map(|line| format!("the operator said: {line}"))).collect()
    }
}

async fn end(mut child: Child) -> Option<String> {
    let id = child.id().and_then(|id| i32::try_from(id).ok())?;
    // It may have ended in between; then waiting tells how.
    let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(Ok(status)) if status.success() => None,
        Ok(Ok(status)) => Some(format!("the operator was told to end and ended with {status}")),
        Ok(Err(error)) => Some(format!("the operator cannot be waited for: {error}")),
        Err(_) => Some(format!("the operator did not end within {} s of being told to", GRACE.as_secs())),
    }
}

/// A command cannot be cloned; another with the same words and variables can be made.
fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn operators(script: &'static str) -> (tempfile::TempDir, Operators) {
        let folder = tempfile::tempdir().expect("there is room");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let operators = Operators::new(command, &folder.path().join("log")).expect("a log");
        operators.start().await;
        (folder, operators)
    }

    #[tokio::test]
    async fn one_that_ends_by_itself_is_complained_of_and_one_that_is_killed_is_not() {
        let (_folder, operators) = operators("exec sleep 60").await;
        operators.crash().await;
        operators.start().await;
        operators.hand_over().await;
        // A sleep that is told to end does so by the signal, which no operator should.
        let told = operators.complaints().await;
        assert_eq!(told.len(), 1, "{told:?}");
        operators.hand_over().await;
        assert!(operators.complaints().await[1].contains("nobody stood by"));
        let (_folder, ends) = self::operators("exit 3").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(ends.complaints().await[0].contains("by itself"));
    }

    #[tokio::test]
    async fn one_that_lost_its_lease_is_started_again_and_every_other_end_is_complained_of() {
        for (script, complaints) in [("echo the lead is lost; exit 1", 0), ("exit 1", 1)] {
            let (_folder, operators) = operators(script).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            operators.tend().await;
            let state = operators.state.lock().await;
            assert_eq!((state.running.len(), state.complaints.len()), (1 - complaints, complaints), "{script}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_found_in_what_it_says() {
        let (_folder, operators) =
            operators("trap 'exit 0' TERM; echo 'thread x panicked at y'; sleep 60 & wait").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        operators.stop().await;
        let told = operators.complaints().await;
        assert_eq!(told, ["the operator said: thread x panicked at y"]);
    }
}
