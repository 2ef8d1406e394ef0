//! A throw-away one-node Kubernetes cluster: real API server, kubelet, containerd, kube-proxy, name service and registry, all in
//! one network namespace without a way out. It decides what runs and where; it never touches another cluster of the machine, nor
//! a process it did not start.
//!
//! Nothing outside the namespace reaches the cluster, so whoever talks to it has to be inside:
//!
//! ```no_run
//! # fn main() -> Result<(), hotfix_e2e::cluster::ClusterError> {
//! use hotfix_e2e::cluster::{Cluster, Options};
//! use k8s_openapi::api::core::v1::Node;
//! use kube::{Api, api::ListParams};
//!
//! let cluster = Cluster::boot(&Options::named("story")?)?;
//! let nodes = cluster.run(async || {
//!     let client = cluster.client().await?;
//!     Ok::<_, hotfix_e2e::cluster::ClusterError>(Api::<Node>::all(client).list(&ListParams::default()).await?)
//! })??;
//! assert_eq!(nodes.items.len(), 1);
//! cluster.command("kubectl").args(["get", "pods", "-A"]).status().expect("kubectl runs");
//! cluster.down()
//! # }
//! ```
//!
//! Dropping a [`Cluster`] removes it, also on the way of a panic; `KEEP=1` in the environment leaves it up. So does Ctrl-C. When
//! the process dies otherwise, a second process that watches it does it; should that be killed too, the next boot of any cluster,
//! or `local-cluster down`.

mod audit;
mod boot;
mod cgroups;
mod control_plane;
mod error;
mod layout;
mod machine;
mod names;
mod network;
mod node;
mod pause;
mod pki;
mod process;
mod reaper;
mod signals;
mod state;

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::{Deserialize, Serialize};

pub use audit::{AuditLog, AuditMark, AuditObject, AuditRecord, AuditStatus, AuditUser};
pub use error::ClusterError;
pub use layout::{
    ClusterName, DNS_SERVICE, KUBERNETES_SERVICE, Layout, NODE, NODE_POD_CIDR, POD_CIDR, SERVICE_CIDR, Subnet,
};
pub use pause::IMAGE as PAUSE_IMAGE;
pub use process::{Alive, MARK, ProcessId};
pub use state::Standing;

use crate::tools::Tool;
use process::Running;

/// What a cluster has beside its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// A node that runs pods, a registry, Service routing and names.
    Full,
    /// No node: etcd, the API server, the controllers and the scheduler only.
    ControlPlaneOnly,
}

/// What to boot.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name, unique on the machine.
    pub name: ClusterName,
    /// With a node or without.
    pub node: Node,
    /// How its API server is started.
    pub api: ApiServer,
}

/// How an API server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiServer {
    /// Whether every request is written down. Without that, and with more memory in exchange for less work, it serves suites that
    /// ask for tens of thousands of things.
    pub audited: bool,
    /// How long it works on a request before it gives it up.
    pub request_timeout: Duration,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self { audited: true, request_timeout: Duration::from_secs(60) }
    }
}

impl Options {
    /// A cluster of this name with a node.
    pub fn named(name: &str) -> Result<Self, ClusterError> {
        Ok(Self { name: name.parse()?, node: Node::Full, api: ApiServer::default() })
    }

    /// The same without a node: up sooner, and nothing of Debian's container tools is needed.
    #[must_use]
    pub fn control_plane_only(self) -> Self {
        Self { node: Node::ControlPlaneOnly, ..self }
    }

    /// With an API server that is started so.
    #[must_use]
    pub fn with(self, api: ApiServer) -> Self {
        Self { api, ..self }
    }
}

/// Who removes the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    /// This value, when it is dropped.
    Owned,
    /// Somebody else.
    Attached,
}

/// A cluster that is up.
#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    subnet: Subnet,
    node: Node,
    ownership: Ownership,
    /// The components this process started.
    parts: Vec<Running>,
}

impl Cluster {
    /// Boots a cluster and waits until its node is ready. Takes about twelve seconds; what has to be built or installed first is
    /// told on standard error. A cluster of the same name that no living process owns is removed first.
    ///
    /// Blocks the calling thread.
    pub fn boot(options: &Options) -> Result<Self, ClusterError> {
        boot::boot(options)
    }

    /// Installs and builds what a boot needs and this machine lacks, so that a boot after it takes seconds: for whoever must not
    /// take the minutes of the first time for a boot that hangs.
    pub fn prepare(node: Node) -> Result<(), ClusterError> {
        boot::bring_what_is_needed(node)
    }

    /// The one cluster that all tests of this process share; whoever asks first boots it. It goes when the process ends, however
    /// that happens; `KEEP=1` leaves it up. With `HOTFIX_CLUSTER_NAME` set it is the cluster of that name, which is up already:
    /// no boot between a change and its test.
    pub fn shared(options: &Options) -> Result<&'static Self, ClusterError> {
        static SHARED: Mutex<Option<&'static Cluster>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = *shared {
            return Ok(cluster);
        }
        let cluster = match std::env::var("HOTFIX_CLUSTER_NAME") {
            Ok(name) => Self::attach(&name.parse()?)?,
            Err(_) => Self::boot(options)?.keep_if_asked()?,
        };
        Ok(shared.insert(Box::leak(Box::new(cluster))))
    }

    /// Takes a cluster that is up, e.g. by `local-cluster up`; dropping the value leaves it up.
    pub fn attach(name: &ClusterName) -> Result<Self, ClusterError> {
        let layout = Layout::of(name);
        let record = state::Record::read(&layout).ok_or_else(|| ClusterError::Unknown(name.clone()))?;
        let (subnet, node) = (record.subnet, record.node);
        Ok(Self { layout, subnet, node, ownership: Ownership::Attached, parts: Vec::new() })
    }

    /// Every cluster of this machine, up or left over.
    pub fn list() -> Vec<ClusterName> {
        state::layouts().iter().map(|layout| layout.name().clone()).collect()
    }

    /// Whose a cluster is; none if there is no cluster of this name.
    pub fn standing(name: &ClusterName) -> Option<Standing> {
        let layout = Layout::of(name);
        layout.folder().exists().then(|| state::standing(&layout))
    }

    /// The command line of `local-cluster` that acts on this cluster, by the path where it was built, so that it starts at once;
    /// where it was not, by Cargo.
    pub fn command_line(name: &ClusterName, action: &str) -> String {
        let program = reaper::program().map(|program| program.display().to_string());
        let program = program.unwrap_or_else(|| "cargo run -p hotfix-e2e --bin local-cluster --".to_owned());
        format!("{program} {action} --name {name}")
    }

    /// Waits until the process that owns the cluster has died, and removes the cluster: what `local-cluster reap` does.
    pub fn reap(name: &ClusterName) -> Result<(), ClusterError> {
        reaper::watch(&Layout::of(name))
    }

    /// Removes a cluster by name, in whatever state it is, and whoever owns it. One that is not there is no error.
    pub fn remove(name: &ClusterName) -> Result<(), ClusterError> {
        state::remove(&Layout::of(name))
    }

    /// Removes a cluster by name unless a living process owns it, and with it every cluster that is dead: one whose owner has
    /// died, or of which nothing runs. Says which there were.
    pub fn remove_idle(name: &ClusterName) -> Result<Vec<ClusterName>, ClusterError> {
        state::remove_idle(&Layout::of(name))
    }

    /// Removes the cluster and every trace of it.
    pub fn down(mut self) -> Result<(), ClusterError> {
        self.end()
    }

    /// Leaves the cluster up: from now on nobody owns it.
    pub fn leave_running(mut self) -> Result<(), ClusterError> {
        self.disown()
    }

    /// The cluster's name.
    pub fn name(&self) -> &ClusterName {
        self.layout.name()
    }

    /// With a node or without.
    pub fn node(&self) -> Node {
        self.node
    }

    /// Where things of the cluster lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The node's address: the API server's too, and in the suites' reach for servers of their own.
    pub fn address(&self) -> Ipv4Addr {
        self.subnet.node()
    }

    /// The administrator's kubeconfig. It works inside the network namespace.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig("admin")
    }

    /// Host and port of the cluster's registry, for pushing and for image names. Plain HTTP.
    pub fn registry_host(&self) -> String {
        node::registry_host(self.subnet)
    }

    /// The API server's audit log.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.layout.audit_log())
    }

    /// Ends every process of a container with SIGKILL, as a crash does; the kubelet starts it anew. The id is the one in the
    /// pod's status, with or without `containerd://`. Says how many processes there were.
    pub fn kill_container(&self, container_id: &str) -> usize {
        let id = container_id.rsplit('/').next().unwrap_or(container_id);
        let processes = cgroups::container(&self.layout, id);
        processes.into_iter().filter_map(ProcessId::of).map(ProcessId::end).count()
    }

    /// The log of a component, e.g. `kubelet`.
    pub fn log(&self, component: &str) -> PathBuf {
        self.layout.log(component)
    }

    /// The processes that make up the cluster and whether each still runs.
    pub fn components(&self) -> Vec<(String, ProcessId, Alive)> {
        process::recorded(&self.layout)
    }

    /// Moves the calling thread into the cluster's network namespace, for good, and with it every thread it starts from now on. A
    /// runtime's threads must be started after this: others stay outside. [`Cluster::run`] does it right.
    pub fn enter(&self) -> Result<(), ClusterError> {
        network::enter(&self.layout.namespace_file())
    }

    /// Runs a future inside the cluster's network namespace, on a runtime and threads of its own; the caller's thread stays where
    /// it is. May be called from a thread of another runtime, which it blocks. A panic comes out of the call.
    pub fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> Result<T, ClusterError> {
        let inside = || {
            self.enter()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime =
                runtime.map_err(|source| ClusterError::Io { what: "starting a runtime".to_owned(), source })?;
            Ok(runtime.block_on(work()))
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// A client with the administrator's rights. Call it inside the namespace: in [`Cluster::run`], or after [`Cluster::enter`].
    pub async fn client(&self) -> Result<kube::Client, ClusterError> {
        client(&self.kubeconfig()).await
    }

    /// A command that will run inside the network namespace, with `KUBECONFIG` and the tools in `PATH`. It ends with the cluster.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(process::net(&self.layout)).arg("--").arg(program);
        command.env("KUBECONFIG", self.kubeconfig()).env("PATH", path_with_tools()).env(MARK, self.layout.folder());
        command
    }

    /// The same for containerd's command line, in the namespace of images that the kubelet uses.
    pub fn ctr(&self) -> Command {
        let mut command = self.command("ctr");
        command.arg("--address").arg(self.layout.containerd_socket()).args(["--namespace", "k8s.io"]);
        command
    }

    fn disown(&mut self) -> Result<(), ClusterError> {
        self.ownership = Ownership::Attached;
        signals::release(&self.layout);
        let record = state::Record { name: self.name().clone(), subnet: self.subnet, node: self.node, owner: None };
        record.write(&self.layout)
    }

    fn keep_if_asked(mut self) -> Result<Self, ClusterError> {
        if keep() {
            self.leave_up()?;
        }
        Ok(self)
    }

    fn leave_up(&mut self) -> Result<(), ClusterError> {
        let name = self.name();
        tell!("cluster {name} stays up. Look into it: {} -- kubectl get pods -A", Self::command_line(name, "exec"));
        tell!("Remove it: {}", Self::command_line(name, "down"));
        self.disown()
    }

    fn end(&mut self) -> Result<(), ClusterError> {
        let removed = match self.ownership {
            Ownership::Owned => state::remove_owned(&self.layout, ProcessId::this()),
            Ownership::Attached => state::remove(&self.layout),
        };
        self.ownership = Ownership::Attached;
        signals::release(&self.layout);
        for part in &mut self.parts {
            part.reap();
        }
        removed
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.ownership == Ownership::Attached {
            return;
        }
        let ended = if keep() { self.leave_up() } else { self.end() };
        if let Err(error) = ended {
            eprintln!("{error}");
        }
    }
}

/// Whether the person at the terminal wants to look at the cluster afterwards.
fn keep() -> bool {
    std::env::var("KEEP").is_ok_and(|keep| keep == "1")
}

/// A client as every suite wants it: it fails where a real client would fail, instead of retrying, and never hangs.
async fn client(kubeconfig: &Path) -> Result<kube::Client, ClusterError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(30));
    // Longer than the longest watch that has nothing to say.
    config.read_timeout = Some(Duration::from_secs(300));
    Ok(kube::Client::try_from(config)?)
}

/// The tools that are there already, before what `PATH` says; nothing is built for it.
fn path_with_tools() -> std::ffi::OsString {
    let tools = [Tool::Kubectl, Tool::Helm, Tool::Etcd, Tool::Trivy, Tool::OsvScanner];
    let folders = tools.into_iter().filter_map(Tool::built);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<_> = folders.chain(std::env::split_paths(&path)).collect();
    // Refused only for a folder with ':' in its name; then the caller's own PATH has to do.
    std::env::join_paths(all).unwrap_or(path)
}
