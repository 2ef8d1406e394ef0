//! How a run ended: what is left, what the end looks like without what differs by nature, and how it compares to runs without a
//! fault.

use std::collections::BTreeMap;

use securityhotfix::api::names::{FINALIZER, HOTFIX_UID, MANAGER, MARK, SLOT};
use serde_json::{Value, json};

use super::fault::Fault;
use super::laws::image;
use super::plan::Plan;
use super::proxy::NOT_MADE;
use super::scenario::{Scenario, WORKLOAD};
use super::world::{History, Kind, World, annotation, condition, label, list, text};

/// Everything of ours that is there but for the records.
pub fn leftovers(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    for kind in [Kind::Deployment, Kind::ReplicaSet, Kind::Pod, Kind::Service, Kind::Budget, Kind::Job] {
        for object in world.all(kind) {
            let name = text(object, "/metadata/name");
            let ours = label(object, SLOT).is_some() || label(object, HOTFIX_UID).is_some();
            if ours {
                left.push(format!("{kind:?} {name}"));
            }
            let signed = list(object, "/metadata/managedFields").iter().any(|entry| text(entry, "/manager") == MANAGER);
            if signed && !ours && matches!(kind, Kind::Deployment | Kind::Service) {
                left.push(format!("fields of ours in {kind:?} {name}"));
            }
            if annotation(object, MARK).is_some() {
                left.push(format!("the mark of {kind:?} {name}"));
            }
        }
    }
    let slotted = world
        .all(Kind::Service)
        .filter(|service| service.pointer("/spec/selector").is_some_and(|it| it.get(SLOT).is_some()));
    left.extend(slotted.map(|service| format!("the slot in Service {}", text(service, "/metadata/name"))));
    let claims =
        world.all(Kind::Lease).map(|lease| text(lease, "/metadata/name")).filter(|name| name.starts_with("hotfix-"));
    left.extend(claims.map(|name| format!("the claim {name}")));
    let held =
        world.all(Kind::Hotfix).filter(|hotfix| list(hotfix, "/metadata/finalizers").iter().any(|it| it == FINALIZER));
    left.extend(held.map(|hotfix| format!("the finalizer of {}", text(hotfix, "/metadata/name"))));
    left
}

/// How many of the scenario's hotfixes have come to their end.
pub fn ended(world: &World, scenario: &Scenario) -> usize {
    let over = |name: &str| world.get(Kind::Hotfix, name).is_some_and(|hotfix| condition(hotfix, "Finished") == "True");
    scenario.ends.iter().filter(|(name, _)| over(name)).count()
}

/// What of the scenario's end is not there yet.
pub fn missing(world: &World, scenario: &Scenario) -> Vec<String> {
    let mut missing = leftovers(world);
    for (name, ends) in scenario.ends {
        match (world.get(Kind::Hotfix, name), ends) {
            // What is refused when all is done is asked again until it is answered, and what was said of it taken back.
            (Some(hotfix), Some(_)) if condition(hotfix, "Finished") == "True" && !complains(hotfix) => {}
            (None, None) => {}
            (Some(hotfix), _) => {
                let ready = list(hotfix, "/status/conditions").iter().find(|it| text(it, "/type") == "Ready");
                let told = ready.map_or("", |ready| text(ready, "/message"));
                missing.push(format!("{name} is {}: {told}", text(hotfix, "/status/phase")));
            }
            (None, Some(_)) => missing.push(format!("{name} is not there")),
        }
    }
    let unready =
        world.all(Kind::Pod).filter(|pod| label(pod, "app") == Some(WORKLOAD) && condition(pod, "Ready") != "True");
    missing.extend(unready.map(|pod| format!("pod {} is not ready", text(pod, "/metadata/name"))));
    missing
}

/// The end without uids, versions, times and names that are drawn.
pub fn end(world: &World) -> Value {
    let hotfix = |hotfix: &Value| {
        let attempt = hotfix.pointer("/status/attempt").unwrap_or(&Value::Null);
        let conditions: BTreeMap<&str, String> = list(hotfix, "/status/conditions")
            .iter()
            .map(|it| (text(it, "/type"), format!("{} {}", text(it, "/status"), text(it, "/reason"))))
            .collect();
        let verdicts: Vec<String> = list(attempt, "/verdicts")
            .iter()
            .map(|it| format!("{} {} {}", text(it, "/gate"), text(it, "/check"), text(it, "/verdict")))
            .collect();
        let milestones: Vec<&String> = attempt
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key)
            .collect();
        json!({
            "phase": text(hotfix, "/status/phase"), "traffic": hotfix.pointer("/status/traffic"),
            "conditions": conditions, "verdicts": verdicts, "has": milestones,
            "number": attempt.get("number"), "outcome": attempt.get("outcome"), "folds": attempt.get("folds"),
            "latch": attempt.pointer("/latch/reason"),
            "history": list(hotfix, "/status/history").iter().map(|it| text(it, "/outcome")).collect::<Vec<_>>(),
            "finalizers": hotfix.pointer("/metadata/finalizers"),
        })
    };
    let owned = |object: &Value| {
        let mut object = object.clone();
        if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
        }
        let mut spec = object["spec"].take();
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(spec) = spec.as_object_mut() {
                spec.remove(field);
            }
        }
        json!({"labels": object.pointer("/metadata/labels"), "annotations": object.pointer("/metadata/annotations"), "spec": spec})
    };
    let named = |kind: Kind, shown: &dyn Fn(&Value) -> Value| -> BTreeMap<String, Value> {
        world.all(kind).map(|object| (text(object, "/metadata/name").to_owned(), shown(object))).collect()
    };
    let mut pods: Vec<String> =
        world.all(Kind::Pod).map(|pod| format!("{} {}", image(&pod["spec"]), condition(pod, "Ready"))).collect();
    pods.sort();
    let mut reports: Vec<Value> = world
        .all(Kind::Report)
        .map(|report| {
            json!({
                "hotfix": report.pointer("/spec/hotfix/name"),
                "outcome": report.pointer("/spec/attempt/outcome"),
                "closed": report.pointer("/spec/closedAt").is_some(),
            })
        })
        .collect();
    reports.sort_by_key(Value::to_string);
    json!({
        "hotfixes": named(Kind::Hotfix, &hotfix), "services": named(Kind::Service, &owned),
        "deployments": named(Kind::Deployment, &owned), "pods": pods, "reports": reports,
        "jobs": named(Kind::Job, &|_| Value::Null), "leases": named(Kind::Lease, &|_| Value::Null),
        "budgets": named(Kind::Budget, &|_| Value::Null),
    })
}

/// An end as it is compared under these plans. Where policies or checks may not be read while the candidate serves, nothing can check
/// it meanwhile, and the attempt's record keeps from when to when. A scan that fails ends the attempt, and the running image's, whose
/// log was spoiled and which would have been run again, has no verdict then. Where the owner deploys meanwhile, both of its images are
/// scanned if pods of both still run when the attempt begins again.
pub fn compared(end: &Value, plans: &[Plan]) -> Value {
    let read =
        |plan: &Plan| plan.call.starts_with("list hotfixpolicies") || plan.call.starts_with("list securitychecks");
    let unread = plans.iter().any(|plan| plan.fault == Fault::Forbidden && read(plan));
    let spoiled = plans.iter().any(|plan| plan.fault.spoils_a_log() || rolls(plan));
    let mut end = end.clone();
    for hotfix in end["hotfixes"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        if unread && let Some(has) = hotfix.get_mut("has").and_then(Value::as_array_mut) {
            has.retain(|milestone| milestone != "unchecked");
        }
        if spoiled && let Some(verdicts) = hotfix.get_mut("verdicts").and_then(Value::as_array_mut) {
            verdicts.dedup();
        }
    }
    end
}

/// True in the scenario in which the owner deploys another image.
fn rolls(plan: &Plan) -> bool {
    plan.scenario == "redeployed"
}

/// Where two ends differ, a line each.
pub fn differences(path: &str, wanted: &Value, seen: &Value) -> Vec<String> {
    match (wanted, seen) {
        (Value::Object(wanted), Value::Object(seen)) => {
            let keys: std::collections::BTreeSet<_> = wanted.keys().chain(seen.keys()).collect();
            let at = |of: &serde_json::Map<String, Value>, key: &String| of.get(key).cloned().unwrap_or_default();
            keys.into_iter()
                .flat_map(|key| differences(&format!("{path} {key}"), &at(wanted, key), &at(seen, key)))
                .collect()
        }
        (wanted, seen) if wanted == seen => Vec::new(),
        (wanted, seen) => vec![format!("the end differs at{path}: {wanted} without a fault, {seen} with it")],
    }
}

/// What people were not told although they had to be: that a right is missing without which the operator cannot go on, in a
/// condition. Where it only reads, it may go on without; and a good end is not hidden by what is still to be cleared up.
pub fn unsaid(history: &History, plan: &Plan, writes: &[String]) -> Option<String> {
    // As the writes are told: one that was refused by the suite is told with its name first.
    let refused =
        writes.iter().position(|write| write.strip_prefix(&*plan.call).is_some_and(|rest| rest == NOT_MADE))?;
    let finished = writes.iter().position(|write| write == "record finished");
    if plan.fault != Fault::Forbidden || finished.is_some_and(|finished| finished < refused) {
        return None;
    }
    let mut hotfixes = history.events.iter().filter(|event| event.kind == Kind::Hotfix);
    (!hotfixes.any(|event| complains(&event.object)))
        .then(|| "no condition ever said that a right was missing".to_owned())
}

/// Whether people read in it that the operator is refused something.
fn complains(hotfix: &Value) -> bool {
    list(hotfix, "/status/conditions").iter().any(|it| text(it, "/reason") == "ApiRefused")
}

/// How often each write was made in runs without a fault: at least and at most.
pub type Counts = BTreeMap<String, (usize, usize)>;

/// Joins the writes of one more run without a fault.
pub fn join(counts: &mut Option<Counts>, run: &BTreeMap<String, usize>) {
    let Some(known) = counts else {
        *counts = Some(run.iter().map(|(name, count)| (name.clone(), (*count, *count))).collect());
        return;
    };
    for (name, (least, most)) in known.iter_mut() {
        let count = run.get(name).copied().unwrap_or(0);
        *least = count.min(*least);
        *most = count.max(*most);
    }
    for (name, count) in run {
        known.entry(name.clone()).or_insert((0, *count));
    }
}

/// Conditions told to people, for each fault, while the operator waits or is refused: what they are depends on when it looks.
const TOLD_MAX: usize = 6;

/// What may be made once more under a plan: an object whose creation was held is made again when the creation goes on after all,
/// and then has to be removed again.
fn allowed_more(plan: &Plan) -> Vec<String> {
    if plan.fault != Fault::Held {
        return Vec::new();
    }
    let removed = match plan.call.split_once(' ') {
        Some(("create", what)) => format!("delete {what}"),
        _ if plan.call.starts_with("claim") => plan.call.replace("claim", "unclaim"),
        _ => return Vec::new(),
    };
    vec![plan.call.clone(), removed]
}

/// Writes that were made more or less often than without a fault.
pub fn miscounted(wanted: &Counts, seen: &BTreeMap<String, usize>, plans: &[Plan]) -> Vec<String> {
    let more: Vec<String> = plans.iter().flat_map(allowed_more).collect();
    let names: std::collections::BTreeSet<_> = wanted.keys().chain(seen.keys()).collect();
    let mut wrong = Vec::new();
    for name in names {
        let count = seen.get(name).copied().unwrap_or(0);
        let (mut least, mut most) = wanted.get(name).copied().unwrap_or((0, 0));
        if name.starts_with("record told") {
            (least, most) = (0, most + TOLD_MAX * plans.len().max(1));
        }
        most += usize::from(more.contains(name));
        // A check whose log proved nothing is run once more.
        let spoiled = plans.iter().any(|plan| plan.fault.spoils_a_log());
        most += usize::from(spoiled && name.contains(" check ") && name.contains(" run 2"));
        most += usize::from(plans.iter().any(rolls) && name.contains(" baseline attempt 2"));
        // Who sees pods as they were before they died may order one more check of them.
        let stale = plans.iter().any(|plan| plan.fault == Fault::ListStale);
        most += usize::from(stale && name.contains(" check "));
        if count < least || count > most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            wrong.push(format!("\"{name}\" was made {count} times, and {wanted} times without a fault"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_more_or_less_is_told_and_what_is_told_to_people_may_vary() {
        let run = |switch: usize, told: usize| {
            BTreeMap::from([("switch web".to_owned(), switch), ("record told".to_owned(), told)])
        };
        let mut counts = None;
        join(&mut counts, &run(1, 0));
        join(&mut counts, &run(1, 2));
        let counts = counts.unwrap();
        assert!(miscounted(&counts, &run(1, 5), &[]).is_empty());
        assert_eq!(
            miscounted(&counts, &run(2, 0), &[]),
            ["\"switch web\" was made 2 times, and 1 times without a fault"]
        );
        assert_eq!(miscounted(&counts, &run(0, 0), &[]).len(), 1);
    }

    #[test]
    fn a_creation_that_comes_late_may_be_seen_twice_and_undone_once_more() {
        let run =
            |count: usize| BTreeMap::from([("create green".to_owned(), count), ("delete green".to_owned(), count)]);
        let mut counts = None;
        join(&mut counts, &run(1));
        let (counts, held) = (counts.unwrap(), ["happy/create green#1/hold-past-successor".parse().unwrap()]);
        assert!(miscounted(&counts, &run(2), &held).is_empty());
        assert_eq!(miscounted(&counts, &run(3), &held).len(), 2);
        assert_eq!(miscounted(&counts, &run(2), &[]).len(), 2);
    }

    #[test]
    fn people_have_to_be_told_of_a_right_that_is_missing_until_the_good_end() {
        let plan: Plan = "happy/hold web#1/403".parse().unwrap();
        let writes = |of: &[&str]| of.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let told = |reason: &str| History {
            events: vec![crate::faults::world::Event {
                version: 1,
                kind: Kind::Hotfix,
                gone: false,
                object: std::sync::Arc::new(json!({"status": {"conditions": [{"type": "Ready", "reason": reason}]}})),
            }],
            ..History::default()
        };
        let (early, late) =
            (writes(&["hold web (not made)", "hold web"]), writes(&["record finished", "hold web (not made)"]));
        assert!(unsaid(&told("Promoting"), &plan, &early).is_some());
        assert_eq!(unsaid(&told("ApiRefused"), &plan, &early), None);
        assert_eq!(unsaid(&told("Promoting"), &plan, &late), None);
        let read = "happy/list pods after hold web#1/403".parse().unwrap();
        assert_eq!(unsaid(&told("Promoting"), &read, &early), None);
    }

    #[test]
    fn time_unchecked_may_be_on_record_where_policies_or_checks_could_not_be_read() {
        let end = |has: Value| json!({"hotfixes": {"fix": {"has": has}}});
        let (without, with) = (end(json!(["switchedAt"])), end(json!(["switchedAt", "unchecked"])));
        let plan = |call: &str| [format!("happy/list {call} after record converged#1/403").parse::<Plan>().unwrap()];
        for call in ["hotfixpolicies", "securitychecks"] {
            assert_eq!(compared(&with, &plan(call)), without);
        }
        assert_eq!(compared(&with, &plan("pods")), with);
        assert_eq!(compared(&with, &["happy/list securitychecks after hold web#1/fail".parse().unwrap()]), with);
    }

    #[test]
    fn a_scan_whose_log_was_spoiled_may_have_no_verdict_beside_one_that_failed() {
        let end = |verdicts: Value| json!({"hotfixes": {"fix": {"verdicts": verdicts}}});
        let (one, two) = (end(json!(["scan trivy Fail"])), end(json!(["scan trivy Fail", "scan trivy Fail"])));
        let plan = |fault: &str| [format!("scan-fails/read log after claim#1/{fault}").parse::<Plan>().unwrap()];
        assert_eq!(compared(&two, &plan("cut")), one);
        assert_eq!(compared(&two, &plan("fail")), two);
    }

    #[test]
    fn a_difference_is_told_by_its_place() {
        let (a, b) = (json!({"pods": [1], "same": {"x": 1}}), json!({"pods": [2], "same": {"x": 1}}));
        assert_eq!(differences("", &a, &b), ["the end differs at pods: [1] without a fault, [2] with it"]);
        assert!(differences("", &a, &a).is_empty());
    }
}
