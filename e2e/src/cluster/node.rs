//! The node: registry, containerd, kubelet and kube-proxy, their files and command lines.
//!
//! containerd and the kubelet get a mount namespace of their own, held by a process that does nothing else. Whatever they mount
//! (layers, volumes, the pods' network namespaces) lives in there and is gone with the last of its processes, whichever way they
//! end; and the few paths that are the same for every containerd and every kubelet on a machine are this cluster's own in there.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::error::{ClusterError, Tried};
use super::layout::{DNS_SERVICE, Layout, NODE, NODE_POD_CIDR, POD_CIDR, Subnet};
use super::process::{Component, View};
use super::{machine, names, pause};
use crate::packages::Package;
use crate::tools::Tool;

/// What a node takes from Debian.
pub(super) const PACKAGES: &[Package] = &[
    Package::new("containerd", "containerd"),
    Package::new("runc", "runc"),
    Package::new("containernetworking-plugins", "/usr/lib/cni/ptp"),
    Package::new("conntrack", "conntrack"),
    Package::new("docker-registry", "docker-registry"),
    Package::new("skopeo", "skopeo"),
];

/// What every cluster takes from Debian.
pub(super) const NETWORK_PACKAGES: &[Package] = &[Package::new("iproute2", "ip"), Package::new("iptables", "iptables")];

/// Paths that containerd, its shims, libcni and the kubelet use whatever they are told, and the cluster's own folders for them.
const OWN_PATHS: [(&str, &str); 4] = [
    ("/run/containerd", "node/run-containerd"),
    ("/var/lib/cni", "node/cni-results"),
    ("/var/lib/kubelet", "node/kubelet-shared"),
    ("/var/log/containers", "node/container-logs"),
];

/// The process that holds the node's view of the file system.
pub(super) const VIEW_HOLDER: &str = "node-view";

/// Said by the holder once the node's view is complete.
const VIEW_READY: &str = "view-ready";

/// Writes every file the node's parts read.
pub(super) fn write_files(layout: &Layout, subnet: Subnet) -> Result<(), ClusterError> {
    let registry = registry_host(subnet);
    for folder in ["cni", "certs.d", &format!("certs.d/{registry}"), "manifests"] {
        make(&layout.at(folder))?;
    }
    for (shared, own) in OWN_PATHS {
        machine::make(Path::new(shared))?;
        make(&layout.at(own))?;
    }
    put(layout, "registry.yml", &registry_config(layout, subnet))?;
    put(
        layout,
        &format!("certs.d/{registry}/hosts.toml"),
        &format!("server = \"http://{registry}\"\n[host.\"http://{registry}\"]\n"),
    )?;
    put(layout, "containerd.toml", &containerd_config(layout))?;
    put(layout, "cni/10-pods.conflist", &cni_config(layout))?;
    put(layout, "resolv.conf", &format!("nameserver {DNS_SERVICE}\n"))?;
    put(layout, "kubelet.json", &kubelet_config(layout, subnet))?;
    names::write_files(layout, subnet.node())?;
    pause::write(&layout.at(pause::ARCHIVE))
}

/// Where images are pushed to and pulled from, over plain HTTP.
pub(super) fn registry_host(subnet: Subnet) -> String {
    format!("{}:5000", subnet.node())
}

/// Holds the node's view of the file system.
pub(super) fn view_holder(layout: &Layout) -> Component {
    let mounts = OWN_PATHS.map(|(shared, own)| format!("mount --bind \"$1/{own}\" {shared}"));
    let script = format!("set -e; {}; touch \"$1/{VIEW_READY}\"; exec sleep infinity", mounts.join("; "));
    Component::new(VIEW_HOLDER, "unshare")
        .argument("--mount")
        // What the machine unmounts must go here too, or another cluster's namespace would live on in this view; nothing goes
        // the other way.
        .argument("--propagation=slave")
        .argument("sh")
        .argument("-c")
        .argument(script)
        .argument("sh")
        .argument(layout.folder())
}

/// Whether the holder has made the view.
pub(super) fn view_is_ready(layout: &Layout) -> bool {
    layout.at(VIEW_READY).exists()
}

pub(super) fn registry(layout: &Layout) -> Component {
    Component::new("registry", "docker-registry").argument("serve").argument(layout.at("registry.yml"))
}

pub(super) fn containerd(layout: &Layout, view: View) -> Component {
    Component::new("containerd", "containerd").flag("config", layout.at("containerd.toml")).in_view(view)
}

pub(super) fn kubelet(layout: &Layout, subnet: Subnet, view: View) -> Result<Component, ClusterError> {
    Ok(Component::new("kubelet", Tool::Kubelet.path()?)
        .flag("config", layout.at("kubelet.json"))
        .flag("kubeconfig", layout.kubeconfig(NODE))
        .flag("hostname-override", NODE)
        .flag("node-ip", subnet.node().to_string())
        .flag("root-dir", layout.at("kubelet"))
        .flag("cert-dir", layout.at("kubelet-pki"))
        .in_view(view))
}

pub(super) fn proxy(layout: &Layout) -> Result<Component, ClusterError> {
    Ok(Component::new("kube-proxy", Tool::KubeProxy.path()?)
        .flag("kubeconfig", layout.kubeconfig("proxy"))
        .flag("hostname-override", NODE)
        .flag("cluster-cidr", POD_CIDR)
        .flag("proxy-mode", "iptables")
        // The machine's limits and time-outs stay as they are: they are not the namespace's to change.
        .flag("conntrack-max-per-core", "0")
        .flag("conntrack-tcp-timeout-established", "0")
        .flag("conntrack-tcp-timeout-close-wait", "0"))
}

fn registry_config(layout: &Layout, subnet: Subnet) -> String {
    json!({
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": layout.at("registry")}, "delete": {"enabled": true}},
        "http": {"addr": registry_host(subnet)},
    })
    .to_string()
}

fn containerd_config(layout: &Layout) -> String {
    let folder = layout.folder().display();
    let socket = layout.containerd_socket();
    let (socket, image) = (socket.display(), pause::IMAGE);
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  # Without CAP_SYS_RESOURCE nobody may lower an OOM score; asking for it fails every sandbox.
  restrict_oom_score_adj = true
  sandbox_image = "{image}"
  # Below `state`: in the node's view, so they go with it.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#
    )
}

/// A routed link per pod, no bridge: traffic from one pod to another through a Service then always passes the node's rules on the
/// way there and back, whether or not the machine filters bridged packets.
fn cni_config(layout: &Layout) -> String {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": NODE_POD_CIDR}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": layout.at("cni-addresses"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
    .to_string()
}

fn kubelet_config(layout: &Layout, subnet: Subnet) -> String {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", layout.cgroup()),
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket().display()),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.pki("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.pki("kubelet.crt"),
        "tlsPrivateKeyFile": layout.pki("kubelet.key"),
        "address": subnet.node(),
        "port": 10250,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "oomScoreAdj": 0,
        "failSwapOn": false,
        "podLogsDir": layout.at("pod-logs"),
        "resolvConf": layout.at("resolv.conf"),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        // The disk is the machine's: how full it is is not this node's business.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi"},
        "serializeImagePulls": false,
        "registryPullQPS": 50,
        "registryBurst": 100,
    })
    .to_string()
}

fn make(folder: &Path) -> Result<(), ClusterError> {
    fs::create_dir_all(folder).tried(|| format!("making {}", folder.display()))
}

fn put(layout: &Layout, file: &str, text: &str) -> Result<(), ClusterError> {
    fs::write(layout.at(file), text).tried(|| format!("writing {}", layout.at(file).display()))
}
