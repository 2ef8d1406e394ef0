//! Every reason for which a rollout does not begin: what people read, and that nothing was written but that.
//!
//! All of them are in one golden file, so that a reviewer can read them one after the other and ask of each whether it
//! says what was seen, what is awaited and what to do.

use std::fmt::Write;
use std::sync::Arc;

use securityhotfix::api::names::{self, MARK};
use securityhotfix::api::{ConditionType, Reason, Truth};
use securityhotfix::plan::observed::{Autoscaler, Claim, Endpoint, Map, Owns, Pod, Slice};
use serde_json::json;

use crate::story::Act;
use crate::world::World;
use crate::world::arrange::{V2, V3};

/// What is different, and what people must read then.
const TABLE: &[(&str, Act, Reason)] = &[
    ("no policy", |w| w.policy = None, Reason::PolicyMissing),
    ("the policy the namespace chose is missing", chosen_policy_missing, Reason::PolicyMissing),
    ("a check of the policy is missing", |w| drop(checks(w).remove("trivy")), Reason::CheckMissing),
    ("a probe in the scan gate", probe_in_the_scan_gate, Reason::CheckInvalid),
    ("the policy label is empty", empty_policy_label, Reason::PolicyMissing),
    ("a check with a limit that is no quantity", no_quantity, Reason::CheckInvalid),
    ("a check with a folder whose size is no quantity", no_size, Reason::CheckInvalid),
    ("a check that is nothing", |w| checks(w).get_mut("smoke").unwrap().spec.test = None, Reason::CheckInvalid),
    ("no scan in the policy", |w| w.policy.as_mut().unwrap().spec.gates.scan.clear(), Reason::PolicyInvalid),
    ("suspended from the beginning", |w| w.suspend(true), Reason::Suspended),
    ("no Deployment of that name", World::delete_blue, Reason::TargetNotFound),
    ("the Deployment is being deleted", |w| blue(w).deleting = true, Reason::TargetTerminating),
    ("the Deployment is paused", |w| raw(w, |raw| raw["spec"]["paused"] = json!(true)), Reason::TargetPaused),
    ("the Deployment is scaled to zero", |w| w.scale_blue(0), Reason::TargetScaledToZero),
    (
        "another controller owns the Deployment",
        |w| blue(w).controller = Some("Rollout web".into()),
        Reason::TargetOwned,
    ),
    ("another rollout tool has the Deployment", other_tool, Reason::TargetOwned),
    ("the Deployment is rolling out", rolling_out, Reason::TargetRollingOut),
    ("the Deployment has the patched image, but not all of its pods", patched_but_leaving, Reason::TargetRollingOut),
    ("no container of that name", |w| image(w).container = "webb".into(), Reason::ContainerNotFound),
    ("an image that is not allowed", |w| image(w).image = V2.replace("example", "invalid"), Reason::ImageNotAllowed),
    ("an image that is no reference", |w| image(w).image = "web@sha256:12".into(), Reason::ImageUnreadable),
    (
        "the registry does not answer",
        |w| w.script.registry_fails = Some("connection refused".into()),
        Reason::ImageUnresolved,
    ),
    ("no pod tells its digest", no_digest, Reason::BaselineUnknown),
    ("host ports", |w| pods(w).for_each(|pod| pod.host_ports = true), Reason::PodsNotDoubled),
    ("a volume that only one can write to", written_volume, Reason::PodsNotDoubled),
    ("a readiness gate of somebody else", foreign_gate, Reason::PodLoadBalancer),
    ("no Service", |w| w.services.clear(), Reason::NoService),
    ("a Service without a selector", |w| w.change_selector("web", &Map::new()), Reason::NoService),
    ("more Services than can be switched", many_services, Reason::ServiceUnsupported),
    ("a Service that is being deleted", |w| service(w).deleting = true, Reason::ServiceUnsupported),
    ("a Service of type ExternalName", |w| service(w).type_ = "ExternalName".into(), Reason::ServiceUnsupported),
    ("a Service that publishes what is not ready", |w| service(w).publish_not_ready = true, Reason::ServiceUnsupported),
    ("a Service that selects one ReplicaSet", selects_a_replica_set, Reason::ServiceUnsupported),
    ("a Service that selects a stranger", stranger, Reason::ServiceShared),
    ("a Service with an endpoint nobody knows", unknown_endpoint, Reason::ServiceShared),
    ("a Service with endpoints of another controller", foreign_endpoints, Reason::ForeignEndpoints),
    ("a Service with endpoints that nobody says to manage", foreign_endpoints_of_nobody, Reason::ForeignEndpoints),
    ("a Service with a mark nobody wrote", |w| mark(w, "mine"), Reason::ServiceHeld),
    ("a Service with an empty mark", |w| mark(w, ""), Reason::ServiceHeld),
    ("a Service that a living hotfix holds", held_by_another, Reason::ServiceHeld),
    ("a workload that a living hotfix has claimed", claimed_by_another, Reason::WorkloadClaimed),
    ("a load balancer that registers pods", |w| annotate(w, "cloud.google.com/neg", "{}"), Reason::PodLoadBalancer),
    ("a load balancer with pod targets", nlb, Reason::PodLoadBalancer),
    (
        "a target group bound to the Service",
        |w| {
            w.pod_load_balancers.insert("web".into());
        },
        Reason::PodLoadBalancer,
    ),
    ("an autoscaler with a doubled metric", |w| autoscaler(w, "External/Value"), Reason::AutoscalerUnsupported),
    ("an autoscaler with a metric of an object", |w| autoscaler(w, "Object/Value"), Reason::AutoscalerUnsupported),
];

/// What must not refuse anything.
const BEGINS: &[(&str, Act)] = &[
    ("an autoscaler that counts the CPU", |w| autoscaler(w, "Resource/Utilization")),
    ("an autoscaler with an average of an external metric", |w| autoscaler(w, "External/AverageValue")),
    ("a budget", World::add_budget),
    ("a degraded Deployment", |w| w.script.broken.extend(w.pods.keys().next().cloned())),
    ("a claim of a hotfix that is gone", claimed_by_the_dead),
    ("the mark of a hotfix that is gone", |w| mark(w, &names::sealed("dead", 1))),
    ("a volume that is only read", read_volume),
];

#[test]
fn every_refusal_says_what_was_seen_and_what_to_do() {
    let mut told = String::new();
    for (what, act, reason) in TABLE {
        let world = arranged(*act);
        let status = &world.hotfixes["web-cve-2024-22195"].status;
        let ready = status.conditions.iter().find(|c| c.type_ == ConditionType::Ready).expect(what);
        assert_eq!((ready.status, ready.reason), (Truth::False, *reason), "{what}: {}", ready.message);
        assert!(status.attempt.is_none(), "{what}: an attempt was begun");
        let writes: Vec<&&str> = world.writes.keys().collect();
        assert_eq!(writes, [&"record"], "{what}");
        assert!(ready.message.ends_with('.') && ready.message.len() < 300, "{what}: {}", ready.message);
        let says_more = [";", ":", ", "].iter().any(|joint| ready.message.contains(joint));
        assert!(says_more, "{what}: it does not say what is awaited or what to do: {}", ready.message);
        let stalled = status.conditions.iter().any(|c| c.type_ == ConditionType::Stalled);
        let who = if stalled { "a person must act" } else { "it ends by itself" };
        let message = ready.message.replace(V2, "v2");
        writeln!(told, "{what}\n    {}, {who}\n    {message}\n", reason.as_str()).unwrap();
    }
    insta::with_settings!({
        snapshot_path => "golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("refusals", told) });
}

#[test]
fn every_reason_to_wait_is_in_the_table_once_at_least() {
    use Reason as R;
    let waits = [
        R::PolicyMissing,
        R::PolicyInvalid,
        R::CheckMissing,
        R::CheckInvalid,
        R::WorkloadClaimed,
        R::ImageNotAllowed,
        R::ImageUnreadable,
        R::ImageUnresolved,
        R::ContainerNotFound,
        R::TargetNotFound,
        R::TargetTerminating,
        R::TargetPaused,
        R::TargetScaledToZero,
        R::TargetOwned,
        R::TargetRollingOut,
        R::BaselineUnknown,
        R::NoService,
        R::ServiceShared,
        R::ForeignEndpoints,
        R::ServiceUnsupported,
        R::PodLoadBalancer,
        R::PodsNotDoubled,
        R::AutoscalerUnsupported,
        R::ServiceHeld,
    ];
    for reason in waits {
        assert!(TABLE.iter().any(|(_, _, found)| *found == reason), "{reason:?}");
    }
}

#[test]
fn what_can_be_patched_is_not_refused() {
    for (what, act) in BEGINS {
        let world = arranged(*act);
        let status = &world.hotfixes["web-cve-2024-22195"].status;
        let message = status.conditions.first().map_or("", |c| c.message.as_str());
        assert!(status.attempt.is_some(), "{what}: {message}");
    }
}

/// The world after everything came to rest at the time of the beginning.
fn arranged(act: Act) -> World {
    let mut world = World::with_hotfix();
    act(&mut world);
    world.tick();
    for _ in 0..2_000 {
        let due = world.operators.keys().find(|name| world.operator_is_due(name)).cloned();
        let Some(name) = due else {
            if !crate::world::controllers::ALL.iter().any(|controller| world.step(*controller)) {
                break;
            }
            continue;
        };
        world.step_operator(&name);
    }
    world
}

fn blue(world: &mut World) -> &mut securityhotfix::plan::observed::Workload {
    world.deployments.get_mut("web").unwrap()
}

fn raw(world: &mut World, change: impl FnOnce(&mut serde_json::Value)) {
    world.change_blue(Owns::Else, change);
    world.settle();
}

fn checks(world: &mut World) -> &mut std::collections::BTreeMap<String, securityhotfix::plan::observed::Check> {
    Arc::make_mut(&mut world.checks)
}

fn service(world: &mut World) -> &mut securityhotfix::plan::observed::Service {
    world.services.get_mut("web").unwrap()
}

fn pods(world: &mut World) -> impl Iterator<Item = &mut Pod> {
    world.pods.values_mut()
}

fn image(world: &mut World) -> &mut securityhotfix::api::ImageChange {
    &mut world.hotfixes.values_mut().next().unwrap().spec.images[0]
}

fn annotate(world: &mut World, key: &str, value: &str) {
    service(world).annotations.insert(key.into(), value.into());
}

fn mark(world: &mut World, value: &str) {
    annotate(world, MARK, value);
}

fn autoscaler(world: &mut World, metric: &str) {
    world.autoscalers.push(Autoscaler { name: "web".into(), metrics: vec![metric.into()] });
}

fn chosen_policy_missing(world: &mut World) {
    world.namespace.policy = Some("strict".into());
    world.policy = None;
}

fn empty_policy_label(world: &mut World) {
    world.namespace.policy = Some(String::new());
    world.policy = None;
}

fn scanner(world: &mut World) -> &mut securityhotfix::api::CheckContainer {
    &mut checks(world).get_mut("trivy").unwrap().spec.scan.as_mut().unwrap().container
}

fn no_quantity(world: &mut World) {
    let resources = scanner(world).resources.get_or_insert_default();
    resources.limits = [("cpu".to_owned(), "lots".to_owned())].into();
}

fn no_size(world: &mut World) {
    let volume = json!({"name": "tmp", "mountPath": "/tmp", "emptyDir": {"sizeLimit": "1 Gi"}});
    scanner(world).volumes = vec![serde_json::from_value(volume).unwrap()];
}

fn foreign_endpoints_of_nobody(world: &mut World) {
    foreign_endpoints(world);
    world.foreign_slices[0].managed_by.clear();
}

fn probe_in_the_scan_gate(world: &mut World) {
    world.policy.as_mut().unwrap().spec.gates.scan[0].check = "deep-health".into();
}

fn other_tool(world: &mut World) {
    blue(world).annotations.insert("rollouts.kruise.io/rollout-id".into(), "7".into());
}

fn rolling_out(world: &mut World) {
    world.image(V3).never_ready = true;
    world.deploy(V3);
}

fn patched_but_leaving(world: &mut World) {
    world.deploy(V2);
}

fn no_digest(world: &mut World) {
    for pod in pods(world) {
        for container in &mut pod.containers {
            container.image_id.clear();
            container.image = "registry.example/web:latest".into();
        }
    }
}

fn volumes(world: &mut World, claim: &serde_json::Value) {
    let volumes = json!([{"name": "tmp", "emptyDir": {}}, {"name": "data", "persistentVolumeClaim": claim}]);
    let raw = Arc::make_mut(&mut blue(world).raw);
    raw["spec"]["template"]["spec"]["volumes"] = volumes;
    // As if it had always been so: no rollout follows.
    let hash = crate::world::controllers::template_hash(&raw["spec"]["template"]);
    world.forget_hashes();
    world.sets.values_mut().for_each(|set| set.view.template_hash.clone_from(&hash));
}

fn written_volume(world: &mut World) {
    volumes(world, &json!({"claimName": "data"}));
}

fn read_volume(world: &mut World) {
    volumes(world, &json!({"claimName": "data", "readOnly": true}));
}

fn foreign_gate(world: &mut World) {
    pods(world).for_each(|pod| pod.gates.push("target-health.elbv2.k8s.aws/web".into()));
}

fn many_services(world: &mut World) {
    (0..16).for_each(|n| world.add_service(&format!("web-{n}")));
}

fn selects_a_replica_set(world: &mut World) {
    let mut selector = service(world).selector.clone();
    selector.insert(names::POD_TEMPLATE_HASH.into(), world.sets.values().next().unwrap().view.template_hash.clone());
    world.change_selector("web", &selector);
}

fn stranger(world: &mut World) {
    let mut pod = world.pods.values().next().unwrap().clone();
    pod.name = "batch-1".into();
    pod.uid = world.next_uid("pod");
    pod.controller = Some("job".into());
    pod.labels = [("app".to_owned(), "web".to_owned())].into();
    world.pods.insert(pod.name.clone(), pod);
    let set = world.sets.values().next().unwrap().view.uid.clone();
    world.sets.insert("job".into(), {
        let mut job = world.sets.values().next().unwrap().clone();
        job.view.uid = "job".into();
        job.view.name = "job".into();
        job.view.controller = "batch".into();
        (job.view.replicas, job.view.pods) = (1, 1);
        job
    });
    let _ = set;
    world.deployments.insert("batch".into(), {
        let mut batch = world.deployments["web"].clone();
        batch.name = "batch".into();
        batch.uid = "batch".into();
        batch.paused = true;
        batch
    });
}

fn unknown_endpoint(world: &mut World) {
    world.script.slices_hang.insert("web".into());
    let slice = world.slices.get_mut("web").unwrap();
    slice.endpoints.push(Endpoint { pod: Some("not-listed".into()), ready: true });
}

fn foreign_endpoints(world: &mut World) {
    let endpoints = vec![Endpoint { pod: None, ready: true }];
    world.foreign_slices.push(Slice { service: "web".into(), managed_by: "consul".into(), endpoints });
}

/// Another hotfix with an attempt under way, whose operator does nothing.
fn another(world: &mut World) -> String {
    let mut busy = crate::story::Story::of("").world_after(crate::moments::scanning);
    let (_, mut hotfix) = busy.hotfixes.pop_first().unwrap();
    hotfix.name = "other".into();
    hotfix.uid = world.next_uid("hotfix");
    let uid = hotfix.uid.clone();
    world.hotfixes.insert("other".into(), hotfix);
    uid
}

fn held_by_another(world: &mut World) {
    let uid = another(world);
    mark(world, &names::hold(&uid, 1));
}

fn claim(world: &mut World, holder: &str) {
    let name = names::claim(&world.blue().unwrap().uid);
    let uid = world.next_uid("lease");
    let claim = Claim { name: name.clone(), uid, holder: holder.into(), holder_name: "other".into() };
    world.leases.insert(name, claim);
}

fn claimed_by_another(world: &mut World) {
    let uid = another(world);
    claim(world, &uid);
}

fn claimed_by_the_dead(world: &mut World) {
    claim(world, "dead");
}

fn nlb(world: &mut World) {
    annotate(world, "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type", "ip");
}
