//! The controllers of Kubernetes, each as small as a rollout needs it. Each step is one write of one controller, and false
//! means that it has nothing to do.

use std::sync::Arc;

use securityhotfix::api::names::{self, POD_TEMPLATE_HASH};
use securityhotfix::plan::facts::ENDPOINTSLICE_CONTROLLER;
use securityhotfix::plan::observed::{Container, Endpoint, Map, Pod, ReplicaSet, Slice, Workload};
use serde_json::{Value, json};

use super::api::{GRACE_MS, selects};
use super::{Set, World, map};

/// What moves a world beside the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    Deployments,
    ReplicaSets,
    Kubelets,
    EndpointSlices,
    Jobs,
    Garbage,
    Namespaces,
    /// The registry, admission and the probed pods, which answer what the operator asks.
    Answers,
}

/// All of them, in the order in which they take their turns when nobody chooses another.
pub const ALL: [Controller; 8] = [
    Controller::Garbage,
    Controller::Namespaces,
    Controller::Deployments,
    Controller::ReplicaSets,
    Controller::Kubelets,
    Controller::EndpointSlices,
    Controller::Jobs,
    Controller::Answers,
];

/// Surge and unavailability of every Deployment here: 25 % of three, rounded as Kubernetes rounds.
const SURGE: i32 = 1;
const UNAVAILABLE: i32 = 0;

impl World {
    /// One step of one controller; false when it has nothing to do.
    pub fn step(&mut self, controller: Controller) -> bool {
        let before = self.version;
        let stepped = match controller {
            Controller::Deployments => self.step_deployments(),
            Controller::ReplicaSets => self.step_replica_sets(),
            Controller::Kubelets => self.step_kubelets(),
            Controller::EndpointSlices => self.step_slices(),
            Controller::Jobs => self.step_jobs(),
            Controller::Garbage => self.step_garbage(),
            Controller::Namespaces => self.step_namespace(),
            Controller::Answers => self.step_answers(),
        };
        // Whoever has nothing to do changes nothing, so nobody has to look again.
        self.version = if stepped { self.version + 1 } else { before };
        stepped
    }

    /// Steps every controller until none has anything to do; time stands still.
    pub fn settle(&mut self) {
        while ALL.iter().any(|controller| self.step(*controller)) {}
    }

    fn step_deployments(&mut self) -> bool {
        let names: Vec<String> = self.deployments.keys().cloned().collect();
        names.iter().any(|name| self.step_deployment(name))
    }

    fn step_deployment(&mut self, name: &str) -> bool {
        let deployment = self.deployments[name].clone();
        if deployment.observed_generation != deployment.generation {
            let version = self.next_version();
            let seen = self.deployments.get_mut(name).unwrap();
            seen.observed_generation = seen.generation;
            seen.resource_version = version;
            return true;
        }
        if deployment.deleting {
            return false;
        }
        let hash = self.template_hash(&deployment);
        let newest = self.sets_of(&deployment).map(|set| set.view.revision).max().unwrap_or(0);
        let current = self.sets_of(&deployment).find(|set| set.view.template_hash == hash).map(|set| set.view.clone());
        let Some(current) = current else {
            if self.namespace.terminating {
                return false;
            }
            self.create_set(&deployment, hash, newest + 1);
            return true;
        };
        if current.revision < newest {
            self.sets.get_mut(&current.name).unwrap().view.revision = newest + 1;
            return true;
        }
        !deployment.paused && self.scale(&deployment, &current)
    }

    /// The hash of a Deployment's template, computed once for each generation.
    fn template_hash(&mut self, deployment: &Workload) -> String {
        let key = (deployment.uid.clone(), deployment.generation);
        let made = || template_hash(&deployment.raw["spec"]["template"]);
        self.hashes.entry(key).or_insert_with(made).clone()
    }

    fn sets_of<'a>(&'a self, deployment: &'a Workload) -> impl Iterator<Item = &'a Set> {
        self.sets.values().filter(move |set| set.view.controller == deployment.uid)
    }

    fn create_set(&mut self, deployment: &Workload, hash: String, revision: i64) {
        let name = format!("{}-{}", deployment.name, &hash[..5]);
        let mut selector = map(deployment.raw.pointer("/spec/selector/matchLabels"));
        selector.insert(POD_TEMPLATE_HASH.into(), hash.clone());
        let view = ReplicaSet {
            name: name.clone(),
            uid: self.next_uid("set"),
            controller: deployment.uid.clone(),
            template_hash: hash,
            slot: map(deployment.raw.pointer("/spec/template/metadata/labels")).remove(names::SLOT),
            replicas: 0,
            pods: 0,
            revision,
        };
        let template = Arc::new(deployment.raw["spec"]["template"].clone());
        self.sets.insert(name, Set { view, selector, template });
    }

    /// One scaling of a rolling update.
    fn scale(&mut self, deployment: &Workload, current: &ReplicaSet) -> bool {
        let wanted = deployment.replicas;
        let old: Vec<ReplicaSet> = self
            .sets_of(deployment)
            .filter(|set| set.view.uid != current.uid && set.view.replicas > 0)
            .map(|set| set.view.clone())
            .collect();
        if old.is_empty() || current.replicas > wanted {
            return self.resize(&current.name, wanted);
        }
        let total = current.replicas + old.iter().map(|set| set.replicas).sum::<i32>();
        let room = wanted + SURGE - total;
        if current.replicas < wanted && room > 0 {
            return self.resize(&current.name, current.replicas + room.min(wanted - current.replicas));
        }
        let ready = |set: &ReplicaSet| {
            let pods = self.pods.values().filter(|pod| pod.controller.as_ref() == Some(&set.uid));
            i32::try_from(pods.filter(|pod| pod.serves()).count()).unwrap()
        };
        let at_least = wanted - UNAVAILABLE;
        let spare = total - at_least - (current.replicas - ready(current));
        let sick = old.iter().map(|set| (set, (set.replicas - ready(set)).min(spare))).find(|(_, n)| *n > 0);
        if let Some((set, n)) = sick {
            return self.resize(&set.name, set.replicas - n);
        }
        let available = ready(current) + old.iter().map(ready).sum::<i32>();
        let n = (available - at_least).min(old[0].replicas);
        n > 0 && self.resize(&old[0].name, old[0].replicas - n)
    }

    fn resize(&mut self, set: &str, replicas: i32) -> bool {
        let view = &mut self.sets.get_mut(set).unwrap().view;
        let changed = view.replicas != replicas;
        view.replicas = replicas;
        changed
    }

    fn step_replica_sets(&mut self) -> bool {
        let names: Vec<String> = self.sets.keys().cloned().collect();
        names.iter().any(|name| self.step_set(name))
    }

    fn step_set(&mut self, name: &str) -> bool {
        let set = self.sets[name].clone();
        let orphan = self.pods.values().find(|pod| pod.controller.is_none() && selects(&set.selector, &pod.labels));
        if let Some(orphan) = orphan.map(|pod| pod.name.clone()) {
            let version = self.next_version();
            let pod = self.pods.get_mut(&orphan).unwrap();
            pod.controller = Some(set.view.uid);
            pod.resource_version = version;
            return true;
        }
        let own: Vec<&Pod> =
            self.pods.values().filter(|pod| pod.controller.as_ref() == Some(&set.view.uid) && pod.lives()).collect();
        let count = i32::try_from(own.len()).unwrap();
        if set.view.pods != count {
            self.sets.get_mut(name).unwrap().view.pods = count;
            return true;
        }
        if count < set.view.replicas && !self.namespace.terminating {
            self.create_pod(&set);
            return true;
        }
        if count > set.view.replicas {
            // As the ReplicaSet controller ranks them: the unready first, then the youngest.
            let victim = own.iter().max_by_key(|pod| (!pod.ready, &pod.uid)).map(|pod| pod.name.clone()).unwrap();
            self.delete_pod(&victim);
            return true;
        }
        false
    }

    fn create_pod(&mut self, set: &Set) {
        let number = self.tick();
        let name = format!("{}-{number}", set.view.name);
        let mut labels = map(set.template.pointer("/metadata/labels"));
        labels.insert(POD_TEMPLATE_HASH.into(), set.view.template_hash.clone());
        let list = |pointer: &str| set.template.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let gates = list("/spec/readinessGates").iter().map(|gate| text(gate, "conditionType")).collect();
        let containers = list("/spec/containers")
            .iter()
            .map(|c| Container { name: text(c, "name"), image: text(c, "image"), ..Container::default() })
            .collect();
        let pod = Pod {
            name: name.clone(),
            uid: self.next_uid("pod"),
            resource_version: self.next_version(),
            labels,
            controller: Some(set.view.uid.clone()),
            node: Some(self.room_for(set)),
            ip: Some(format!("10.0.{}.{}", number / 250, number % 250)),
            gates: if self.script.gate_stripped { Vec::new() } else { gates },
            containers,
            ..Pod::default()
        };
        self.pods.insert(name, pod);
    }

    /// The scheduler spreads the pods of a set over three nodes.
    fn room_for(&self, set: &Set) -> String {
        let crowded = self.script.crowded && !set.selector.contains_key(names::SLOT);
        let nodes = if crowded { 1 } else { 3 };
        let on = |node: &String| {
            let own = self.pods.values().filter(|pod| pod.controller.as_ref() == Some(&set.view.uid) && pod.lives());
            own.filter(|pod| pod.node.as_ref() == Some(node)).count()
        };
        (0..nodes).map(|node| format!("node-{node}")).min_by_key(on).unwrap()
    }

    /// Begins to end a pod.
    pub fn delete_pod(&mut self, name: &str) {
        let (version, gone) = (self.next_version(), self.in_ms(GRACE_MS));
        let pod = self.pods.get_mut(name).unwrap();
        pod.deleting = true;
        pod.resource_version = version;
        self.leaving.insert(name.to_owned(), gone);
    }

    fn step_kubelets(&mut self) -> bool {
        let over = self.leaving.iter().find(|(_, at)| **at <= self.now).map(|(name, _)| name.clone());
        if let Some(name) = over {
            self.leaving.remove(&name);
            self.pods.remove(&name);
            return true;
        }
        let (version, second) = (self.next_version(), self.second());
        let script = &self.script;
        for pod in self.pods.values_mut().filter(|pod| pod.lives()) {
            let image = |name: &String| script.images.get(name);
            let images = || pod.containers.iter().filter_map(|container| image(&container.image));
            let up = !images().any(|image| image.never_ready || image.dead) && !script.broken.contains(&pod.name);
            let before = (pod.containers_ready, pod.ready);
            if pod.containers_ready != up {
                for container in &mut pod.containers {
                    if up {
                        container.image_id.clone_from(&container.image);
                    }
                    container.waiting = (!up).then(|| "CrashLoopBackOff".to_owned());
                    container.restarts += i32::from(!up);
                }
                pod.containers_ready = up;
            }
            let hangs = script.kubelet_hangs && pod.is_gated();
            let gates_open = pod.gates.iter().all(|gate| gate != names::OPEN || pod.is_open());
            let ready = pod.containers_ready && gates_open && (pod.ready || !hangs);
            if pod.ready != ready {
                pod.ready = ready;
                pod.ready_since = Some(second);
            }
            let unborn = !up && pod.containers.iter().any(|container| container.waiting.is_none());
            if unborn {
                for container in &mut pod.containers {
                    container.waiting = Some("ImagePullBackOff".into());
                }
            }
            if before != (pod.containers_ready, pod.ready) || unborn {
                pod.resource_version = version;
                return true;
            }
        }
        false
    }

    fn step_slices(&mut self) -> bool {
        let stale = self.slices.keys().find(|name| !self.services.contains_key(*name)).cloned();
        if let Some(stale) = stale {
            self.slices.remove(&stale);
            return true;
        }
        for service in self.services.values() {
            if service.selector.is_empty() || self.script.slices_hang.contains(&service.name) {
                continue;
            }
            let endpoints: Vec<Endpoint> = self
                .pods
                .values()
                .filter(|pod| selects(&service.selector, &pod.labels) && !pod.ended)
                .map(|pod| Endpoint { pod: Some(pod.uid.clone()), ready: pod.serves() || service.publish_not_ready })
                .collect();
            let name = service.name.clone();
            if self.slices.get(&name).is_none_or(|slice| slice.endpoints != endpoints) {
                let slice = Slice { service: name.clone(), managed_by: ENDPOINTSLICE_CONTROLLER.to_owned(), endpoints };
                self.slices.insert(name, slice);
                return true;
            }
        }
        false
    }

    fn step_garbage(&mut self) -> bool {
        let living: Vec<&String> = self.hotfixes.values().map(|hotfix| &hotfix.uid).collect();
        let orphaned = |uid: &String| self.owners.get(uid).is_some_and(|owner| !living.contains(&owner));
        let green = self
            .deployments
            .values()
            .find(|d| !d.owners.is_empty() && d.owners.iter().all(|owner| !living.contains(&owner)));
        if let Some(name) = green.map(|green| green.name.clone()) {
            return self.deployments.remove(&name).is_some();
        }
        let service = self.services.values().find(|service| orphaned(&service.uid)).map(|s| s.name.clone());
        if let Some(name) = service {
            return self.services.remove(&name).is_some();
        }
        let lease = self.leases.values().find(|lease| orphaned(&lease.uid)).map(|lease| lease.name.clone());
        if let Some(name) = lease {
            return self.leases.remove(&name).is_some();
        }
        let deployments: Vec<&String> = self.deployments.values().map(|deployment| &deployment.uid).collect();
        let set = self.sets.values().find(|set| !deployments.contains(&&set.view.controller));
        if let Some(name) = set.map(|set| set.view.name.clone()) {
            return self.sets.remove(&name).is_some();
        }
        let pod = self.pods.values().find(|pod| pod.lives() && pod.controller.is_some() && self.set_of(pod).is_none());
        if let Some(name) = pod.map(|pod| pod.name.clone()) {
            self.delete_pod(&name);
            return true;
        }
        false
    }

    /// Deletes what is in a namespace that is being deleted, a kind at a time.
    fn step_namespace(&mut self) -> bool {
        if !self.namespace.terminating {
            return false;
        }
        let now = self.second();
        let hotfix = self.hotfixes.iter().find(|(_, hotfix)| hotfix.deleting.is_none()).map(|(name, _)| name.clone());
        if let Some(name) = hotfix {
            self.delete_hotfix(&name, now);
            return true;
        }
        self.services.pop_first().is_some()
            || self.deployments.pop_first().is_some()
            || self.budgets.pop_first().is_some()
            || self.leases.pop_first().is_some()
            || self.reports.pop_first().is_some()
    }
}

/// The hash a Deployment's controller gives a template: any will do that tells two templates apart (FNV-1a here).
pub fn template_hash(template: &Value) -> String {
    let hash = template
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")[..10].to_owned()
}

/// A template as JSON with one container's image changed.
pub fn with_image(raw: &Value, container: &str, image: &str) -> Value {
    let mut raw = raw.clone();
    let containers = raw.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    for found in containers.into_iter().flatten().filter(|found| found["name"] == *container) {
        found["image"] = json!(image);
    }
    raw
}

/// The labels of a Deployment's selector.
pub fn match_labels(workload: &Workload) -> Map {
    map(workload.raw.pointer("/spec/selector/matchLabels"))
}
