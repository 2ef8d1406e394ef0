//! Where a lab stands: a cluster of this machine's own, or the one of the current kubectl context.

use std::ffi::OsStr;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use kube::Client;
use tokio::io::AsyncWriteExt;

use super::error::{Asked, LabError};
use super::programs::repository;
use crate::cluster::Cluster;
use crate::images::Transport;
use crate::tools::Tool;

/// A cluster and the way to it.
#[derive(Debug)]
pub enum Ground {
    /// A throw-away cluster of this machine.
    Local(Cluster),
    /// The cluster of the current context, with a registry that its nodes and this machine reach.
    Current {
        /// Host, port and path images are pushed below.
        registry: String,
        /// How the registry is spoken to.
        transport: Transport,
    },
}

impl Ground {
    /// A cluster of the current context; `registry` is `HOST[:PORT][/PATH]`, with `http://` before it where it speaks plain HTTP.
    pub fn current(registry: &str) -> Self {
        let (registry, transport) = match registry.strip_prefix("http://") {
            Some(plain) => (plain, Transport::Plain),
            None => (registry.strip_prefix("https://").unwrap_or(registry), Transport::Tls),
        };
        Self::Current { registry: registry.trim_end_matches('/').to_owned(), transport }
    }

    /// What image names begin with.
    pub fn registry(&self) -> String {
        match self {
            Self::Local(cluster) => cluster.registry_host(),
            Self::Current { registry, .. } => registry.clone(),
        }
    }

    /// How the registry is spoken to.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Local(_) => Transport::Plain,
            Self::Current { transport, .. } => *transport,
        }
    }

    /// A command that runs where the cluster can be reached, in the repository's root.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self {
            Self::Local(cluster) => cluster.command(program),
            Self::Current { .. } => Command::new(program),
        };
        command.current_dir(repository());
        command
    }

    /// A client with the rights of whoever owns the cluster. To be called inside [`Ground::run`].
    pub async fn client(&self) -> Result<Client, LabError> {
        match self {
            Self::Local(cluster) => Ok(cluster.client().await?),
            Self::Current { .. } => Client::try_default().await.asked(|| "reading the current context".to_owned()),
        }
    }

    /// Runs a future where the cluster can be reached, on a runtime and threads of its own.
    pub fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> Result<T, LabError> {
        let cluster = match self {
            Self::Local(cluster) => cluster,
            Self::Current { .. } => {
                return thread::scope(|scope| {
                    let run = || {
                        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
                        Ok(runtime.asked(|| "starting a runtime".to_owned())?.block_on(work()))
                    };
                    scope.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic))
                });
            }
        };
        Ok(cluster.run(work)?)
    }

    /// Runs kubectl and gives its standard output; `input` is its standard input.
    pub async fn kubectl(&self, args: &[&str], input: Option<&str>) -> Result<String, LabError> {
        self.tell("kubectl", Tool::Kubectl, args, input).await
    }

    /// Runs Helm and gives its standard output.
    pub async fn helm(&self, args: &[&str]) -> Result<String, LabError> {
        self.tell("helm", Tool::Helm, args, None).await
    }

    async fn tell(&self, name: &str, tool: Tool, args: &[&str], input: Option<&str>) -> Result<String, LabError> {
        let mut command = self.command(self.program(name, tool)?);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = || format!("running {name}");
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().asked(what)?;
        let mut stdin = child.stdin.take();
        if let (Some(stdin), Some(input)) = (&mut stdin, input) {
            stdin.write_all(input.as_bytes()).await.asked(what)?;
        }
        drop(stdin);
        let output = child.wait_with_output().await.asked(what)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LabError::Command { command: format!("{name} {}", args.join(" ")), said })
    }

    /// The user's own program on the user's own cluster, where there is one; else the one built from the pins.
    fn program(&self, name: &str, tool: Tool) -> Result<PathBuf, LabError> {
        let own = match self {
            Self::Local(_) => None,
            Self::Current { .. } => in_path(name),
        };
        match own {
            Some(own) => Ok(own),
            None => Ok(tool.path()?),
        }
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
