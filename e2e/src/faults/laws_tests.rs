//! Each law on a short history that breaks it, and the healthy history that breaks none.

use std::sync::Arc;

use securityhotfix::api::names::{MARK, OPEN, SLOT, hold, sealed, slot};
use serde_json::{Value, json};

use super::*;
use crate::faults::replies::image as image_of;
use crate::faults::scenario;

/// A history that is written down event by event.
struct Pen {
    history: History,
    version: u64,
}

impl Pen {
    fn new() -> Self {
        let mut pen = Self { history: History::default(), version: 0 };
        pen.write(Kind::Deployment, "web", &json!({"spec": template("v1")}));
        pen.service(&json!({"app": "web"}), None);
        pen.pod("web-1", "v1", None, "True");
        pen.slice(&["web-1"]);
        pen
    }

    fn event(&mut self, kind: Kind, name: &str, object: &Value, gone: bool) {
        self.version += 1;
        let mut object = object.clone();
        let metadata = &mut object["metadata"];
        metadata["name"] = name.into();
        metadata["namespace"] = "l".into();
        metadata["uid"] = format!("uid-{name}").into();
        metadata["resourceVersion"] = self.version.to_string().into();
        self.history.events.push(Event { version: self.version, kind, gone, object: Arc::new(object) });
    }

    fn write(&mut self, kind: Kind, name: &str, object: &Value) {
        self.event(kind, name, object, false);
    }

    fn hotfix(&mut self, attempt: &Value, conditions: &[&str]) {
        let conditions: Vec<_> = conditions.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
        let mut attempt = attempt.clone();
        attempt["number"] = 1.into();
        let status = json!({"attempt": attempt, "conditions": conditions});
        let finalizers = json!(["securityhotfix.dev/close"]);
        self.write(Kind::Hotfix, "fix", &json!({"metadata": {"finalizers": finalizers}, "status": status}));
    }

    fn service(&mut self, selector: &Value, mark: Option<&str>) {
        let annotations = mark.map(|mark| json!({MARK: mark})).unwrap_or_default();
        self.write(
            Kind::Service,
            "web",
            &json!({"metadata": {"annotations": annotations}, "spec": {"selector": selector}}),
        );
    }

    fn pod(&mut self, name: &str, version: &str, slot: Option<&str>, open: &str) {
        let labels = match slot {
            Some(slot) => json!({"app": "web", SLOT: slot}),
            None => json!({"app": "web"}),
        };
        let conditions = json!([{"type": OPEN, "status": open}, {"type": "Ready", "status": open}]);
        let pod = json!({"metadata": {"labels": labels}, "spec": template(version)["template"]["spec"], "status": {"conditions": conditions}});
        self.write(Kind::Pod, name, &pod);
    }

    fn slice(&mut self, pods: &[&str]) {
        let endpoint = |pod: &&str| json!({"conditions": {"ready": true}, "targetRef": {"uid": format!("uid-{pod}")}});
        let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
        let labels = json!({"kubernetes.io/service-name": "web"});
        self.write(Kind::Slice, "web-abc", &json!({"metadata": {"labels": labels}, "endpoints": endpoints}));
    }

    fn green(&mut self, gone: bool) {
        let labels = json!({SLOT: ours()});
        let green = json!({"metadata": {"labels": labels}, "spec": template("v2")});
        self.event(Kind::Deployment, "web-hotfix-1", &green, gone);
    }

    fn broken(&self) -> Vec<String> {
        let scenario = scenario::named("happy").unwrap();
        let mut now = World::default();
        self.history.events.iter().take(4).for_each(|event| drop(now.apply(event)));
        let blue = now.get(Kind::Deployment, "web").cloned().unwrap();
        let services = now.all(Kind::Service).cloned().collect();
        let named = broken(&self.history, &Facts { scenario, blue, services });
        named.iter().map(|told| told.split(':').next().unwrap().to_owned()).collect()
    }
}

fn template(version: &str) -> Value {
    json!({"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": image_of(version)}]}}})
}

fn ours() -> String {
    slot("uid-fix", 1)
}

/// An attempt with these milestones, and verdicts for every gate.
fn with(milestones: &[&str]) -> Value {
    let verdict = |gate: &str| json!({"gate": gate, "verdict": "Pass", "evidence": "aa"});
    let mut attempt = json!({"verdicts": [verdict("scan"), verdict("analyze"), verdict("verify")]});
    for milestone in milestones {
        attempt[*milestone] = "then".into();
    }
    attempt
}

const STAGED: [&str; 2] = ["scannedAt", "stagedAt"];
const PROMOTING: [&str; 4] = ["scannedAt", "stagedAt", "analyzedAt", "promotingAt"];

/// Up to the moment at which the candidate serves.
fn serving() -> Pen {
    let mut pen = Pen::new();
    pen.hotfix(&with(&[]), &[]);
    pen.hotfix(&with(&["scannedAt"]), &["Scanned"]);
    pen.green(false);
    pen.pod("green-1", "v2", Some(&ours()), "False");
    pen.hotfix(&with(&PROMOTING), &[]);
    pen.service(&json!({"app": "web"}), Some(&hold("uid-fix", 1)));
    pen.pod("green-1", "v2", Some(&ours()), "True");
    pen.service(&json!({"app": "web", SLOT: ours()}), Some(&hold("uid-fix", 1)));
    pen.slice(&["green-1"]);
    pen
}

#[test]
fn a_healthy_history_breaks_no_law() {
    let mut pen = serving();
    let all = [&PROMOTING[..], &["convergedAt", "verifiedAt"]].concat();
    pen.hotfix(&with(&all), &["Promoted", "Verified"]);
    pen.write(Kind::Deployment, "web", &json!({"spec": template("v2")}));
    pen.pod("web-2", "v2", None, "True");
    pen.event(Kind::Pod, "web-1", &json!({}), true);
    pen.service(&json!({"app": "web"}), Some(&sealed("uid-fix", 1)));
    pen.slice(&["web-2"]);
    pen.pod("green-1", "v2", Some(&ours()), "False");
    pen.hotfix(&with(&[&all[..], &["drainedFrom"]].concat()), &[]);
    pen.green(true);
    pen.event(Kind::Pod, "green-1", &json!({}), true);
    pen.service(&json!({"app": "web"}), None);
    let mut done = with(&[&all[..], &["drainedFrom", "finishedAt"]].concat());
    done["outcome"] = "Remediated".into();
    pen.hotfix(&done, &["Ready", "Remediated", "Finished"]);
    pen.event(Kind::Hotfix, "fix", &json!({"status": {"attempt": done}}), true);
    assert_eq!(pen.broken(), Vec::<String>::new());
}

#[test]
fn traffic_that_ends_nowhere_or_at_the_wrong_pods_is_noticed() {
    let mut pen = Pen::new();
    pen.slice(&[]);
    assert_eq!(pen.broken(), ["traffic-has-an-endpoint"]);
    let mut pen = Pen::new();
    pen.hotfix(&with(&STAGED), &[]);
    pen.pod("green-1", "v2", Some(&ours()), "False");
    pen.slice(&["web-1", "green-1"]);
    assert_eq!(pen.broken(), ["no-traffic-before-the-gates", "no-traffic-to-an-ungated-digest"]);
}

#[test]
fn a_selector_that_is_nobodys_and_a_switch_out_of_turn_are_noticed() {
    let mut pen = Pen::new();
    pen.service(&json!({"tier": "web"}), None);
    assert_eq!(pen.broken(), ["selectors-are-the-owners"]);
    let mut pen = Pen::new();
    pen.hotfix(&with(&PROMOTING), &[]);
    pen.service(&json!({"app": "web", SLOT: ours()}), None);
    assert_eq!(pen.broken(), ["hold-before-switch"]);
    let mut pen = serving();
    pen.service(&json!({"app": "web"}), Some(&sealed("uid-fix", 1)));
    pen.hotfix(&with(&[&PROMOTING[..], &["drainedFrom"]].concat()), &[]);
    pen.service(&json!({"app": "web", SLOT: ours()}), Some(&sealed("uid-fix", 1)));
    assert_eq!(pen.broken(), ["hold-before-switch", "no-switch-after-the-return"]);
    let mut pen = serving();
    pen.service(&json!({"app": "web"}), None);
    assert_eq!(pen.broken(), ["marks-go-only-when-sealed"]);
}

#[test]
fn a_hotfix_that_goes_while_a_service_is_its_own_is_noticed() {
    let mut pen = serving();
    pen.event(Kind::Hotfix, "fix", &json!({"status": {"attempt": {"number": 1}}}), true);
    assert!(pen.broken().contains(&"nothing-left-when-the-finalizer-goes".to_owned()));
}

#[test]
fn a_candidate_made_or_destroyed_too_early_is_noticed() {
    let mut pen = Pen::new();
    pen.hotfix(&with(&[]), &[]);
    pen.green(false);
    assert_eq!(pen.broken(), ["no-candidate-before-the-scan"]);
    let mut pen = serving();
    pen.green(true);
    assert_eq!(pen.broken(), ["latch-before-destruction", "closed-before-destruction"]);
    let mut pen = Pen::new();
    pen.hotfix(&with(&STAGED), &[]);
    pen.pod("green-1", "v2", Some(&ours()), "True");
    assert_eq!(pen.broken(), ["only-announced-pods-open"]);
}

#[test]
fn a_candidate_with_an_owner_may_not_serve() {
    let mut pen = serving();
    let metadata = json!({"labels": {SLOT: ours()}, "ownerReferences": [{"uid": "uid-fix"}]});
    pen.write(Kind::Deployment, "web-hotfix-1", &json!({"metadata": metadata, "spec": template("v2")}));
    assert_eq!(pen.broken(), ["green-is-nobodys-when-it-serves"]);
}

#[test]
fn a_change_of_the_users_deployment_is_noticed() {
    let mut pen = serving();
    pen.write(Kind::Deployment, "web", &json!({"spec": template("v2")}));
    assert_eq!(pen.broken(), ["blue-untouched-before-verified"]);
    let mut pen = Pen::new();
    let mut spec = template("v1");
    spec["paused"] = true.into();
    pen.write(Kind::Deployment, "web", &json!({"spec": spec}));
    assert_eq!(pen.broken(), ["fold-back-changes-images-only"]);
}

#[test]
fn two_claims_are_one_too_many() {
    let mut pen = Pen::new();
    pen.write(Kind::Lease, "hotfix-1", &json!({}));
    pen.write(Kind::Lease, "hotfix-2", &json!({}));
    assert_eq!(pen.broken(), ["one-claim"]);
}

#[test]
fn a_status_that_forgets_or_claims_too_much_is_noticed() {
    let mut pen = Pen::new();
    pen.hotfix(&with(&STAGED), &[]);
    pen.hotfix(&with(&["stagedAt"]), &[]);
    assert_eq!(pen.broken(), ["milestones-only-grow"]);
    let mut pen = Pen::new();
    pen.hotfix(&json!({"latch": {"reason": "Aborted"}}), &[]);
    pen.hotfix(&json!({}), &[]);
    assert_eq!(pen.broken(), ["the-latch-is-for-good"]);
    let mut pen = Pen::new();
    pen.hotfix(&json!({"scannedAt": "then"}), &[]);
    assert_eq!(pen.broken(), ["gates-have-evidence"]);
    let mut pen = Pen::new();
    pen.hotfix(&with(&[&PROMOTING[..], &["convergedAt"]].concat()), &[]);
    assert_eq!(pen.broken(), ["converged-means-converged"]);
    let mut pen = Pen::new();
    pen.hotfix(&with(&STAGED), &["Ready"]);
    assert_eq!(pen.broken(), ["conditions-are-true"]);
    let mut pen = Pen::new();
    pen.hotfix(&with(&["finishedAt"]), &["Finished"]);
    pen.hotfix(&with(&["finishedAt"]), &[]);
    assert_eq!(pen.broken(), ["finished-is-for-good"]);
}

#[test]
fn remediated_is_not_said_while_an_old_pod_lives() {
    let mut pen = Pen::new();
    pen.hotfix(&with(&[]), &[]);
    let mut done = with(&["finishedAt"]);
    done["outcome"] = "Remediated".into();
    pen.hotfix(&done, &[]);
    assert_eq!(pen.broken(), ["remediated-means-gone"]);
}

#[test]
fn every_law_is_broken_by_a_test_of_this_file() {
    let source = include_str!("laws_tests.rs");
    for (name, _) in ALL {
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
    }
}
