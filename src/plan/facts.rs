//! Questions the planner asks of a picture, each answered in one place.
//!
//! Nothing here decides what to do. What counts as a pod of the candidate, as ready, as approved, as the owner's
//! selector: these words mean the same in every step because they are defined once, here.

use std::collections::BTreeSet;

use crate::api::image::{ImageRef, image_id_digest};
use crate::api::names::{self, Mark, POD_TEMPLATE_HASH, SLOT};
use crate::api::{Attempt, Blue, RecordedService, SecurityHotfixStatus};
use crate::findings::text::clean;

use super::action::{Target, Versioned};
use super::observed::{Budget, Manager, Map, Observed, Owns, Pod, ReplicaSet, Service, Slice, Workload};

impl Observed {
    /// The current or last attempt.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.hotfix.status.attempt.as_ref()
    }

    /// The recorded status.
    pub fn status(&self) -> &SecurityHotfixStatus {
        &self.hotfix.status
    }

    /// Name of the candidate and of the preview Service.
    pub fn green_name(&self) -> String {
        names::green(&self.hotfix.spec.target.name, &self.hotfix.uid)
    }

    /// True while the namespace or the hotfix is going away.
    pub fn deleting(&self) -> bool {
        self.hotfix.deleting.is_some() || self.namespace.terminating
    }

    /// The target Deployment, if it is the one the attempt began with.
    pub fn recorded_blue(&self, blue: &Blue) -> Option<&Workload> {
        self.blue.as_ref().filter(|workload| workload.uid == blue.uid)
    }

    /// The candidate, if it is ours: made for this hotfix and slot.
    pub fn own_green(&self, slot: &str) -> Option<&Workload> {
        self.green.as_ref().filter(|green| self.is_ours(&green.labels, slot))
    }

    /// The preview Service, if it is ours and reaches the candidate alone: what is tested behind another one may be anything.
    pub fn own_preview(&self, slot: &str) -> Option<&Service> {
        self.named_preview().filter(|service| {
            self.is_ours(&service.labels, slot) && service.selector.len() == 1 && service.selects_slot(slot)
        })
    }

    /// The Service of the preview's name, whoever made it.
    pub fn named_preview(&self) -> Option<&Service> {
        let name = self.green_name();
        self.services.iter().find(|service| service.name == name)
    }

    /// The candidate's own budget.
    pub fn own_budget(&self, slot: &str) -> Option<&Budget> {
        self.budgets.iter().find(|budget| self.is_ours(&budget.labels, slot))
    }

    fn is_ours(&self, labels: &Map, slot: &str) -> bool {
        labels.get(names::HOTFIX_UID) == Some(&self.hotfix.uid) && labels.get(SLOT).is_some_and(|s| s == slot)
    }

    /// The ReplicaSets a Deployment controls that have pods or want some.
    pub fn active_replica_sets<'a>(&'a self, deployment: &'a str) -> impl Iterator<Item = &'a ReplicaSet> {
        self.replica_sets.iter().filter(move |rs| rs.controller == deployment && (rs.pods > 0 || rs.replicas > 0))
    }

    /// The ReplicaSet a Deployment is rolling out or has rolled out: the one of its newest revision.
    pub fn newest_replica_set(&self, deployment: &str) -> Option<&ReplicaSet> {
        self.replica_sets.iter().filter(|rs| rs.controller == deployment).max_by_key(|rs| (rs.revision, &rs.uid))
    }

    /// ReplicaSets of a candidate that are blue's now: once somebody takes their owner off, blue's selector finds them.
    pub fn adopted_sets<'a>(&'a self, slot: &'a str) -> impl Iterator<Item = &'a ReplicaSet> {
        let blue = self.blue.as_ref().map(|blue| &blue.uid);
        self.replica_sets.iter().filter(move |rs| Some(&rs.controller) == blue && rs.slot.as_deref() == Some(slot))
    }

    /// The pods of the candidate: owned by uid through its own ReplicaSets, not merely labelled alike.
    pub fn green_pods(&self) -> Vec<&Pod> {
        let Some(green) = &self.green else { return Vec::new() };
        let sets: BTreeSet<&str> =
            self.replica_sets.iter().filter(|rs| rs.controller == green.uid).map(|rs| rs.uid.as_str()).collect();
        self.pods.iter().filter(|pod| pod.controller.as_deref().is_some_and(|uid| sets.contains(uid))).collect()
    }

    /// Every pod that carries a slot: what must be closed, whoever owns it.
    pub fn slotted_pods<'a>(&'a self, slot: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.labels.get(SLOT).is_some_and(|s| s == slot))
    }

    /// Pods with our gate that are nobody's: somebody took a label off by which their ReplicaSet had them, or the slot. No
    /// controller deletes them, and behind the owner's selector they would answer as long as they are open.
    pub fn stray_pods<'a>(&'a self, slot: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| {
            let theirs = |other: &String| other != slot && self.whose_slot(other).is_some();
            let nobodys = pod.controller.is_none() && pod.is_gated() && !pod.ended;
            nobodys && !pod.labels.get(SLOT).is_some_and(theirs)
        })
    }

    /// The pods of blue: controlled by one of its ReplicaSets.
    pub fn blue_pods(&self) -> Vec<&Pod> {
        let Some(blue) = &self.blue else { return Vec::new() };
        let sets: BTreeSet<&str> =
            self.replica_sets.iter().filter(|rs| rs.controller == blue.uid).map(|rs| rs.uid.as_str()).collect();
        self.pods.iter().filter(|pod| pod.controller.as_deref().is_some_and(|uid| sets.contains(uid))).collect()
    }

    /// True when nothing of the old version runs, or can still be started: one ReplicaSet is left, and every pod,
    /// terminating ones included, runs what was approved.
    pub fn old_version_is_gone(&self, attempt: &Attempt) -> bool {
        let Some(blue) = &self.blue else { return false };
        let newest = self.newest_replica_set(&blue.uid).map(|rs| &rs.uid);
        blue.observed_generation >= blue.generation
            && self.active_replica_sets(&blue.uid).all(|rs| Some(&rs.uid) == newest)
            && self.blue_pods().iter().filter(|pod| !pod.ended).all(|pod| pod.runs_approved(attempt))
            && !self.pods.iter().any(|pod| self.may_be_old(pod, attempt))
    }

    /// True for a pod with blue's labels whose ReplicaSet is gone and that runs something else than what was approved: a
    /// Deployment that keeps no history deletes its old ReplicaSet while the last pods of it are still ending.
    fn may_be_old(&self, pod: &Pod, attempt: &Attempt) -> bool {
        let named = |name: &String| attempt.images.iter().any(|image| image.container == *name);
        !pod.ended
            && !pod.labels.contains_key(SLOT)
            && self.replica_sets.iter().all(|rs| pod.controller.as_ref() != Some(&rs.uid))
            && pod.containers.iter().any(|container| named(&container.name))
            && !pod.runs_approved(attempt)
    }

    /// A node on which a pod of one side serves and none of the other does, for a sentence.
    pub fn node_left_out(serving: &[&Pod], others: &[&Pod]) -> Option<String> {
        let covered: BTreeSet<Option<&str>> =
            others.iter().filter(|pod| pod.containers_ready && pod.lives()).map(|pod| pod.node.as_deref()).collect();
        let left_out = serving.iter().find(|pod| pod.serves() && !covered.contains(&pod.node.as_deref()))?;
        Some(left_out.node.as_ref().map_or_else(|| "a node".to_owned(), |node| format!("node {node}")))
    }

    /// How many pods of blue are ready.
    pub fn blue_ready(&self) -> usize {
        self.blue_pods().iter().filter(|pod| pod.serves()).count()
    }

    /// How many pods of the candidate are ready.
    pub fn green_ready(&self) -> usize {
        self.green_pods().iter().filter(|pod| pod.serves()).count()
    }

    /// How many pods that carry this slot are ready, whoever owns them.
    pub fn slotted_ready(&self, slot: &str) -> usize {
        self.slotted_pods(slot).filter(|pod| pod.serves()).count()
    }

    /// How many pods the candidate must have ready before it may take traffic: as many as blue has at this read, and
    /// at least one.
    pub fn enough(&self) -> usize {
        self.blue_ready().max(1)
    }

    /// The Service of this record, if it is still the same object.
    pub fn recorded<'a>(&'a self, record: &RecordedService) -> Option<&'a Service> {
        self.services.iter().find(|service| service.name == record.name && service.uid == record.uid)
    }

    /// The recorded Services that still exist, in their order. One that is gone counts as done in every step.
    pub fn recorded_services<'a>(&'a self, attempt: &'a Attempt) -> Vec<&'a Service> {
        attempt.services.iter().filter_map(|record| self.recorded(record)).collect()
    }

    /// The endpoints of a Service that the EndpointSlice controller manages.
    pub fn endpoints<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a super::observed::Endpoint> {
        self.slices
            .iter()
            .filter(move |slice| slice.service == service && slice.managed_by == ENDPOINTSLICE_CONTROLLER)
            .flat_map(|slice| &slice.endpoints)
    }

    /// A slice of a Service with ready endpoints that the EndpointSlice controller does not keep.
    pub fn foreign_slice(&self, service: &str) -> Option<&Slice> {
        self.slices.iter().find(|slice| {
            slice.service == service
                && slice.managed_by != ENDPOINTSLICE_CONTROLLER
                && slice.endpoints.iter().any(|endpoint| endpoint.ready)
        })
    }

    /// True when every pod of the candidate that can be closed and was ever seen by a slice of these Services is out of it.
    pub fn no_green_endpoint_is_ready(&self, services: &[&Service], slot: &str) -> bool {
        let green: BTreeSet<&str> = self
            .slotted_pods(slot)
            .chain(self.green_pods())
            .filter(|pod| pod.is_gated())
            .map(|pod| pod.uid.as_str())
            .collect();
        services.iter().all(|service| {
            self.endpoints(&service.name)
                .all(|endpoint| !(endpoint.ready && endpoint.pod.as_deref().is_some_and(|uid| green.contains(uid))))
        })
    }
}

/// The manager name of slices made from a selector.
pub const ENDPOINTSLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";

impl Pod {
    /// Ready, and not on its way out.
    pub fn serves(&self) -> bool {
        self.ready && !self.deleting && !self.ended
    }

    /// On its way in or serving: neither leaving nor gone.
    pub fn lives(&self) -> bool {
        !self.deleting && !self.ended
    }

    /// True when the pod has our readiness gate.
    pub fn is_gated(&self) -> bool {
        self.gates.iter().any(|gate| gate == names::OPEN)
    }

    /// True when our condition is True.
    pub fn is_open(&self) -> bool {
        self.open.is_some_and(|open| open.open)
    }

    /// True when our condition is False and the pod is not ready: nothing is left to close.
    pub fn is_closed(&self) -> bool {
        self.open.is_some_and(|open| !open.open) && !self.ready
    }

    /// True when each container the hotfix names runs one of its approved digests, as the kubelet reports it.
    pub fn runs_approved(&self, attempt: &Attempt) -> bool {
        attempt.images.iter().all(|image| {
            self.containers.iter().find(|container| container.name == image.container).is_some_and(|container| {
                image_id_digest(&container.image_id)
                    .is_some_and(|digest| image.digests.iter().any(|approved| approved == digest.as_str()))
            })
        })
    }

    /// The pod at the version it was read.
    pub fn versioned(&self) -> Versioned {
        Versioned { name: self.name.clone(), uid: self.uid.clone(), resource_version: self.resource_version.clone() }
    }
}

impl Service {
    /// Its mark.
    pub fn mark(&self) -> Option<Mark> {
        self.annotations.get(names::MARK).map(|value| Mark::parse(value))
    }

    /// Its mark as it is written.
    pub fn mark_text(&self) -> Option<&String> {
        self.annotations.get(names::MARK)
    }

    /// Its owner's selector: the observed one minus our keys, always.
    pub fn owner_selector(&self) -> Map {
        let mut selector = self.selector.clone();
        selector.remove(SLOT);
        if self.is_pinned() {
            selector.remove(POD_TEMPLATE_HASH);
        }
        selector
    }

    /// The selector it is returned to: its owner's, without a ReplicaSet's hash, which preflight had found none of. Where
    /// somebody has left nothing but our slot of it, the recorded one, since without a selector its endpoints would stay
    /// the candidate's for ever.
    pub fn returned_selector(&self, records: &[RecordedService]) -> Map {
        let mut owners = self.owner_selector();
        owners.remove(POD_TEMPLATE_HASH);
        let recorded = records.iter().find(|record| record.uid == self.uid);
        match recorded {
            Some(record) if owners.is_empty() => record.selector.clone(),
            _ => owners,
        }
    }

    /// True when the seal added blue's ReplicaSet to the selector. A Service whose owner selects by
    /// `pod-template-hash` is refused in preflight, so under a mark of ours the key is ours. A seal in the name of attempt 0, which
    /// nobody has, never adds it.
    pub fn is_pinned(&self) -> bool {
        self.selector.contains_key(POD_TEMPLATE_HASH)
            && matches!(self.mark(), Some(Mark::Sealed(owner)) if owner.attempt > 0)
    }

    /// True when it sends traffic to this slot.
    pub fn selects_slot(&self, slot: &str) -> bool {
        self.selector.get(SLOT).is_some_and(|s| s == slot)
    }

    /// True when it selects these labels; an empty selector selects nothing.
    pub fn selects(&self, labels: &Map) -> bool {
        !self.selector.is_empty() && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }

    /// True when this attempt holds it.
    pub fn is_held_by(&self, uid: &str, attempt: i64) -> bool {
        self.mark_text().is_some_and(|mark| *mark == names::hold(uid, attempt))
    }

    /// True when this attempt has sealed it.
    pub fn is_sealed_by(&self, uid: &str, attempt: i64) -> bool {
        self.mark_text().is_some_and(|mark| *mark == names::sealed(uid, attempt))
    }

    /// The Service at the version it was read.
    pub fn versioned(&self) -> Versioned {
        Versioned { name: self.name.clone(), uid: self.uid.clone(), resource_version: self.resource_version.clone() }
    }

    /// The Service, whatever its version.
    pub fn target(&self) -> Target {
        Target { name: self.name.clone(), uid: self.uid.clone() }
    }

    /// Who wrote its selector last, other than us, at the beginning of a sentence.
    pub fn last_foreign_manager(&self) -> String {
        last_foreign(&self.managers)
    }
}

/// The manager that wrote the contested field last, other than us, at the beginning of a sentence.
pub fn last_foreign(managers: &[Manager]) -> String {
    last_of(managers.iter().filter(|manager| manager.owns == Owns::Contested))
}

/// The manager that wrote anything last, other than us, at the beginning of a sentence.
pub fn last_manager(managers: &[Manager]) -> String {
    last_of(managers.iter())
}

fn last_of<'a>(managers: impl Iterator<Item = &'a Manager>) -> String {
    let last = managers.filter(|manager| manager.name != names::MANAGER).max_by_key(|manager| manager.at);
    let name = last.map(|manager| manager.name.as_str()).filter(|name| !name.is_empty());
    name.map_or_else(|| "Somebody".to_owned(), |name| format!("Field manager {name}"))
}

/// A mark for a sentence, also where it is empty.
pub fn mark_words(mark: &str) -> String {
    if mark.is_empty() { "an empty mark".to_owned() } else { format!("the mark \"{}\"", clean(mark, 128)) }
}

impl Budget {
    /// The slot whose pods it covers, where it is a candidate's.
    pub fn slot(&self) -> Option<&str> {
        self.selector.get("matchLabels")?.get(SLOT)?.as_str()
    }
}

impl Workload {
    /// The Deployment at the version it was read.
    pub fn versioned(&self) -> Versioned {
        Versioned { name: self.name.clone(), uid: self.uid.clone(), resource_version: self.resource_version.clone() }
    }

    /// The Deployment, whatever its version.
    pub fn target(&self) -> Target {
        Target { name: self.name.clone(), uid: self.uid.clone() }
    }

    /// The labels of its pod template.
    pub fn template_labels(&self) -> Map {
        self.raw
            .pointer("/spec/template/metadata/labels")
            .and_then(serde_json::Value::as_object)
            .map(|labels| labels.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect())
            .unwrap_or_default()
    }

    /// The containers and init containers of its template: JSON pointer, name, image.
    pub fn template_containers(&self) -> Vec<(String, String, String)> {
        ["containers", "initContainers"]
            .iter()
            .flat_map(|list| {
                let base = format!("/spec/template/spec/{list}");
                let items = self.raw.pointer(&base).and_then(serde_json::Value::as_array);
                items
                    .into_iter()
                    .flatten()
                    .enumerate()
                    .filter_map(move |(i, container)| {
                        let text = |key: &str| container.get(key).and_then(|v| v.as_str()).map(str::to_owned);
                        Some((format!("{base}/{i}"), text("name")?, text("image").unwrap_or_default()))
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The image of one container of its template.
    pub fn template_image(&self, container: &str) -> Option<String> {
        self.template_containers().into_iter().find(|(_, name, _)| name == container).map(|(_, _, image)| image)
    }

    /// True when the template has the patched image in every container the hotfix names.
    pub fn is_patched(&self, attempt: &Attempt) -> bool {
        attempt.images.iter().all(|image| {
            self.template_image(&image.container).is_some_and(|current| {
                current == image.image
                    || ImageRef::parse(&current)
                        .and_then(|reference| reference.digest)
                        .is_some_and(|digest| image.digests.iter().any(|approved| approved == digest.as_str()))
            })
        })
    }

    /// True when the template has the recorded old image in every container the hotfix names.
    pub fn is_as_recorded(&self, blue: &Blue) -> bool {
        blue.images.iter().all(|(container, image)| self.template_image(container).as_ref() == Some(image))
    }

    /// True when its owner has scaled it to zero or deletes it: there is nothing to protect on that side.
    pub fn is_given_up(&self) -> bool {
        self.deleting || self.replicas == 0
    }
}
