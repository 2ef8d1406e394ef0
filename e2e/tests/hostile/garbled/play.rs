//! One rollout under which one thing is changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::ending;
use hotfix_e2e::faults::ground::policy_name;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::laws::{self, Facts};
use hotfix_e2e::faults::operator::Operators;
use hotfix_e2e::faults::people::{People, is_restless};
use hotfix_e2e::faults::proxy::{Hooks, Ledger, Proxy, Script};
use hotfix_e2e::faults::scenario::{self, HOTFIX, Scenario, WORKLOAD};
use hotfix_e2e::faults::world::{History, Kind, World, condition, list, text, version};
use hotfix_e2e::lab::LabError;
use kube::Client;
use securityhotfix::api::names::OPEN;
use serde_json::{Map, Value, json};

use super::administrator::{delete_adopted, delete_strays, let_checks_go};
use super::garbles::{Garble, How, On, POLICY};

/// How long a rollout may take to its end; one that waits for the time of staging does not come to it by itself.
const PATIENCE: Duration = Duration::from_secs(420);

/// How long a hotfix has been stalled when it is put back what was changed.
const STALLED: Duration = Duration::from_secs(4);

/// The operator is done with a look when it has asked nothing for so long.
const IDLE: Duration = Duration::from_millis(700);

const LOOK: Duration = Duration::from_millis(150);

/// Writes in one play, at most: the healthy rollout makes some fifty, and a second attempt as many again.
const WRITES_MAX: usize = 200;

/// What came of it.
pub struct Played {
    /// How it ended, in a few words.
    pub outcome: String,
    /// The end, without what differs by nature.
    pub end: Value,
    pub wrong: Vec<String>,
}

/// One object that was changed, as it was before and as it is now.
struct Change {
    path: String,
    /// Its kind, where the observer sees it.
    kind: Option<Kind>,
    how: How,
    before: Value,
    after: Value,
}

type Changed = Arc<Mutex<Vec<Change>>>;

/// The policy of a lane.
fn policy(lane: &str) -> String {
    format!("{lane}-passes")
}

/// Makes the policy of a lane: the one that passes, with shorter deadlines, since some changes are noticed by them alone.
pub async fn prepare(lane: &Lane<'_>) -> Result<(), LabError> {
    let unfit = |error: kube::Error| LabError::Unfit(error.to_string());
    let policies = "/apis/securityhotfix.dev/v1alpha1/hotfixpolicies";
    let passes = Deed::get(format!("{policies}/{}", policy_name("passes", "passes")));
    let mut spec = passes.attempt(&lane.shared.admin).await.map_err(unfit)?["spec"].take();
    spec["timeouts"] = json!({"staging": "2m", "convergence": "1m"});
    let own = json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "HotfixPolicy", "metadata": {"name": policy(&lane.name)},
        "spec": spec,
    });
    match Deed::create(policies, own).attempt(&lane.shared.admin).await {
        // The cluster was up already.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => other.map(drop).map_err(unfit),
    }
}

pub async fn one(lane: &Lane<'_>, change: Option<(Garble, &'static str)>) -> Result<Played, LabError> {
    let scenario = scenario::named("happy").ok_or_else(|| LabError::Unfit("no healthy scenario".to_owned()))?;
    let people = People { client: lane.shared.admin.clone(), lane: lane.name.clone() };
    people.clear(&lane.shared.watcher).await?;
    people.deploy(scenario, &lane.shared.watcher).await?;
    let chosen = json!({"metadata": {"labels": {POLICY: policy(&lane.name)}}});
    let namespace = Deed::merge_custom(format!("/api/v1/namespaces/{}", lane.name), chosen);
    namespace.attempt(&lane.shared.admin).await.map_err(|error| LabError::Unfit(error.to_string()))?;
    // With a budget the candidate gets one too.
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": WORKLOAD},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": WORKLOAD}}},
    });
    let budgets = format!("/apis/policy/v1/namespaces/{}/poddisruptionbudgets", lane.name);
    let made = Deed::create(budgets, budget).attempt(&lane.shared.admin).await;
    made.map_err(|error| LabError::Unfit(error.to_string()))?;
    let facts = Facts::of(scenario, &lane.shared.watcher.now(&lane.name));
    lane.shared.watcher.begin(&lane.name);
    let changed = Changed::default();
    let elected = change.is_some_and(|(garble, _)| garble.on == On::Leader);
    let (operators, proxy) = lane.launch(script(lane, scenario, change, &changed), elected).await?;
    people.ask(HOTFIX).await?;
    operators.start().await;

    let mut wrong = Vec::new();
    let stalled = to_the_end(lane, scenario, (&operators, &proxy), &changed, &mut wrong).await;
    operators.stop().await;
    wrong.extend(operators.complaints().await);
    wrong.extend(proxy.troubles());
    let writes = proxy.ledger(Ledger::attempted);
    if writes > WRITES_MAX {
        wrong.push(format!("{writes} writes"));
    }
    let history = lane.shared.watcher.history(&lane.name).await.map_err(LabError::Unfit)?;
    let versions: Vec<u64> = locked(&changed).iter().map(|change| changed_at(&history, change)).collect();
    if change.is_some() && versions.is_empty() {
        wrong.push("there was nothing to change".to_owned());
    }
    let cuts = change.is_some_and(|(garble, _)| garble.cuts_traffic);
    // Who puts a mark or a selector back writes to the Service too.
    let ours =
        |what: &String| stalled.is_some() && ["marks-go", "selectors-are"].iter().any(|law| what.starts_with(law));
    let laws = broken(&history, &facts, versions.iter().copied().max(), cuts);
    wrong.extend(laws.into_iter().filter(|what| !ours(what)));
    let world = lane.shared.watcher.now(&lane.name);
    Ok(Played { outcome: outcome(&world, stalled), end: ending::end(&world), wrong })
}

/// The version at which something was changed; of what was deleted the answer tells none.
fn changed_at(history: &History, change: &Change) -> u64 {
    let Change { kind, before, after, .. } = change;
    let uid = |object: &Value| text(object, "/metadata/uid").to_owned();
    let same = history.events.iter().filter(|event| Some(event.kind) == *kind && uid(&event.object) == uid(before));
    let leaves = |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some();
    let mut left = same.filter(|event| event.gone || leaves(&event.object)).map(|event| event.version);
    if version(after) > version(before) { version(after) } else { left.next().unwrap_or(0) }
}

fn script(lane: &Lane<'_>, scenario: &Scenario, change: Option<(Garble, &'static str)>, changed: &Changed) -> Script {
    let (client, watcher, name) = (lane.shared.admin.clone(), lane.shared.watcher.clone(), lane.name.clone());
    let changed = Arc::clone(changed);
    let elsewhere = change.and_then(|(garble, _)| garble.on.elsewhere(&lane.name, &lane.operator.lease));
    Script {
        vulnerable: scenario.vulnerable,
        hooks: Hooks {
            before: None,
            after: Some(Box::new(move |made| {
                let Some((garble, _)) = change.filter(|(_, phase)| *phase == made) else {
                    return async { Ok(()) }.boxed();
                };
                let (client, watcher, name) = (client.clone(), watcher.clone(), name.clone());
                let changed = Arc::clone(&changed);
                let elsewhere = elsewhere.clone();
                async move {
                    let mut found: Vec<(String, Option<Kind>, Value)> = Vec::new();
                    if let Some(path) = elsewhere {
                        let before = Deed::get(&path).attempt(&client).await.map_err(|error| error.to_string())?;
                        found.push((path, None, before));
                    } else {
                        // What was made a moment ago has to be seen first.
                        watcher.until(&name, IDLE, |world| !garble.on.find(world).is_empty()).await;
                        let seen = garble.on.find(&watcher.now(&name));
                        found.extend(seen.into_iter().map(|(kind, it)| (path(kind, &it), Some(kind), it)));
                    }
                    for (path, kind, before) in found {
                        match applied(&client, &path, &before, garble.how).await {
                            Ok(after) => locked(&changed).push(Change { path, kind, how: garble.how, before, after }),
                            // It has gone in between.
                            Err(kube::Error::Api(status)) if status.code == 404 => {}
                            Err(error) => return Err(error.to_string()),
                        }
                    }
                    Ok(())
                }
                .boxed()
            })),
        },
        ..Script::default()
    }
}

pub fn path(kind: Kind, object: &Value) -> String {
    let (group, api_version, _, plural) = kind.api();
    let root = if group.is_empty() { format!("/api/{api_version}") } else { format!("/apis/{group}/{api_version}") };
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    format!("{root}/namespaces/{namespace}/{plural}/{name}")
}

async fn applied(client: &Client, at: &str, object: &Value, how: How) -> Result<Value, kube::Error> {
    let deed = match how {
        How::Merge(patch) => Deed::merge_custom(at, patch(object)),
        How::Status(patch) => Deed::merge(format!("{at}/status"), patch(object)),
        How::Delete => Deed::delete(format!("{at}?propagationPolicy=Background")),
    };
    deed.attempt(client).await
}

/// Puts back what was changed, where it is still there.
async fn put_back(client: &Client, changed: &Changed) {
    let all = std::mem::take(&mut *locked(changed));
    for Change { path, how, before, after, .. } in &all {
        let deed = if let How::Status(_) = how {
            Deed::merge(format!("{path}/status"), json!({"status": before["status"]}))
        } else {
            let (was, is) = (restored(before), restored(after));
            let mut patch = was.clone();
            nulls(&is, &mut patch);
            Deed::merge_custom(path, patch)
        };
        // What is gone cannot be put back, and need not be.
        let _ = deed.attempt(client).await;
    }
    *locked(changed) = all;
}

/// What garbles touch.
fn restored(object: &Value) -> Value {
    let mut kept = json!({"metadata": {}});
    for field in ["labels", "annotations", "ownerReferences", "finalizers"] {
        if let Some(value) = object["metadata"].get(field) {
            kept["metadata"][field] = value.clone();
        }
    }
    let selects = object.pointer("/spec/selector").filter(|_| object.pointer("/spec/clusterIP").is_some());
    if let Some(selector) = selects {
        kept["spec"] = json!({"selector": selector});
    }
    if let Some(holder) = object.pointer("/spec/holderIdentity") {
        kept["spec"] = json!({"holderIdentity": holder});
    }
    kept
}

/// Adds a null to a merge patch for everything `is` has and the patch has not.
fn nulls(is: &Value, patch: &mut Value) {
    let (Some(is), Some(patch)) = (is.as_object(), patch.as_object_mut()) else { return };
    for (key, value) in is {
        match patch.get_mut(key) {
            Some(inner) => nulls(value, inner),
            None if value.is_object() => {
                let empty: Map<String, Value> = Map::new();
                let mut inner = Value::Object(empty);
                nulls(value, &mut inner);
                patch.insert(key.clone(), inner);
            }
            None => drop(patch.insert(key.clone(), Value::Null)),
        }
    }
}

/// Waits for the end; what is stalled meanwhile is put back, and the reason given.
async fn to_the_end(
    lane: &Lane<'_>,
    scenario: &Scenario,
    (operators, proxy): (&Operators, &Proxy),
    changed: &Changed,
    wrong: &mut Vec<String>,
) -> Option<String> {
    let begun = Instant::now();
    let mut stalled: Option<(Instant, String)> = None;
    let mut told = None;
    loop {
        tokio::time::sleep(LOOK).await;
        operators.tend().await;
        let (missing, restless, reason) = lane
            .shared
            .watcher
            .look(&lane.name, |world| (missing(world, scenario), is_restless(world), stalled_for(world)));
        let idle = proxy.ledger(Ledger::last).is_none_or(|last| last.elapsed() > IDLE);
        if missing.is_empty() && !restless && idle {
            return told;
        }
        let_checks_go(lane).await;
        delete_adopted(lane).await;
        match (reason, &stalled) {
            (Some(reason), Some((since, known))) if reason == *known => {
                if since.elapsed() > STALLED && reason == "LeftBehind" {
                    // It asks for that.
                    delete_strays(lane).await;
                    told.get_or_insert(reason);
                } else if since.elapsed() > STALLED && told.is_none() {
                    put_back(&lane.shared.admin, changed).await;
                    told = Some(reason);
                }
            }
            (Some(reason), _) => stalled = Some((Instant::now(), reason)),
            (None, Some(_)) => stalled = None,
            _ => {}
        }
        if begun.elapsed() > PATIENCE {
            wrong.push(format!("it does not end: {}", missing.join("; ")));
            return told;
        }
    }
}

/// Whether it is, or was, a candidate's.
pub fn is_gated(pod: &Value) -> bool {
    list(pod, "/spec/readinessGates").iter().any(|gate| text(gate, "/conditionType") == OPEN)
}

/// What is not as it is at the end of every rollout, whoever changed the labels by which ours is known.
fn missing(world: &World, scenario: &Scenario) -> Vec<String> {
    let mut missing = ending::missing(world, scenario);
    for kind in [Kind::Deployment, Kind::ReplicaSet, Kind::Service, Kind::Budget, Kind::Job] {
        let ours = |object: &&Value| kind == Kind::Job || text(object, "/metadata/name").contains("-hotfix-");
        missing.extend(
            world.all(kind).filter(ours).map(|it| format!("{kind:?} {} by its name", text(it, "/metadata/name"))),
        );
    }
    let gated = world.all(Kind::Pod).filter(|pod| is_gated(pod));
    missing.extend(gated.map(|pod| format!("pod {} by its gate", text(pod, "/metadata/name"))));
    missing
}

fn stalled_for(world: &World) -> Option<String> {
    let hotfix = world.get(Kind::Hotfix, HOTFIX).filter(|hotfix| condition(hotfix, "Stalled") == "True")?;
    if condition(hotfix, "Finished") == "True" {
        return None;
    }
    let stalled = list(hotfix, "/status/conditions").iter().find(|it| text(it, "/type") == "Stalled")?;
    Some(text(stalled, "/reason").to_owned())
}

/// The laws, before the change and after it: what breaks one at the change itself is whoever made it.
fn broken(history: &History, facts: &Facts<'_>, changed: Option<u64>, cuts: bool) -> Vec<String> {
    let Some(changed) = changed else { return laws::broken(history, facts) };
    let (first, then): (Vec<_>, Vec<_>) = history.events.iter().cloned().partition(|event| event.version <= changed);
    let mut before = history.before.clone();
    for event in &first {
        before.apply(event);
    }
    let untouched = first.iter().filter(|event| event.version < changed).cloned().collect();
    let mut found = laws::broken(&History { before: history.before.clone(), events: untouched }, facts);
    let after = laws::broken(&History { before, events: then }, facts);
    found.extend(after.into_iter().filter(|what| !(cuts && what.starts_with("traffic-has-an-endpoint"))));
    found
}

fn outcome(world: &World, stalled: Option<String>) -> String {
    let waited = stalled.map_or_else(String::new, |reason| format!("stalled {reason}, put back, then "));
    let Some(hotfix) = world.get(Kind::Hotfix, HOTFIX) else { return format!("{waited}gone") };
    let attempt = hotfix.pointer("/status/attempt").unwrap_or(&Value::Null);
    let latch = text(attempt, "/latch/reason");
    let again = list(hotfix, "/status/history").len();
    let outcome = text(attempt, "/outcome");
    let outcome = if outcome.is_empty() { text(hotfix, "/status/phase") } else { outcome };
    let by = if latch.is_empty() { String::new() } else { format!(" by {latch}") };
    let attempts = if again == 0 { String::new() } else { format!(", attempt {}", again + 1) };
    format!("{waited}{outcome}{by}{attempts}")
}

pub fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
