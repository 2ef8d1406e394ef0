//! A process that outlives the cluster's owner just long enough to remove the cluster: `local-cluster reap`. With it a suite that
//! was killed, or that simply ended with a cluster in a static, leaves nothing either.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::error::ClusterError;
use super::layout::Layout;
use super::process::MARK;
use super::state::{self, Record};

/// The program that has the subcommand `reap`.
const PROGRAM: &str = "local-cluster";

/// How soon the owner's end is noticed.
const LOOK: Duration = Duration::from_millis(100);

/// Starts the process beside a cluster this process owns. Where the program is not built there is none, and the next boot of any
/// cluster removes what is left.
pub(super) fn start(layout: &Layout) {
    let Some(program) = program() else { return };
    let Ok(log) = File::create(layout.log("reaper")) else { return };
    let mut command = Command::new("setsid");
    command.arg(program).args(["reap", "--name", layout.name().as_str()]);
    command.env(MARK, layout.folder()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // It ends by itself when the cluster changes hands, or is ended with the cluster; nobody needs its exit status.
    let _ = command.spawn();
}

/// Waits until the cluster's owner has died, and removes the cluster; returns without doing anything once it is gone or has
/// another owner.
pub(super) fn watch(layout: &Layout) -> Result<(), ClusterError> {
    let Some(owner) = Record::read(layout).and_then(|record| record.owner) else { return Ok(()) };
    while owner.alive() {
        thread::sleep(LOOK);
        if Record::read(layout).is_none_or(|record| record.owner != Some(owner)) {
            return Ok(());
        }
    }
    state::remove_owned(layout, owner)
}

/// The program, if it lies where Cargo puts it: beside this one, or above the folder of the test programs.
pub(super) fn program() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    let folders = this.ancestors().skip(1).take(2);
    folders.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}
