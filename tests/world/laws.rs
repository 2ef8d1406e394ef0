//! What must be true of the world itself, whatever the planner thinks of it.
//!
//! The planner's invariants judge a write by the picture it was decided on; these judge it by what it did.

use securityhotfix::api::names::{self, MANAGER, SLOT};
use securityhotfix::api::{Outcome, SecurityHotfixStatus};
use securityhotfix::plan::Action;
use securityhotfix::plan::observed::{Observed, Pod};

use super::World;
use super::api::selects;
use super::arrange::{BLUE, V1};
use super::controllers::with_image;

impl World {
    /// The ready pods a Service sends requests to, by its selector as it is: what every slice will soon say.
    pub fn serving<'a>(&'a self, service: &str) -> Vec<&'a Pod> {
        let selector = self.services.get(service).map(|service| service.selector.clone()).unwrap_or_default();
        self.pods.values().filter(|pod| pod.serves() && selects(&selector, &pod.labels)).collect()
    }

    /// The ready endpoints of a Service, as its slice says: candidate or not.
    pub fn endpoints(&self, service: &str) -> (usize, usize) {
        let slice = self.slices.get(service);
        let ready = slice.into_iter().flat_map(|slice| &slice.endpoints).filter(|endpoint| endpoint.ready);
        let green = |uid: &String| self.pods.values().any(|pod| pod.uid == *uid && pod.labels.contains_key(SLOT));
        let (mut blues, mut greens) = (0, 0);
        for endpoint in ready {
            if endpoint.pod.as_ref().is_some_and(green) {
                greens += 1;
            } else {
                blues += 1;
            }
        }
        (blues, greens)
    }

    /// What a write of ours did to the traffic of a Service that it must not do, if anything.
    ///
    /// What happened between the look and the write is not our doing: no precondition of a write to a Service can tell
    /// that pods have died meanwhile.
    pub fn harm(&self, before: &Self, observed: &Observed, action: &Action) -> Option<String> {
        let released = self.hotfix().is_some_and(|hotfix| hotfix.annotations.contains_key(names::RELEASE));
        let given_up =
            self.namespace.terminating || self.blue().is_none_or(securityhotfix::plan::observed::Workload::is_given_up);
        if released || given_up {
            return None;
        }
        self.production().find_map(|service| {
            let cut_off = self.serving(&service.name).is_empty() && !before.serving(&service.name).is_empty();
            let died = observed.pods.iter().any(|pod| pod.serves() && selects(&service.selector, &pod.labels));
            let closed = matches!(action, Action::Close(_));
            (cut_off && (closed || !died))
                .then(|| format!("{} left Service {} without a ready pod", action.name(), service.name))
        })
    }

    /// A pod of a candidate that is an endpoint of production before its gates have passed.
    pub fn early_traffic(&self) -> Option<String> {
        for service in self.production() {
            for endpoint in self.slices.get(&service.name).into_iter().flat_map(|slice| &slice.endpoints) {
                let pod = self.pods.values().find(|pod| endpoint.ready && Some(&pod.uid) == endpoint.pod.as_ref());
                let Some(slot) = pod.and_then(|pod| pod.labels.get(SLOT)) else { continue };
                let passed = self.hotfixes.values().filter_map(|hotfix| {
                    let attempt = hotfix.status.attempt.as_ref()?;
                    (names::slot(&hotfix.uid, attempt.number) == *slot).then_some(attempt.promoting_at.is_some())
                });
                if !passed.into_iter().any(|passed| passed) && !self.passed.contains(slot) {
                    return Some(format!("Service {} sends traffic to a candidate without its gates", service.name));
                }
            }
        }
        None
    }

    /// What is left of us at rest, or was not returned as it was.
    pub fn left_behind(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut say = |what: String| left.push(what);
        if self.namespace.terminating {
            self.hotfixes.keys().for_each(|name| say(format!("hotfix {name} in a namespace that is going")));
            return left;
        }
        self.deployments.keys().filter(|name| *name != BLUE).for_each(|name| say(format!("Deployment {name}")));
        self.pods.values().filter(|pod| pod.labels.contains_key(SLOT)).for_each(|pod| say(format!("pod {}", pod.name)));
        self.budgets.keys().filter(|name| *name != "web").for_each(|name| say(format!("budget {name}")));
        self.jobs.values().for_each(|job| say(format!("Job {}", job.run.job)));
        // One that waits to begin again has its finalizer and its claim.
        let waits = |status: &SecurityHotfixStatus| {
            status.attempt.as_ref().is_some_and(|attempt| attempt.outcome == Some(Outcome::Restarted))
        };
        for lease in self.leases.values() {
            let holder = self.hotfixes.values().find(|hotfix| hotfix.uid == lease.holder);
            if !holder.is_some_and(|holder| waits(&holder.status)) {
                say(format!("lease {}", lease.name));
            }
        }
        let guarded = self.hotfixes.values().filter(|hotfix| !hotfix.finalizers.is_empty());
        for hotfix in guarded.filter(|hotfix| !waits(&hotfix.status)) {
            say(format!("finalizer of {}", hotfix.name));
        }
        for service in self.services.values() {
            let Some((selector, annotations)) = self.as_owned.get(&service.name) else {
                say(format!("Service {}", service.name));
                continue;
            };
            if service.selector != *selector {
                say(format!("selector of Service {}: {:?}", service.name, service.selector));
            }
            if service.annotations != *annotations {
                say(format!("annotations of Service {}: {:?}", service.name, service.annotations));
            }
            if service.managers.iter().any(|manager| manager.name == MANAGER) {
                say(format!("managedFields of Service {}", service.name));
            }
        }
        if let Some(blue) = self.blue() {
            if blue.managers.iter().any(|manager| manager.name == MANAGER) {
                say("managedFields of the Deployment".into());
            }
            let mut same = World::at_rest().blue().unwrap().raw.as_ref().clone();
            same["spec"]["replicas"] = blue.raw["spec"]["replicas"].clone();
            same["metadata"]["uid"] = blue.raw["metadata"]["uid"].clone();
            if with_image(&blue.raw, "web", V1) != same {
                say("changes in the Deployment beside its image".into());
            }
        }
        left
    }
}
