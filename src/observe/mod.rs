//! Takes one picture of a hotfix and everything it touches, in the order the protocol needs.
//!
//! This module decides what is read, when, and what a missing answer means. It never judges what it reads, and writes
//! nothing but dry runs. The order is part of the protocol: Services, then pods, then the hotfix, then the rest, so that
//! nothing is opened or switched that was not seen before the latch could be set. The Services are read once more after
//! the pods, and the hotfix's version before all of it; a picture in which any of them changed meanwhile is taken anew.
//! So Services and pods are of one moment, and a replica that stood still between two reads decides nothing by what it
//! had read too early. All reads are of now, never from a cache; what is remembered between two pictures are only
//! addresses (the selector to list by) and what cannot change (the report of an ended Job).

mod cache;
mod error;
pub mod evidence;
mod json;
mod memory;
mod outputs;
mod parts;
mod read;
mod reads;
mod relevant;

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Client;

pub use error::ObserveError;

/// What reads bytes that others wrote, for whoever tries it with hostile ones.
pub mod untrusted {
    pub use super::evidence::untrusted::*;
    pub use super::outputs::{Declared, output};
    pub use super::read::*;
}

use crate::api::names::{self, HOTFIX_UID, SLOT};
use crate::plan::decision::Want;
use crate::plan::observed::{Observed, Service, Settings, Workload};
use evidence::{Gatherer, Registries};
use json::text;
use memory::{Known, Memory};
use outputs::{Outputs, Source};
use parts::{
    Sides, Stage, blue_is_another, claim, controlled, guards, merged, pods_of_blue, runs, setup, sides, slices_of,
    slots,
};
use reads::{Reads, Which, read_all, read_own};

/// How often a picture is begun anew because the hotfix was written meanwhile, or blue replaced by another Deployment.
const LOOKS_MAX: usize = 3;

/// Where an object's version is.
const VERSION: &str = "/metadata/resourceVersion";

/// Which hotfix: what the trigger's cached object tells and what can never change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HotfixId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Name of the Deployment it is about.
    pub target: String,
}

/// Called when something was found out that the API server announces to nobody: look at this hotfix again.
pub type Wake = Arc<dyn Fn(&HotfixId) + Send + Sync>;

/// Takes pictures.
pub struct Observer {
    client: Client,
    settings: Arc<Settings>,
    memory: Memory,
    outputs: Outputs,
    evidence: Gatherer,
    wake: Wake,
}

impl Observer {
    /// An observer that reads with `client`, resolves images by `registries`, and calls `wake` when a background task
    /// has found something out.
    pub fn new(client: Client, settings: Arc<Settings>, registries: Arc<Registries>, wake: Wake) -> Self {
        let evidence = Gatherer::new(client.clone(), registries, Arc::clone(&wake));
        Self { client, settings, memory: Memory::default(), outputs: Outputs::default(), evidence, wake }
    }

    /// A picture of the hotfix as of now; `None` when it does not exist any more.
    pub async fn observe(&self, id: &HotfixId) -> Result<Option<Observed>, ObserveError> {
        for _ in 0..LOOKS_MAX {
            match Box::pin(self.look(id)).await? {
                Look::Taken(observed) => return Ok(Some(*observed)),
                Look::Gone => {
                    self.forget(&id.uid);
                    return Ok(None);
                }
                Look::Overtaken => {}
            }
        }
        Err(ObserveError::Restless(LOOKS_MAX))
    }

    /// Finds out what the last decision wants to know, in the background, and stops finding out what it does not want
    /// any more. To be called after every decision, with all its wants.
    pub fn gather(&self, id: &HotfixId, wants: &[Want]) {
        self.evidence.gather(id, wants);
    }

    /// Stops everything that is done for a hotfix and forgets what is remembered of it.
    pub fn forget(&self, uid: &str) {
        self.memory.forget(uid);
        self.evidence.forget(uid);
    }

    fn source(&self, id: &HotfixId) -> Source {
        Source {
            client: self.client.clone(),
            namespace: self.settings.checks_namespace.clone(),
            id: id.clone(),
            wake: Arc::clone(&self.wake),
        }
    }

    async fn look(&self, id: &HotfixId) -> Result<Look, ObserveError> {
        let reads = Reads { client: &self.client, namespace: &id.namespace };
        let known = match self.memory.get(&id.uid) {
            Some(known) => known,
            None => self.memory.put(&id.uid, Known::of(reads.one(reads::DEPLOYMENTS, &id.target).await?.as_ref())),
        };

        let Some(before) = reads.one(reads::HOTFIXES, &id.name).await? else { return Ok(Look::Gone) };
        let services = reads.all(reads::SERVICES, Which::All).await?;
        let services = read_all(reads::SERVICES, &services, read::service)?;
        let (by_label, by_slot) =
            tokio::try_join!(pods_of_blue(reads, &known), reads.all(reads::PODS, Which::Labels(SLOT.to_owned())),)?;

        let (object, services_after) =
            tokio::try_join!(reads.one(reads::HOTFIXES, &id.name), reads.all(reads::SERVICES, Which::All),)?;
        let Some(object) = object else { return Ok(Look::Gone) };
        if text(&object, VERSION) != text(&before, VERSION) {
            return Ok(Look::Overtaken);
        }
        let hotfix = read_own(reads::HOTFIXES, &object, read::hotfix)?;
        if hotfix.uid != id.uid {
            return Ok(Look::Gone);
        }
        let stage = Stage::of(&hotfix);
        let slots = slots(&hotfix);
        let pods =
            merged(read_all(reads::PODS, &by_label, read::pod)?, read_all(reads::PODS, &by_slot, read::pod)?, &slots);
        let relevant = relevant::services(&services, &pods, &known.labels, &hotfix);
        // Unchanged from before the pods were listed until after it: they are of one moment.
        let services_after = read_all(reads::SERVICES, &services_after, read::service)?;
        let still = |service: &&Service| services_after.iter().any(|after| after.versioned() == service.versioned());
        if !services.iter().filter(|service| relevant.contains(&service.name)).all(|service| still(&service)) {
            return Ok(Look::Overtaken);
        }

        let green_name = names::green(&id.target, &id.uid);
        let report_name = names::report(&id.name, &id.uid);
        let checks = Reads { client: &self.client, namespace: &self.settings.checks_namespace };
        let (setup, sides, (replica_sets, slices), guards, claim, others, (jobs, report)) = tokio::try_join!(
            setup(reads, stage),
            sides(reads, &id.target, &green_name),
            async {
                tokio::try_join!(
                    reads.all(reads::REPLICA_SETS, Which::Labels(known.query.clone().unwrap_or_else(|| SLOT.into()))),
                    slices_of(reads, &relevant),
                )
            },
            guards(reads, &id.target, stage),
            claim(reads, &known, &hotfix),
            relevant::others(reads, id, &services, &relevant, &slots),
            async {
                let jobs = checks.all(reads::JOBS, Which::Labels(format!("{HOTFIX_UID}={}", id.uid)));
                let report = reads.one(reads::REPORTS, &report_name);
                tokio::try_join!(stage.tolerating(jobs), stage.tolerating(report))
            },
        )?;
        let Sides { blue, green } = sides;
        let now_known = Known::of(blue.as_ref().map(|blue| &*blue.raw));
        if blue.is_some() && now_known != known {
            self.memory.put(&id.uid, now_known);
            if blue_is_another(&known, blue.as_ref()) {
                return Ok(Look::Overtaken);
            }
        }
        // Labels of the template may change under the same selector; a Service that selects only the new ones was not
        // among those whose endpoints were read.
        let labels = blue.as_ref().map(Workload::template_labels).unwrap_or(known.labels);
        let now_relevant = relevant::services(&services, &pods, &labels, &hotfix);
        let missed: BTreeSet<String> = now_relevant.difference(&relevant).cloned().collect();
        let slices = [slices, slices_of(reads, &missed).await?].concat();

        let runs = runs(&self.outputs, &self.source(id), stage, &jobs, &setup.declared).await?;
        let report = report.map(|object| read_own(reads::REPORTS, &object, read::report)).transpose()?;
        Ok(Look::Taken(Box::new(Observed {
            replica_sets: controlled(&replica_sets, blue.as_ref(), green.as_ref(), &hotfix),
            slices,
            budgets: guards.budgets,
            autoscalers: guards.autoscalers,
            pod_load_balancers: relevant::pod_load_balancers(&services, guards.target_groups),
            services,
            pods,
            namespace: setup.namespace,
            policy: setup.policy,
            checks: setup.checks,
            blue,
            green,
            claim,
            others,
            runs,
            report,
            evidence: self.evidence.found(&hotfix.uid),
            settings: Arc::clone(&self.settings),
            hotfix,
        })))
    }
}

/// What came of one look.
enum Look {
    Taken(Box<Observed>),
    Gone,
    /// What it is about changed while it was looked at.
    Overtaken,
}
