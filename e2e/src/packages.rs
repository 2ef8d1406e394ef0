//! What the machine itself has to bring: programs of Debian packages, installed with apt-get when they are missing. It decides by
//! looking for the files, so a machine that has them, from wherever, is left alone and apt is not called.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use crate::outside;

/// One installation at a time on this machine: apt-get's own lock on its lists is refused at once, not waited for.
const LOCK: &str = "/run/lock/hotfix-packages.lock";

/// How long somebody else's apt-get is waited for, e.g. that of a machine that updates itself after its start.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// It cannot be installed from here.
    #[error("this machine lacks {missing} and {reason}: install them, on Debian with `apt-get install {missing}`")]
    CannotInstall {
        /// The packages.
        missing: String,
        /// What keeps us from installing them.
        reason: &'static str,
    },
    /// The installation failed.
    #[error("`apt-get {command}` failed:\n{output}")]
    Apt {
        /// What was called.
        command: String,
        /// What it said.
        output: String,
    },
    /// The lock cannot be taken.
    #[error("{LOCK} cannot be locked: {source}; it keeps two installations apart")]
    Lock {
        /// What went wrong with it.
        source: io::Error,
    },
}

/// A Debian package and the file that tells that it is there.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    name: &'static str,
    file: &'static str,
}

impl Package {
    /// A package that brings a program found in `PATH`, or a file at an absolute path.
    pub const fn new(name: &'static str, file: &'static str) -> Self {
        Self { name, file }
    }

    fn present(self) -> bool {
        if self.file.starts_with('/') {
            return Path::new(self.file).exists();
        }
        // The system's folders too: a plain user's PATH may leave /usr/sbin out.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        folders.any(|folder| folder.join(self.file).is_file())
    }
}

/// Sees to it that the packages are there.
pub fn require(packages: &[Package]) -> Result<(), PackageError> {
    let missing =
        || packages.iter().filter(|package| !package.present()).map(|package| package.name).collect::<Vec<_>>();
    if missing().is_empty() {
        return Ok(());
    }
    // The lock goes with the file handle, so also with a process that dies.
    let lock = File::create(LOCK).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|source| PackageError::Lock { source })?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let cannot = |reason| PackageError::CannotInstall { missing: missing.join(" "), reason };
    if !Package::new("apt", "apt-get").present() {
        return Err(cannot("has no apt-get"));
    }
    if !geteuid().is_root() {
        return Err(cannot("installing needs root"));
    }
    tell!("packages: installing {} with apt-get", missing.join(", "));
    apt_when_free(&["update", "-qq"])?;
    let mut install = vec!["install", "-qq", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    apt_when_free(&install)
}

/// Calls apt-get again for as long as somebody else's holds its locks.
fn apt_when_free(arguments: &[&str]) -> Result<(), PackageError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match apt(arguments) {
            Err(PackageError::Apt { output, .. })
                if output.contains("Could not get lock") && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_secs(1));
            }
            done => return done,
        }
    }
}

fn apt(arguments: &[&str]) -> Result<(), PackageError> {
    let failed = |output| PackageError::Apt { command: arguments.join(" "), output };
    let output = outside::command("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_installed() {
        assert!(require(&[Package::new("bash", "sh"), Package::new("base-files", "/etc")]).is_ok());
    }
}
