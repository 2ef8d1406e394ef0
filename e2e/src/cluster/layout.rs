//! Where everything of one cluster lies, and what it is called: files, namespace, cgroup, addresses. Names only; it touches
//! nothing.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::ClusterError;

/// The only node.
pub const NODE: &str = "node1";
/// The Services of every cluster; clusters never see each other, so all use the same range.
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// The API server's own Service: the range's first address.
pub const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Where pods ask for names.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The pods of every cluster.
pub const POD_CIDR: &str = "10.244.0.0/16";
/// The pods of the one node.
pub const NODE_POD_CIDR: &str = "10.244.0.0/24";

/// Where `ip netns` keeps the files that stand for network namespaces.
pub(super) const NAMESPACES: &str = "/run/netns";

/// A name short enough to become part of a network namespace's name, a cgroup's and a socket's path (at most 107 bytes).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

impl ClusterName {
    const MAX: usize = 24;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = ClusterError;

    fn from_str(name: &str) -> Result<Self, ClusterError> {
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let ends = name.starts_with('-') || name.ends_with('-');
        if plain && !ends && (1..=Self::MAX).contains(&name.len()) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ClusterError::Name(name.to_owned()))
        }
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterError;

    fn try_from(name: String) -> Result<Self, ClusterError> {
        name.parse()
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number that makes a cluster's addresses its own, so that a registry's address names one cluster on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet(pub u8);

impl Subnet {
    /// How many clusters fit on a machine: one per third byte of 10.250.0.0/16.
    pub const COUNT: u8 = 250;

    /// The address of the node, the API server and the registry.
    pub fn node(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 250, self.0, 1)
    }
}

/// The folder below which every cluster has its own. The same for everybody on the machine: namespaces and cgroups are named by
/// the cluster alone. Not `XDG_RUNTIME_DIR`: that is memory on most machines, and containerd puts every layer here.
const CLUSTERS: &str = "/var/lib/hotfix/clusters";

/// The folder below which every cluster has its own.
pub fn clusters_dir() -> &'static Path {
    Path::new(CLUSTERS)
}

/// Names and paths of one cluster.
#[derive(Debug, Clone)]
pub struct Layout {
    name: ClusterName,
    folder: PathBuf,
}

impl Layout {
    /// The layout of the cluster of this name.
    pub fn of(name: &ClusterName) -> Self {
        Self { name: name.clone(), folder: clusters_dir().join(name.as_str()) }
    }

    /// The cluster's name.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// The state folder: everything the cluster writes is below it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the state folder.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The network namespace's name.
    pub fn namespace(&self) -> String {
        format!("hotfix-{}", self.name)
    }

    /// The file that stands for the network namespace.
    pub fn namespace_file(&self) -> PathBuf {
        Path::new(NAMESPACES).join(self.namespace())
    }

    /// The cgroup below which the kubelet puts every pod, relative to a hierarchy's root.
    pub fn cgroup(&self) -> String {
        self.namespace()
    }

    /// The log of a part.
    pub fn log(&self, component: &str) -> PathBuf {
        self.folder.join("log").join(format!("{component}.log"))
    }

    /// The kubeconfig of one of the cluster's identities.
    pub fn kubeconfig(&self, identity: &str) -> PathBuf {
        self.folder.join("pki").join(format!("{identity}.kubeconfig"))
    }

    /// A file of the cluster's certificates and keys.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.folder.join("pki").join(file)
    }

    /// containerd's socket.
    pub fn containerd_socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    /// The API server's audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_folder_or_break_a_path_are_refused() {
        for name in ["", "-a", "a-", "a/b", "..", "A", "a b", &"a".repeat(25)] {
            assert!(name.parse::<ClusterName>().is_err(), "{name:?}");
        }
        for name in ["a", "demo", "suite-2", &"a".repeat(24)] {
            assert!(name.parse::<ClusterName>().is_ok(), "{name:?}");
        }
    }

    #[test]
    fn the_longest_name_keeps_sockets_within_what_the_kernel_takes() {
        let name = "a".repeat(24).parse().expect("the longest name");
        assert!(Layout::of(&name).containerd_socket().as_os_str().len() <= 100);
    }
}
