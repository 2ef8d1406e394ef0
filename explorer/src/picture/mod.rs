//! From what a replica has read to the picture the planner decides on.

mod checks;
mod objects;
mod times;

pub use self::times::young;

use std::collections::BTreeSet;

use securityhotfix::api::names as api;
use securityhotfix::plan::observed::{self, Hotfix, Map, Namespace, Observed, Other};

use self::checks::{checks, evidence, policy, run, settings, spec};
use self::objects::{blue, claim, green, pods, services, sets, slice};
use self::times::{aged, at, older};
use crate::intern::{Intern, moment};
use crate::names;
use crate::state::{Blue, Claim, Clocks, Found, Green, Hot, JOBS, Job, Prod, SIDES};

/// Everything the planner sees, in bits: the key under which its answer is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// The hotfix that is looked at.
    pub side: u8,
    /// Services and pods as they were read first. Numbers of pods are in `others` alone.
    pub prod: Prod,
    /// The hotfix as it was read next.
    pub hot: Hot,
    /// Its status.
    pub status: u32,
    /// The rest, as it is.
    pub rest: Rest,
}

/// What is read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rest {
    /// The namespace is going away.
    pub terminating: bool,
    /// The Lease.
    pub claim: Claim,
    /// The Deployment.
    pub blue: Blue,
    /// Its ReplicaSets that have pods, one bit a version.
    pub sets: u8,
    /// The candidate.
    pub green: Green,
    /// What the other left.
    pub stray: Stray,
    /// The other hotfixes that may still write, one bit each; and above, those that exist.
    pub alive: u8,
    /// The record.
    pub report: u32,
    /// Slices.
    pub slices: [u16; 2],
    /// Pods that are another one by now, one bit each.
    pub others: u8,
    /// Check Jobs.
    pub jobs: [Job; JOBS],
    /// Which moments have passed.
    pub clocks: Clocks,
    /// What was found out.
    pub found: Found,
    /// Which checks the policy has.
    pub tests: bool,
    /// The policy is missing.
    pub unguided: bool,
}

/// What a hotfix left that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stray {
    /// Its candidate.
    pub green: Green,
    /// Its check Jobs.
    pub jobs: [Job; JOBS],
    /// Its record.
    pub report: u32,
}

/// The picture of a view.
pub fn picture(view: &View, intern: &Intern) -> Observed {
    let side = usize::from(view.side);
    let status = intern.status_of(view.status).as_ref().clone();
    let attempt = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let slot_attempt = u8::try_from(attempt).unwrap();
    let again = status.attempt.as_ref().and_then(|attempt| attempt.reassert.as_ref());
    let again = again.filter(|_| view.hot.again() == 1).map_or(String::new(), |again| again.service.clone());
    Observed {
        services: services(view, side, &again),
        pods: pods(view),
        hotfix: hotfix(view, side, status),
        namespace: Namespace { terminating: view.rest.terminating, policy: None },
        policy: (!view.rest.unguided).then(|| policy(view.rest.tests)),
        checks: checks().clone(),
        unread: None,
        blue: (view.rest.blue.here() == 1).then(|| blue(view)),
        green: (view.rest.green.here() == 1).then(|| green(view.rest.green, side)),
        replica_sets: sets(view, side),
        slices: (0..view.prod.services.len())
            .filter(|at| view.prod.services[*at].here() == 1)
            .map(|at| slice(view, at))
            .collect(),
        budgets: Vec::new(),
        autoscalers: Vec::new(),
        pod_load_balancers: BTreeSet::new(),
        claim: claim(view.rest.claim),
        others: (0..SIDES)
            .filter(|other| *other != side && view.rest.alive >> (4 + other) & 1 == 1)
            .map(|other| Other {
                name: names::HOTFIXES[other].into(),
                uid: names::UIDS[other].into(),
                alive: view.rest.alive >> other & 1 == 1,
                // No attempt of the model has a higher number, so that every slot is explained.
                attempt: 3,
            })
            .collect(),
        strays: strays(view.rest.stray, 1 - side, intern),
        runs: view.rest.jobs.iter().filter(|job| job.kind() != 0).map(|job| run(side, *job, intern)).collect(),
        report: report(view.rest.report, side, intern),
        evidence: evidence(view, side, attempt, slot_attempt, intern),
        settings: settings(),
    }
}

fn report(number: u32, side: usize, intern: &Intern) -> Option<observed::Report> {
    (number != 0).then(|| observed::Report {
        resource_version: "report".into(),
        hotfix_uid: names::UIDS[side].into(),
        spec: intern.report_of(number).as_ref().clone(),
    })
}

fn strays(stray: Stray, side: usize, intern: &Intern) -> observed::Strays {
    let jobs = stray.jobs.iter().filter(|job| job.kind() != 0).map(|job| {
        let run = run(side, *job, intern);
        observed::StrayJob { name: run.job, uid: run.uid, hotfix: names::UIDS[side].into() }
    });
    observed::Strays {
        candidates: (stray.green.here() == 1).then(|| green(stray.green, side)).into_iter().collect(),
        jobs: jobs.collect(),
        report: report(stray.report, side, intern),
    }
}

fn hotfix(view: &View, side: usize, mut status: securityhotfix::api::SecurityHotfixStatus) -> Hotfix {
    if let Some(left) = &mut status.leftover {
        left.drained_from = left.drained_from.map(|_| at(view.rest.clocks.drain()));
    }
    if let Some(attempt) = &mut status.attempt {
        let (clocks, found) = (view.rest.clocks, view.rest.found);
        if attempt.finished_at.is_none() {
            if attempt.drained_from.is_some() {
                attempt.drained_from = Some(at(clocks.drain()));
            }
            if attempt.verified_at.is_some() && clocks.slow() == 1 {
                attempt.verified_at = Some(at(1));
            }
            if attempt.latch.is_none() && attempt.verified_at.is_none() {
                let staging = Some(at(clocks.staging()));
                // The clock of a step may have run out in the model while it was held: the end of a suspension is as old.
                if let Some(suspension) = &mut attempt.suspension {
                    suspension.until = suspension.until.and(staging);
                }
                if attempt.converged_at.is_some() {
                    // One that began to look later counts from there, and so does what was unchecked meanwhile.
                    let whole = found.watch() == 2 && attempt.unchecked.is_none();
                    attempt.converged_at = Some(if whole { at(found.soaked()) } else { older() });
                    if let Some(unchecked) = &mut attempt.unchecked {
                        unchecked.until = unchecked.until.map(|_| at(found.soaked()));
                        unchecked.since = if unchecked.until.is_none() { at(clocks.unchecked()) } else { older() };
                    }
                } else if attempt.promoting_at.is_some() {
                    attempt.promoting_at = staging;
                } else if attempt.analyzed_at.is_some() {
                    attempt.analyzed_at = staging;
                } else if attempt.scanned_at.is_some() {
                    attempt.scanned_at = staging;
                }
            }
        }
    }
    let old = view.rest.found.soaked() == 1 || view.rest.clocks.unchecked() == 1;
    for condition in status.conditions.iter_mut().filter(|_| old) {
        condition.message = aged(&condition.message);
    }
    let hot = view.hot;
    let mut annotations = Map::new();
    if hot.abort() > 0 {
        annotations.insert(api::ABORT.into(), format!("{}/stop", hot.abort()));
    }
    if hot.release() > 0 {
        annotations.insert(api::RELEASE.into(), format!("{}/go", hot.release()));
    }
    if hot.retry() == 1 {
        annotations.insert(api::RETRY.into(), "again".into());
    }
    let mut spec = spec(side).clone();
    spec.suspend = hot.suspend() == 1;
    Hotfix {
        name: names::HOTFIXES[side].into(),
        namespace: names::NAMESPACE.into(),
        uid: names::UIDS[side].into(),
        resource_version: "hotfix".into(),
        generation: 1 + i64::from(hot.edits()),
        created_at: Some(moment()),
        deleting: (hot.deleting() > 0).then(moment),
        finalizers: if hot.finalizer() == 1 { vec![api::FINALIZER.into()] } else { Vec::new() },
        annotations,
        managers: vec!["kubectl".into()],
        spec,
        status,
    }
}
