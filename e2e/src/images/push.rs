//! Copies a packed image into a registry, digest kept, and gives back the reference that pulls exactly it.

use std::{
    fmt, io,
    process::{Command, Output},
    time::Duration,
};

use tokio::time;

use super::Packed;

/// Longer than the largest image here takes on a busy machine, by far.
const TIMEOUT: Duration = Duration::from_secs(180);

/// How the registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP, as the local cluster's registry wants it.
    Plain,
    /// HTTPS, with the machine's authorities and the user's credentials.
    Tls,
}

/// An image in a registry, named by digest: `host:port/name@sha256:...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Published(String);

impl Published {
    /// The reference as a pod's `image`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same image in another registry, which shows the same repositories.
    #[must_use]
    pub fn at(&self, host: &str) -> Self {
        Self(self.0.split_once('/').map_or_else(|| self.0.clone(), |(_, rest)| format!("{host}/{rest}")))
    }

    /// The digest, `sha256:...`.
    pub fn digest(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, digest)| digest)
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an image is not in the registry.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// `skopeo` could not be run.
    #[error("cannot run skopeo (Debian: apt-get install skopeo): {0}")]
    Start(#[from] io::Error),
    /// It refused.
    #[error("skopeo could not copy the image to {to}: {said}")]
    Refused {
        /// Where to.
        to: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// It did not end.
    #[error("skopeo did not copy the image to {to} within {} s", TIMEOUT.as_secs())]
    TimedOut {
        /// Where to.
        to: String,
    },
}

/// Copies the image to `repository:tag`, where a repository is `host:port/name`. `skopeo` is a command that runs
/// skopeo where the registry can be reached, such as inside a cluster's network namespace; it has no arguments yet.
///
/// # Errors
/// When skopeo cannot be run, refuses or does not end.
pub async fn push(
    mut skopeo: Command,
    image: &Packed,
    repository: &str,
    tag: &str,
    transport: Transport,
) -> Result<Published, PushError> {
    let to = format!("docker://{repository}:{tag}");
    // The digest was computed when the image was packed; a copy that changed it would be another image.
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
    if transport == Transport::Plain {
        skopeo.arg("--dest-tls-verify=false");
    }
    skopeo.arg(format!("oci:{}", image.layout.display())).arg(&to);
    let mut skopeo = tokio::process::Command::from(skopeo);
    skopeo.kill_on_drop(true);
    match time::timeout(TIMEOUT, skopeo.output()).await {
        Err(_elapsed) => Err(PushError::TimedOut { to }),
        Ok(Err(error)) => Err(PushError::Start(error)),
        Ok(Ok(Output { status, .. })) if status.success() => Ok(Published(format!("{repository}@{}", image.digest))),
        Ok(Ok(Output { stderr, .. })) => {
            Err(PushError::Refused { to, said: String::from_utf8_lossy(&stderr).trim().to_owned() })
        }
    }
}
