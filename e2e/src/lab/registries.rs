//! Private registries: real ones, over TLS with an authority of their own, which ask for a password, for a token, or for nothing.
//! All of them show what the cluster's registry holds.
//!
//! A registry is known by host and port, and the operator's settings are made for these. So each setting that can be right or wrong
//! has a port, a [`Door`], that leads to one of the three registries.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::task::JoinSet;

use super::error::{Asked, LabError};
use super::tls::Identity;
use super::tokens::{ISSUER, Issuer, SERVICE};
use super::wait::until_clear;
use super::{OPERATOR_NAMESPACE, PATIENCE};
use crate::cluster::Cluster;

/// Who may read, and the hash by which the registry that asks for a password knows it: bcrypt, the only kind it takes.
const LOGIN: &str = "shop:open-sesame";
const HTPASSWD: &str = "shop:$2a$04$G1.r9z..MZyd2DMc2Q6M9uNOSieaW.gueedoI/G4K2q/ZYB21l2Z.\n";
const WRONG_LOGIN: &str = "shop:sesame-open";

/// The Secret with the operator's credentials, in its namespace.
pub const CREDENTIALS: &str = "registry-login";

/// A registry as the operator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Asks for nothing.
    Open,
    /// The same, but the operator was given another authority.
    Stranger,
    /// The same, but the operator was given none.
    Unlisted,
    /// Asks for a password.
    Password,
    /// The same, but the operator has a wrong one.
    WrongPassword,
    /// Asks for a token; the operator has no login to ask for one.
    TokenOfNobody,
    /// The same, and the operator has a wrong login.
    TokenOfStranger,
    /// The same with the right login.
    Token,
}

impl Door {
    const ALL: [Self; 8] = [
        Self::Open,
        Self::Stranger,
        Self::Unlisted,
        Self::Password,
        Self::WrongPassword,
        Self::TokenOfNobody,
        Self::TokenOfStranger,
        Self::Token,
    ];

    /// The port: the first ones after the cluster's own registry.
    fn port(self) -> u16 {
        5001 + self as u16
    }

    fn behind(self) -> Behind {
        match self {
            Self::Open | Self::Stranger | Self::Unlisted => Behind::Open,
            Self::Password | Self::WrongPassword => Behind::Password,
            Self::TokenOfNobody | Self::TokenOfStranger | Self::Token => Behind::Token,
        }
    }

    fn login(self) -> Option<&'static str> {
        match self {
            Self::Password | Self::Token => Some(LOGIN),
            Self::WrongPassword | Self::TokenOfStranger => Some(WRONG_LOGIN),
            Self::Open | Self::Stranger | Self::Unlisted | Self::TokenOfNobody => None,
        }
    }
}

/// A registry that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Open,
    Password,
    Token,
}

impl Behind {
    const ALL: [Self; 3] = [Self::Open, Self::Password, Self::Token];

    fn port(self) -> u16 {
        5101 + self as u16
    }
}

/// Where the issuer of tokens is: at an address for documentation, which the node gets beside its own. Clients such as Trivy
/// do not go to a private address for a token unless it is the registry's own.
const ISSUER_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const TOKENS: (IpAddr, u16) = (ISSUER_ADDRESS, 5110);

/// What the registries are, before any of them runs.
pub struct Registries {
    ip: IpAddr,
    identity: Arc<Identity>,
    stranger: Identity,
    folder: PathBuf,
}

/// Registries that run; they end when it is dropped.
pub struct Running {
    ip: IpAddr,
    /// By port.
    doors: BTreeMap<u16, JoinSet<()>>,
    _issuer: Issuer,
    registries: Vec<Child>,
}

impl Registries {
    /// Registries at the cluster's address.
    pub fn of(cluster: &Cluster) -> Result<Self, LabError> {
        let ip = IpAddr::V4(cluster.address());
        let folder = cluster.layout().at("private-registries");
        fs::create_dir_all(&folder).asked(|| format!("making {}", folder.display()))?;
        let identity = Arc::new(Identity::of(&[ip, ISSUER_ADDRESS], "registries.suites.example")?);
        identity.write(&folder)?;
        Ok(Self { ip, identity, stranger: Identity::of(&[ip], "stranger.suites.example")?, folder })
    }

    /// Host and port of a door, as image names begin.
    pub fn host(&self, door: Door) -> String {
        SocketAddr::from((self.ip, door.port())).to_string()
    }

    /// Every host.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        Door::ALL.into_iter().map(|door| self.host(door))
    }

    /// What the chart's `registries` have about them.
    pub fn values(&self) -> Vec<Value> {
        let listed = Door::ALL.into_iter().filter(|door| *door != Door::Unlisted);
        let authority =
            |door| if door == Door::Stranger { self.stranger.authority() } else { self.identity.authority() };
        listed.map(|door| json!({"host": self.host(door), "ca": authority(door)})).collect()
    }

    /// The operator's credentials, in a Secret as `kubectl create secret docker-registry` makes it.
    pub fn secret(&self) -> Value {
        self.pull_secret(OPERATOR_NAMESPACE, CREDENTIALS)
    }

    /// The same Secret elsewhere, for pods that pull.
    pub fn pull_secret(&self, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"namespace": namespace, "name": name},
            "stringData": {".dockerconfigjson": self.docker_config()},
        })
    }

    /// The certificate of their authority, as PEM.
    pub fn authority(&self) -> &str {
        self.identity.authority()
    }

    /// A Docker configuration with a login for each registry that has one.
    pub fn docker_config(&self) -> String {
        let logins = Door::ALL.into_iter().filter_map(|door| {
            let login = door.login()?;
            Some((self.host(door), json!({"auth": STANDARD.encode(login)})))
        });
        json!({"auths": logins.collect::<serde_json::Map<_, _>>()}).to_string()
    }

    /// Starts them, opens every door, and has the node trust them.
    pub async fn open(&self, cluster: &Cluster) -> Result<Running, LabError> {
        for host in self.hosts() {
            let folder = cluster.layout().at("certs.d").join(&host);
            let authority = self.folder.join("authority.pem");
            let authority = authority.display();
            let text = format!("server = \"https://{host}\"\n[host.\"https://{host}\"]\n  ca = \"{authority}\"\n");
            let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("hosts.toml"), text));
            written.asked(|| format!("writing {}", folder.display()))?;
        }
        let htpasswd = self.folder.join("htpasswd");
        fs::write(&htpasswd, HTPASSWD).asked(|| format!("writing {}", htpasswd.display()))?;
        let address = format!("{ISSUER_ADDRESS}/32");
        let mut ip = tokio::process::Command::from(cluster.command("ip"));
        let given = ip.args(["address", "replace", &address, "dev", "lo"]).output().await;
        let given = given.asked(|| "running ip".to_owned())?;
        if !given.status.success() {
            let said = String::from_utf8_lossy(&given.stderr).into_owned();
            return Err(LabError::Command { command: format!("ip address replace {address} dev lo"), said });
        }
        let issuer = Issuer::serve(TOKENS, Arc::clone(&self.identity), LOGIN).await?;
        let mut running = Running { ip: self.ip, doors: BTreeMap::new(), _issuer: issuer, registries: Vec::new() };
        for behind in Behind::ALL {
            let child = self.start(cluster, behind, &htpasswd)?;
            running.registries.push(child);
        }
        for behind in Behind::ALL {
            until_clear("a registry", PATIENCE, async || {
                let heard = TcpStream::connect((self.ip, behind.port())).await;
                Ok(heard.err().map(|error| error.to_string()).into_iter().collect())
            })
            .await?;
        }
        for door in Door::ALL {
            running.open(door).await?;
        }
        Ok(running)
    }

    fn start(&self, cluster: &Cluster, behind: Behind, htpasswd: &Path) -> Result<Child, LabError> {
        let auth = match behind {
            Behind::Open => Value::Null,
            Behind::Password => json!({"htpasswd": {"realm": "suites", "path": htpasswd}}),
            Behind::Token => json!({"token": {
                "realm": format!("https://{}/token", SocketAddr::from(TOKENS)), "service": SERVICE, "issuer": ISSUER,
                "rootcertbundle": self.folder.join("authority.pem"),
            }}),
        };
        let (certificate, key) = (self.folder.join("server.pem"), self.folder.join("server.key"));
        let mut config = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": cluster.layout().at("registry")}},
            "http": {"addr": SocketAddr::from((self.ip, behind.port())).to_string(), "tls": {"certificate": certificate, "key": key}},
        });
        if !auth.is_null() {
            config["auth"] = auth;
        }
        let what = || format!("starting the registry {behind:?}");
        let file = self.folder.join(format!("{behind:?}.json"));
        fs::write(&file, config.to_string()).asked(what)?;
        let log = fs::File::create(self.folder.join(format!("{behind:?}.log"))).asked(what)?;
        let mut command = cluster.command("docker-registry");
        command.arg("serve").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        tokio::process::Command::from(command).kill_on_drop(true).spawn().asked(what)
    }
}

impl Running {
    /// Opens a door that is shut.
    pub async fn open(&mut self, door: Door) -> Result<(), LabError> {
        let listener = TcpListener::bind((self.ip, door.port())).await.asked(|| format!("opening {door:?}"))?;
        let to = SocketAddr::from((self.ip, door.behind().port()));
        self.doors.entry(door.port()).or_default().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    // A connection that breaks is the client's to make again.
                    let Ok(mut far) = TcpStream::connect(to).await else { return };
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Ok(())
    }

    /// Shuts a door: nobody listens there any more, and what was under way is cut.
    pub async fn shut(&mut self, door: Door) {
        if let Some(mut open) = self.doors.remove(&door.port()) {
            open.shutdown().await;
        }
    }
}
