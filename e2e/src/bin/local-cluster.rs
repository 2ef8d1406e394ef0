//! Boots, shows and removes throw-away Kubernetes clusters on this machine.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hotfix_e2e::cluster::{Alive, ApiServer, Cluster, ClusterError, ClusterName, Node, Options, Standing};
use hotfix_e2e::tools::Tool;

/// A throw-away one-node Kubernetes cluster in a network namespace of its own. Needs root.
#[derive(Debug, Parser)]
#[command(name = "local-cluster", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Which cluster.
    #[arg(long, global = true, env = "HOTFIX_CLUSTER_NAME", default_value = "hotfix")]
    name: ClusterName,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Boot the cluster and leave it up. One that is up already is left as it is.
    Up {
        /// No node: the API server, its store, the controllers and the scheduler only.
        #[arg(long)]
        control_plane_only: bool,
    },
    /// Remove the cluster and every trace of it, whatever state it is in.
    Down {
        /// Every cluster of this machine, also those that running processes use.
        #[arg(long)]
        all: bool,
        /// Not if a running process uses it; and with it every cluster whose process has died, or of which nothing runs.
        #[arg(long, conflicts_with = "all")]
        idle: bool,
    },
    /// Wait until the process that booted the cluster has died, and remove it. Started by every boot; not for people.
    #[command(hide = true)]
    Reap,
    /// Run a command inside the cluster's network, with KUBECONFIG and the tools in PATH set.
    Exec {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Say which parts of the cluster run.
    Status,
    /// Print the path of the administrator's kubeconfig; it works inside the cluster's network (`exec`).
    Kubeconfig,
    /// Print the names of the clusters on this machine.
    List,
    /// Build programs now instead of when they are first asked for, and print where they are.
    Tools {
        /// Which ones.
        #[arg(required = true, value_enum)]
        tools: Vec<Tool>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments.name, arguments.action) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("local-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(name: &ClusterName, action: Action) -> Result<ExitCode, ClusterError> {
    match action {
        Action::Up { control_plane_only } => {
            up(name, if control_plane_only { Node::ControlPlaneOnly } else { Node::Full })?;
        }
        Action::Down { idle: true, .. } => return down_idle(name),
        Action::Down { all, .. } => {
            for name in if all { Cluster::list() } else { vec![name.clone()] } {
                Cluster::remove(&name)?;
                eprintln!("cluster {name} is gone");
            }
        }
        Action::Reap => Cluster::reap(name)?,
        Action::Exec { command } => {
            let cluster = Cluster::attach(name)?;
            // Returns only if it fails.
            let source = cluster.command(&command[0]).args(&command[1..]).exec();
            return Err(ClusterError::Io { what: format!("running {}", command[0]), source });
        }
        Action::Status => return status(name),
        Action::Kubeconfig => say(&Cluster::attach(name)?.kubeconfig().display().to_string()),
        Action::Tools { tools } => {
            for tool in tools {
                say(&tool.path()?.display().to_string());
            }
        }
        Action::List => Cluster::list().iter().for_each(|name| say(name.as_str())),
    }
    Ok(ExitCode::SUCCESS)
}

fn up(name: &ClusterName, node: Node) -> Result<(), ClusterError> {
    let running = Cluster::attach(name).ok().filter(all_alive);
    match running {
        Some(cluster) if cluster.node() == node => eprintln!("cluster {name} is up already"),
        _ => Cluster::boot(&Options { name: name.clone(), node, api: ApiServer::default() })?.leave_running()?,
    }
    eprintln!("reach it with:  {} -- kubectl get nodes", Cluster::command_line(name, "exec"));
    eprintln!("remove it with: {}", Cluster::command_line(name, "down"));
    Ok(())
}

fn down_idle(name: &ClusterName) -> Result<ExitCode, ClusterError> {
    for gone in Cluster::remove_idle(name)? {
        eprintln!("cluster {gone} is gone");
    }
    let mut code = ExitCode::SUCCESS;
    for other in Cluster::list() {
        match Cluster::standing(&other) {
            Some(Standing::Owned(owner)) if other == *name => {
                eprintln!("cluster {other} is in use by process {}: end that, it takes the cluster with it", owner.pid);
                code = ExitCode::FAILURE;
            }
            Some(Standing::Owned(owner)) => {
                eprintln!("cluster {other} is left to process {}, which uses it", owner.pid);
            }
            Some(Standing::Kept) => {
                eprintln!(
                    "cluster {other} was left up on purpose; remove it: {}",
                    Cluster::command_line(&other, "down")
                );
            }
            // Gone, or begun, since they were listed.
            Some(Standing::Dead) | None => {}
        }
    }
    Ok(code)
}

fn all_alive(cluster: &Cluster) -> bool {
    let components = cluster.components();
    !components.is_empty() && components.iter().all(|(_, _, alive)| *alive == Alive::Yes)
}

fn status(name: &ClusterName) -> Result<ExitCode, ClusterError> {
    let cluster = Cluster::attach(name)?;
    say(&format!(
        "{:<24} {:?} at {}, registry {}",
        name.as_str(),
        cluster.node(),
        cluster.address(),
        cluster.registry_host()
    ));
    for (component, id, alive) in cluster.components() {
        let state = match alive {
            Alive::Yes => "running".to_owned(),
            Alive::No => format!("ENDED, see {}", cluster.log(&component).display()),
        };
        say(&format!("{component:<24} {:>8} {state}", id.pid));
    }
    Ok(if all_alive(&cluster) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line on standard output; a reader that has gone away is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
