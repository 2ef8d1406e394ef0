//! What the machine itself has to bring: programs of Debian packages, installed with apt-get when they are missing. It decides by
//! looking for the files, so a machine that has them, from wherever, is left alone and apt is not called.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

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
    let missing: Vec<_> = packages.iter().filter(|package| !package.present()).map(|package| package.name).collect();
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
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-qq", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)
}

fn apt(arguments: &[&str]) -> Result<(), PackageError> {
    let failed = |output| PackageError::Apt { command: arguments.join(" "), output };
    let output = Command::new("apt-get")
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
