//! The operator around the planner, a step at a time: it reads in the protocol's order, decides, and carries out one action
//! after the other. What it remembers can be lost at any step.

use std::collections::VecDeque;

use jiff::Timestamp;
use securityhotfix::api::names;
use securityhotfix::plan::decision::Note;
use securityhotfix::plan::observed::{
    Evidence, Hotfix, Map, Observed, Other, Pod, Service, StrayJob, Strays, Workload,
};
use securityhotfix::plan::{Action, Want, decide, invariants};

use super::World;
use super::api::Written;
use super::controllers::match_labels;

/// What the operator remembers of one hotfix; all of it may be lost.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    pub evidence: Evidence,
    pub wants: Vec<Want>,
    pub wake: Option<Timestamp>,
    /// The world's version at the last look that led to nothing.
    pub seen: u64,
    pub stage: Stage,
}

/// Where a reconcile is.
#[derive(Clone, Debug, Default)]
pub enum Stage {
    #[default]
    Idle,
    /// Services and pods were read.
    Production(Box<Production>),
    /// Everything was read, and this is to be done.
    Acting(Box<Observed>, VecDeque<Action>, Vec<Note>),
}

/// The first read.
#[derive(Clone, Debug)]
pub struct Production {
    services: Vec<Service>,
    pods: Vec<Pod>,
    candidates: Vec<Workload>,
    version: u64,
}

/// What one step of the operator did.
#[derive(Clone, Debug)]
pub enum Did {
    /// It read.
    Read,
    /// It looked and had nothing to do.
    Nothing,
    /// It wrote, and this became of it. The notes are told once the last action is written.
    Wrote(Box<Action>, Written, Vec<Note>),
}

impl World {
    /// True when the operator has something to do for this hotfix: it is at it, something changed, or it is time.
    pub fn operator_is_due(&self, name: &str) -> bool {
        let operator = &self.operators[name];
        let at_it = !matches!(operator.stage, Stage::Idle);
        let alive = self.hotfixes.contains_key(name);
        at_it || (alive && (operator.seen != self.version || operator.wake.is_some_and(|wake| wake <= self.now)))
    }

    /// One step of the operator for this hotfix.
    ///
    /// # Panics
    ///
    /// When a decision breaks an invariant, or wants to be asked again without anything having changed.
    pub fn step_operator(&mut self, name: &str) -> Did {
        let stage = std::mem::take(&mut self.operators.get_mut(name).unwrap().stage);
        match stage {
            Stage::Idle => {
                let production = Box::new(self.read_production(name));
                self.operators.get_mut(name).unwrap().stage = Stage::Production(production);
                Did::Read
            }
            Stage::Production(production) => self.decide(name, *production),
            Stage::Acting(observed, mut actions, notes) => {
                let action = actions.pop_front().expect("an empty list of actions is never kept");
                if let Err(violation) = invariants::check(&observed, &action) {
                    panic!("{violation}\n{action:#?}");
                }
                let written = self.write(name, &action);
                if actions.is_empty() {
                    return Did::Wrote(Box::new(action), written, notes);
                }
                self.operators.get_mut(name).unwrap().stage = Stage::Acting(observed, actions, notes);
                Did::Wrote(Box::new(action), written, Vec::new())
            }
        }
    }

    fn decide(&mut self, name: &str, production: Production) -> Did {
        let version = production.version;
        let Some(observed) = self.read_rest(name, production) else {
            let operator = self.operators.get_mut(name).unwrap();
            (operator.wants, operator.wake, operator.seen) = (Vec::new(), None, version);
            return Did::Nothing;
        };
        let decision = decide(&observed, self.now);
        let now = self.now;
        let operator = self.operators.get_mut(name).unwrap();
        operator.evidence.watched_since = observed.evidence.watched_since;
        operator.wants = decision.wants;
        if decision.actions.is_empty() {
            assert!(
                decision.wake.is_none_or(|wake| wake > now),
                "nothing to do and asked again at once: {:?} at {now}",
                decision.wake
            );
            (operator.wake, operator.seen) = (decision.wake, version);
            return Did::Nothing;
        }
        operator.stage = Stage::Acting(Box::new(observed), decision.actions.into(), decision.events);
        Did::Read
    }

    /// What the operator remembers, as it shows when it looks now.
    fn evidence(&self, name: &str) -> Evidence {
        let evidence = self.operators.get(name).map(|operator| operator.evidence.clone()).unwrap_or_default();
        Evidence { watched_since: evidence.watched_since.or(Some(self.moment())), ..evidence }
    }

    /// The operator dies and comes back: what it remembered is gone.
    pub fn crash(&mut self) {
        for operator in self.operators.values_mut() {
            *operator = Operator::default();
        }
    }

    /// The whole picture at once.
    pub fn observe(&self, name: &str) -> Option<Observed> {
        self.read_rest(name, self.read_production(name))
    }

    /// The first read: Services and pods.
    pub fn read_production(&self, name: &str) -> Production {
        let blue = self.blue().map(match_labels);
        let uid = self.hotfixes.get(name).map(|hotfix| hotfix.uid.clone());
        let concerns = |labels: &Map| {
            let blues = blue.as_ref().is_some_and(|blue| super::api::selects(blue, labels));
            blues || labels.contains_key(names::SLOT) && uid.is_some()
        };
        Production {
            services: self.services.values().cloned().collect(),
            pods: self.pods.values().filter(|pod| concerns(&pod.labels)).cloned().collect(),
            candidates: self.candidates_of_others(name),
            version: self.version,
        }
    }

    /// The candidates that other hotfixes made, as long as they matter to this one.
    fn candidates_of_others(&self, name: &str) -> Vec<Workload> {
        let Some(hotfix) = self.hotfixes.get(name) else { return Vec::new() };
        let attempt = hotfix.status.attempt.as_ref();
        if attempt.is_some_and(|attempt| attempt.promoting_at.is_some() && attempt.finished_at.is_none()) {
            return Vec::new();
        }
        let others = self.deployments.values().filter(|deployment| {
            let uid = deployment.labels.get(names::HOTFIX_UID).filter(|uid| **uid != hotfix.uid);
            uid.is_some_and(|uid| names::green(&hotfix.spec.target.name, uid) == deployment.name)
        });
        others.cloned().collect()
    }

    fn strays(&self, hotfix: &Hotfix, candidates: Vec<Workload>, others: &[Other]) -> Strays {
        let left = hotfix.status.leftover.as_ref().and_then(|left| left.hotfix.clone());
        let made_for = candidates.iter().filter_map(|candidate| candidate.labels.get(names::HOTFIX_UID).cloned());
        let gone: Vec<String> =
            made_for.chain(left).filter(|uid| others.iter().all(|other| other.uid != *uid)).collect();
        let jobs = self.jobs.values().filter(|job| gone.contains(&job.hotfix)).map(|job| StrayJob {
            name: job.run.job.clone(),
            uid: job.run.uid.clone(),
            hotfix: job.hotfix.clone(),
        });
        let left = hotfix.status.leftover.as_ref();
        let report = left.and_then(|left| Some(names::report(left.name.as_ref()?, left.hotfix.as_ref()?)));
        let report = report.and_then(|name| self.reports.get(&name).cloned());
        Strays { candidates, jobs: jobs.collect(), report }
    }

    /// The second read: the hotfix, then everything else.
    pub fn read_rest(&self, name: &str, production: Production) -> Option<Observed> {
        let hotfix = self.hotfixes.get(name)?.clone();
        let blue = self.deployments.get(&hotfix.spec.target.name).cloned();
        let green = self.deployments.get(&names::green(&hotfix.spec.target.name, &hotfix.uid)).cloned();
        let controllers: Vec<&String> = [&blue, &green].into_iter().flatten().map(|found| &found.uid).collect();
        let others = self.hotfixes.values().filter(|other| other.uid != hotfix.uid).map(|other| Other {
            name: other.name.clone(),
            uid: other.uid.clone(),
            alive: other.status.attempt.as_ref().is_some_and(|attempt| attempt.finished_at.is_none()),
            attempt: other.status.attempt.as_ref().map_or(0, |attempt| attempt.number),
        });
        let others: Vec<Other> = others.collect();
        let strays = self.strays(&hotfix, production.candidates, &others);
        // Of the Deployment the attempt is about, for as long as the claim on it is held.
        let attempt = hotfix.status.attempt.as_ref();
        let held = hotfix.finalizers.iter().any(|finalizer| finalizer == names::FINALIZER);
        let claimed = attempt.filter(|attempt| held || attempt.finished_at.is_none()).map(|attempt| &attempt.blue.uid);
        let claimed = claimed.or(blue.as_ref().map(|blue| &blue.uid));
        let claim = claimed.and_then(|uid| self.leases.get(&names::claim(uid)).cloned());
        let previews = names::green(&hotfix.spec.target.name, &hotfix.uid);
        Some(Observed {
            services: production.services,
            pods: production.pods,
            namespace: self.namespace.clone(),
            policy: self.policy.clone(),
            checks: (*self.checks).clone(),
            unread: self.unread.clone(),
            replica_sets: self
                .sets
                .values()
                .filter(|set| controllers.contains(&&set.view.controller))
                .map(|set| set.view.clone())
                .collect(),
            slices: self
                .slices
                .values()
                .filter(|slice| slice.service != previews)
                .chain(&self.foreign_slices)
                .cloned()
                .collect(),
            budgets: self.budgets.values().cloned().collect(),
            autoscalers: self.autoscalers.clone(),
            pod_load_balancers: self.pod_load_balancers.clone(),
            claim,
            others,
            strays,
            runs: self.jobs.values().filter(|job| job.hotfix == hotfix.uid).map(|job| job.run.clone()).collect(),
            report: self.reports.get(&names::report(&hotfix.name, &hotfix.uid)).cloned(),
            evidence: self.evidence(name),
            settings: self.settings.clone(),
            blue,
            green,
            hotfix,
        })
    }
}
