//! The API server: every action of the planner, carried out with its real precondition.
//!
//! What must still be true is tested here, on the objects as they are when the write commits, and not on the picture the
//! write was decided on: name and uid, resource version, mark, selector, image.

use std::sync::Arc;

use securityhotfix::api::names::{self, MANAGER};
use securityhotfix::plan::Action;
use securityhotfix::plan::action::{Ownership, Target, Versioned};
use securityhotfix::plan::observed::{Budget, Claim, Map, Open, Output, Owns, Report, Run, RunState, Service};
use serde_json::{Value, json};

use super::{Job, World, map, reindex, written_by};

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Done,
    /// There is nothing to write to any more.
    Gone,
    /// Something it relied on has changed.
    Conflict,
    /// An object of that name is there already.
    Exists,
    /// The namespace takes nothing new.
    Terminating,
}

/// How long a check Job runs, in milliseconds.
const JOB_MS: i64 = 5_000;
/// How long a pod takes to end, in milliseconds.
pub const GRACE_MS: i64 = 1_000;

impl World {
    /// Carries out one action of the operator for this hotfix.
    pub fn write(&mut self, hotfix: &str, action: &Action) -> Written {
        let written = self.carry_out(hotfix, action);
        if written == Written::Done {
            *self.writes.entry(action.name()).or_default() += 1;
        }
        written
    }

    fn carry_out(&mut self, hotfix: &str, action: &Action) -> Written {
        match action {
            Action::Record { resource_version, status } => self.on_hotfix(hotfix, resource_version, |hotfix| {
                hotfix.status = (**status).clone();
                true
            }),
            Action::AddFinalizer { resource_version, first } => self.on_hotfix(hotfix, resource_version, |hotfix| {
                let fits = *first == hotfix.finalizers.is_empty() && hotfix.deleting.is_none();
                if fits {
                    hotfix.finalizers.push(names::FINALIZER.into());
                }
                fits
            }),
            Action::RemoveFinalizer { resource_version, index } => self.on_hotfix(hotfix, resource_version, |hotfix| {
                let fits = hotfix.finalizers.get(*index).is_some_and(|finalizer| finalizer == names::FINALIZER);
                if fits {
                    hotfix.finalizers.remove(*index);
                }
                fits
            }),
            Action::Claim(lease) => self.claim(lease),
            Action::Unclaim(target) => remove(&mut self.leases, target, |lease| &lease.uid).then_tick(self),
            Action::OpenReport(report) => self.open_report(report),
            Action::WriteReport { name, resource_version, spec } => {
                let version = self.next_version();
                match self.reports.get_mut(name) {
                    None => Written::Gone,
                    Some(report) if report.resource_version != *resource_version => Written::Conflict,
                    Some(report) => {
                        report.spec = (**spec).clone();
                        report.resource_version = version;
                        Written::Done
                    }
                }
            }
            Action::CreateJob(job) => self.create_job(job),
            Action::DeleteJob(target) => remove(&mut self.jobs, target, |job| &job.run.uid).then_tick(self),
            Action::CreateGreen(green) => self.create_green(green),
            Action::ResizeGreen { green, replicas, ownership } => self.on_deployment(green, |deployment| {
                let raw = Arc::make_mut(&mut deployment.raw);
                raw["spec"]["replicas"] = json!(replicas);
                deployment.replicas = *replicas;
                deployment.generation += 1;
                if *ownership == Ownership::Drop {
                    if deployment.owners.is_empty() {
                        return false;
                    }
                    deployment.owners.clear();
                    raw["metadata"].as_object_mut().unwrap().remove("ownerReferences");
                }
                true
            }),
            Action::DeleteGreen(target) => remove(&mut self.deployments, target, |green| &green.uid).then_tick(self),
            Action::CreatePreview(preview) => self.create_preview(preview),
            Action::DeletePreview(target) => remove(&mut self.services, target, |service| &service.uid).then_tick(self),
            Action::CreateBudget(budget) => self.create_budget(budget),
            Action::DeleteBudget(target) => remove(&mut self.budgets, target, |budget| &budget.uid).then_tick(self),
            Action::Open(pod) => self.condition(pod, true),
            Action::Close(pod) => self.condition(pod, false),
            Action::FoldBack { blue, images } => self.on_deployment(blue, |deployment| {
                let raw = Arc::make_mut(&mut deployment.raw);
                for image in images {
                    let Some(container) = raw.pointer_mut(&image.pointer) else { return false };
                    if container["name"] != *image.container || container["image"] != *image.from {
                        return false;
                    }
                    container["image"] = json!(image.to);
                }
                deployment.generation += 1;
                true
            }),
            Action::Disown { blue, managers } => self.on_deployment(blue, |deployment| {
                managers.iter().rev().all(|index| {
                    let ours = deployment.managers.get(*index).is_some_and(|manager| manager.name == MANAGER);
                    if ours {
                        deployment.managers.remove(*index);
                        reindex(&mut deployment.managers);
                    }
                    ours
                })
            }),
            Action::Hold { .. }
            | Action::Switch { .. }
            | Action::Seal { .. }
            | Action::Unpin { .. }
            | Action::Unmark { .. } => self.write_service(action),
        }
    }

    fn on_hotfix(
        &mut self,
        name: &str,
        version: &str,
        change: impl FnOnce(&mut securityhotfix::plan::observed::Hotfix) -> bool,
    ) -> Written {
        let next = self.next_version();
        let Some(hotfix) = self.hotfixes.get_mut(name) else { return Written::Gone };
        if hotfix.resource_version != version || !change(hotfix) {
            return Written::Conflict;
        }
        hotfix.resource_version = next;
        if hotfix.deleting.is_some() && hotfix.finalizers.is_empty() {
            self.hotfixes.remove(name);
        }
        Written::Done
    }

    fn on_deployment(
        &mut self,
        at: &Versioned,
        change: impl FnOnce(&mut securityhotfix::plan::observed::Workload) -> bool,
    ) -> Written {
        let (next, now) = (self.next_version(), self.second());
        let Some(deployment) = self.deployments.get_mut(&at.name) else { return Written::Gone };
        if deployment.uid != at.uid || deployment.resource_version != at.resource_version {
            return Written::Conflict;
        }
        let mut changed = deployment.clone();
        if !change(&mut changed) {
            return Written::Conflict;
        }
        let disowned = changed.managers.len() < deployment.managers.len();
        let contested = if changed.raw == deployment.raw { Owns::Else } else { Owns::Contested };
        *deployment = changed;
        deployment.resource_version = next;
        if !disowned {
            written_by(&mut deployment.managers, MANAGER, contested, now);
        }
        Written::Done
    }

    fn write_service(&mut self, action: &Action) -> Written {
        let at = match action {
            Action::Hold { service, .. }
            | Action::Switch { service, .. }
            | Action::Seal { service, .. }
            | Action::Unpin { service, .. }
            | Action::Unmark { service, .. } => service,
            _ => return Written::Gone,
        };
        let (next, now) = (self.next_version(), self.second());
        let Some(service) = self.services.get_mut(&at.name) else { return Written::Gone };
        if service.uid != at.uid || service.resource_version != at.resource_version {
            return Written::Conflict;
        }
        let owns = match action {
            Action::Hold { .. } => Owns::Else,
            _ => Owns::Contested,
        };
        let mut changed = service.clone();
        if !change_service(&mut changed, action) {
            return Written::Conflict;
        }
        *service = changed;
        service.resource_version = next;
        if !matches!(action, Action::Unmark { .. }) {
            written_by(&mut service.managers, MANAGER, owns, now);
        }
        Written::Done
    }

    fn condition(&mut self, at: &Versioned, open: bool) -> Written {
        let (next, second) = (self.next_version(), self.second());
        let Some(pod) = self.pods.get_mut(&at.name) else { return Written::Gone };
        if pod.uid != at.uid || pod.resource_version != at.resource_version {
            return Written::Conflict;
        }
        pod.open = Some(Open { open, since: Some(second) });
        if !open && pod.ready {
            pod.ready = false;
            pod.ready_since = Some(second);
        }
        pod.resource_version = next;
        Written::Done
    }

    fn claim(&mut self, lease: &Value) -> Written {
        let name = text(lease, "/metadata/name");
        if self.namespace.terminating {
            return Written::Terminating;
        }
        if self.leases.contains_key(&name) {
            return Written::Exists;
        }
        let holder = text(lease, "/spec/holderIdentity");
        let (holder_name, holder) = holder.split_once('/').unwrap();
        let uid = self.next_uid("lease");
        self.owners.insert(uid.clone(), text(lease, "/metadata/ownerReferences/0/uid"));
        let claim = Claim { name: name.clone(), uid, holder: holder.into(), holder_name: holder_name.into() };
        self.leases.insert(name, claim);
        Written::Done
    }

    fn open_report(&mut self, report: &Value) -> Written {
        let name = text(report, "/metadata/name");
        if self.namespace.terminating {
            return Written::Terminating;
        }
        if self.reports.contains_key(&name) {
            return Written::Exists;
        }
        let spec = serde_json::from_value(report["spec"].clone()).unwrap();
        let hotfix_uid = text(report, "/spec/hotfix/uid");
        let resource_version = self.next_version();
        self.reports.insert(name, Report { resource_version, hotfix_uid, spec });
        Written::Done
    }

    fn create_job(&mut self, job: &Value) -> Written {
        let name = text(job, "/metadata/name");
        if self.jobs.contains_key(&name) {
            return Written::Exists;
        }
        let labels = map(job.pointer("/metadata/labels"));
        let env = job.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array);
        let image = env.into_iter().flatten().find(|variable| variable["name"] == "IMAGE");
        let deadline_ms = job["spec"]["activeDeadlineSeconds"].as_i64().unwrap() * 1000;
        let made = Job {
            hotfix: labels.get(names::HOTFIX_UID).cloned().unwrap_or_default(),
            image: image.map(|variable| text(variable, "/value")).filter(|image| !image.is_empty()),
            run: Run {
                job: name.clone(),
                uid: self.next_uid("job"),
                labels,
                state: RunState::Running,
                stuck: self.script.stuck.clone(),
            },
            ends_at: self.in_ms(if self.script.stuck.is_some() { deadline_ms } else { JOB_MS }),
        };
        self.jobs.insert(name, made);
        Written::Done
    }

    fn create_green(&mut self, green: &Value) -> Written {
        let name = text(green, "/metadata/name");
        if self.namespace.terminating {
            return Written::Terminating;
        }
        if self.deployments.contains_key(&name) {
            return Written::Exists;
        }
        self.last_green = Some(Arc::new(green.clone()));
        let mut workload = self.workload(green);
        let now = self.second();
        workload.managers.clear();
        written_by(&mut workload.managers, MANAGER, Owns::Contested, now);
        self.deployments.insert(name, workload);
        Written::Done
    }

    fn create_preview(&mut self, preview: &Value) -> Written {
        let name = text(preview, "/metadata/name");
        if self.namespace.terminating {
            return Written::Terminating;
        }
        if self.services.contains_key(&name) {
            return Written::Exists;
        }
        let uid = self.next_uid("service");
        self.owners.insert(uid.clone(), text(preview, "/metadata/ownerReferences/0/uid"));
        let service = Service {
            name: name.clone(),
            uid,
            resource_version: self.next_version(),
            selector: map(preview.pointer("/spec/selector")),
            labels: map(preview.pointer("/metadata/labels")),
            type_: text(preview, "/spec/type"),
            publish_not_ready: preview.pointer("/spec/publishNotReadyAddresses") == Some(&json!(true)),
            ports: preview.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default(),
            ..Service::default()
        };
        self.services.insert(name, service);
        Written::Done
    }

    fn create_budget(&mut self, budget: &Value) -> Written {
        let name = text(budget, "/metadata/name");
        if self.namespace.terminating {
            return Written::Terminating;
        }
        if self.budgets.contains_key(&name) {
            return Written::Exists;
        }
        let made = Budget {
            name: name.clone(),
            uid: self.next_uid("budget"),
            labels: map(budget.pointer("/metadata/labels")),
            selector: budget["spec"]["selector"].clone(),
            spec: budget["spec"].clone(),
        };
        self.budgets.insert(name, made);
        Written::Done
    }
}

/// Changes a Service as the action says; false when one of its tests fails.
fn change_service(service: &mut Service, action: &Action) -> bool {
    let marked = service.annotations.get(names::MARK).cloned();
    match action {
        Action::Hold { mark, selector, .. } => {
            let fits = service.selector == *selector;
            service.annotations.insert(names::MARK.into(), mark.clone());
            fits
        }
        Action::Switch { mark, from, to, .. } => {
            let fits = marked.as_ref() == Some(mark) && service.selector == *from;
            service.selector.clone_from(to);
            fits
        }
        Action::Seal { was, mark, from, to, .. } => {
            let fits = was.as_ref().is_none_or(|was| marked.as_ref() == Some(was)) && service.selector == *from;
            service.selector.clone_from(to);
            service.annotations.insert(names::MARK.into(), mark.clone());
            fits
        }
        Action::Unpin { from, to, .. } => {
            let fits = service.selector == *from;
            service.selector.clone_from(to);
            fits
        }
        Action::Unmark { mark, managers, .. } => {
            let fits = mark.is_none() || marked == *mark;
            if mark.is_some() {
                service.annotations.remove(names::MARK);
            }
            let ours = |index: &usize| service.managers.get(*index).is_some_and(|manager| manager.name == MANAGER);
            let fits = fits && managers.iter().all(ours);
            if fits {
                managers.iter().rev().for_each(|index| drop(service.managers.remove(*index)));
                reindex(&mut service.managers);
            }
            fits
        }
        _ => false,
    }
}

impl Written {
    /// Counts the change, where there was one.
    fn then_tick(self, world: &mut World) -> Self {
        if self == Self::Done {
            world.tick();
        }
        self
    }
}

/// Removes an object by name and uid.
fn remove<T>(
    objects: &mut std::collections::BTreeMap<String, T>,
    target: &Target,
    uid: impl Fn(&T) -> &String,
) -> Written {
    match objects.get(&target.name) {
        None => Written::Gone,
        Some(found) if *uid(found) != target.uid => Written::Conflict,
        Some(_) => {
            objects.remove(&target.name);
            Written::Done
        }
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Job {
    /// True until it has ended.
    pub fn is_running(&self) -> bool {
        self.run.state == RunState::Running
    }

    /// Ends it with this output.
    pub fn end(&mut self, at: securityhotfix::api::time::Moment, output: Output) {
        self.run.state = RunState::Ended { at, output };
        self.run.stuck = None;
    }
}

/// True when a selector selects these labels; an empty one selects nothing.
pub fn selects(selector: &Map, labels: &Map) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
