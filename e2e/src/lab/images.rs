//! The images of the lab, in its registry.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::{Asked, LabError};
use super::ground::Ground;
use super::programs::Programs;
use crate::images::advisories::{self, Databases, JINJA, PYYAML};
use crate::images::catalogue::{self, Web};
use crate::images::{PackError, Packed, Published, Registry};
use crate::packages::{self, Package};
use crate::tools::Tool;

/// A shell that runs in an image without anything else; Debian's only busybox at this place that is not static conflicts with
/// this one.
const SHELL: Package = Package::new("busybox-static", SHELL_FILE);
const SHELL_FILE: &str = "/bin/busybox";

/// What is in the registry, pushed when it is first asked for.
pub struct Images {
    registry: Registry,
    programs: Programs,
    work: PathBuf,
    published: Mutex<BTreeMap<(String, String), Published>>,
}

impl Images {
    /// Images of these programs for this ground's registry.
    pub fn new(ground: &Arc<Ground>, programs: Programs) -> Self {
        let name = format!("hotfix-images-{}", std::process::id());
        let work = match &**ground {
            // It goes with the cluster, also after a crash.
            Ground::Local(cluster) => cluster.layout().at(&name),
            Ground::Current { .. } => std::env::temp_dir().join(name),
        };
        let skopeo = Arc::clone(ground);
        let registry =
            Registry::new(ground.registry(), ground.transport(), move || skopeo.command("skopeo"), work.clone());
        Self { registry, programs, work, published: Mutex::default() }
    }

    /// The operator.
    pub async fn operator(&self) -> Result<Published, LabError> {
        let program = &self.programs.operator;
        self.publish("hotfix-operator", "dev", |into| catalogue::operator(program, into)).await
    }

    /// The programs of check Jobs.
    pub async fn check(&self) -> Result<Published, LabError> {
        let program = &self.programs.check;
        self.publish("check", "dev", |into| catalogue::check(program, into)).await
    }

    /// The load generator, for clusters whose network this machine is not in.
    pub async fn load(&self) -> Result<Published, LabError> {
        let program = &self.programs.load;
        self.publish("load", "dev", |into| catalogue::load(program, into)).await
    }

    /// Trivy with the repository's advisories.
    pub async fn trivy(&self) -> Result<Published, LabError> {
        let known = [JINJA, PYYAML];
        self.trivy_that_knows("seeing", &known).await
    }

    /// Trivy with a data base that knows none of them, and so finds nothing anywhere.
    pub async fn blind_trivy(&self) -> Result<Published, LabError> {
        self.trivy_that_knows("blind", &[]).await
    }

    /// osv-scanner with the same advisories.
    pub async fn osv_scanner(&self) -> Result<Published, LabError> {
        self.osv_scanner_that_knows("seeing", &[JINJA, PYYAML]).await
    }

    /// osv-scanner with data bases that know none of them.
    pub async fn blind_osv_scanner(&self) -> Result<Published, LabError> {
        self.osv_scanner_that_knows("blind", &[]).await
    }

    async fn osv_scanner_that_knows(&self, tag: &str, known: &[advisories::Advisory]) -> Result<Published, LabError> {
        packages::require(&[SHELL]).map_err(io::Error::other).asked(|| "installing a static shell".to_owned())?;
        let databases = self.databases(tag, known)?;
        let (scanner, crane) = (Tool::OsvScanner.path()?, Tool::Crane.path()?);
        let pack = |into: &Path| catalogue::osv_scanner(&scanner, &crane, Path::new(SHELL_FILE), &databases.osv, into);
        self.publish("osv-scanner", tag, pack).await
    }

    async fn trivy_that_knows(&self, tag: &str, known: &[advisories::Advisory]) -> Result<Published, LabError> {
        let databases = self.databases(tag, known)?;
        let program = Tool::Trivy.path()?;
        self.publish("trivy", tag, |into| catalogue::trivy(&program, &databases.trivy, into)).await
    }

    fn databases(&self, tag: &str, known: &[advisories::Advisory]) -> Result<Databases, LabError> {
        advisories::databases(known, &self.work.join("databases").join(tag))
            .map_err(io::Error::other)
            .asked(|| "making the scanners' data bases".to_owned())
    }

    /// The demonstration application. One version is one image for the life of the lab.
    pub async fn web(&self, version: &str, web: &Web) -> Result<Published, LabError> {
        let program = &self.programs.web;
        self.publish("web", version, |into| web.pack(program, into)).await
    }

    /// Pushes an image the first time it is asked for. One at a time: stories that play side by side ask for the same ones,
    /// and two that pack into the same folder would take each other's files away.
    async fn publish(
        &self,
        name: &str,
        tag: &str,
        pack: impl FnOnce(&Path) -> Result<Packed, PackError>,
    ) -> Result<Published, LabError> {
        let mut published = self.published.lock().await;
        let key = (name.to_owned(), tag.to_owned());
        if let Some(known) = published.get(&key) {
            return Ok(known.clone());
        }
        let image = self.registry.publish(name, tag, pack).await?;
        published.insert(key, image.clone());
        Ok(image)
    }

    /// The programs the images are made of.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        // What stays in the temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.work);
    }
}
