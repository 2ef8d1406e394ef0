//! Names inside the cluster: CoreDNS as a process on the node, behind the Service that every pod's resolver asks.

use std::fs;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::{ClusterError, Tried};
use super::layout::{DNS_SERVICE, Layout};
use super::process::Component;
use crate::tools::Tool;

/// Where CoreDNS says that it has read the cluster.
const READY_PORT: u16 = 8181;

/// The user in CoreDNS's certificate.
const USER: &str = "system:coredns";

/// Writes the configuration: names of the cluster only. There is no way out, so any other name does not exist.
pub(super) fn write_files(layout: &Layout, node: Ipv4Addr) -> Result<(), ClusterError> {
    let kubeconfig = layout.kubeconfig("dns");
    let kubeconfig = kubeconfig.display();
    let text = format!(
        r"cluster.local in-addr.arpa {{
  bind {node}
  errors
  ready {node}:{READY_PORT}
  kubernetes {{
    kubeconfig {kubeconfig}
    ttl 5
  }}
}}
. {{
  bind {node}
  errors
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"
    );
    let path = layout.at("Corefile");
    fs::write(&path, text).tried(|| format!("writing {}", path.display()))
}

pub(super) fn server(layout: &Layout) -> Result<Component, ClusterError> {
    Ok(Component::new("coredns", Tool::CoreDns.path()?).argument("-conf").argument(layout.at("Corefile")))
}

/// Whether it has read the cluster.
pub(super) async fn ready(node: Ipv4Addr) -> Result<(), String> {
    let ask = async {
        let mut stream = TcpStream::connect((node, READY_PORT)).await?;
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask.await.map_err(|error| error.to_string())?;
    if answer.lines().next().is_some_and(|status| status.contains(" 200 ")) { Ok(()) } else { Err(answer) }
}

/// What CoreDNS may read, and the Service with the node as its one endpoint.
pub(super) async fn install(client: &Client, node: Ipv4Addr) -> Result<(), ClusterError> {
    create(
        Api::<ClusterRole>::all(client.clone()),
        json!({
            "metadata": {"name": USER},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        }),
    )
    .await?;
    create(
        Api::<ClusterRoleBinding>::all(client.clone()),
        json!({
            "metadata": {"name": USER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        }),
    )
    .await?;
    let ports =
        json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]);
    create(
        Api::<Service>::namespaced(client.clone(), "kube-system"),
        json!({"metadata": {"name": "kube-dns"}, "spec": {"clusterIP": DNS_SERVICE, "ports": ports}}),
    )
    .await?;
    create(
        Api::<EndpointSlice>::namespaced(client.clone(), "kube-system"),
        json!({
            "metadata": {"name": "kube-dns-node", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [node], "conditions": {"ready": true}}],
            "ports": ports,
        }),
    )
    .await
}

async fn create<K>(api: Api<K>, object: Value) -> Result<(), ClusterError>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let object = serde_json::from_value(object)
        .map_err(std::io::Error::from)
        .tried(|| "an object of the name service".to_owned())?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}
