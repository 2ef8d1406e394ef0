//! The cluster's own authority, a certificate for each part and person, and a kubeconfig for each that talks to the API server.
//! Every identity is its own: no part runs as administrator.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::error::{ClusterError, Tried};
use super::layout::{KUBERNETES_SERVICE, Layout, NODE, Subnet};

/// Who a certificate speaks for.
struct Identity {
    /// The name of its files.
    file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
}

/// Those who talk to the API server with a kubeconfig.
const CLIENTS: &[Identity] = &[
    Identity { file: "admin", user: "admin", group: Some("system:masters") },
    Identity { file: "controller-manager", user: "system:kube-controller-manager", group: None },
    Identity { file: "scheduler", user: "system:kube-scheduler", group: None },
    Identity { file: "proxy", user: "system:kube-proxy", group: None },
    Identity { file: "dns", user: "system:coredns", group: None },
    Identity { file: NODE, user: "system:node:node1", group: Some("system:nodes") },
];

/// How the API server makes itself known to the kubelet; never reads a kubeconfig.
const KUBELET_CLIENT: Identity =
    Identity { file: "kubelet-client", user: "apiserver-kubelet", group: Some("system:masters") };

/// How the API server makes itself known to extension API servers.
const FRONT_PROXY: Identity = Identity { file: "front-proxy", user: "front-proxy-client", group: None };

/// Writes the whole of it into `pki/` of the state folder.
pub(super) fn write(layout: &Layout, subnet: Subnet) -> Result<(), ClusterError> {
    let node = subnet.node();
    let authority = authority("hotfix-local-cluster")?;
    put(&layout.pki("ca.crt"), &authority.pem())?;
    // Its own authority: whoever it signs for may speak in anybody's name.
    let front = self::authority("hotfix-local-cluster-front-proxy")?;
    put(&layout.pki("front-proxy-ca.crt"), &front.pem())?;
    issue(layout, &front, FRONT_PROXY.file, client(&FRONT_PROXY)?)?;

    let kubernetes = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    let mut names: Vec<String> = kubernetes.map(str::to_owned).into();
    names.extend([Ipv4Addr::LOCALHOST, node, KUBERNETES_SERVICE].map(|address| address.to_string()));
    issue(layout, &authority, "apiserver", server("kube-apiserver", names)?)?;
    issue(layout, &authority, "kubelet", server(NODE, vec![NODE.to_owned(), node.to_string()])?)?;

    issue(layout, &authority, KUBELET_CLIENT.file, client(&KUBELET_CLIENT)?)?;
    for identity in CLIENTS {
        issue(layout, &authority, identity.file, client(identity)?)?;
        put(&layout.kubeconfig(identity.file), &kubeconfig(layout, identity, node))?;
    }

    let accounts = KeyPair::generate()?;
    put(&layout.pki("sa.key"), &accounts.serialize_pem())?;
    put(&layout.pki("sa.pub"), &accounts.public_key_pem())
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, ClusterError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = subject(name, None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn server(user: &str, names: Vec<String>) -> Result<CertificateParams, ClusterError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = subject(user, None);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn client(identity: &Identity) -> Result<CertificateParams, ClusterError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = subject(identity.user, identity.group);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn subject(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name.push(DnType::CommonName, user);
    name
}

fn issue(
    layout: &Layout,
    authority: &CertifiedIssuer<'_, KeyPair>,
    file: &str,
    mut params: CertificateParams,
) -> Result<(), ClusterError> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    put(&layout.pki(&format!("{file}.crt")), &certificate.pem())?;
    put(&layout.pki(&format!("{file}.key")), &key.serialize_pem())
}

/// JSON is YAML too, and needs no quoting rules of ours.
fn kubeconfig(layout: &Layout, identity: &Identity, node: Ipv4Addr) -> String {
    let file = |name: String| layout.pki(&name);
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {
            "server": format!("https://{node}:6443"),
            "certificate-authority": file("ca.crt".to_owned()),
        }}],
        "users": [{"name": identity.file, "user": {
            "client-certificate": file(format!("{}.crt", identity.file)),
            "client-key": file(format!("{}.key", identity.file)),
        }}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": identity.file}}],
        "current-context": "local",
    })
    .to_string()
}

fn put(path: &Path, text: &str) -> Result<(), ClusterError> {
    fs::write(path, text).tried(|| format!("writing {}", path.display()))
}
