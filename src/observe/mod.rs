//! Takes one picture of a hotfix and everything it touches, in the order the protocol needs.
//!
//! This module decides what is read, when, and what a missing answer means. It never judges what it reads, and writes
//! nothing but dry runs. The order is part of the protocol: Services and pods first, then the hotfix, then the rest, so
//! that nothing is opened or switched that was not seen before the latch could be set. All reads are of now, never from
//! a cache; what is remembered between two pictures are only addresses (the selector to list by) and what cannot change
//! (the report of an ended Job).

mod error;
pub mod evidence;
mod json;
mod memory;
mod outputs;
mod read;
mod reads;
mod relevant;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde_json::Value;

pub use error::ObserveError;

use crate::api::names::{self, HOTFIX_UID, SLOT};
use crate::plan::decision::Want;
use crate::plan::jobs::CHECK;
use crate::plan::observed::{
    Autoscaler, Budget, Check, Claim, Hotfix, Namespace, Observed, Pod, Policy, ReplicaSet, Run, RunState, Settings,
    Slice, Workload,
};
use evidence::{Gatherer, Registries};
use memory::{Known, Memory};
use outputs::{Declared, Fetched, Outputs};
use reads::{Reads, Which, nameless, read_all, read_own};

/// How often a picture is begun anew because blue was replaced by another Deployment meanwhile.
const LOOKS_MAX: usize = 3;

/// Slots of so many attempts, the current one included, are taken for this hotfix's own. Older ones were swept when
/// their attempt ended, and once more after it.
const SLOTS_MAX: i64 = 32;

/// When a log that could not be fetched is asked for again.
const AGAIN: Duration = Duration::from_secs(2);

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
                Look::BlueChanged => {}
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

    async fn look(&self, id: &HotfixId) -> Result<Look, ObserveError> {
        let reads = Reads { client: &self.client, namespace: &id.namespace };
        let known = match self.memory.get(&id.uid) {
            Some(known) => known,
            None => self.memory.put(&id.uid, Known::of(reads.one(reads::DEPLOYMENTS, &id.target).await?.as_ref())),
        };

        let (services, by_label, by_slot) = tokio::try_join!(
            reads.all(reads::SERVICES, Which::All),
            pods_of_blue(reads, &known),
            reads.all(reads::PODS, Which::Labels(SLOT.to_owned())),
        )?;
        let services = read_all(reads::SERVICES, &services, read::service)?;

        let Some(object) = reads.one(reads::HOTFIXES, &id.name).await? else { return Ok(Look::Gone) };
        let hotfix = read_own(reads::HOTFIXES, &object, read::hotfix)?;
        if hotfix.uid != id.uid {
            return Ok(Look::Gone);
        }
        let slots = slots(&hotfix);
        let pods =
            merged(read_all(reads::PODS, &by_label, read::pod)?, read_all(reads::PODS, &by_slot, read::pod)?, &slots);
        let relevant = relevant::services(&services, &pods, &known.labels, &hotfix);

        let green_name = names::green(&id.target, &id.uid);
        let report_name = names::report(&id.name, &id.uid);
        let checks = Reads { client: &self.client, namespace: &self.settings.checks_namespace };
        let (setup, sides, (replica_sets, slices), guards, claim, others, (jobs, report)) = tokio::try_join!(
            self.setup(reads),
            sides(reads, &id.target, &green_name),
            async {
                tokio::try_join!(
                    reads.all(reads::REPLICA_SETS, Which::Labels(known.query.clone().unwrap_or_else(|| SLOT.into()))),
                    slices_of(reads, &relevant),
                )
            },
            guards(reads, &id.target),
            claim(reads, &known, &hotfix),
            relevant::others(reads, id, &services, &relevant, &slots),
            async {
                tokio::try_join!(
                    checks.all(reads::JOBS, Which::Labels(format!("{HOTFIX_UID}={}", id.uid))),
                    reads.one(reads::REPORTS, &report_name),
                )
            },
        )?;
        let Sides { blue, green } = sides;
        let now_known = Known::of(blue.as_ref().map(|blue| &*blue.raw));
        if blue.is_some() && now_known != known {
            self.memory.put(&id.uid, now_known);
            if blue_is_another(&known, blue.as_ref()) {
                return Ok(Look::BlueChanged);
            }
        }
        // Labels of the template may change under the same selector; a Service that selects only the new ones was not
        // among those whose endpoints were read.
        let labels = blue.as_ref().map(Workload::template_labels).unwrap_or(known.labels);
        let now_relevant = relevant::services(&services, &pods, &labels, &hotfix);
        let missed: BTreeSet<String> = now_relevant.difference(&relevant).cloned().collect();
        let slices = [slices, slices_of(reads, &missed).await?].concat();

        let checks_found = chosen_checks(setup.policy.as_ref(), &setup.checks)?;
        let runs = self.runs(id, &jobs, &setup.checks).await?;
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
            checks: checks_found,
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

    /// What administrators wrote: the namespace's policy and every check.
    async fn setup(&self, reads: Reads<'_>) -> Result<Setup, ObserveError> {
        let (namespace, policies, checks) = tokio::try_join!(
            reads.one(reads::NAMESPACES, reads.namespace),
            reads.all(reads::POLICIES, Which::All),
            reads.all(reads::CHECKS, Which::All),
        )?;
        // A namespace that is gone is one whose deletion has come to its end.
        let namespace =
            namespace.map_or(Namespace { terminating: true, policy: None }, |object| read::namespace(&object));
        let wanted = namespace.policy.as_deref().unwrap_or(names::DEFAULT_POLICY);
        let chosen = policies.iter().find(|policy| json::text(policy, "/metadata/name") == Some(wanted));
        let policy = chosen.map(|object| read_own(reads::POLICIES, object, read::policy)).transpose()?;
        let checks = checks.into_iter().map(|check| (json::word(&check, "/metadata/name"), check)).collect();
        Ok(Setup { namespace, policy, checks })
    }

    /// The check Jobs, with what they printed.
    async fn runs(
        &self,
        id: &HotfixId,
        jobs: &[Value],
        checks: &BTreeMap<String, Value>,
    ) -> Result<Vec<Run>, ObserveError> {
        let reads = Reads { client: &self.client, namespace: &self.settings.checks_namespace };
        let mut runs = Vec::new();
        for job in read_all(reads::JOBS, jobs, read::run)? {
            let state = match &job.ended {
                None => RunState::Running,
                Some(ended) => {
                    let check = job.labels.get(CHECK).and_then(|name| checks.get(name));
                    // A check that cannot be read declares nothing; its policy's reading says so where it matters.
                    let check = check.and_then(|object| read::check(object).ok());
                    let declared = Declared::of(check.as_ref().map(|check| &check.spec));
                    match self.outputs.of(reads, &job, declared).await? {
                        Fetched::Output(output) => RunState::Ended { at: ended.at, output },
                        Fetched::NotYet => {
                            self.wake_after(id, AGAIN);
                            RunState::Running
                        }
                    }
                }
            };
            runs.push(Run { job: job.name, uid: job.uid, labels: job.labels, state });
        }
        Ok(runs)
    }

    fn wake_after(&self, id: &HotfixId, delay: Duration) {
        let (wake, id) = (Arc::clone(&self.wake), id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            wake(&id);
        });
    }
}

/// What came of one look.
enum Look {
    Taken(Box<Observed>),
    Gone,
    BlueChanged,
}

struct Setup {
    namespace: Namespace,
    policy: Option<Policy>,
    checks: BTreeMap<String, Value>,
}

struct Sides {
    blue: Option<Workload>,
    green: Option<Workload>,
}

struct Guards {
    budgets: Vec<Budget>,
    autoscalers: Vec<Autoscaler>,
    target_groups: BTreeSet<String>,
}

/// True when blue is not what the reads before went by: their pods could be another workload's.
fn blue_is_another(known: &Known, blue: Option<&Workload>) -> bool {
    let now = Known::of(blue.map(|blue| &*blue.raw));
    now.uid != known.uid || now.query != known.query
}

async fn pods_of_blue(reads: Reads<'_>, known: &Known) -> Result<Vec<Value>, ObserveError> {
    match &known.query {
        Some(query) => reads.all(reads::PODS, Which::Labels(query.clone())).await,
        None => Ok(Vec::new()),
    }
}

async fn sides(reads: Reads<'_>, target: &str, green: &str) -> Result<Sides, ObserveError> {
    let (blue, green) = tokio::try_join!(reads.one(reads::DEPLOYMENTS, target), reads.one(reads::DEPLOYMENTS, green))?;
    let read = |object: Option<Value>| match object {
        Some(object) => read::workload(object).map(Some).ok_or_else(|| nameless(reads::DEPLOYMENTS)),
        None => Ok(None),
    };
    Ok(Sides { blue: read(blue)?, green: read(green)? })
}

async fn guards(reads: Reads<'_>, target: &str) -> Result<Guards, ObserveError> {
    let (budgets, autoscalers, target_groups) = tokio::try_join!(
        reads.all(reads::BUDGETS, Which::All),
        reads.all(reads::AUTOSCALERS, Which::All),
        reads.all_if_installed(reads::TARGET_GROUPS),
    )?;
    Ok(Guards {
        budgets: read_all(reads::BUDGETS, &budgets, read::budget)?,
        autoscalers: autoscalers.iter().filter_map(|object| read::autoscaler(object, target)).collect(),
        target_groups: target_groups.iter().filter_map(read::target_group_service).collect(),
    })
}

/// The Lease that claims the Deployment the current attempt is about, else the one that is there now.
async fn claim(reads: Reads<'_>, known: &Known, hotfix: &Hotfix) -> Result<Option<Claim>, ObserveError> {
    let attempt = hotfix.status.attempt.as_ref();
    let under_way = attempt.filter(|attempt| attempt.finished_at.is_none()).map(|attempt| &attempt.blue.uid);
    let Some(uid) = under_way.or(known.uid.as_ref()).or(attempt.map(|attempt| &attempt.blue.uid)) else {
        return Ok(None);
    };
    match reads.one(reads::LEASES, &names::claim(uid)).await? {
        Some(lease) => read::claim(&lease).map(Some).ok_or_else(|| nameless(reads::LEASES)),
        None => Ok(None),
    }
}

async fn slices_of(reads: Reads<'_>, services: &BTreeSet<String>) -> Result<Vec<Slice>, ObserveError> {
    let Some(which) = relevant::slices_query(services) else { return Ok(Vec::new()) };
    let slices = reads.all(reads::SLICES, which).await?;
    Ok(slices.iter().filter_map(read::slice).filter(|slice| services.contains(&slice.service)).collect())
}

/// The slots of this hotfix's attempts, of the next one too: it may have been begun meanwhile.
fn slots(hotfix: &Hotfix) -> BTreeSet<String> {
    let current = hotfix.status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let first = current.saturating_sub(SLOTS_MAX - 1).max(1);
    (first..=current.saturating_add(1)).map(|attempt| names::slot(&hotfix.uid, attempt)).collect()
}

/// Blue's pods and those of our slots, each once.
fn merged(of_blue: Vec<Pod>, with_slot: Vec<Pod>, slots: &BTreeSet<String>) -> Vec<Pod> {
    let mut pods: BTreeMap<String, Pod> = with_slot
        .into_iter()
        .filter(|pod| pod.labels.get(SLOT).is_some_and(|slot| slots.contains(slot)))
        .map(|pod| (pod.uid.clone(), pod))
        .collect();
    pods.extend(of_blue.into_iter().map(|pod| (pod.uid.clone(), pod)));
    let mut pods: Vec<Pod> = pods.into_values().collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

/// The ReplicaSets of blue and green, as they are now and as they were recorded.
fn controlled(
    objects: &[Value],
    blue: Option<&Workload>,
    green: Option<&Workload>,
    hotfix: &Hotfix,
) -> Vec<ReplicaSet> {
    let attempt = hotfix.status.attempt.as_ref();
    let recorded_green = attempt.and_then(|attempt| attempt.green.as_ref()).map(|green| &green.uid);
    let owners: BTreeSet<&String> = [
        blue.map(|blue| &blue.uid),
        green.map(|green| &green.uid),
        attempt.map(|attempt| &attempt.blue.uid),
        recorded_green,
    ]
    .into_iter()
    .flatten()
    .collect();
    objects.iter().filter_map(read::replica_set).filter(|set| owners.contains(&set.controller)).collect()
}

/// The checks that the policy names and that exist.
fn chosen_checks(
    policy: Option<&Policy>,
    checks: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Check>, ObserveError> {
    let gates = policy.map(|policy| &policy.spec.gates);
    let named = gates.into_iter().flat_map(|gates| gates.scan.iter().chain(&gates.analyze).chain(&gates.verify));
    let mut chosen = BTreeMap::new();
    for check in named {
        if let Some(object) = checks.get(&check.check) {
            chosen.insert(check.check.clone(), read_own(reads::CHECKS, object, read::check)?);
        }
    }
    Ok(chosen)
}
