//! An operator beside the cluster each of whose writes goes wrong once: real pods and clients see what comes of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Scene;
use super::error::{Asked, LabError};
use super::outsider::{beside, in_the_operators_name, reaches};
use crate::faults::operator::Operators;
use crate::faults::proxy::{Ledger, NOT_MADE, Proxy, Script, Storm};

/// The operator in its storm. It works for one namespace, and only while no other operator does.
pub struct Stormy {
    operators: Arc<Operators>,
    proxy: Proxy,
    folder: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Weathered {
    /// The writes in their order, also those that failed.
    pub writes: Vec<String>,
    /// What was wrong with the operator itself: a panic, an end of its own, a write it had to refuse.
    pub complaints: Vec<String>,
}

impl Weathered {
    /// How many writes did not reach the API server.
    pub fn unmade(&self) -> usize {
        self.writes.iter().filter(|write| write.ends_with(NOT_MADE)).count()
    }
}

impl Stormy {
    /// Starts it.
    pub async fn begin(scene: &Scene<'_>, storm: Storm) -> Result<Self, LabError> {
        let (lab, namespace) = (scene.lab, &scene.namespace);
        let cluster = lab.cluster().ok_or_else(|| LabError::Unfit("only beside a local cluster".to_owned()))?;
        let upstream = in_the_operators_name(&cluster.kubeconfig(), &scene.client).await?;
        let folder = std::env::temp_dir().join(format!("hotfix-{namespace}-{}", std::process::id()));
        let what = || format!("preparing {}", folder.display());
        let mut command = beside(lab, &folder).await?;
        command.args(["--watch-namespace", namespace]);
        let operators = Arc::new(Operators::new(command, &folder.join("log")).asked(what)?);
        let script = Script { storm, real_pods: true, ..Script::default() };
        let proxy = Proxy::start(upstream, Arc::clone(&operators), script).await.asked(what)?;
        reaches(&folder, proxy.address())?;
        operators.start().await;
        Ok(Self { operators, proxy, folder })
    }

    /// Tells it to end.
    pub async fn end(self) -> Weathered {
        self.operators.stop().await;
        let mut complaints = self.operators.complaints().await;
        complaints.extend(self.proxy.troubles());
        let _ = std::fs::remove_dir_all(&self.folder);
        Weathered { writes: self.proxy.ledger(Ledger::told), complaints }
    }
}
