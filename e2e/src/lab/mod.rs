//! The lab: a cluster with the operator installed as a user would install it, and everything the suites and the
//! demonstration do there.
//!
//! ```no_run
//! # fn main() -> Result<(), hotfix_e2e::lab::LabError> {
//! use hotfix_e2e::lab::{Lab, Options, PolicyOptions};
//!
//! let lab = Lab::up(&Options::named("story"))?;
//! lab.scene("shop", async |scene| {
//!     let web = scene.workload("web", &lab.vulnerable().await?).await?;
//!     scene.policy(&PolicyOptions::default()).await?;
//!     let load = scene.load(&web, 8, 8, 150).await?;
//!     scene.hotfix("fix", &web, &lab.patched("v2").await?).await?;
//!     let fixed = scene.finished("fix").await?;
//!     Ok::<_, hotfix_e2e::lab::LabError>((fixed.status, load.stop().await?))
//! })??;
//! lab.down()
//! # }
//! ```
//!
//! It decides how the operator is installed and what a suite can see of it, and judges nothing: what must be true at the end
//! of a story is for the suite to say.

mod conditions;
mod dump;
mod error;
mod gate;
mod ground;
mod images;
mod leaders;
mod leftovers;
pub mod manifest;
mod outsider;
mod production;
mod programs;
pub mod registries;
mod scene;
mod storm;
mod suite;
mod tls;
mod tokens;
mod wait;
pub mod webhook;
mod writes;

use std::sync::Arc;
use std::time::Duration;

pub use conditions::{condition, is_finished, outcome, phase, told};
pub use error::{Asked, LabError};
pub use gate::{Gate, Held, Reply};
pub use ground::Ground;
pub use leaders::{Ending, Handover, LEASE};
pub use outsider::{OUTSIDER, Outsider};
pub use production::Production;
pub(crate) use programs::cargo;
pub use programs::{Profile, Programs, operator, repository};
pub use scene::{Clients, PolicyOptions, Scene, Workload};
pub use storm::{Stormy, Weathered};
pub use suite::{How, Scenario, play};
pub use writes::Writes;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Options as ClusterOptions};
use crate::images::Published;
use crate::images::catalogue::{self, Web};
use images::Images;
use registries::Registries;

/// Namespace the operator is installed into.
pub const OPERATOR_NAMESPACE: &str = "hotfix-system";
/// Namespace the check Jobs run in.
pub const CHECKS_NAMESPACE: &str = "hotfix-system-checks";
/// Name of the Helm release, and with it of the operator's Deployment and service account.
pub const RELEASE: &str = "hotfix-operator";
/// The operator's user, as the audit log has it.
pub const OPERATOR_USER: &str = "system:serviceaccount:hotfix-system:hotfix-operator";

/// The operator has no work at start, so it is ready in a second; the rest is for a busy machine that pulls its image.
const INSTALL_TIMEOUT: &str = "180s";

/// How long anything may take that has no time-out of its own, on a machine that does other things.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What lab to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// The local cluster's name.
    pub name: String,
    /// How the programs are compiled.
    pub profile: Profile,
    /// The operator's log filter.
    pub log: String,
    /// The operator is told of private registries as well. They need not run.
    pub private_registries: bool,
}

impl Options {
    /// A lab on a local cluster of this name, with programs built as tests are.
    pub fn named(name: &str) -> Self {
        let log = "info,securityhotfix=debug".to_owned();
        Self { name: name.to_owned(), profile: Profile::Dev, log, private_registries: false }
    }

    /// The same with private registries.
    #[must_use]
    pub fn with_private_registries(self) -> Self {
        Self { private_registries: true, ..self }
    }
}

/// A cluster with the operator at work.
pub struct Lab {
    images: Images,
    ground: Arc<Ground>,
    profile: Profile,
    registries: Option<Registries>,
}

impl Lab {
    /// Boots a local cluster and installs the operator on it. With `ATTACH=1` in the environment a cluster of that name that is
    /// up is taken as it is, and left up: the way to try something again quickly.
    pub fn up(options: &Options) -> Result<Self, LabError> {
        let programs = Programs::build(options.profile)?;
        let cluster = ClusterOptions::named(&options.name)?;
        let found = attaches().then(|| Cluster::attach(&cluster.name).ok()).flatten();
        let cluster = match found {
            Some(cluster) => cluster,
            None => Cluster::boot(&cluster)?,
        };
        Self::on(Ground::Local(cluster), programs, options)
    }

    /// Installs the operator on a cluster, built from these programs.
    pub fn on(ground: Ground, programs: Programs, options: &Options) -> Result<Self, LabError> {
        let ground = Arc::new(ground);
        let registries = match &*ground {
            Ground::Local(cluster) if options.private_registries => Some(Registries::of(cluster)?),
            _ => None,
        };
        let lab = Self { images: Images::new(&ground, programs), ground, profile: options.profile, registries };
        lab.ground.run(async || {
            let installed = lab.install(&options.log).await;
            if installed.is_err() {
                eprintln!("the operator was not installed; what is there:\n{}", dump::installation(&lab.ground).await);
            }
            installed
        })??;
        Ok(lab)
    }

    async fn install(&self, log: &str) -> Result<(), LabError> {
        let (operator, check, trivy) =
            tokio::try_join!(self.images.operator(), self.images.check(), self.images.trivy())?;
        let (repository, digest) = operator.as_str().split_once('@').unwrap_or((operator.as_str(), ""));
        let registry = self.ground.registry();
        let host = registry.split('/').next().unwrap_or(&registry);
        let plain = self.ground.transport() == crate::images::Transport::Plain;
        let mut registries = vec![json!({"host": host, "plainHttp": plain})];
        let mut credentials = "";
        if let Some(private) = &self.registries {
            registries.extend(private.values());
            credentials = registries::CREDENTIALS;
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}});
            self.apply(
                &json!({"apiVersion": "v1", "kind": "List", "items": [namespace, private.secret()]}).to_string(),
            )
            .await?;
        }
        self.ground
            .helm(&[
                "upgrade",
                "--install",
                RELEASE,
                "charts/hotfix-operator",
                "--namespace",
                OPERATOR_NAMESPACE,
                "--create-namespace",
                "--set",
                &format!("image.repository={repository},image.digest={digest}"),
                "--set-string",
                &format!("log={}", log.replace(',', "\\,")),
                "--set-json",
                &format!("registries={}", Value::Array(registries)),
                "--set",
                &format!("registryCredentials.secretName={credentials}"),
                "--wait",
                "--timeout",
                INSTALL_TIMEOUT,
            ])
            .await?;
        self.apply_checks(check.as_str(), trivy.as_str()).await
    }

    async fn apply_checks(&self, check: &str, trivy: &str) -> Result<(), LabError> {
        let command = serde_json::to_string(&catalogue::TRIVY_COMMAND).unwrap_or_default();
        let checks =
            manifest::fill(manifest::CHECKS, &[("trivy", trivy), ("check", check), ("trivy_command", &command)]);
        self.apply(&checks).await
    }

    /// Offers another Trivy under this name.
    pub async fn trivy_check(&self, name: &str, image: &Published) -> Result<(), LabError> {
        self.apply(&scan_check(name, TRIVY, image, &catalogue::TRIVY_COMMAND).to_string()).await
    }

    /// Offers an osv-scanner under this name.
    pub async fn osv_scanner_check(&self, name: &str, image: &Published) -> Result<(), LabError> {
        self.apply(&scan_check(name, OSV_SCANNER, image, &catalogue::OSV_SCANNER_COMMAND).to_string()).await
    }

    /// Offers a scanner that misbehaves in the way it is named after, see [`crate::check::misbehave`].
    pub async fn misbehaving_scanner(&self, how: &str) -> Result<(), LabError> {
        let image = self.check_image().await?;
        self.apply(&scan_check(how, TRIVY, &image, &["check", "misbehave", how]).to_string()).await
    }

    /// Applies manifests, as `kubectl apply -f` does.
    pub async fn apply(&self, manifests: &str) -> Result<(), LabError> {
        self.ground.kubectl(&["apply", "-f", "-"], Some(manifests)).await.map(drop)
    }

    /// Where the lab stands.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The local cluster, where it is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        match &*self.ground {
            Ground::Local(cluster) => Some(cluster),
            Ground::Current { .. } => None,
        }
    }

    /// The private registries the operator was told of, where it was.
    pub fn private_registries(&self) -> Option<&Registries> {
        self.registries.as_ref()
    }

    /// How the programs were compiled.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Version v1 of the application, in which scanners find CVE-2024-22195.
    pub async fn vulnerable(&self) -> Result<Published, LabError> {
        self.images.web("v1", &Web::vulnerable("v1")).await
    }

    /// A version of the application in which they do not.
    pub async fn patched(&self, version: &str) -> Result<Published, LabError> {
        self.images.web(version, &Web::patched(version)).await
    }

    /// Any version of the application; `version` names the image too, so one version is one image.
    pub async fn web(&self, version: &str, web: &Web) -> Result<Published, LabError> {
        self.images.web(version, web).await
    }

    /// Trivy with the repository's advisories.
    pub async fn trivy(&self) -> Result<Published, LabError> {
        self.images.trivy().await
    }

    /// A scanner that finds nothing anywhere.
    pub async fn blind_trivy(&self) -> Result<Published, LabError> {
        self.images.blind_trivy().await
    }

    /// osv-scanner with the repository's advisories.
    pub async fn osv_scanner(&self) -> Result<Published, LabError> {
        self.images.osv_scanner().await
    }

    /// The same scanner with data bases in which there is nothing.
    pub async fn blind_osv_scanner(&self) -> Result<Published, LabError> {
        self.images.blind_osv_scanner().await
    }

    /// The programs of check Jobs, as an image.
    pub async fn check_image(&self) -> Result<Published, LabError> {
        self.images.check().await
    }

    /// The load generator, as an image.
    pub async fn load_image(&self) -> Result<Published, LabError> {
        self.images.load().await
    }

    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    /// Makes a namespace and works in it, where the cluster can be reached. When the work panics or the caller's thread does, the
    /// namespace stays for whoever looks.
    pub fn scene<T: Send>(
        &self,
        namespace: &str,
        work: impl AsyncFnOnce(&Scene<'_>) -> T + Send,
    ) -> Result<T, LabError> {
        self.ground.run(async || {
            let scene = Scene::set(self, namespace).await?;
            Ok(work(&scene).await)
        })?
    }

    /// Ends every replica of the operator with SIGKILL, as a crash does, and has new pods made at once: the kubelet would wait longer before every
    /// restart, and longer than any story.
    pub async fn kill_operator(&self, client: &Client) -> Result<(), LabError> {
        let cluster =
            self.cluster().ok_or_else(|| LabError::Unfit("only a local cluster's operator is killed".into()))?;
        let pods = Api::<Pod>::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let ours = ListParams::default().labels("app.kubernetes.io/name=hotfix-operator");
        for pod in pods.list(&ours).await.asked(|| "listing the operator's pods".to_owned())? {
            let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first().cloned());
            let Some(container) = status.and_then(|status| status.container_id) else { continue };
            cluster.kill_container(&container);
            let deleted = pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await;
            deleted.asked(|| "deleting the killed operator's pod".to_owned())?;
        }
        Ok(())
    }

    /// Takes a scene's namespace and policy away.
    pub fn scene_over(&self, namespace: &str) -> Result<(), LabError> {
        self.ground.run(async || Scene::take_away(self, namespace).await)?
    }

    /// Leaves everything up.
    pub fn keep(self) -> Result<(), LabError> {
        let Self { images, ground, .. } = self;
        drop(images);
        if let Some(Ground::Local(cluster)) = Arc::into_inner(ground) {
            cluster.leave_running()?;
        }
        Ok(())
    }

    /// Takes a local cluster down. On somebody's own cluster, takes away what [`Lab::on`] installed.
    pub fn down(self) -> Result<(), LabError> {
        let Self { images, ground, .. } = self;
        drop(images);
        match Arc::into_inner(ground) {
            Some(Ground::Local(cluster)) => {
                // Dropping it removes it if it is ours, and leaves it if it was attached to.
                drop(cluster);
                Ok(())
            }
            Some(current @ Ground::Current { .. }) => uninstall(&current),
            None => Err(LabError::Unfit("somebody still uses the lab".to_owned())),
        }
    }
}

/// Whether somebody wants a lab on a cluster that is up.
pub fn attaches() -> bool {
    std::env::var("ATTACH").is_ok_and(|value| value == "1")
}

/// Formats of reports, as a SecurityCheck names them.
const TRIVY: &str = "TrivyJson";
const OSV_SCANNER: &str = "OsvScannerJson";

fn scan_check(name: &str, format: &str, image: &Published, command: &[&str]) -> Value {
    let tmp = json!({"name": "tmp", "mountPath": "/tmp", "emptyDir": {}});
    let container = json!({"image": image.as_str(), "command": command, "volumes": [tmp]});
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1",
        "kind": "SecurityCheck",
        "metadata": {"name": name},
        "spec": {"scan": {"format": format, "timeout": "3m", "container": container}},
    })
}

fn uninstall(ground: &Ground) -> Result<(), LabError> {
    const CRDS: [&str; 4] = [
        "crd/securityhotfixes.securityhotfix.dev",
        "crd/securitychecks.securityhotfix.dev",
        "crd/hotfixpolicies.securityhotfix.dev",
        "crd/hotfixreports.securityhotfix.dev",
    ];
    ground.run(async || {
        ground.helm(&["uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--wait"]).await?;
        let delete = [&["delete", "--ignore-not-found"], &CRDS[..]].concat();
        ground.kubectl(&delete, None).await?;
        ground.kubectl(&["delete", "namespace", "--ignore-not-found", OPERATOR_NAMESPACE], None).await.map(drop)
    })?
}
