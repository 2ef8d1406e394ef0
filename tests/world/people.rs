//! What people and their tools do: each is one write that is not ours.

use std::sync::Arc;

use securityhotfix::api::names;
use securityhotfix::api::time::Moment;
use securityhotfix::plan::observed::{Map, Owns, Service};
use serde_json::{Value, json};

use super::arrange::BLUE;
use super::controllers::with_image;
use super::{World, written_by};

impl World {
    /// `kubectl delete` of a hotfix: it goes at once unless a finalizer holds it.
    pub fn delete_hotfix(&mut self, name: &str, at: Moment) {
        let version = self.next_version();
        let Some(hotfix) = self.hotfixes.get_mut(name) else { return };
        hotfix.deleting.get_or_insert(at);
        hotfix.resource_version = version;
        if hotfix.finalizers.is_empty() {
            self.hotfixes.remove(name);
        }
    }

    /// Somebody takes the finalizer off by hand and deletes the hotfix: it is gone at once, and leaves what it made.
    pub fn vanish(&mut self, name: &str) {
        self.tick();
        let Some(hotfix) = self.hotfixes.remove(name) else { return };
        // What it had passed went with its record; that its candidate may be seen to serve did not.
        let passed = hotfix.status.attempt.filter(|attempt| attempt.promoting_at.is_some());
        self.passed.extend(passed.map(|attempt| names::slot(&hotfix.uid, attempt.number)));
    }

    /// A tool makes the only hotfix the owner of its candidate again.
    pub fn give_the_candidate_back(&mut self) {
        let owner = self.hotfix().map(|hotfix| hotfix.uid.clone());
        let version = self.next_version();
        let green = self.deployments.values_mut().find(|deployment| deployment.name != BLUE);
        if let (Some(green), Some(owner)) = (green, owner) {
            green.owners.push(owner);
            green.resource_version = version;
        }
    }

    /// `kubectl delete` of the only hotfix.
    pub fn delete_the_hotfix(&mut self) {
        let at = self.second();
        if let Some(name) = self.hotfix().map(|hotfix| hotfix.name.clone()) {
            self.delete_hotfix(&name, at);
        }
    }

    /// `kubectl annotate` of the only hotfix.
    pub fn annotate(&mut self, key: &str, value: &str) {
        let version = self.next_version();
        let Some(hotfix) = self.hotfixes.values_mut().next() else { return };
        hotfix.annotations.insert(key.to_owned(), value.to_owned());
        hotfix.resource_version = version;
    }

    /// A person ends the attempt of this number.
    pub fn abort(&mut self, attempt: i64) {
        self.annotate(names::ABORT, &format!("{attempt}/the shop is closing"));
    }

    /// `spec.suspend`.
    pub fn suspend(&mut self, suspended: bool) {
        let version = self.next_version();
        let Some(hotfix) = self.hotfixes.values_mut().next() else { return };
        hotfix.spec.suspend = suspended;
        hotfix.generation += 1;
        hotfix.resource_version = version;
    }

    /// The owner deploys this image with `kubectl apply`.
    pub fn deploy(&mut self, image: &str) {
        self.change_blue(Owns::Contested, |raw| *raw = with_image(raw, "web", image));
    }

    /// Somebody, or an autoscaler, scales the workload.
    pub fn scale_blue(&mut self, replicas: i32) {
        self.change_blue(Owns::Else, |raw| raw["spec"]["replicas"] = json!(replicas));
    }

    /// Somebody changes the workload.
    pub fn change_blue(&mut self, owns: Owns, change: impl FnOnce(&mut Value)) {
        let (version, second) = (self.next_version(), self.second());
        let Some(blue) = self.deployments.get_mut(BLUE) else { return };
        change(Arc::make_mut(&mut blue.raw));
        blue.replicas = blue.raw["spec"]["replicas"].as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(1);
        blue.paused = blue.raw.pointer("/spec/paused") == Some(&json!(true));
        blue.generation += 1;
        blue.resource_version = version;
        written_by(&mut blue.managers, "kubectl-client-side-apply", owns, second);
    }

    /// `kubectl delete deployment`.
    pub fn delete_blue(&mut self) {
        self.tick();
        self.deployments.remove(BLUE);
    }

    /// Every pod of the workload breaks.
    pub fn break_blue(&mut self) {
        self.tick();
        let names: Vec<String> = self.pods_of(BLUE).map(|pod| pod.name.clone()).collect();
        self.script.broken.extend(names);
    }

    /// They recover.
    pub fn mend_blue(&mut self) {
        self.tick();
        self.script.broken.clear();
    }

    /// The owner applies the Service as it is in Git.
    pub fn put_selector_back(&mut self, service: &str) {
        let Some((selector, _)) = self.as_owned.get(service).cloned() else { return };
        self.write_selector(service, selector);
    }

    /// The owner gives the Service another selector.
    pub fn change_selector(&mut self, service: &str, selector: &Map) {
        if let Some(owned) = self.as_owned.get_mut(service) {
            owned.0.clone_from(selector);
        }
        self.write_selector(service, selector.clone());
    }

    fn write_selector(&mut self, name: &str, selector: Map) {
        let (version, second) = (self.next_version(), self.second());
        let Some(service) = self.services.get_mut(name) else { return };
        service.selector = selector;
        service.resource_version = version;
        written_by(&mut service.managers, "kubectl-client-side-apply", Owns::Contested, second);
    }

    /// Somebody deletes the Service and makes it again from what it was, slot and mark included.
    pub fn replace_by_force(&mut self, name: &str) {
        let (version, uid, second) = (self.next_version(), self.next_uid("service"), self.second());
        let Some(service) = self.services.get_mut(name) else { return };
        service.uid = uid;
        service.resource_version = version;
        service.managers.clear();
        written_by(&mut service.managers, "kubectl-replace", Owns::Contested, second);
    }

    /// Somebody removes the mark.
    pub fn strip_mark(&mut self, name: &str) {
        let (version, second) = (self.next_version(), self.second());
        let Some(service) = self.services.get_mut(name) else { return };
        service.annotations.remove(names::MARK);
        service.resource_version = version;
        written_by(&mut service.managers, "kubectl-edit", Owns::Else, second);
    }

    /// Somebody deletes the candidate.
    pub fn delete_green(&mut self) {
        self.tick();
        if let Some(name) = self.green().map(|green| green.name.clone()) {
            self.deployments.remove(&name);
        }
    }

    /// Somebody took the owner off a ReplicaSet of the candidate; the Deployment, whose selector matches it too, has adopted it and
    /// scaled it down, and the candidate has another.
    pub fn adopt_a_set_of_the_candidate(&mut self) {
        let uid = self.next_uid("set");
        let Some(green) = self.green().map(|green| green.uid.clone()) else { return };
        let blue = self.deployments["web"].uid.clone();
        let Some(mut set) = self.sets.values().find(|set| set.view.controller == green).cloned() else { return };
        set.view.name.push_str("-adopted");
        (set.view.uid, set.view.controller, set.view.replicas, set.view.pods) = (uid, blue, 0, 0);
        set.view.revision = 0;
        self.sets.insert(set.view.name.clone(), set);
    }

    /// Somebody takes a label off the candidate.
    pub fn unlabel_green(&mut self, key: &str) {
        let (version, second) = (self.next_version(), self.second());
        let Some(name) = self.green().map(|green| green.name.clone()) else { return };
        let green = self.deployments.get_mut(&name).unwrap();
        green.labels.remove(key);
        green.resource_version = version;
        written_by(&mut green.managers, "kubectl-label", Owns::Else, second);
    }

    /// Changes the preview Service.
    pub fn change_preview(&mut self, change: impl FnOnce(&mut Service)) {
        let (version, second) = (self.next_version(), self.second());
        let Some(preview) = self.services.values_mut().find(|it| it.labels.contains_key(names::SLOT)) else { return };
        change(preview);
        preview.resource_version = version;
        written_by(&mut preview.managers, "kubectl-edit", Owns::Contested, second);
    }

    /// Somebody deletes the preview Service.
    pub fn delete_preview(&mut self) {
        self.tick();
        self.services.retain(|_, service| !service.labels.contains_key(names::SLOT));
    }

    /// Somebody takes a label off the first pod of the candidate, whose ReplicaSet lets go of it.
    pub fn unlabel_a_candidate(&mut self, key: &str) {
        let version = self.next_version();
        let Some(pod) = self.pods.values_mut().find(|pod| pod.labels.contains_key(names::SLOT)) else { return };
        pod.labels.remove(key);
        pod.controller = None;
        pod.resource_version = version;
    }

    /// Somebody deletes the pods that are nobody's.
    pub fn delete_stray_pods(&mut self) {
        let strays = self.pods.values().filter(|pod| pod.controller.is_none() && pod.lives());
        let strays: Vec<String> = strays.map(|pod| pod.name.clone()).collect();
        for name in strays {
            self.delete_pod(&name);
        }
    }

    /// `kubectl delete namespace`.
    pub fn terminate_namespace(&mut self) {
        self.tick();
        self.namespace.terminating = true;
    }

    /// A create of the candidate that was in flight lands after all.
    pub fn land_late_create(&mut self) {
        if let Some(green) = self.last_green.clone() {
            let made = self.workload(&green);
            self.deployments.insert(made.name.clone(), made);
        }
    }

    /// Changes how an image behaves.
    pub fn image(&mut self, name: &str) -> &mut super::script::Image {
        self.tick();
        self.script.images.entry(name.to_owned()).or_default()
    }
}
