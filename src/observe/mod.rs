//! Takes one picture of a hotfix and everything it touches, in the order the protocol needs.
//!
//! This module decides what is read, when, and what a missing answer means. It never judges what it reads, and writes
//! nothing but dry runs. The order is part of the protocol: pods, then the hotfix and the Services, so that nothing is
//! opened or switched that was not seen before the latch could be set. A picture counts only if hotfix and Services still
//! have the versions they were known to have before the pods were read ([`opening`]); else it is taken anew. So all three
//! are of one moment, and a replica that stood still between two reads decides nothing by what it had read too early. For
//! the same reason the rest need not wait for them: what is read while they are proven not to have changed is as new as
//! what is read after them, and waiting would cost every way back as much time again. All reads are of now, never from a cache; what is remembered between two pictures are only addresses
//! (the selector to list by), those versions, and what cannot change (the report of an ended Job).

mod cache;
mod error;
pub mod evidence;
mod json;
mod memory;
mod opening;
mod orphans;
mod outputs;
mod parts;
mod read;
mod reads;
mod relevant;
mod strays;
mod stuck;

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Client;
use serde_json::Value;

pub use error::ObserveError;
pub use orphans::{Orphan, orphans};

/// What reads bytes that others wrote, for whoever tries it with hostile ones.
pub mod untrusted {
    pub use super::evidence::untrusted::*;
    pub use super::outputs::{Declared, output};
    pub use super::read::*;
}

use crate::api::names::{self, HOTFIX_UID, SLOT};
use crate::plan::decision::Want;
use crate::plan::observed::{Hotfix, Observed, Settings, Workload};
use evidence::{Gatherer, Registries};
use memory::{Known, Memory};
use opening::Opening;
use outputs::{Outputs, Source};
use parts::{
    Sides, Stage, blue_is_another, claim, controlled, guards, merged, pods_of_blue, runs, setup, sides, slices_of,
    slots,
};
use reads::{Reads, Which, read_all, read_own};
use stuck::Stuck;

/// How often a picture is taken anew because the hotfix or a Service was written meanwhile, or blue replaced by another
/// Deployment. The first may fail by a memory that is outdated, the other three only by somebody who writes right now.
const LOOKS_MAX: usize = 4;

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
    stuck: Stuck,
    evidence: Gatherer,
    wake: Wake,
}

impl Observer {
    /// An observer that reads with `client`, resolves images by `registries`, and calls `wake` when a background task
    /// has found something out.
    pub fn new(client: Client, settings: Arc<Settings>, registries: Arc<Registries>, wake: Wake) -> Self {
        let evidence = Gatherer::new(client.clone(), registries, Arc::clone(&wake));
        Self {
            client,
            settings,
            memory: Memory::default(),
            outputs: Outputs::default(),
            stuck: Stuck::default(),
            evidence,
            wake,
        }
    }

    /// A picture of the hotfix as of now; `None` when it does not exist any more.
    pub async fn observe(&self, id: &HotfixId) -> Result<Option<Observed>, ObserveError> {
        let remembered = self.memory.take_opening(&id.uid);
        let opening = if remembered.is_some() { remembered } else { self.open(id).await? };
        let Some(mut opening) = opening else { return Ok(self.gone(id)) };
        for _ in 0..LOOKS_MAX {
            match Box::pin(self.look(id, &opening)).await? {
                Look::Taken(mut observed, now) => {
                    observed.evidence.watched_since = Some(self.memory.looked(&id.uid));
                    if under_way(&observed.hotfix) {
                        self.memory.put_opening(&id.uid, now);
                    }
                    return Ok(Some(*observed));
                }
                Look::Gone => return Ok(self.gone(id)),
                Look::Overtaken(now) => opening = now,
            }
        }
        Err(ObserveError::Restless(LOOKS_MAX))
    }

    fn gone(&self, id: &HotfixId) -> Option<Observed> {
        self.forget(&id.uid);
        None
    }

    /// To be told of every write for a hotfix, with the object the API server answered with: the next picture then needs
    /// no read to know what was there before it. `None` where there was no such answer, or another one.
    pub fn wrote(&self, id: &HotfixId, object: Option<&Value>) {
        self.memory.wrote(&id.uid, object);
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

    /// Reads what is there before the pods; `None` when the hotfix is gone.
    async fn open(&self, id: &HotfixId) -> Result<Option<Opening>, ObserveError> {
        let reads = Reads { client: &self.client, namespace: &id.namespace };
        let (object, services) =
            tokio::try_join!(reads.one(reads::HOTFIXES, &id.name), reads.all(reads::SERVICES, Which::All))?;
        let services = read_all(reads::SERVICES, &services, read::service)?;
        let hotfix = object.map(|object| read_own(reads::HOTFIXES, &object, read::hotfix)).transpose()?;
        Ok(hotfix.map(|hotfix| Opening { hotfix, services }))
    }

    async fn look(&self, id: &HotfixId, before: &Opening) -> Result<Look, ObserveError> {
        let reads = Reads { client: &self.client, namespace: &id.namespace };
        let known = match self.memory.blue(&id.uid) {
            Some(known) => known,
            None => self.memory.put_blue(&id.uid, Known::of(reads.one(reads::DEPLOYMENTS, &id.target).await?.as_ref())),
        };
        // What is to be read follows from the hotfix and the Services as they were: a picture counts only if they still are.
        let hotfix = &before.hotfix;
        if hotfix.uid != id.uid {
            return Ok(Look::Gone);
        }
        let stage = Stage::of(hotfix);
        let slots = slots(hotfix);
        // What may be of another hotfix is read before the others are listed: what is of none of these is of one that is gone.
        let (by_label, by_slot, candidates, guards, claim) = tokio::try_join!(
            pods_of_blue(reads, &known),
            reads.all(reads::PODS, Which::Labels(SLOT.to_owned())),
            strays::candidates(reads, id, strays::matter(hotfix)),
            guards(reads, &id.target, stage),
            claim(reads, &known, hotfix),
        )?;
        let wanted = strays::slots(&slots, &candidates, hotfix.status.leftover.as_ref());
        let pods =
            merged(read_all(reads::PODS, &by_label, read::pod)?, read_all(reads::PODS, &by_slot, read::pod)?, &wanted);
        let relevant = before.concerned(&pods, &known.labels);
        let strange = relevant::foreign(&before.services, &relevant, &id.uid, &slots);
        let green_name = names::green(&id.target, &id.uid);
        let report_name = names::report(&id.name, &id.uid);
        let checks = Reads { client: &self.client, namespace: &self.settings.checks_namespace };
        let source = self.source(id);
        let (object, services, setup, sides, (replica_sets, slices), others, (jobs, report), ()) = tokio::try_join!(
            reads.one(reads::HOTFIXES, &id.name),
            reads.all(reads::SERVICES, Which::All),
            setup(reads, stage),
            sides(reads, &id.target, &green_name),
            async {
                tokio::try_join!(
                    reads.all(reads::REPLICA_SETS, Which::Labels(known.query.clone().unwrap_or_else(|| SLOT.into()))),
                    slices_of(reads, &relevant),
                )
            },
            strays::others(reads, id, strange, &candidates, &pods, hotfix),
            async {
                let jobs = checks.all(reads::JOBS, Which::Labels(format!("{HOTFIX_UID}={}", id.uid)));
                let report = reads.one(reads::REPORTS, &report_name);
                tokio::try_join!(stage.tolerating(jobs), stage.tolerating(report))
            },
            async {
                self.stuck.look(&source, hotfix).await;
                Ok(())
            },
        )?;
        let Some(object) = object else { return Ok(Look::Gone) };
        // One of another uid has another version too, and is told apart when it is looked at anew.
        let hotfix = read_own(reads::HOTFIXES, &object, read::hotfix)?;
        let now = Opening { hotfix, services: read_all(reads::SERVICES, &services, read::service)? };
        if !before.still_holds(&now, &pods, &known.labels) {
            return Ok(Look::Overtaken(now));
        }
        let Opening { hotfix, services } = &now;
        let Sides { blue, green } = sides;
        let now_known = Known::of(blue.as_ref().map(|blue| &*blue.raw));
        if blue.is_some() && now_known != known {
            self.memory.put_blue(&id.uid, now_known);
            if blue_is_another(&known, blue.as_ref()) {
                return Ok(Look::Overtaken(now));
            }
        }
        // Labels of the template may change under the same selector; a Service that selects only the new ones was not
        // among those whose endpoints were read.
        let labels = blue.as_ref().map(Workload::template_labels).unwrap_or(known.labels);
        let now_relevant = relevant::services(services, &pods, &labels, hotfix);
        let missed: BTreeSet<String> = now_relevant.difference(&relevant).cloned().collect();
        let slices = [slices, slices_of(reads, &missed).await?].concat();

        let runs = runs((&self.outputs, &self.stuck), &source, stage, &jobs, &setup.declared).await?;
        let strays = strays::with_leavings(reads, checks, candidates, hotfix, &others).await?;
        let report = report.map(|object| read_own(reads::REPORTS, &object, read::report)).transpose()?;
        let observed = Observed {
            replica_sets: controlled(&replica_sets, blue.as_ref(), green.as_ref(), hotfix),
            slices,
            budgets: guards.budgets,
            autoscalers: guards.autoscalers,
            pod_load_balancers: relevant::pod_load_balancers(services, guards.target_groups),
            services: services.clone(),
            pods,
            namespace: setup.namespace,
            policy: setup.policy,
            checks: setup.checks,
            unread: setup.unread,
            blue,
            green,
            claim,
            others,
            strays,
            runs,
            report,
            evidence: self.evidence.found(&hotfix.uid),
            settings: Arc::clone(&self.settings),
            hotfix: hotfix.clone(),
        };
        Ok(Look::Taken(Box::new(observed), now))
    }
}

/// What came of one look, with what was there when the hotfix was read.
enum Look {
    Taken(Box<Observed>, Opening),
    Gone,
    /// What it is about changed while it was looked at.
    Overtaken(Opening),
}

/// True while the next picture will be soon: an attempt has begun and is not over.
fn under_way(hotfix: &Hotfix) -> bool {
    hotfix.status.attempt.as_ref().is_some_and(|attempt| attempt.finished_at.is_none())
}
