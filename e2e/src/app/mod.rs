//! The demonstration application: a small HTTP server that behaves as a production service should, unless told
//! to misbehave.
//!
//! It answers `GET /` with `<version> <host>`, has the health endpoints a probe needs, and drains on SIGTERM: it
//! goes on serving while its endpoints are withdrawn, closing each keep-alive connection with the answer it
//! gives, and only then stops. Suites make it fail through [`faults`]. It never decides anything about a
//! rollout, and it knows nothing of Kubernetes.

pub mod faults;
mod routes;
mod server;

use std::time::Duration;

pub use routes::RED;
pub use server::{End, serve};

use faults::Scheduled;

/// Where the application listens unless told otherwise.
pub const PORT: u16 = 8080;

/// How one instance of the application is to behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What `GET /` says first; one word.
    pub version: String,
    /// What `GET /` says second: the pod's name.
    pub host: String,
    /// How long it goes on serving after it was told to stop, while its endpoints are withdrawn.
    pub drain: Duration,
    /// How long, after that, requests in flight may take before they are cut off.
    pub grace: Duration,
    /// How it fails, and when.
    pub faults: Vec<Scheduled>,
}

impl Settings {
    /// A healthy instance. Two seconds of draining cover the withdrawal of endpoints with room to spare (one
    /// kube-proxy sync is a second at most); with eight more it is gone within the ten that a stop may take.
    pub fn healthy(version: &str, host: &str) -> Self {
        Self {
            version: version.to_owned(),
            host: host.to_owned(),
            drain: Duration::from_secs(2),
            grace: Duration::from_secs(8),
            faults: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
