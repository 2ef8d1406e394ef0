//! What can go wrong between a suite and its cluster, told so that the reader of a log knows where to look.

use std::io;
use std::time::Duration;

use crate::cluster::ClusterError;
use crate::images::PublishError;
use crate::load::LoadError;
use crate::tools::ToolError;

/// Why something in the lab did not come about.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The local cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A program that has to be built.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// An image, or its way into the registry.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The clients.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The Kubernetes API.
    #[error("{what}: {source}")]
    Api {
        /// What was asked.
        what: String,
        /// What was answered.
        source: Box<kube::Error>,
    },
    /// A command failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command.
        command: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// A file, or a process that could not be started.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was waited for did not come.
    #[error("{what} did not come within {} s; last seen: {seen}", .waited.as_secs())]
    TimedOut {
        /// What was awaited.
        what: String,
        /// For how long.
        waited: Duration,
        /// What there was instead.
        seen: String,
    },
    /// The surroundings are not as they must be.
    #[error("{0}")]
    Unfit(String),
}

/// Says what was being asked of the API when it went wrong.
pub trait Asked<T> {
    /// `what` was asked.
    fn asked(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T> Asked<T> for Result<T, kube::Error> {
    fn asked(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Api { what: what(), source: Box::new(source) })
    }
}

impl<T> Asked<T> for Result<T, io::Error> {
    fn asked(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io { what: what(), source })
    }
}
