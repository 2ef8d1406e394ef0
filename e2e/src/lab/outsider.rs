//! An operator that runs as a process of this machine instead of in a pod, with the operator's own rights: it can be frozen at
//! any moment, and one of its requests can be held on the way to the API server.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Child;

use super::error::{Asked, LabError};
use super::gate::{Gate, Held};
use super::{CHECKS_NAMESPACE, LEASE, Lab, OPERATOR_NAMESPACE, RELEASE};

/// Longer than any story.
const TOKEN_SECONDS: i64 = 3600;

/// How long it may take to end by itself once it has noticed: it has nothing to wait for.
const ENDING: Duration = Duration::from_secs(20);

/// What it is called where a pod's name would stand.
pub const OUTSIDER: &str = "outsider";

/// The process. Dropping it kills it.
pub struct Outsider {
    process: Child,
    /// The door between it and the API server.
    pub gate: Gate,
    folder: PathBuf,
}

impl Outsider {
    /// Starts it. The first request it makes that is chosen is held.
    pub async fn start(
        lab: &Lab,
        client: &Client,
        chooses: impl Fn(&Held) -> bool + Send + Sync + 'static,
    ) -> Result<Self, LabError> {
        let cluster = lab.cluster().ok_or_else(|| LabError::Unfit("only beside a local cluster".to_owned()))?;
        let gate = Gate::open(in_the_operators_name(&cluster.kubeconfig(), client).await?, chooses).await?;
        let folder = std::env::temp_dir().join(format!("hotfix-outsider-{}", std::process::id()));
        let mut command = beside(lab, &folder).await?;
        reaches(&folder, gate.address())?;
        let log = File::create(folder.join("log")).asked(|| format!("preparing {}", folder.display()))?;
        command
            .args(["--leader-election", "--lease-name", LEASE, "--lease-namespace", OPERATOR_NAMESPACE])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = tokio::process::Command::from(command).kill_on_drop(true).spawn();
        Ok(Self { process: process.asked(|| "starting an operator".to_owned())?, gate, folder })
    }

    /// Stops it in whatever it does, as a machine does that has no time for it.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.process.id() {
            // One that has ended needs none.
            let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
        }
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus, LabError> {
        match tokio::time::timeout(ENDING, self.process.wait()).await {
            Ok(status) => status.asked(|| "waiting for the operator's end".to_owned()),
            Err(_) => Err(LabError::TimedOut {
                what: "the end of the operator beside the cluster".to_owned(),
                waited: ENDING,
                seen: self.log(),
            }),
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        // A frozen one cannot end otherwise, and what stays in the temporary folder harms nobody.
        self.thaw();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The command of an operator that runs beside the cluster. Its files are in `folder`, which is made; where it reaches the API server
/// [`reaches`] says.
pub(super) async fn beside(lab: &Lab, folder: &Path) -> Result<Command, LabError> {
    let cluster = lab.cluster().ok_or_else(|| LabError::Unfit("only beside a local cluster".to_owned()))?;
    let what = || format!("preparing {}", folder.display());
    std::fs::create_dir_all(folder).asked(what)?;
    let registries = json!([{"host": lab.ground().registry(), "plainHttp": true}]);
    std::fs::write(folder.join("registries"), registries.to_string()).asked(what)?;
    let mut command = cluster.command(&lab.images().programs().operator);
    command
        .args(["run", "--checks-namespace", CHECKS_NAMESPACE, "--image", lab.images().operator().await?.as_str()])
        .args(["--listen", "127.0.0.1:0", "--registries"])
        .arg(folder.join("registries"))
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .env("POD_NAME", OUTSIDER)
        .env("LOG", "info,securityhotfix=debug");
    Ok(command)
}

/// Lets the operator of this folder reach the API server by an address, which lends it the operator's rights.
pub(super) fn reaches(folder: &Path, api: SocketAddr) -> Result<(), LabError> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "gate",
        "clusters": [{"name": "gate", "cluster": {"server": format!("http://{api}")}}],
        "users": [{"name": "gate", "user": {}}],
        "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
    });
    std::fs::write(folder.join("kubeconfig"), config.to_string()).asked(|| format!("preparing {}", folder.display()))
}

/// A client with the rights of the operator's service account and no pod behind it.
pub(super) async fn in_the_operators_name(kubeconfig: &std::path::Path, client: &Client) -> Result<Client, LabError> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let wish = TokenRequest { spec, ..TokenRequest::default() };
    let granted = accounts.create_token_request(RELEASE, &PostParams::default(), &wish).await;
    let granted = granted.asked(|| "asking for a token of the operator".to_owned())?;
    let token = granted.status.map(|status| status.token).unwrap_or_default();
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(|error| LabError::Unfit(error.to_string()))?;
    for named in &mut kubeconfig.auth_infos {
        named.auth_info = Some(serde_json::from_value(json!({"token": token})).expect("a token is all that is needed"));
    }
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| LabError::Unfit(error.to_string()))?;
    // What is made through the door is timed by those who make it, and a watch has no end.
    config.read_timeout = None;
    config.default_retry = false;
    Client::try_from(config).asked(|| "making a client in the operator's name".to_owned())
}
