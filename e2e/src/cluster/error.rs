//! What can go wrong with a local cluster, shaped by what its user does next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::layout::ClusterName;
use crate::packages::PackageError;
use crate::tools::ToolError;

/// Why a local cluster did not come up, could not be reached, or did not go away.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The name cannot name a cluster.
    #[error(
        "{0:?} cannot name a cluster: use 1 to 24 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
    )]
    Name(String),
    /// Namespaces, mounts and cgroups are for root only.
    #[error("a local cluster needs root (network namespaces, mounts, cgroups): run this as root, or with sudo -E")]
    NotRoot,
    /// A cluster of this name is in use.
    #[error("cluster {name} belongs to the running process {pid}: end that process, wait for it, or take another name")]
    Busy {
        /// The cluster.
        name: ClusterName,
        /// The process that booted it and still lives.
        pid: i32,
    },
    /// There is no such cluster.
    #[error(
        "there is no cluster {0}: `local-cluster up --name {0}` boots one, `local-cluster list` shows those there are"
    )]
    Unknown(ClusterName),
    /// Two hundred clusters are enough for any machine.
    #[error(
        "all {0} cluster networks are taken: `local-cluster list` shows them, `local-cluster down --name NAME` frees one"
    )]
    Full(u8),
    /// The process is being ended; nothing new is started.
    #[error("interrupted: the clusters of this process are being removed")]
    Interrupted,
    /// A part ended while the cluster was coming up.
    #[error("{component} ended while the cluster was coming up; the end of {log}:\n{output}")]
    Ended {
        /// The part.
        component: &'static str,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        output: String,
    },
    /// Something awaited did not happen.
    #[error("waited {within:?} for {awaited} in vain; last seen: {seen}; the logs are in {logs}")]
    Late {
        /// What was awaited.
        awaited: String,
        /// How long.
        within: Duration,
        /// The last thing seen instead.
        seen: String,
        /// Where to look on.
        logs: PathBuf,
    },
    /// A command of the machine failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// What it said.
        output: String,
    },
    /// Something is left after the removal.
    #[error("cluster {name} is not gone: {left}; try `local-cluster down --name {name}` again")]
    Leftover {
        /// The cluster.
        name: ClusterName,
        /// What is left of it.
        left: String,
    },
    /// A file or folder of the machine.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// How it failed.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The API server answered with an error.
    #[error("the API server of the local cluster: {0}")]
    Api(#[from] kube::Error),
    /// The kubeconfig of the cluster cannot be used.
    #[error("the kubeconfig of the local cluster: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// A program is not there.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A package of the machine is not there.
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// Says what was tried when an input or output fails.
pub(super) trait Tried<T> {
    /// `what` reads as the subject of "...: No such file or directory".
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, ClusterError>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::Io { what: what(), source })
    }
}

impl<T> Tried<T> for nix::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, ClusterError> {
        self.map_err(|errno| ClusterError::Io { what: what(), source: errno.into() })
    }
}
