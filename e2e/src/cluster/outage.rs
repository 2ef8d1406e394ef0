//! An API server that is away for a while. Everything else goes on.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::boot::{LOOK, STEP, api_ready};
use super::error::{ClusterError, Tried};
use super::process::{self, Alive, ProcessId};
use super::{Cluster, control_plane};

/// How it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// It is stopped in whatever it does: connections stay open, new ones are made, and nothing is answered.
    Hanging,
    /// It was killed: connections are reset, and new ones refused.
    Gone,
}

/// For as long as this lives the API server is away.
#[derive(Debug)]
pub struct Outage<'a> {
    cluster: &'a Cluster,
    away: Away,
    process: ProcessId,
    over: bool,
}

const API_SERVER: &str = "kube-apiserver";

impl Cluster {
    /// Takes the API server away.
    pub fn without_api_server(&self, away: Away) -> Result<Outage<'_>, ClusterError> {
        let parts = process::recorded(&self.layout);
        let part = parts.into_iter().find(|(name, _, alive)| name == API_SERVER && *alive == Alive::Yes);
        let (_, process, _) = part.ok_or_else(|| ClusterError::Ended {
            component: API_SERVER,
            log: self.log(API_SERVER),
            output: process::last_lines(&self.log(API_SERVER)),
        })?;
        match away {
            Away::Hanging => signal(process, Signal::SIGSTOP)?,
            Away::Gone => signal(process, Signal::SIGKILL)?,
        }
        Ok(Outage { cluster: self, away, process, over: false })
    }
}

impl Outage<'_> {
    /// Brings it back, and waits until it is ready. To be called inside the cluster's network.
    pub async fn over(mut self) -> Result<(), ClusterError> {
        self.bring_back()?;
        let begun = Instant::now();
        while let Err(seen) = api_ready(self.cluster.client().await?).await {
            if begun.elapsed() > STEP {
                let (awaited, logs) = ("the API server to be back".to_owned(), self.cluster.layout.at("log"));
                return Err(ClusterError::Late { awaited, within: STEP, seen, logs });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn bring_back(&mut self) -> Result<(), ClusterError> {
        self.over = true;
        match self.away {
            Away::Hanging => signal(self.process, Signal::SIGCONT),
            Away::Gone => {
                let again = control_plane::apiserver(&self.cluster.layout, self.cluster.subnet)?;
                let again = again.start(&self.cluster.layout)?;
                self.cluster.later.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(again);
                Ok(())
            }
        }
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        // A story that failed must not take those after it along.
        if !self.over
            && let Err(error) = self.bring_back()
        {
            eprintln!("{error}");
        }
    }
}

fn signal(process: ProcessId, signal: Signal) -> Result<(), ClusterError> {
    kill(Pid::from_raw(process.pid), signal).tried(|| format!("sending {signal} to {API_SERVER}"))
}
