//! What holds for any picture: `decide` answers, answers the same twice, never breaks an invariant, never asks to be asked
//! again at once, and comes to an end.
//!
//! The pictures are those that stories reach, with things in them changed, taken away or made up.

#![expect(clippy::trivially_copy_pass_by_ref, reason = "an index is drawn, and handed on as it was drawn")]

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use securityhotfix::api::names::{self, MARK, POD_TEMPLATE_HASH, SLOT};
use securityhotfix::api::time::Moment;
use securityhotfix::api::{Attempt, Latch, Outcome, Reason};
use securityhotfix::plan::decision::ACTIONS_MAX;
use securityhotfix::plan::observed::{Open, Other, Output, RunState};
use securityhotfix::plan::{Observed, decide, invariants};

use crate::moments;
use crate::order::Dice;
use crate::story::{Order, Story};
use crate::world::World;
use crate::world::arrange::{V1, V2, V3};
use crate::world::controllers::with_image;

/// A picture and when it was taken.
type Picture = (Observed, Timestamp);

/// Pictures of stories that differ much, in the natural order and in two drawn ones.
fn pictures() -> &'static [Picture] {
    static PICTURES: OnceLock<Vec<Picture>> = OnceLock::new();
    PICTURES.get_or_init(|| {
        let stories = [
            Story::of("good").given("two Services", |w: &mut World| w.add_service("web-internal")),
            Story::of("budget").given("a budget", World::add_budget),
            Story::of("sick").when(moments::verifying, "v2 falls sick", |w: &mut World| w.image(V2).sick = true),
            Story::of("dead").when(moments::switched, "v2 dies", |w: &mut World| w.image(V2).dead = true),
            Story::of("deployed").when(moments::analyzing, "v3", |w: &mut World| w.deploy(V3)),
            Story::of("reverted").when(moments::folding, "v1", |w: &mut World| w.deploy(V1)),
            Story::of("deleted").when(moments::held, "deleted", World::delete_the_hotfix),
            Story::of("failed").given("vulnerable", |w: &mut World| w.image(V2).vulnerable = true),
            Story::of("vanished")
                .when(moments::verifying, "vanished", |w: &mut World| w.vanish("web-cve-2024-22195"))
                .when(moments::at_once, "once more", |w: &mut World| w.ask("web-second", V2)),
            Story::of("put back").when(moments::verifying, "put back", |w: &mut World| w.put_selector_back("web")),
        ];
        let orders = || [Order::Natural, Order::Drawn(Dice::new(1)), Order::Drawn(Dice::new(2))];
        stories
            .into_iter()
            .flat_map(|story| orders().map(|order| story.clone().with_an_outage_by_others().pictures(order)))
            .flatten()
            .collect()
    })
}

/// One change of a picture; the index says which of several things.
type Change = fn(&mut Observed, &Index);

fn some<'a, T>(items: &'a mut [T], index: &Index) -> Option<&'a mut T> {
    if items.is_empty() { None } else { Some(index.get_mut(items)) }
}

fn take<T>(items: &mut Vec<T>, index: &Index) {
    if !items.is_empty() {
        items.remove(index.index(items.len()));
    }
}

/// What the cluster, people and tools can do to what is observed.
const CLUSTER: &[Change] = &[
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
        let other = |uid: &String| Other { name: "back".into(), uid: uid.clone(), alive: i.index(2) == 0, attempt: 1 };
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
            pod.open = Some(Open { open: i.index(2) == 0, since: None });
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
            pod.labels.remove(if i.index(2) == 0 { SLOT } else { POD_TEMPLATE_HASH });
        }
    },
    |o, i| {
        if let Some(container) = some(&mut o.pods, i).and_then(|pod| pod.containers.first_mut()) {
            [V1, V3, "", "sha256:12"][i.index(4)].clone_into(&mut container.image_id);
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
            service.annotations.insert(MARK.into(), marks[i.index(marks.len())].clone());
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
            service.uid = "another".into();
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
            blue.replicas = [0, 1, 7][i.index(3)];
            blue.generation += 1;
        }
    },
    |o, i| {
        if let Some(blue) = &mut o.blue {
            blue.raw = Arc::new(with_image(&blue.raw, "web", [V1, V2, V3][i.index(3)]));
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
            green.raw = Arc::new(with_image(&green.raw, "web", [V1, V3][i.index(2)]));
        }
    },
    |o, i| {
        if let Some(green) = &mut o.green {
            green.replicas = [0, 9][i.index(2)];
        }
    },
    |o, _| o.hotfix.deleting = Some(o.hotfix.created_at.unwrap()),
    |o, _| o.hotfix.finalizers.clear(),
    |o, _| o.hotfix.spec.suspend = true,
    |o, i| {
        let value = ["1/enough", "2/enough", "x", "", "1"][i.index(5)];
        o.hotfix.annotations.insert(names::ABORT.into(), value.into());
    },
    |o, i| {
        let value = ["1/so be it", "9/so be it", ""][i.index(3)];
        o.hotfix.annotations.insert(names::RELEASE.into(), value.into());
    },
    |o, _| drop(o.hotfix.annotations.insert(names::RETRY.into(), "again".into())),
    |o, i| o.others.push(Other { name: "other".into(), uid: "other".into(), alive: i.index(2) == 0, attempt: 1 }),
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
const STATUS: &[Change] = &[
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
        let reason = [Reason::Aborted, Reason::BlueRedeployed, Reason::Other][i.index(3)];
        let at = o.hotfix.created_at.unwrap();
        attempt(o, |attempt| attempt.latch = Some(Latch { reason, message: "so".into(), at }));
    },
    |o, _| o.hotfix.status.conditions.clear(),
    |o, i| {
        let at = [Timestamp::MIN, Timestamp::MAX][i.index(2)];
        milestone(o, i, Some(Moment::new(at)));
    },
];

fn attempt(o: &mut Observed, change: impl FnOnce(&mut Attempt)) {
    if let Some(attempt) = &mut o.hotfix.status.attempt {
        change(attempt);
    }
}

fn milestone(o: &mut Observed, index: &Index, at: Option<Moment>) {
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
        let n = index.index(all.len());
        *all.into_iter().nth(n).unwrap() = at;
    });
}

fn changes(of: &'static [Change]) -> impl Strategy<Value = Vec<(Change, Index)>> {
    prop::collection::vec((prop::sample::select(of), any::<Index>()), 0..4)
}

fn changed(picture: &Index, changes: &[(Change, Index)]) -> Picture {
    let (mut observed, now) = picture.get(pictures()).clone();
    for (change, index) in changes {
        change(&mut observed, index);
    }
    (observed, now)
}

/// How many are drawn in `cargo test`; `PROPTEST_CASES` says another number.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_cluster_looks_like_no_invariant_is_broken(
        picture in any::<Index>(),
        changes in changes(CLUSTER),
        later in 0_i64..4_000,
    ) {
        let (observed, now) = changed(&picture, &changes);
        let now = now.checked_add(SignedDuration::from_secs(if later > 2_000 { later } else { 0 })).unwrap();
        let decision = decide(&observed, now);
        prop_assert_eq!(&decision, &decide(&observed, now));
        prop_assert!(decision.actions.len() <= ACTIONS_MAX);
        for action in &decision.actions {
            if let Err(violation) = invariants::check(&observed, action) {
                prop_assert!(false, "{violation}\n{action:#?}");
            }
        }
        if decision.actions.is_empty() {
            prop_assert!(decision.wake.is_none_or(|wake| wake > now), "{:?} at {now}", decision.wake);
        }
    }

    #[test]
    fn a_damaged_status_is_decided_upon_without_a_panic(
        picture in any::<Index>(),
        cluster in changes(CLUSTER),
        status in changes(STATUS),
        now in prop::sample::select(vec![Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX]),
        present in any::<bool>(),
    ) {
        let (observed, then) = changed(&picture, &[cluster, status].concat());
        let now = if present { then } else { now };
        let decision = decide(&observed, now);
        prop_assert_eq!(&decision, &decide(&observed, now));
        // What the operator does with each: a violation refuses the write, it never panics.
        for action in &decision.actions {
            let _refused = invariants::check(&observed, action).is_err();
        }
    }
}

#[test]
fn the_pictures_are_many_and_different() {
    let pictures = pictures();
    assert!(pictures.len() > 500, "{}", pictures.len());
    let with = |has: fn(&Observed) -> bool| pictures.iter().filter(|(observed, _)| has(observed)).count();
    assert!(with(|o| o.green.is_some()) > 100);
    assert!(with(|o| o.attempt().is_some_and(|a| a.latch.is_some())) > 50);
    assert!(with(|o| o.attempt().is_some_and(|a| a.verified_at.is_some())) > 50);
}

#[test]
fn each_change_is_answered_on_every_picture() {
    // Not drawn but all of them: a change that only matters in one picture is not missed.
    for (observed, now) in pictures().iter().step_by(29) {
        for change in CLUSTER {
            let mut changed = observed.clone();
            change(&mut changed, &index(0));
            for action in decide(&changed, *now).actions {
                if let Err(violation) = invariants::check(&changed, &action) {
                    panic!("{violation}\n{action:#?}");
                }
            }
        }
    }
}

/// The index that points at the first thing of any list.
fn index(at: usize) -> Index {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    loop {
        let drawn = any::<Index>().new_tree(&mut runner).unwrap().current();
        if drawn.index(4) == at {
            return drawn;
        }
    }
}
