//! The images of the lab, in its registry.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::{Asked, LabError};
use super::ground::Ground;
use super::programs::Programs;
use crate::images::advisories::{self, JINJA, PYYAML};
use crate::images::catalogue::{self, Web};
use crate::images::{Published, Registry};
use crate::tools::Tool;

/// What is in the registry, pushed when it is first asked for.
pub struct Images {
    registry: Registry,
    programs: Programs,
    work: PathBuf,
    webs: Mutex<BTreeMap<String, Published>>,
}

impl Images {
    /// Images of these programs for this ground's registry.
    pub fn new(ground: &Arc<Ground>, programs: Programs) -> Self {
        let work = std::env::temp_dir().join(format!("hotfix-images-{}", std::process::id()));
        let skopeo = Arc::clone(ground);
        let registry =
            Registry::new(ground.registry(), ground.transport(), move || skopeo.command("skopeo"), work.clone());
        Self { registry, programs, work, webs: Mutex::default() }
    }

    /// The operator.
    pub async fn operator(&self) -> Result<Published, LabError> {
        let program = &self.programs.operator;
        Ok(self.registry.publish("hotfix-operator", "dev", |into| catalogue::operator(program, into)).await?)
    }

    /// The programs of check Jobs.
    pub async fn check(&self) -> Result<Published, LabError> {
        let program = &self.programs.check;
        Ok(self.registry.publish("check", "dev", |into| catalogue::check(program, into)).await?)
    }

    /// The load generator, for clusters whose network this machine is not in.
    pub async fn load(&self) -> Result<Published, LabError> {
        let program = &self.programs.load;
        Ok(self.registry.publish("load", "dev", |into| catalogue::load(program, into)).await?)
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

    async fn trivy_that_knows(&self, tag: &str, known: &[advisories::Advisory]) -> Result<Published, LabError> {
        let databases = advisories::databases(known, &self.work.join("databases").join(tag))
            .map_err(io::Error::other)
            .asked(|| "making the scanner's data base".to_owned())?;
        let program = Tool::Trivy.path()?;
        Ok(self.registry.publish("trivy", tag, |into| catalogue::trivy(&program, &databases.trivy, into)).await?)
    }

    /// The demonstration application. One version is one image for the life of the lab.
    pub async fn web(&self, version: &str, web: &Web) -> Result<Published, LabError> {
        let mut webs = self.webs.lock().await;
        if let Some(known) = webs.get(version) {
            return Ok(known.clone());
        }
        let program = &self.programs.web;
        let published = self.registry.publish("web", version, |into| web.pack(program, into)).await?;
        webs.insert(version.to_owned(), published.clone());
        Ok(published)
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
