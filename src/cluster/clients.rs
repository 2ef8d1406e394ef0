//! The two clients of the operator: one for calls that answer, one for watches that do not end.

use std::time::Duration;

use kube::{Client, Config};
use thiserror::Error;

/// How long opening a connection may take. Within one cluster it takes milliseconds; five seconds cover one lost SYN
/// and its second retransmission.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the API server may be silent in the middle of an answer. Every call has a shorter time-out of its own
/// ([`super::send`]); this one makes sure that the connection is not used again.
const SILENCE: Duration = Duration::from_secs(20);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Neither a service account nor a kubeconfig was found, or it cannot be read.
    #[error("no way to the cluster: neither a pod's service account nor a kubeconfig could be used: {0}")]
    NoConfig(#[from] kube::config::InferConfigError),
    /// The configuration was found but is of no use.
    #[error("the cluster's configuration cannot be used: {0}")]
    Unusable(#[from] kube::Error),
}

/// Installs the one TLS implementation of the process. To be called first thing in `main`; calling it again does
/// nothing.
pub fn install_crypto() {
    // The only error is that a provider is installed already, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The client for reads and writes. It never retries: a write that was answered with an error may have been made, and
/// only a fresh look tells.
pub async fn api_client() -> Result<Client, ClientError> {
    let mut config = config().await?;
    config.read_timeout = Some(SILENCE);
    // Otherwise the time a connection lay idle in the pool counts as silence of the next answer.
    config.reset_reader_on_write = true;
    Ok(Client::try_from(config)?)
}

/// The client for watches. A watch is silent for as long as nothing happens, so it has no time-out for reads: the
/// watcher's own idle time-out notices a dead connection.
pub async fn watch_client() -> Result<Client, ClientError> {
    let mut config = config().await?;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}

async fn config() -> Result<Config, ClientError> {
    install_crypto();
    let mut config = Config::infer().await?;
    // The stock policy would send a POST again after a 503 that hid a success, for minutes, out of anybody's sight.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.write_timeout = Some(SILENCE);
    Ok(config)
}
