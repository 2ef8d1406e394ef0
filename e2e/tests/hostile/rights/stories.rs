//! The rollouts during which rights are away.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::ending;
use hotfix_e2e::faults::ground::ACCOUNTS;
use hotfix_e2e::faults::lane::{Lane, Order};
use hotfix_e2e::faults::laws::{self, Facts};
use hotfix_e2e::faults::operator::Operators;
use hotfix_e2e::faults::people::People;
use hotfix_e2e::faults::proxy::{Hooks, Proxy, Script};
use hotfix_e2e::faults::scenario::{self, HOTFIX, Scenario, WORKLOAD};
use hotfix_e2e::faults::world::{History, Kind, World, text};
use hotfix_e2e::lab::LabError;
use securityhotfix::api::names::RETRY;
use serde_json::{Value, json};

use super::roles::Roles;
use super::taker::{Taken, Taker, Taking};

/// A rollout, and the rights that are taken away during it.
pub struct Story {
    scenario: &'static str,
    takings: Vec<Taking>,
    /// Whether it is tried once more after its end.
    again: bool,
    /// Whether the operator is elected.
    elected: bool,
}

impl Story {
    /// A rollout that ends well.
    pub fn healthy(takings: Vec<Taking>) -> Self {
        Self { scenario: "happy", takings, again: false, elected: false }
    }

    /// One whose verification fails when it has the traffic.
    pub fn rolled_back(takings: Vec<Taking>) -> Self {
        Self { scenario: "verification-fails", ..Self::healthy(takings) }
    }

    /// One that fails, is tried again, and fails again.
    pub fn twice(takings: Vec<Taking>) -> Self {
        Self { scenario: "analysis-fails", again: true, ..Self::healthy(takings) }
    }

    /// A healthy one by an operator that has to be elected first.
    pub fn elected(takings: Vec<Taking>) -> Self {
        Self { elected: true, ..Self::healthy(takings) }
    }
}

/// What came of it.
pub struct Played {
    pub story: &'static str,
    pub violations: Vec<String>,
    pub taken: Vec<Taken>,
    pub history: History,
}

/// Attempts in one story, where the machine is too busy for the candidate to be opened in the time it has.
const ATTEMPTS_MAX: i64 = 3;

/// How long another attempt may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn play(lane: &Lane<'_>, story: &Story) -> Result<Played, LabError> {
    let scenario = scenario::named(story.scenario).ok_or_else(|| LabError::Unfit(story.scenario.to_owned()))?;
    let people = People { client: lane.shared.admin.clone(), lane: lane.name.clone() };
    people.deploy(scenario, &lane.shared.watcher).await?;
    guards(lane).await?;
    let facts = Facts::of(scenario, &lane.shared.watcher.now(&lane.name));
    lane.shared.watcher.begin(&lane.name);

    let roles = Roles { client: lane.shared.admin.clone(), lane: lane.name.clone() };
    let taker = Taker::new(roles, lane.shared.watcher.clone(), lane.log(), story.takings.clone());
    let (operators, proxy) = launch(lane, story, scenario, &taker).await?;
    let proxy = Arc::new(proxy);
    taker.behind(&proxy);
    people.ask(HOTFIX).await?;
    if story.elected {
        // The release made it, and somebody deletes it: the operator makes another.
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{ACCOUNTS}/leases/{}", lane.operator.lease);
        tried(lane, Deed::delete(lease)).await?;
    }
    operators.start().await;
    if story.elected {
        // The one that stands by watches the Lease.
        operators.start().await;
    }

    let order = Order { scenario, plans: Vec::new(), mutant: None };
    let mut violations: Vec<String> = lane.to_the_end(&order, Some(&operators), &proxy).await.into_iter().collect();
    let mut attempt = 1;
    while violations.is_empty() && (story.again && attempt == 1 || attempt < ATTEMPTS_MAX && opened_late(lane)) {
        attempt += 1;
        violations.extend(again(lane, attempt).await.err());
        violations.extend(lane.to_the_end(&order, Some(&operators), &proxy).await);
    }
    taker.whole().await;
    operators.stop().await;
    violations.extend(operators.complaints().await);
    violations.extend(proxy.troubles());
    violations.extend(taker.troubles());
    violations.extend(taker.left().into_iter().map(|right| format!("{right} was never asked for")));
    let world = lane.shared.watcher.now(&lane.name);
    violations.extend(ending::leftovers(&world));
    violations.extend(ends_otherwise(&world, scenario));
    let history = lane.shared.watcher.history(&lane.name).await.map_err(LabError::Unfit)?;
    // Who asks for another attempt takes back that it is finished.
    let reopened = |what: &String| attempt > 1 && what.starts_with("finished-is-for-good");
    violations.extend(laws::broken(&history, &facts).into_iter().filter(|what| !reopened(what)));
    Ok(Played { story: story.scenario, violations, taken: taker.done(), history })
}

/// A right that was away and is back changes nothing about how a rollout ends.
fn ends_otherwise(world: &World, scenario: &Scenario) -> Vec<String> {
    let ended = |name: &str| {
        let hotfix = world.get(Kind::Hotfix, name)?;
        let outcome = text(hotfix, "/status/attempt/outcome");
        Some((outcome.to_owned(), text(hotfix, "/status/attempt/latch/message").to_owned()))
    };
    let wanted = scenario.ends.iter().filter_map(|(name, outcome)| Some((*name, format!("{:?}", (*outcome)?))));
    let other = wanted.filter_map(|(name, wanted)| {
        let (outcome, why) = ended(name)?;
        (outcome != wanted).then(|| format!("{name} ended as {outcome}, not as {wanted}: {why}"))
    });
    other.collect()
}

async fn launch(
    lane: &Lane<'_>,
    story: &Story,
    scenario: &Scenario,
    taker: &Arc<Taker>,
) -> Result<(Arc<Operators>, Proxy), LabError> {
    let taker = Arc::clone(taker);
    let script = Script {
        vulnerable: scenario.vulnerable,
        hooks: Hooks {
            before: Some(Box::new(move |asked, place| {
                let (method, path, query) = (asked.method.to_owned(), asked.path.to_owned(), asked.query.to_owned());
                Arc::clone(&taker).before(method, path, query, place).boxed()
            })),
            after: None,
        },
        ..Script::default()
    };
    lane.launch(script, story.elected).await
}

/// A budget and an autoscaler, which the operator has to respect, and needs rights to see.
async fn guards(lane: &Lane<'_>) -> Result<(), LabError> {
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": WORKLOAD},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": WORKLOAD}}},
    });
    let resource = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}});
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": WORKLOAD},
        "spec": {"minReplicas": 2, "maxReplicas": 4, "metrics": [resource],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKLOAD}},
    });
    let of = |group: &str, kind: &str| format!("/apis/{group}/namespaces/{}/{kind}", lane.name);
    tried(lane, Deed::create(of("policy/v1", "poddisruptionbudgets"), budget)).await?;
    tried(lane, Deed::create(of("autoscaling/v2", "horizontalpodautoscalers"), autoscaler)).await?;
    Ok(())
}

async fn tried(lane: &Lane<'_>, deed: Deed) -> Result<Value, LabError> {
    deed.attempt(&lane.shared.admin).await.map_err(|error| LabError::Unfit(error.to_string()))
}

/// Whether the attempt ended since its candidate was opened and not ready in time, which no right decides: the machine was too busy.
fn opened_late(lane: &Lane<'_>) -> bool {
    lane.shared.watcher.look(&lane.name, |world| {
        world.get(Kind::Hotfix, HOTFIX).is_some_and(|it| text(it, "/status/attempt/latch/reason") == "OpeningFailed")
    })
}

/// Somebody asks for another attempt; returns when it has begun.
async fn again(lane: &Lane<'_>, attempt: i64) -> Result<(), String> {
    let path = format!("/apis/securityhotfix.dev/v1alpha1/namespaces/{}/securityhotfixes/{HOTFIX}", lane.name);
    let retry = Deed::merge_custom(path, json!({"metadata": {"annotations": {RETRY: attempt.to_string()}}}));
    tried(lane, retry).await.map_err(|error| error.to_string())?;
    let begun = |world: &World| {
        let number = |hotfix: &Value| hotfix.pointer("/status/attempt/number").and_then(Value::as_i64);
        world.get(Kind::Hotfix, HOTFIX).and_then(number) == Some(attempt)
    };
    if lane.shared.watcher.until(&lane.name, PATIENCE, begun).await {
        return Ok(());
    }
    Err(format!("attempt {attempt} does not begin"))
}
