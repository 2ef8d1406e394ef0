//! A lane: two namespaces with an operator and a proxy of their own, in which plans are played one after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kube::Client;
use serde_json::Value;

use super::cost::Phases;
use super::ending::{self, Counts};
use super::fault::Fault;
use super::ground::{self, ACCOUNTS, Installed, Kwok};
use super::laws::{self, Facts};
use super::mutant::Mutant;
use super::operator::Operators;
use super::people::{People, is_restless};
use super::plan::{Plan, Sites};
use super::proxy::{Ledger, Proxy, Script};
use super::replies::REGISTRY;
use super::scenario::{HOTFIX, Scenario};
use super::watcher::Watcher;
use super::world::Kind;
use crate::cluster::Cluster;
use crate::lab::LabError;

/// How long a plan may take to come to its end: a rollout takes half a minute, a lost answer ten seconds more, and with twenty of
/// them side by side on two cores that do other things too, two minutes and a half were seen.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long the cluster's API server works on a request. A hotfix at rest looks once more a quarter of a minute after that, so with
/// the stock minute a creation that was held would be found and removed only after 75 s; ten seconds are as long as the operator
/// itself waits for an answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A write that was held goes on when the successor rests; what it made is found and removed in the last look after the end.
const PATIENCE_HELD: Duration = Duration::from_secs(420);

/// Where a watch is frozen every wait takes up to half a minute.
const PATIENCE_FROZEN: Duration = Duration::from_secs(600);

/// A mutant that gets stuck is not waited for as long.
const PATIENCE_MUTANT: Duration = Duration::from_secs(75);

/// A successor is at rest when it has written nothing for so long: longer than the drain, the longest of its waits here.
const QUIET: Duration = Duration::from_secs(18);

/// How often it is looked whether a plan has come to its end.
const LOOK: Duration = Duration::from_millis(250);

/// The operator is done with a look when it has asked nothing for so long.
const IDLE: Duration = Duration::from_millis(700);

/// How often the operator is started once more after the end, to see that it writes nothing.
const RESYNCS: usize = 3;

/// How long the first look after a start may take to come, on a busy machine.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// The first operator leads by then, so another stands by.
const LEADS: Duration = Duration::from_secs(10);

/// An operator that begins to lead leaves the hotfixes that rest alone for a second; where there is none left to look at, that is
/// waited for.
const OTHERS_LATER: Duration = Duration::from_millis(1500);

/// What all lanes share.
pub struct Shared {
    /// The cluster.
    pub cluster: Cluster,
    /// Its simulated node.
    pub kwok: Kwok,
    /// A client with every right.
    pub admin: Client,
    /// A client with none.
    pub bare: Client,
    /// The observer.
    pub watcher: Watcher,
    /// The operator's program.
    pub operator: PathBuf,
    /// Where kubeconfigs and logs go.
    pub folder: PathBuf,
}

/// One lane.
pub struct Lane<'a> {
    /// What all lanes share.
    pub shared: &'a Shared,
    /// Its name and its namespace's.
    pub name: String,
    /// Who its operator is.
    pub operator: Installed,
}

/// What is to be played.
#[derive(Debug, Clone)]
pub struct Order {
    /// The story.
    pub scenario: &'static Scenario,
    /// What goes wrong; nothing in a run for comparison.
    pub plans: Vec<Plan>,
    /// What is wrong with the operator.
    pub mutant: Option<Mutant>,
}

impl Order {
    fn has(&self, fault: Fault) -> bool {
        self.plans.iter().any(|plan| plan.fault == fault)
    }
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What was wrong.
    pub violations: Vec<String>,
    /// Plans whose call never came.
    pub missed: Vec<Plan>,
    /// The API server gave no answer to a call of the suite, as on a machine that is too busy. Such a run shows nothing.
    pub lost: bool,
    /// The calls in which something can go wrong.
    pub sites: Sites,
    /// How often each write was made.
    pub writes: BTreeMap<String, usize>,
    /// What the end looks like.
    pub end: Value,
    /// The writes in their order.
    pub told: Vec<String>,
    /// Versions judged.
    pub versions: usize,
    /// How long each phase of it took.
    pub phases: Vec<(&'static str, Duration)>,
}

/// What runs without a fault look like.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// Their end.
    pub end: Value,
    /// Their writes.
    pub counts: Counts,
}

impl Lane<'_> {
    /// Plays one order. `reference` is what it is compared with.
    pub async fn play(&self, order: &Order, reference: Option<&Reference>) -> Result<Run, LabError> {
        let mut phases = Phases::begin();
        let people = People { client: self.shared.admin.clone(), lane: self.name.clone() };
        people.clear(&self.shared.watcher).await?;
        phases.ended("clearing");
        people.deploy(order.scenario, &self.shared.watcher).await?;
        phases.ended("deploying");
        let facts = Facts::of(order.scenario, &self.shared.watcher.now(&self.name));
        self.shared.watcher.begin(&self.name);

        let (operators, proxy) = self.start(order, &people).await?;
        people.ask(HOTFIX).await?;
        operators.start().await;
        if order.has(Fault::Handover) {
            until(&operators, LEADS, || proxy.ledger(Ledger::leads) > 0).await;
            operators.start().await;
        }

        let mut run = Run::default();
        run.violations.extend(self.to_the_end(order, Some(&operators), &proxy).await);
        phases.ended("rollout");
        run.writes = proxy.ledger(Ledger::writes);
        run.sites = proxy.ledger(Ledger::sites);
        run.told = proxy.ledger(Ledger::told);
        run.missed = proxy.ledger(|ledger| ledger.missed(&order.plans));
        // What did not come to its end is not expected to be quiet.
        if run.violations.is_empty() {
            let world = self.shared.watcher.now(&self.name);
            let resting = world.all(Kind::Hotfix).next().is_some();
            run.violations.extend(resyncs(&operators, &proxy, resting).await);
        }
        operators.stop().await;
        phases.ended("restarts");
        run.violations.extend(operators.complaints().await);
        run.violations.extend(proxy.troubles());
        run.lost = proxy.has_lost();
        match self.shared.watcher.history(&self.name).await {
            Ok(history) => {
                run.versions = history.events.len();
                run.violations.extend(laws::broken(&history, &facts));
                run.violations.extend(order.plans.iter().filter_map(|plan| ending::unsaid(&history, plan, &run.told)));
            }
            Err(why) => run.violations.push(why),
        }
        run.violations.extend(self.shared.watcher.gaps());
        run.end = ending::end(&self.shared.watcher.now(&self.name));
        if let Some(reference) = reference {
            let compared = |end| ending::compared(end, &order.plans);
            run.violations.extend(ending::differences("", &compared(&reference.end), &compared(&run.end)));
            run.violations.extend(ending::miscounted(&reference.counts, &run.writes, &order.plans));
        }
        phases.ended("judging");
        run.phases = phases.took();
        Ok(run)
    }

    async fn start(&self, order: &Order, people: &People) -> Result<(Arc<Operators>, Proxy), LabError> {
        let people = people.clone();
        let script = Script {
            plans: order.plans.clone(),
            moves: order.scenario.moves,
            vulnerable: order.scenario.vulnerable,
            mutant: order.mutant,
            mover: Box::new(move |happens| {
                let people = people.clone();
                async move { people.make(happens).await.map_err(|error| error.to_string()) }.boxed()
            }),
            ..Script::default()
        };
        self.launch(script, true).await
    }

    /// Makes the proxy and what starts the lane's operator, which has to be `elected` or leads at once. None runs yet.
    pub async fn launch(&self, script: Script, elected: bool) -> Result<(Arc<Operators>, Proxy), LabError> {
        let io = |what: &str, source| LabError::Io { what: what.to_owned(), source };
        let file = |ending: &str| self.shared.folder.join(format!("{}.{ending}", self.name));
        let registries = file("registries");
        let plain = serde_json::json!([{"host": REGISTRY, "plainHttp": true}]).to_string();
        std::fs::write(&registries, plain).map_err(|error| io("writing the registries", error))?;
        let kubeconfig = file("kubeconfig");
        let (program, lane) = (self.shared.operator.clone(), self.name.clone());
        // The command needs the cluster only for where it runs, which is known now.
        let mut wrapped = self.shared.cluster.command(program);
        wrapped.env("KUBECONFIG", &kubeconfig).env("LOG", "info").env("POD_NAME", &lane).arg("run");
        wrapped.args(["--watch-namespace", &lane, "--checks-namespace", &format!("{lane}-checks")]);
        if elected {
            wrapped.args(["--leader-election", "--lease-name", &self.operator.lease, "--lease-namespace", ACCOUNTS]);
        }
        wrapped.args(["--api-request-timeout", &REQUEST_TIMEOUT.as_secs().to_string()]);
        wrapped
            .args(["--image", &format!("{REGISTRY}/operator:1"), "--listen", "127.0.0.1:0"])
            .arg("--registries")
            .arg(&registries);
        let operators =
            Operators::new(wrapped, &self.log()).map_err(|error| io("opening the operator's log", error))?;
        let operators = Arc::new(operators);
        let proxy = Proxy::start(self.shared.bare.clone(), Arc::clone(&operators), script).await;
        let proxy = proxy.map_err(|error| io("starting the proxy", error))?;
        let text = ground::kubeconfig(proxy.address(), &self.operator.token, &lane);
        std::fs::write(&kubeconfig, text).map_err(|error| io("writing the kubeconfig", error))?;
        Ok((operators, proxy))
    }

    /// Where the lane's operator tells what it does.
    pub fn log(&self) -> PathBuf {
        self.shared.folder.join(format!("{}.log", self.name))
    }

    /// Waits for the end of the scenario, seeing to it that an operator that has lost its lease is started again where they are
    /// `tended`, lets a held write go on when the successor rests or begins with another hotfix, and waits for the end again. Says what
    /// did not come about.
    pub async fn to_the_end(&self, order: &Order, tended: Option<&Operators>, proxy: &Proxy) -> Option<String> {
        let patience = match order.mutant {
            Some(_) => PATIENCE_MUTANT,
            None if order.has(Fault::WatchFrozen) => PATIENCE_FROZEN,
            None if order.has(Fault::Held) => PATIENCE_HELD,
            None => PATIENCE,
        };
        // One hotfix after the other.
        let patience = patience * u32::try_from(order.scenario.ends.len()).unwrap_or(1);
        let begun = tokio::time::Instant::now();
        let mut quiet_since = begun;
        let mut attempted = 0;
        // How many had ended when a write was first seen held.
        let mut held = None;
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(operators) = tended {
                operators.tend().await;
            }
            let now = proxy.ledger(Ledger::attempted);
            if now != attempted {
                (attempted, quiet_since) = (now, tokio::time::Instant::now());
            }
            let (missing, ended, restless) = self.shared.watcher.look(&self.name, |world| {
                (ending::missing(world, order.scenario), ending::ended(world, order.scenario), is_restless(world))
            });
            let at_rest = missing.is_empty() && !restless;
            let idle = proxy.ledger(Ledger::last).is_none_or(|last| last.elapsed() > IDLE);
            if proxy.is_holding() {
                // Whoever comes next is not waited for: the API server itself works on no write for as long as a rollout takes.
                let settled = ended > *held.get_or_insert(ended) && order.scenario.ends.len() > 1;
                if settled || (at_rest && idle) || quiet_since.elapsed() > QUIET {
                    proxy.release().await;
                    quiet_since = tokio::time::Instant::now();
                    // What is made now is to be seen before the end is judged.
                    tokio::time::sleep(IDLE).await;
                }
            } else if at_rest && idle && (held.is_none() || quiet_since.elapsed() > IDLE) {
                return None;
            }
            if begun.elapsed() > patience {
                let told =
                    if missing.is_empty() { "something is still going on".to_owned() } else { missing.join("; ") };
                return Some(format!("it did not come to its end within {} s: {told}", patience.as_secs()));
            }
        }
    }
}

/// Starts the operator anew, several times, each of which makes it look at everything: it must find nothing to write.
async fn resyncs(operators: &Operators, proxy: &Proxy, resting: bool) -> Vec<String> {
    let before = proxy.ledger(Ledger::attempted);
    for _ in 0..RESYNCS {
        operators.stop().await;
        let (looks, leads) = proxy.ledger(|ledger| (ledger.looks(), ledger.leads()));
        operators.start().await;
        if resting {
            let idle = || proxy.ledger(Ledger::last).is_none_or(|last| last.elapsed() > IDLE);
            until(operators, FIRST_LOOK, || proxy.ledger(Ledger::looks) > looks && idle()).await;
        } else {
            until(operators, FIRST_LOOK, || proxy.ledger(Ledger::leads) > leads).await;
            tokio::time::sleep(OTHERS_LATER).await;
        }
    }
    let told = proxy.ledger(Ledger::told);
    let more = told.get(before..).unwrap_or_default();
    more.iter().map(|write| format!("after the end, when started anew, the operator wrote: {write}")).collect()
}

/// Waits until it is so, or the time is over.
async fn until(operators: &Operators, patience: Duration, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() && begun.elapsed() < patience {
        operators.tend().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
