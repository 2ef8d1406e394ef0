//! etcd, the API server, the controllers and the scheduler: their files and command lines.

use std::fs;

use super::ApiServer;
use super::error::{ClusterError, Tried};
use super::layout::{Layout, POD_CIDR, SERVICE_CIDR, Subnet};
use super::process::Component;
use crate::tools::Tool;

/// Every request once, when it is answered: who, what, on which object, with which result. Bodies only where they tell when a
/// pod or a Job was known to have changed: what the kubelet and the Job controller write of their status.
const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
  "omitStages": ["RequestReceived", "ResponseStarted"],
  "omitManagedFields": true,
  "rules": [
    {"level": "Request", "verbs": ["patch", "update"], "resources": [
      {"group": "", "resources": ["pods/status"]}, {"group": "batch", "resources": ["jobs/status"]}]},
    {"level": "Metadata"}
  ]
}"#;

pub(super) fn etcd(layout: &Layout) -> Result<Component, ClusterError> {
    Ok(Component::new("etcd", Tool::Etcd.path()?)
        .flag("data-dir", layout.at("etcd"))
        // The store is thrown away with the cluster: nothing is lost by not waiting for the disk.
        .argument("--unsafe-no-fsync")
        .flag("listen-client-urls", "http://127.0.0.1:2379")
        .flag("advertise-client-urls", "http://127.0.0.1:2379")
        .flag("listen-peer-urls", "http://127.0.0.1:2380"))
}

pub(super) fn apiserver(layout: &Layout, subnet: Subnet, api: ApiServer) -> Result<Component, ClusterError> {
    let node = subnet.node().to_string();
    let component = Component::new("kube-apiserver", Tool::KubeApiserver.path()?)
        .flag("etcd-servers", "http://127.0.0.1:2379")
        .flag("bind-address", &node)
        .flag("advertise-address", &node)
        .flag("secure-port", "6443")
        .flag("service-cluster-ip-range", SERVICE_CIDR)
        .flag("client-ca-file", layout.pki("ca.crt"))
        .flag("tls-cert-file", layout.pki("apiserver.crt"))
        .flag("tls-private-key-file", layout.pki("apiserver.key"))
        .flag("service-account-key-file", layout.pki("sa.pub"))
        .flag("service-account-signing-key-file", layout.pki("sa.key"))
        .flag("service-account-issuer", "https://kubernetes.default.svc")
        // No name service of the machine is within reach of the namespace.
        .flag("kubelet-preferred-address-types", "InternalIP")
        .flag("kubelet-certificate-authority", layout.pki("ca.crt"))
        .flag("kubelet-client-certificate", layout.pki("kubelet-client.crt"))
        .flag("kubelet-client-key", layout.pki("kubelet-client.key"))
        .flag("requestheader-client-ca-file", layout.pki("front-proxy-ca.crt"))
        .flag("requestheader-allowed-names", "front-proxy-client")
        .flag("requestheader-username-headers", "X-Remote-User")
        .flag("requestheader-group-headers", "X-Remote-Group")
        .flag("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .flag("proxy-client-cert-file", layout.pki("front-proxy.crt"))
        .flag("proxy-client-key-file", layout.pki("front-proxy.key"))
        .flag("authorization-mode", "Node,RBAC")
        .flag("enable-admission-plugins", "NodeRestriction")
        .flag("allow-privileged", "true")
        .flag("request-timeout", format!("{}s", api.request_timeout.as_secs()));
    if !api.audited {
        // It collects its garbage a quarter as often, which is a tenth of its work here.
        return Ok(component.variable("GOGC", "400").variable("GOMEMLIMIT", "2GiB"));
    }
    let policy = layout.at("audit-policy.json");
    fs::write(&policy, AUDIT_POLICY).tried(|| format!("writing {}", policy.display()))?;
    Ok(component
        .flag("audit-policy-file", policy)
        .flag("audit-log-path", layout.audit_log())
        // In megabytes. At a hundred, an hour of suites, it would begin a new file, and what a suite still has to read would be
        // in the old one.
        .flag("audit-log-maxsize", "4096")
        .flag("audit-log-mode", "blocking"))
}

pub(super) fn controller_manager(layout: &Layout) -> Result<Component, ClusterError> {
    let kubeconfig = layout.kubeconfig("controller-manager");
    Ok(Component::new("kube-controller-manager", Tool::KubeControllerManager.path()?)
        .flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("service-account-private-key-file", layout.pki("sa.key"))
        .flag("root-ca-file", layout.pki("ca.crt"))
        .argument("--use-service-account-credentials")
        .flag("cluster-cidr", POD_CIDR)
        .argument("--allocate-node-cidrs")
        // With the default of 20 a second, starting the controllers one by one takes four seconds of waiting for its own limit.
        .flag("kube-api-qps", "200")
        .flag("kube-api-burst", "400")
        .flag("leader-elect", "false"))
}

pub(super) fn scheduler(layout: &Layout) -> Result<Component, ClusterError> {
    let kubeconfig = layout.kubeconfig("scheduler");
    Ok(Component::new("kube-scheduler", Tool::KubeScheduler.path()?)
        .flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("leader-elect", "false"))
}
