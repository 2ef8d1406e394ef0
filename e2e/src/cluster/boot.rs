//! Brings a cluster up: what does not wait for each other starts at once.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node as NodeObject, ServiceAccount};
use kube::{Api, Client};
use nix::unistd::geteuid;

use super::error::ClusterError;
use super::layout::{Layout, NODE};
use super::process::{Component, View, run};
use super::{
    ApiServer, Cluster, Node, Options, Ownership, cgroups, control_plane, names, network, node, pause, pki, reaper,
    signals, state,
};
use crate::packages;
use crate::tools::Tool;

/// How often a thing awaited is looked at: a tenth of what a person notices, and cheap.
const LOOK: Duration = Duration::from_millis(50);

/// Each step takes seconds; on a machine that runs several clusters and a compiler beside, a minute.
const STEP: Duration = Duration::from_secs(120);

pub(super) fn boot(options: &Options) -> Result<Cluster, ClusterError> {
    if !geteuid().is_root() {
        return Err(ClusterError::NotRoot);
    }
    bring_what_is_needed(options.node)?;

    let begun = Instant::now();
    let layout = Layout::of(&options.name);
    let record = state::claim(&layout, options.node)?;
    signals::guard(&layout);
    reaper::start(&layout);
    // From here on dropping the value removes whatever there is already.
    let mut cluster =
        Cluster { layout, subnet: record.subnet, node: record.node, ownership: Ownership::Owned, parts: Vec::new() };
    cluster.start_servers(options.api)?;
    cluster.until("the API server to be ready", async |client| api_ready(client).await)?;
    cluster.start_clients()?;
    cluster.await_ready()?;
    eprintln!("cluster {}: ready at {} after {:.1} s", options.name, cluster.address(), begun.elapsed().as_secs_f64());
    Ok(cluster)
}

/// Packages and programs, before anything is started: both may take minutes the first time.
pub(super) fn bring_what_is_needed(node: Node) -> Result<(), ClusterError> {
    packages::require(node::NETWORK_PACKAGES)?;
    if node == Node::Full {
        packages::require(node::PACKAGES)?;
        Tool::CoreDns.path()?;
    }
    for tool in [Tool::Kubectl, Tool::Etcd] {
        tool.path()?;
    }
    Ok(())
}

impl Cluster {
    /// The files, the namespace, and all that runs without the API server.
    fn start_servers(&mut self, api: ApiServer) -> Result<(), ClusterError> {
        network::create(&self.layout, self.subnet)?;
        self.start(control_plane::etcd(&self.layout)?)?;
        pki::write(&self.layout, self.subnet)?;
        self.start(control_plane::apiserver(&self.layout, self.subnet, api)?)?;
        if self.node == Node::ControlPlaneOnly {
            return Ok(());
        }
        cgroups::create(&self.layout)?;
        node::write_files(&self.layout, self.subnet)?;
        self.start(node::view_holder(&self.layout))?;
        self.start(node::registry(&self.layout))?;
        self.wait("the node's view of the file system", || node::view_is_ready(&self.layout))?;
        self.start(node::containerd(&self.layout, self.view()))?;
        self.wait("containerd to answer", || run(self.ctr().arg("version")).is_ok())?;
        run(self.ctr().args(["image", "import"]).arg(self.layout.at(pause::ARCHIVE)))?;
        Ok(())
    }

    /// All that begins by asking the API server, once that can answer.
    fn start_clients(&mut self) -> Result<(), ClusterError> {
        self.start(control_plane::controller_manager(&self.layout)?)?;
        self.start(control_plane::scheduler(&self.layout)?)?;
        if self.node == Node::ControlPlaneOnly {
            return Ok(());
        }
        self.start(node::kubelet(&self.layout, self.subnet, self.view())?)?;
        self.start(node::proxy(&self.layout)?)?;
        self.run(async || names::install(&self.client().await?, self.address()).await)??;
        self.start(names::server(&self.layout)?)
    }

    /// The state in which a pod can be created and will run.
    fn await_ready(&self) -> Result<(), ClusterError> {
        self.until("the default service account", async |client| {
            let accounts = Api::<ServiceAccount>::namespaced(client, "default");
            accounts.get("default").await.map(|_| ()).map_err(|error| error.to_string())
        })?;
        if self.node == Node::ControlPlaneOnly {
            return Ok(());
        }
        self.until("the node to be ready", async |client| node_ready(client).await)?;
        self.until("the name service to be ready", async |_| names::ready(self.address()).await)
    }

    fn start(&mut self, component: Component) -> Result<(), ClusterError> {
        let running = component.start(&self.layout)?;
        self.parts.push(running);
        Ok(())
    }

    /// The view of the process that holds the node's.
    fn view(&self) -> View {
        let holder = self.parts.iter().find(|part| part.name == node::VIEW_HOLDER);
        holder.map_or(View::Machine, |holder| View::Node(holder.pid()))
    }

    /// Looks from outside until it is so.
    fn wait(&self, awaited: &str, so: impl Fn() -> bool) -> Result<(), ClusterError> {
        let begun = Instant::now();
        while !so() {
            self.may_go_on(awaited, begun, "nothing yet")?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Asks from inside the namespace until the answer is good; a bad one says what was seen.
    fn until(
        &self,
        awaited: &str,
        probe: impl AsyncFn(Client) -> Result<(), String> + Sync,
    ) -> Result<(), ClusterError> {
        let begun = Instant::now();
        self.run(async || {
            let client = self.client().await?;
            while let Err(seen) = probe(client.clone()).await {
                self.may_go_on(awaited, begun, &seen)?;
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        })?
    }

    fn may_go_on(&self, awaited: &str, begun: Instant, seen: &str) -> Result<(), ClusterError> {
        self.parts.iter().try_for_each(super::process::Running::check)?;
        if begun.elapsed() < STEP {
            return Ok(());
        }
        let logs = self.layout.at("log");
        Err(ClusterError::Late { awaited: awaited.to_owned(), within: STEP, seen: seen.to_owned(), logs })
    }
}

async fn api_ready(client: Client) -> Result<(), String> {
    let request = hyper::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(|_| ()).map_err(|error| error.to_string())
}

/// Ready, and rid of the taints a node carries until its controller has seen it ready.
async fn node_ready(client: Client) -> Result<(), String> {
    let node = Api::<NodeObject>::all(client).get(NODE).await.map_err(|error| error.to_string())?;
    let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    match conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" && taints.is_empty() => Ok(()),
        Some(ready) => Err(format!(
            "Ready is {}: {}; {} taints",
            ready.status,
            ready.message.as_deref().unwrap_or("-"),
            taints.len()
        )),
        None => Err("no condition Ready yet".to_owned()),
    }
}
