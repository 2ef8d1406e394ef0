//! Statuses and records by number.
//!
//! A recorded status is kept whole, so that nothing of it can be lost in the model; the state holds only its number.
//! Times in it are all made the same one: which moments have passed is the state's matter. A number is a hash of what
//! it stands for, so that it is the same in every run, and two of the same number are refused.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use jiff::Timestamp;
use securityhotfix::api::time::Moment;
use securityhotfix::api::{Attempt, Outcome, SecurityHotfixStatus};
use securityhotfix::api::{HotfixReportSpec, names};
use securityhotfix::plan::observed::Map;
use serde_json::Value;

use crate::names::{SERVICES, version};
use crate::picture::young;
use crate::state::{Job, Mile};

/// The present, and the moment of everything that was recorded and has not become old.
pub const NOW: &str = "2026-11-25T12:00:00Z";
/// Generation of blue's spec at which a fold-back was announced.
pub const GENERATION: i64 = 10;

/// The outcomes by code.
const OUTCOMES: [Outcome; 8] = [
    Outcome::Remediated,
    Outcome::RolledBack,
    Outcome::Failed,
    Outcome::Rejected,
    Outcome::Cancelled,
    Outcome::Superseded,
    Outcome::Restarted,
    Outcome::AlreadyPatched,
];

/// Code of an outcome.
pub fn outcome(outcome: Outcome) -> u8 {
    u8::try_from(OUTCOMES.iter().position(|known| *known == outcome).expect("every outcome is listed") + 1).unwrap()
}

/// An outcome by code.
pub fn outcome_of(code: u8) -> Option<Outcome> {
    OUTCOMES.get(usize::from(code).checked_sub(1)?).copied()
}

/// The moment of everything.
pub fn moment() -> Moment {
    Moment::new(now())
}

/// The present.
pub fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// A candidate and a pod of it, as admission was asked about them.
type Rehearsed = (Value, Value);

/// What was interned.
#[derive(Default)]
pub struct Intern {
    statuses: RwLock<HashMap<u32, (Arc<SecurityHotfixStatus>, Mile)>>,
    reports: RwLock<HashMap<u32, Arc<HotfixReportSpec>>>,
    jobs: RwLock<HashMap<u32, Arc<(String, Map)>>>,
    rehearsals: RwLock<HashMap<(u8, u8), Arc<Rehearsed>>>,
}

fn number(text: &str) -> u32 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    u32::try_from((hash ^ (hash >> 32)) & 0xFFFF_FFFF).expect("masked").max(1)
}

impl Intern {
    /// Number of a status, with its times made the same.
    ///
    /// # Panics
    ///
    /// When another status has that number, or it holds what the model cannot represent.
    pub fn status(&self, status: &SecurityHotfixStatus) -> (u32, Mile) {
        let plain = plain(status.clone());
        let text = serde_json::to_string(&plain).expect("a status can be written");
        let number = number(&text);
        if let Some((known, mile)) = self.statuses.read().unwrap().get(&number) {
            assert!(**known == plain, "two statuses have the number {number}");
            return (number, *mile);
        }
        let mile = mile(&plain);
        self.statuses.write().unwrap().insert(number, (Arc::new(plain), mile));
        (number, mile)
    }

    /// A status by number; 0 is that of a hotfix nobody has looked at.
    pub fn status_of(&self, number: u32) -> Arc<SecurityHotfixStatus> {
        if number == 0 {
            return Arc::new(SecurityHotfixStatus { observed_generation: Some(-1), ..SecurityHotfixStatus::default() });
        }
        Arc::clone(&self.statuses.read().unwrap()[&number].0)
    }

    /// What the world must know of a status.
    pub fn mile_of(&self, number: u32) -> Mile {
        if number == 0 {
            return Mile::default();
        }
        self.statuses.read().unwrap()[&number].1
    }

    /// Number of what a record says.
    pub fn report(&self, spec: &HotfixReportSpec) -> u32 {
        let number = number(&serde_json::to_string(spec).expect("a record can be written"));
        let mut reports = self.reports.write().unwrap();
        let known = reports.entry(number).or_insert_with(|| Arc::new(spec.clone()));
        assert!(**known == *spec, "two records have the number {number}");
        number
    }

    /// What a record says.
    pub fn report_of(&self, number: u32) -> Arc<HotfixReportSpec> {
        Arc::clone(&self.reports.read().unwrap()[&number])
    }

    /// A Job as it is ordered.
    pub fn job(&self, job: &Value) -> (u8, Job) {
        let labels: Map = job["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let name = job["metadata"]["name"].as_str().expect("a Job has a name").to_owned();
        let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
        let mut code = Job::default();
        code.set_kind(match (label("securityhotfix.dev/gate"), label("securityhotfix.dev/role")) {
            ("scan", "baseline") => 1,
            ("scan", "candidate") => 2,
            ("analyze" | "verify", "address") => 3,
            other => panic!("a Job for {other:?} cannot be represented"),
        });
        code.set_attempt(label(names::ATTEMPT).parse().expect("a number"));
        code.set_run(label("securityhotfix.dev/run").parse().expect("a number"));
        code.set_name(number(&name));
        let side = crate::names::side_of(label(names::HOTFIX_UID));
        let mut jobs = self.jobs.write().unwrap();
        let known = jobs.entry(code.0 | side_bit(side)).or_insert_with(|| Arc::new((name.clone(), labels)));
        assert!(known.0 == name, "two Jobs have the number {code:?}: {} and {name}", known.0);
        (u8::try_from(side).unwrap(), code)
    }

    /// Name and labels of a Job, whatever its state.
    pub fn job_of(&self, side: usize, job: Job) -> Arc<(String, Map)> {
        let mut code = job;
        code.set_state(0);
        Arc::clone(&self.jobs.read().unwrap()[&(code.0 | side_bit(side))])
    }

    /// Remembers what admission is asked about; it gives it back unchanged.
    pub fn rehearse(&self, key: (u8, u8), green: &Value, pod: &Value) {
        self.rehearsals.write().unwrap().entry(key).or_insert_with(|| Arc::new((green.clone(), pod.clone())));
    }

    /// What admission was asked about.
    pub fn rehearsal_of(&self, key: (u8, u8)) -> Option<Arc<(Value, Value)>> {
        self.rehearsals.read().unwrap().get(&key).cloned()
    }

    /// How many statuses there are.
    pub fn statuses(&self) -> usize {
        self.statuses.read().unwrap().len()
    }
}

/// The state bits of a Job are free in its number; the lowest tells the hotfixes apart.
fn side_bit(side: usize) -> u32 {
    u32::try_from(side).unwrap()
}

/// A status with every time made the same.
pub fn plain(mut status: SecurityHotfixStatus) -> SecurityHotfixStatus {
    let at = moment();
    for condition in &mut status.conditions {
        condition.last_transition_time = at;
        condition.message = young(&condition.message);
    }
    for old in &mut status.history {
        (old.started_at, old.finished_at) = (at, at);
        old.message = young(&old.message);
    }
    if let Some(left) = &mut status.leftover {
        left.drained_from = left.drained_from.map(|_| at);
    }
    if let Some(attempt) = &mut status.attempt {
        plain_attempt(attempt, at);
    }
    status
}

fn plain_attempt(attempt: &mut Attempt, at: Moment) {
    attempt.started_at = at;
    for time in [
        &mut attempt.scanned_at,
        &mut attempt.staged_at,
        &mut attempt.analyzed_at,
        &mut attempt.approved_at,
        &mut attempt.promoting_at,
        &mut attempt.switched_at,
        &mut attempt.converged_at,
        &mut attempt.verified_at,
        &mut attempt.drained_from,
        &mut attempt.finished_at,
    ] {
        *time = time.map(|_| at);
    }
    if let Some(suspension) = &mut attempt.suspension {
        suspension.since = at;
        suspension.until = suspension.until.map(|_| at);
    }
    if let Some(unchecked) = &mut attempt.unchecked {
        unchecked.since = at;
        unchecked.until = unchecked.until.map(|_| at);
    }
    for verdict in &mut attempt.verdicts {
        verdict.at = at;
    }
    if let Some(latch) = &mut attempt.latch {
        latch.at = at;
        latch.message = young(&latch.message);
    }
    if let Some(again) = &mut attempt.reassert {
        again.resource_version = AT_RECORDED.into();
    }
    attempt.fold_generation = attempt.fold_generation.map(|_| GENERATION);
}

/// Resource version of a Service that is as it was when its setting again was recorded.
pub const AT_RECORDED: &str = "recorded";

fn mile(status: &SecurityHotfixStatus) -> Mile {
    let mut mile = Mile::default();
    let bit = |is: bool| u8::from(is);
    let handled = status.last_handled.as_ref().and_then(|handled| handled.abort.as_ref());
    mile.set_aborted(handled.map_or(0, |abort| abort[..1].parse().expect("an abort begins with its attempt")));
    let stalled = securityhotfix::api::ConditionType::Stalled;
    mile.set_stalled(bit(status.conditions.iter().any(|condition| condition.type_ == stalled)));
    mile.set_takes(bit(status.leftover.is_some()));
    let left = status.leftover.as_ref();
    mile.set_returned(bit(left.is_some_and(|left| left.drained_from.is_some())));
    mile.set_named(bit(left.is_some_and(|left| left.name.is_some())));
    let Some(attempt) = &status.attempt else { return mile };
    mile.set_attempt(u8::try_from(attempt.number).expect("few attempts"));
    mile.set_scanned(bit(attempt.scanned_at.is_some()));
    mile.set_staged(bit(attempt.staged_at.is_some()));
    mile.set_analyzed(bit(attempt.analyzed_at.is_some()));
    mile.set_promoting(bit(attempt.promoting_at.is_some()));
    mile.set_converged(bit(attempt.converged_at.is_some()));
    mile.set_verified(bit(attempt.verified_at.is_some()));
    mile.set_latched(bit(attempt.latch.is_some()));
    mile.set_drained(bit(attempt.drained_from.is_some()));
    mile.set_finished(bit(attempt.finished_at.is_some()));
    mile.set_outcome(attempt.outcome.map_or(0, outcome));
    mile.set_unchecked(attempt.unchecked.map_or(0, |unchecked| 1 + bit(unchecked.until.is_some())));
    let place = |name: &str| SERVICES.iter().position(|known| *known == name).expect("a known Service");
    mile.set_services(attempt.services.iter().map(|service| 1 << place(&service.name)).sum());
    let again = attempt.reassert.as_ref().map_or(0, |again| place(&again.service) + 1);
    mile.set_reassert(u8::try_from(again).unwrap());
    mile.set_folds(u8::try_from(attempt.folds).expect("few folds"));
    mile.set_old(attempt.blue.images.values().next().map_or(0, |image| version(image)));
    mile
}
