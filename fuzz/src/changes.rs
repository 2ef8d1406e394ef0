//! What can change in a picture: by the cluster, people and tools, and by a damaged status.

use std::sync::Arc;

use jiff::Timestamp;
use securityhotfix::api::names::{self, MARK, POD_TEMPLATE_HASH, SLOT};
use securityhotfix::api::time::Moment;
use securityhotfix::api::{Attempt, Latch, Outcome, Reason};
use securityhotfix::plan::Observed;
use securityhotfix::plan::observed::{Open, Other, Output, RunState};

use crate::bytes::Bytes;
use crate::world::arrange::{V1, V2, V3};
use crate::world::controllers::with_image;

/// One change of a picture; the index says which of several things.
pub type Change = fn(&mut Observed, &mut Bytes<'_>);

/// One of the items, where there are any.
pub fn some<'a, T>(items: &'a mut [T], index: &mut Bytes<'_>) -> Option<&'a mut T> {
    if items.is_empty() {
        return None;
    }
    let at = index.below(items.len());
    items.get_mut(at)
}

fn take<T>(items: &mut Vec<T>, index: &mut Bytes<'_>) {
    if !items.is_empty() {
        items.remove(index.below(items.len()));
    }
}

/// What the cluster, people and tools can do to what is observed.
pub const CLUSTER: &[Change] = &[
    |o, i| take(&mut o.services, i),
    |o, i| take(&mut o.pods, i),
    |o, i| take(&mut o.replica_sets, i),
    |o, i| take(&mut o.slices, i),
    |o, i| take(&mut o.budgets, i),
    |o, i| take(&mut o.runs, i),
    |o, _| o.pods.clear(),
    |o, _| o.replica_sets.clear(),
    |o, _| o.claim = None,
    |o, i| take(&mut o.strays.candidates, i),
    |o, i| take(&mut o.strays.jobs, i),
    |o, i| {
        let other = |uid: &String| Other { name: "back".into(), uid: uid.clone(), alive: i.below(2) == 0, attempt: 1 };
        let back =
            o.hotfix.status.leftover.iter().filter_map(|left| left.hotfix.as_ref()).map(other).collect::<Vec<_>>();
        o.others.extend(back);
    },
    |o, _| o.report = None,
    |o, _| o.policy = None,
    |o, _| o.checks.clear(),
    |o, _| o.blue = None,
    |o, _| o.green = None,
    |o, _| o.evidence = securityhotfix::plan::observed::Evidence::default(),
    |o, _| o.namespace.terminating = true,
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.ready = !pod.ready;
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.containers_ready = !pod.containers_ready;
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.deleting = true;
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.ended = true;
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.open = None;
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.open = Some(Open { open: i.below(2) == 0, since: None });
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.gates.clear();
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.controller = None;
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.labels.remove(if i.below(2) == 0 { SLOT } else { POD_TEMPLATE_HASH });
        }
    },
    |o, i| {
        if let Some(container) = some(&mut o.pods, i).and_then(|pod| pod.containers.first_mut()) {
            [V1, V3, "", "sha256:12"][i.below(4)].clone_into(&mut container.image_id);
        }
    },
    |o, i| {
        if let Some(pod) = some(&mut o.pods, i) {
            pod.containers.clear();
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.selector.clear();
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.selector.insert("tier".into(), "front".into());
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.selector.remove(SLOT);
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.selector.insert(SLOT.into(), "0000000000".into());
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.selector.insert(POD_TEMPLATE_HASH.into(), "0000000000".into());
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.annotations.remove(MARK);
        }
    },
    |o, i| {
        let own = o.hotfix.uid.clone();
        let marks = [
            names::hold(&own, 1),
            names::sealed(&own, 1),
            names::hold("other", 1),
            names::sealed("other", 2),
            "mine".to_owned(),
        ];
        if let Some(service) = some(&mut o.services, i) {
            service.annotations.insert(MARK.into(), marks[i.below(marks.len())].clone());
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            service.managers.clear();
            service.local_traffic = true;
        }
    },
    |o, i| {
        if let Some(service) = some(&mut o.services, i) {
            // No two objects have one uid.
            service.uid = format!("another-{}", service.name);
        }
    },
    |o, i| {
        if let Some(endpoint) = some(&mut o.slices, i).and_then(|slice| slice.endpoints.pop()) {
            drop(endpoint);
        }
    },
    |o, i| {
        if let Some(set) = some(&mut o.replica_sets, i) {
            set.template_hash = "0000000000".into();
        }
    },
    |o, i| {
        if let Some(set) = some(&mut o.replica_sets, i) {
            set.revision += 5;
        }
    },
    |o, i| {
        if let Some(set) = some(&mut o.replica_sets, i) {
            (set.replicas, set.pods) = (0, 0);
        }
    },
    |o, i| {
        if let Some(blue) = &mut o.blue {
            blue.replicas = [0, 1, 7][i.below(3)];
            blue.generation += 1;
        }
    },
    |o, i| {
        if let Some(blue) = &mut o.blue {
            blue.raw = Arc::new(with_image(&blue.raw, "web", [V1, V2, V3][i.below(3)]));
        }
    },
    |o, _| {
        if let Some(blue) = &mut o.blue {
            blue.raw = Arc::new(serde_json::Value::Null);
        }
    },
    |o, _| {
        if let Some(blue) = &mut o.blue {
            blue.deleting = true;
        }
    },
    |o, _| {
        if let Some(blue) = &mut o.blue {
            blue.uid = "another".into();
        }
    },
    |o, _| {
        if let Some(green) = &mut o.green {
            green.labels.clear();
        }
    },
    |o, _| {
        if let Some(green) = &mut o.green {
            green.owners.push(o.hotfix.uid.clone());
        }
    },
    |o, i| {
        if let Some(green) = &mut o.green {
            green.raw = Arc::new(with_image(&green.raw, "web", [V1, V3][i.below(2)]));
        }
    },
    |o, i| {
        if let Some(green) = &mut o.green {
            green.replicas = [0, 9][i.below(2)];
        }
    },
    |o, _| o.hotfix.deleting = Some(o.hotfix.created_at.unwrap()),
    |o, _| o.hotfix.finalizers.clear(),
    |o, _| o.hotfix.spec.suspend = true,
    |o, i| {
        let value = ["1/enough", "2/enough", "x", "", "1"][i.below(5)];
        o.hotfix.annotations.insert(names::ABORT.into(), value.into());
    },
    |o, i| {
        let value = ["1/so be it", "9/so be it", ""][i.below(3)];
        o.hotfix.annotations.insert(names::RELEASE.into(), value.into());
    },
    |o, _| drop(o.hotfix.annotations.insert(names::RETRY.into(), "again".into())),
    |o, i| o.others.push(Other { name: "other".into(), uid: "other".into(), alive: i.below(2) == 0, attempt: 1 }),
    |o, _| {
        if let Some(claim) = &mut o.claim {
            claim.holder = "other".into();
        }
    },
    |o, i| {
        if let Some(run) = some(&mut o.runs, i) {
            run.labels.pop_last();
        }
    },
    |o, i| {
        let at = o.hotfix.created_at.unwrap();
        if let Some(run) = some(&mut o.runs, i) {
            run.state = RunState::Ended { at, output: Output::Unusable("its pod is gone".into()) };
        }
    },
];

/// What only a damaged status could say: nobody but the operator writes it, and it must not panic all the same.
pub const STATUS: &[Change] = &[
    |o, _| o.hotfix.status.attempt = None,
    |o, i| milestone(o, i, None),
    |o, i| milestone(o, i, o.hotfix.created_at),
    |o, _| attempt(o, |attempt| attempt.services.clear()),
    |o, _| attempt(o, |attempt| attempt.images.clear()),
    |o, _| attempt(o, |attempt| attempt.blue.baseline.clear()),
    |o, _| attempt(o, |attempt| attempt.green = None),
    |o, _| attempt(o, |attempt| attempt.number = i64::MAX),
    |o, _| attempt(o, |attempt| attempt.folds = i32::MAX),
    |o, _| attempt(o, |attempt| attempt.outcome = Some(Outcome::Restarted)),
    |o, i| {
        let reason = [Reason::Aborted, Reason::BlueRedeployed, Reason::Other][i.below(3)];
        let at = o.hotfix.created_at.unwrap();
        attempt(o, |attempt| attempt.latch = Some(Latch { reason, message: "so".into(), at }));
    },
    |o, _| o.hotfix.status.conditions.clear(),
    |o, i| {
        let at = [Timestamp::MIN, Timestamp::MAX][i.below(2)];
        milestone(o, i, Some(Moment::new(at)));
    },
];

fn attempt(o: &mut Observed, change: impl FnOnce(&mut Attempt)) {
    if let Some(attempt) = &mut o.hotfix.status.attempt {
        change(attempt);
    }
}

fn milestone(o: &mut Observed, index: &mut Bytes<'_>, at: Option<Moment>) {
    attempt(o, |a| {
        let all = [
            &mut a.scanned_at,
            &mut a.staged_at,
            &mut a.analyzed_at,
            &mut a.approved_at,
            &mut a.promoting_at,
            &mut a.converged_at,
            &mut a.verified_at,
            &mut a.drained_from,
            &mut a.finished_at,
        ];
        let n = index.below(all.len());
        *all.into_iter().nth(n).unwrap() = at;
    });
}
