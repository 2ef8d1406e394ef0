//! Pictures that make no sense: everything points at everything else.

use std::sync::Arc;

use securityhotfix::api::names::{self, HOTFIX_UID, MARK, POD_TEMPLATE_HASH, SLOT};
use securityhotfix::plan::Observed;
use securityhotfix::plan::observed::{Endpoint, RunState};
use serde_json::{Value, json};

use crate::bytes::Bytes;
use crate::changes::{Change, some};

/// A uid, a name, a hash, a mark or an image that is somewhere in the picture, or nothing.
fn word(o: &Observed, choices: &mut Bytes<'_>) -> String {
    let number = o.attempt().map_or(1, |attempt| attempt.number);
    let mut words = vec![String::new(), o.hotfix.uid.clone(), names::slot(&o.hotfix.uid, number)];
    words.extend([names::hold(&o.hotfix.uid, number), names::sealed(&o.hotfix.uid, number), o.hotfix.name.clone()]);
    words.extend(o.blue.iter().chain(&o.green).flat_map(|side| [side.uid.clone(), side.name.clone()]));
    words.extend(o.replica_sets.iter().flat_map(|set| [set.uid.clone(), set.template_hash.clone()]));
    words.extend(o.pods.iter().map(|pod| pod.uid.clone()));
    words.extend(o.services.iter().flat_map(|service| [service.uid.clone(), service.name.clone()]));
    words.extend(o.attempt().into_iter().flat_map(|attempt| &attempt.images).map(|image| image.image.clone()));
    choices.of(&words)
}

fn number(choices: &mut Bytes<'_>) -> i32 {
    choices.of(&[0, 1, -1, 2, 3, i32::MAX, i32::MIN])
}

/// JSON as no API server gives it.
fn odd(choices: &mut Bytes<'_>) -> Value {
    choices.of(&[
        Value::Null,
        json!([]),
        json!({}),
        json!("text"),
        json!({"metadata": [], "spec": {"template": {"spec": {"containers": {}}}}}),
        json!({"metadata": {"labels": []}, "spec": {"selector": {"matchLabels": 7}, "template": null, "replicas": "3"}}),
        json!({"spec": {"selector": {"matchExpressions": [{"operator": "In"}]}, "template": {"spec": {"containers": [7]}}}}),
    ])
}

/// Everything that can point at the wrong thing, or be out of its bounds.
pub const TANGLES: &[Change] = &[
    |o, i| {
        let word = word(o, i);
        if let Some(pod) = some(&mut o.pods, i) {
            pod.uid = word;
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(pod) = some(&mut o.pods, i) {
            pod.controller = Some(word);
        }
    },
    |o, i| {
        let word = word(o, i);
        let key = i.of(&[SLOT, POD_TEMPLATE_HASH, HOTFIX_UID, "app"]);
        if let Some(pod) = some(&mut o.pods, i) {
            pod.labels.insert(key.into(), word);
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(container) = some(&mut o.pods, i).and_then(|pod| some(&mut pod.containers, i)) {
            container.image_id = word;
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(service) = some(&mut o.services, i) {
            service.uid = word;
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(service) = some(&mut o.services, i) {
            service.name = word;
        }
    },
    |o, i| {
        let word = word(o, i);
        let key = i.of(&[SLOT, POD_TEMPLATE_HASH, "app"]);
        if let Some(service) = some(&mut o.services, i) {
            service.selector.insert(key.into(), word);
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(service) = some(&mut o.services, i) {
            service.annotations.insert(MARK.into(), word);
        }
    },
    |o, i| {
        let word = word(o, i);
        let key = i.of(&[SLOT, HOTFIX_UID, names::ATTEMPT]);
        if let Some(service) = some(&mut o.services, i) {
            service.labels.insert(key.into(), word);
        }
    },
    |o, i| {
        let odd = odd(i);
        if let Some(service) = some(&mut o.services, i) {
            service.ports = vec![odd];
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(set) = some(&mut o.replica_sets, i) {
            set.uid = word;
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(set) = some(&mut o.replica_sets, i) {
            set.controller = word;
        }
    },
    |o, i| {
        let numbers = [number(i), number(i)];
        if let Some(set) = some(&mut o.replica_sets, i) {
            [set.replicas, set.pods] = numbers;
            set.revision = i64::from(numbers[0]).saturating_mul(i64::from(numbers[1]));
        }
    },
    |o, i| {
        let (service, pod) = (word(o, i), word(o, i));
        if let Some(slice) = some(&mut o.slices, i) {
            slice.service = service;
            slice.endpoints.push(Endpoint { pod: Some(pod), ready: i.flip() });
        }
    },
    |o, _| std::mem::swap(&mut o.blue, &mut o.green),
    |o, _| o.green = o.blue.clone(),
    |o, _| o.blue = o.green.clone(),
    |o, i| {
        let (uid, odd, number) = (word(o, i), odd(i), number(i));
        let which = i.below(4);
        let side = if i.flip() { &mut o.blue } else { &mut o.green };
        if let Some(side) = side {
            match which {
                0 => side.uid = uid,
                1 => side.raw = Arc::new(odd),
                2 => side.replicas = number,
                _ => (side.generation, side.observed_generation) = (i64::from(number), i64::MAX),
            }
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(claim) = &mut o.claim {
            claim.holder = word;
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(other) = some(&mut o.others, i) {
            other.uid = word;
        }
    },
    |o, i| {
        let moved = o.runs.first().map_or(RunState::Running, |run| run.state.clone());
        if let Some(run) = some(&mut o.runs, i) {
            run.state = moved;
        }
    },
    |o, i| {
        let odd = odd(i);
        if let Some(budget) = some(&mut o.budgets, i) {
            budget.selector = odd;
        }
    },
    |o, i| {
        let odd = odd(i);
        if let Some(rehearsal) = &mut o.evidence.rehearsal {
            if i.flip() { rehearsal.green = Ok(odd) } else { rehearsal.pod = Ok(odd) }
        }
    },
    |o, i| {
        let numbers = [number(i), number(i), number(i)];
        if let Some(probe) = some(&mut o.evidence.probes, i) {
            [probe.successes, probe.failures, probe.unsettled] = numbers;
        }
    },
    |o, i| {
        let word = word(o, i);
        if let Some(resolution) = o.evidence.resolution.as_mut().and_then(|all| some(all, i)) {
            resolution.image = word;
        }
    },
    |o, i| o.hotfix.generation = i64::from(number(i)),
    |o, _| o.pods.extend(o.pods.clone()),
    |o, _| o.services.extend(o.services.clone()),
];
