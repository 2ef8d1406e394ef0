//! The programs the local cluster and the suites run: each is built once from the versions pinned under `e2e/tools/` and kept
//! outside the clone, in a folder named by the content of those pins. It decides where a program lies and whether it has to be
//! built; it never takes a program of the same name from `PATH`, and never writes into the clone.
//!
//! A program is built only when somebody asks for it, so a suite that needs no scanner does not pay for one:
//!
//! ```no_run
//! # fn main() -> Result<(), hotfix_e2e::tools::ToolError> {
//! use hotfix_e2e::tools::Tool;
//! let helm = Tool::Helm.path()?;
//! # let _ = helm; Ok(()) }
//! ```

mod build;

use std::path::PathBuf;

pub use build::{ToolError, cache_dir};

/// A program that is built from pinned sources when it is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Tool {
    /// The API server.
    KubeApiserver,
    /// The controllers of Kubernetes itself.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The node agent.
    Kubelet,
    /// Service routing on the node.
    KubeProxy,
    /// The command line.
    Kubectl,
    /// The store behind the API server.
    Etcd,
    /// Installs the chart.
    Helm,
    /// Names of Services inside the cluster.
    #[value(name = "coredns")]
    CoreDns,
    /// A vulnerability scanner.
    Trivy,
    /// Another vulnerability scanner, with another report format.
    OsvScanner,
    /// Fetches an image into an archive, for a scanner that reads archives.
    Crane,
    /// Simulated nodes, for scale.
    Kwok,
    /// Our own: turns advisories into the scanners' data bases.
    AdvisoryDb,
}

impl Tool {
    /// Where the program lies. Builds it first if this machine has not built these pins yet: minutes, told on standard error.
    pub fn path(self) -> Result<PathBuf, ToolError> {
        Ok(self.upstream().ensure()?.join(self.program()))
    }

    /// The folder of the program, for a `PATH`. Builds it like [`Tool::path`].
    pub fn folder(self) -> Result<PathBuf, ToolError> {
        self.upstream().ensure()
    }

    /// The folder of the program if it is built already; builds nothing.
    pub fn built(self) -> Option<PathBuf> {
        self.upstream().built()
    }

    /// The file name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Kubectl => "kubectl",
            Self::Etcd => "etcd",
            Self::Helm => "helm",
            Self::CoreDns => "coredns",
            Self::Trivy => "trivy",
            Self::OsvScanner => "osv-scanner",
            Self::Crane => "crane",
            Self::Kwok => "kwok",
            Self::AdvisoryDb => "advisory-db",
        }
    }

    fn upstream(self) -> &'static build::Upstream {
        match self {
            Self::KubeApiserver
            | Self::KubeControllerManager
            | Self::KubeScheduler
            | Self::Kubelet
            | Self::KubeProxy
            | Self::Kubectl => &KUBERNETES,
            Self::Etcd => &ETCD,
            Self::Helm => &HELM,
            Self::CoreDns => &COREDNS,
            Self::Trivy => &TRIVY,
            Self::OsvScanner => &OSV_SCANNER,
            Self::Crane => &CRANE,
            Self::Kwok => &KWOK,
            Self::AdvisoryDb => &ADVISORY_DB,
        }
    }
}

/// The pins of one upstream, compiled in, so that what is built is what this very program was tested with.
macro_rules! pins {
    ($folder:literal) => {
        build::Pins {
            go_mod: include_str!(concat!("../tools/", $folder, "/go.mod")),
            go_sum: include_str!(concat!("../tools/", $folder, "/go.sum")),
            main_go: "",
        }
    };
}

const STRIP: &str = "-s -w";

static KUBERNETES: build::Upstream = build::Upstream {
    name: "kubernetes",
    pins: pins!("kubernetes"),
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
    // Without a version the server calls itself v0.0.0, and Helm refuses every chart that has a `kubeVersion`.
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
              -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34",
    env: &[],
    usually: "about 6 minutes on two cores",
};

static ETCD: build::Upstream = build::Upstream {
    name: "etcd",
    pins: pins!("etcd"),
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    ldflags: STRIP,
    env: &[],
    usually: "about half a minute on two cores",
};

static HELM: build::Upstream = build::Upstream {
    name: "helm",
    pins: pins!("helm"),
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    ldflags: STRIP,
    env: &[],
    usually: "about a minute on two cores",
};

static COREDNS: build::Upstream = build::Upstream {
    name: "coredns",
    pins: pins!("coredns"),
    programs: &[("coredns", "github.com/coredns/coredns")],
    ldflags: STRIP,
    env: &[],
    usually: "about 3 minutes on two cores",
};

static TRIVY: build::Upstream = build::Upstream {
    name: "trivy",
    pins: pins!("trivy"),
    programs: &[("trivy", "github.com/aquasecurity/trivy/cmd/trivy")],
    ldflags: STRIP,
    env: &[("GOEXPERIMENT", "jsonv2")],
    usually: "about 6 minutes on two cores",
};

static OSV_SCANNER: build::Upstream = build::Upstream {
    name: "osv-scanner",
    pins: pins!("osv-scanner"),
    programs: &[("osv-scanner", "github.com/google/osv-scanner/v2/cmd/osv-scanner")],
    ldflags: STRIP,
    env: &[],
    usually: "about 2 minutes on two cores",
};

static CRANE: build::Upstream = build::Upstream {
    name: "crane",
    pins: pins!("crane"),
    programs: &[("crane", "github.com/google/go-containerregistry/cmd/crane")],
    ldflags: STRIP,
    env: &[],
    usually: "about a quarter of a minute on two cores",
};

static KWOK: build::Upstream = build::Upstream {
    name: "kwok",
    pins: pins!("kwok"),
    programs: &[("kwok", "sigs.k8s.io/kwok/cmd/kwok")],
    ldflags: STRIP,
    env: &[],
    usually: "about 2 minutes on two cores",
};

static ADVISORY_DB: build::Upstream = build::Upstream {
    name: "advisory-db",
    pins: build::Pins { main_go: include_str!("../tools/advisory-db/main.go"), ..pins!("advisory-db") },
    programs: &[("advisory-db", ".")],
    ldflags: STRIP,
    env: &[],
    usually: "a few seconds",
};
