//! From the planner's answer to writes of the model, and the memory of answers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex};

use securityhotfix::api::names as api;
use securityhotfix::plan::action::{Ownership, Versioned};
use securityhotfix::plan::{Action, Decision, Observed, Want, decide, invariants};

use crate::act::{self, Act, Kind};
use crate::fingerprint::fingerprint;
use crate::intern::{Intern, now};
use crate::laws;
use crate::mutants::Mutant;
use crate::names;
use crate::picture::{View, picture};
use crate::state::{Preview, SIDES};

/// An answer of the planner.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// What is to be written. Freshness is filled in by whoever holds the picture.
    pub acts: Vec<Act>,
    /// What is to be found out: 1 digests, 2 rehearsal, 4 probes.
    pub wants: u8,
    /// It looks again by itself.
    pub wakes: bool,
    /// Invariants that a write would break, by name, and how.
    pub broken: Vec<(&'static str, String)>,
}

/// Asks the planner about a view.
pub fn ask(view: &View, intern: &Intern, mutant: &Mutant) -> Decided {
    let observed = picture(view, intern);
    let mut decision = match mutant.sees {
        None => decide(&observed, now()),
        Some(sees) => {
            let mut false_view = *view;
            sees(&mut false_view, intern);
            decide(&picture(&false_view, intern), now())
        }
    };
    if let Some(rewrite) = mutant.rewrites {
        rewrite(&observed, &mut decision);
    }
    answer(view, &observed, &decision, intern)
}

fn answer(view: &View, observed: &Observed, decision: &Decision, intern: &Intern) -> Decided {
    let mut decided = Decided { wakes: decision.wake.is_some(), ..Decided::default() };
    for action in &decision.actions {
        if let Err(violation) = invariants::check(observed, action) {
            decided.broken.push((violation.name, violation.what));
        }
        let act = translate(view, observed, action, intern);
        decided.broken.extend(laws::decided(view, observed, &act, intern));
        decided.acts.push(act);
    }
    laws::back(view, &mut decided.acts);
    decided.broken.extend(laws::answered(view, decision, intern));
    for want in &decision.wants {
        decided.wants |= match want {
            Want::Resolve(_) => 1,
            Want::Rehearse { green, pod, .. } => {
                let attempt = intern.mile_of(view.status).attempt();
                intern.rehearse((view.side, attempt), green, pod);
                2
            }
            Want::Probe { .. } => 4,
        };
    }
    assert!(decided.acts.len() <= crate::state::GREENS, "more writes at once than can be represented: {decided:?}");
    decided
}

/// One of our writes, in the model. Every variant is listed: a new one does not compile before it is thought about.
pub fn translate(view: &View, observed: &Observed, action: &Action, intern: &Intern) -> Act {
    let side = view.side;
    let plain = |kind: Kind| Act { kind, side, ..Act::default() };
    match action {
        Action::Record { status, .. } => record(view, observed, status, intern),
        Action::AddFinalizer { .. } => plain(Kind::AddFinalizer),
        Action::RemoveFinalizer { .. } => plain(Kind::RemoveFinalizer),
        Action::Claim(_) => plain(Kind::Claim),
        Action::Unclaim(target) => Act { data: number_of(&target.uid), ..plain(Kind::Unclaim) },
        Action::OpenReport(report) => {
            let spec = serde_json::from_value(report["spec"].clone()).expect("a record");
            Act { data: intern.report(&spec), ..plain(Kind::OpenReport) }
        }
        Action::WriteReport { name, spec, .. } => {
            Act { data: intern.report(spec), ..of_side(Kind::WriteReport, named(view, name, report)) }
        }
        Action::CreateJob(job) => {
            let (of, job) = intern.job(job);
            assert_eq!(of, side, "a Job for another hotfix");
            Act { data: job.0, ..plain(Kind::CreateJob) }
        }
        Action::DeleteJob(target) => {
            let stray = observed.strays.jobs.iter().any(|job| job.name == target.name);
            let of = usize::from(side);
            let of = if stray { 1 - of } else { of };
            Act { data: number_of(&target.uid) << 3, ..of_side(Kind::DeleteJob, of) }
        }
        Action::CreateGreen(green) => {
            let replicas = green["spec"]["replicas"].as_u64().expect("a number");
            Act { at: attempt_of(side, green), data: u32::try_from(replicas).unwrap(), ..plain(Kind::CreateGreen) }
        }
        Action::ResizeGreen { green, replicas, ownership } => {
            let drop = u32::from(*ownership == Ownership::Drop) << 4;
            let replicas = u32::try_from(*replicas).expect("few replicas") << 2;
            Act { data: number_of(&green.uid) | replicas | drop, ..plain(Kind::ResizeGreen) }
        }
        Action::DeleteGreen(target) => {
            Act { data: number_of(&target.uid), ..of_side(Kind::DeleteGreen, named(view, &target.name, candidate)) }
        }
        Action::CreatePreview(preview) => Act { at: attempt_of(side, preview), ..plain(Kind::CreatePreview) },
        Action::DeletePreview(target) => {
            let mut preview = Preview::default();
            preview.set_inc(u8::try_from(number_of(&target.uid)).unwrap());
            Act { data: u32::from(preview.0), ..of_side(Kind::DeletePreview, named(view, &target.name, candidate)) }
        }
        Action::CreateBudget(_) | Action::DeleteBudget(_) => panic!("budgets are not in the model"),
        Action::Hold { service, mark, .. } => on_service(view, Kind::Hold, service, |svc| {
            svc.set_mark(names::read_mark(mark));
        }),
        Action::Switch { service, to, .. } => on_service(view, Kind::Switch, service, |svc| {
            *svc = names::with_selector(*svc, to);
        }),
        Action::Seal { service, mark, to, .. } => on_service(view, Kind::Seal, service, |svc| {
            *svc = names::with_selector(*svc, to);
            svc.set_mark(names::read_mark(mark));
        }),
        Action::Unpin { service, to, .. } => on_service(view, Kind::Unpin, service, |svc| {
            *svc = names::with_selector(*svc, to);
        }),
        Action::Unmark { service, managers, .. } => on_service(view, Kind::Unmark, service, |svc| {
            svc.set_mark(0);
            if !managers.is_empty() {
                svc.set_ours(0);
                svc.set_wrote(0);
            }
        }),
        Action::Open(pod) => on_pod(Kind::Open, pod),
        Action::Close(pod) => on_pod(Kind::Close, pod),
        Action::FoldBack { images, .. } => {
            let [image] = images.as_slice() else { panic!("one image is in the model") };
            let data = u32::from(names::version(&image.from)) | u32::from(names::version(&image.to)) << 2;
            Act { data, ..plain(Kind::FoldBack) }
        }
        Action::Disown { .. } => plain(Kind::Disown),
    }
}

fn record(
    view: &View,
    observed: &Observed,
    status: &securityhotfix::api::SecurityHotfixStatus,
    intern: &Intern,
) -> Act {
    let (number, mile) = intern.status(status);
    let before = observed.hotfix.status.attempt.as_ref();
    let after = status.attempt.as_ref();
    let same = before.map(|attempt| attempt.number) == after.map(|attempt| attempt.number);
    let (mut flags, mut at) = (0, 0);
    let announced =
        |attempt: Option<&securityhotfix::api::Attempt>| attempt.and_then(|attempt| attempt.fold_generation);
    if announced(after).is_some() && (!same || announced(before) != announced(after)) {
        flags |= act::ANNOUNCES;
    }
    let again = |attempt: Option<&securityhotfix::api::Attempt>| attempt.and_then(|attempt| attempt.reassert.clone());
    if again(after).is_some() && again(before) != again(after) {
        flags |= act::AGAIN;
        at = mile.reassert();
    }
    Act { kind: Kind::Record, side: view.side, at, flags, data: number }
}

fn on_service(view: &View, kind: Kind, target: &Versioned, change: impl FnOnce(&mut crate::state::Svc)) -> Act {
    let at = names::SERVICES.iter().position(|name| *name == target.name).expect("a known Service");
    let seen = view.prod.services[at];
    let mut to = seen;
    change(&mut to);
    Act::on_service(kind, view.side, u8::try_from(at).unwrap(), seen, to)
}

/// A write to something of this hotfix, which need not be the one that is looked at.
fn of_side(kind: Kind, side: usize) -> Act {
    Act { kind, side: u8::try_from(side).unwrap(), ..Act::default() }
}

/// The hotfix of which something is called so, or else the one that is looked at.
fn named(view: &View, name: &str, called: fn(usize) -> String) -> usize {
    (0..SIDES).find(|side| called(*side) == name).unwrap_or(usize::from(view.side))
}

/// What a candidate and its preview are called.
fn candidate(side: usize) -> String {
    api::green(names::BLUE, names::UIDS[side])
}

fn report(side: usize) -> String {
    api::report(names::HOTFIXES[side], names::UIDS[side])
}

fn on_pod(kind: Kind, target: &Versioned) -> Act {
    let rest = target.uid.strip_prefix("green-pod-").unwrap_or_else(|| panic!("a pod of ours, not {}", target.uid));
    let (side, at) = rest.split_once('-').expect("side and place");
    Act { at: at.parse().expect("a place"), ..of_side(kind, side.parse().expect("a side")) }
}

/// The number at the end of a uid.
fn number_of(uid: &str) -> u32 {
    uid.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("uid {uid}"))
}

fn attempt_of(side: u8, object: &serde_json::Value) -> u8 {
    let slot = object["metadata"]["labels"][api::SLOT].as_str().expect("a slot");
    (1..=3).find(|attempt| names::slot(usize::from(side), *attempt) == slot).expect("a known slot")
}

/// Hashes by fingerprint.
#[derive(Default)]
pub struct Finger(u64);

impl Hasher for Finger {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Answers by the fingerprint of their view.
pub type Answers = HashMap<u64, Arc<Decided>, BuildHasherDefault<Finger>>;

/// What the planner answered, for each view it was asked about. Two threads share it: each has its own front, so that
/// an answer that is known costs no lock.
pub struct Memory<'a> {
    shared: &'a Mutex<Answers>,
    own: Answers,
    intern: &'a Intern,
    mutant: &'a Mutant,
}

impl<'a> Memory<'a> {
    /// A memory in front of the shared one.
    pub fn new(shared: &'a Mutex<Answers>, intern: &'a Intern, mutant: &'a Mutant) -> Self {
        Self { shared, own: Answers::default(), intern, mutant }
    }

    /// The answer to a view.
    pub fn answer(&mut self, view: &View) -> Arc<Decided> {
        let key = fingerprint(view);
        if let Some(known) = self.own.get(&key) {
            return Arc::clone(known);
        }
        let known = self.shared.lock().unwrap().get(&key).cloned();
        let answer = known.unwrap_or_else(|| {
            let made = Arc::new(ask(view, self.intern, self.mutant));
            Arc::clone(self.shared.lock().unwrap().entry(key).or_insert(made))
        });
        self.own.insert(key, Arc::clone(&answer));
        answer
    }

    /// What was interned.
    pub fn intern(&self) -> &'a Intern {
        self.intern
    }

    /// The mutant, or none.
    pub fn mutant(&self) -> &'a Mutant {
        self.mutant
    }
}
