//! Services, pods, Deployments, ReplicaSets, slices and the Lease, as the planner is shown them.

use std::sync::{Arc, OnceLock};

use securityhotfix::api::names as api;
use securityhotfix::api::time::Moment;
use securityhotfix::plan::observed::{self, Container, Manager, Map, Owns, ReplicaSet, Service, Slice, Workload};
use serde_json::{Value, json};

use super::times::{at, old, seconds_ago};
use super::{Rest, View};
use crate::intern::{AT_RECORDED, GENERATION, moment};
use crate::names;
use crate::state::{ABSENT, BLUES, Claim, GREENS, Green, LEAVING, Pod, SIDES, Svc};

/// Uid of the workload's pod of a place.
pub fn blue_pod(at: usize) -> String {
    format!("blue-pod-{at}")
}

/// Uid of a candidate's pod of a place.
pub fn green_pod(side: usize, at: usize) -> String {
    format!("green-pod-{side}-{at}")
}

fn managers(ours: u8, wrote: u8, theirs: u8, newer: u8) -> Vec<Manager> {
    let owns = |contested: bool| if contested { Owns::Contested } else { Owns::Else };
    let ours_at = Some(seconds_ago(60));
    let theirs_at = Some(if newer == 1 { moment() } else { Moment::new(old()) });
    let mut all = vec![Manager { name: "owner".into(), index: 0, at: theirs_at, owns: owns(theirs == 1) }];
    if ours == 1 {
        all.push(Manager { name: api::MANAGER.into(), index: 1, at: ours_at, owns: owns(wrote == 1) });
    }
    all
}

pub fn services(view: &View, side: usize, again: &str) -> Vec<Service> {
    let mut all: Vec<Service> = view
        .prod
        .services
        .iter()
        .enumerate()
        .filter(|(_, svc)| svc.here() == 1)
        .map(|(at, svc)| service(*svc, at, again == names::SERVICES[at]))
        .collect();
    let preview = view.prod.previews[side];
    if preview.here() == 1 {
        let slot = names::slot(side, preview.attempt());
        all.push(Service {
            name: api::green(names::BLUE, names::UIDS[side]),
            uid: format!("preview-{}", preview.inc()),
            resource_version: "preview".into(),
            selector: [(api::SLOT.to_owned(), slot.to_owned())].into(),
            labels: labels(side, preview.attempt()),
            publish_not_ready: true,
            type_: "ClusterIP".into(),
            ports: vec![json!({"port": 80})],
            ..Service::default()
        });
    }
    all
}

fn service(svc: Svc, at: usize, again: bool) -> Service {
    let mut annotations: Map = [("owner".to_owned(), "team-shop".to_owned())].into();
    annotations.extend(names::mark(svc.mark()).map(|mark| (api::MARK.to_owned(), mark)));
    Service {
        name: names::SERVICES[at].into(),
        uid: format!("service-{at}"),
        resource_version: if again { AT_RECORDED.into() } else { "service".into() },
        selector: names::selector(svc),
        annotations,
        type_: "ClusterIP".into(),
        ports: vec![json!({"port": 80})],
        managers: managers(svc.ours(), svc.wrote(), svc.theirs(), svc.newer()),
        ..Service::default()
    }
}

fn labels(side: usize, attempt: u8) -> Map {
    [
        (api::SLOT.to_owned(), names::slot(side, attempt).to_owned()),
        (api::ATTEMPT.to_owned(), attempt.to_string()),
        (api::HOTFIX_UID.to_owned(), names::UIDS[side].to_owned()),
        (api::HOTFIX_NAME.to_owned(), names::HOTFIXES[side].to_owned()),
    ]
    .into()
}

pub fn pods(view: &View) -> Vec<observed::Pod> {
    let blues = view.prod.blues.iter().enumerate().filter(|(_, pod)| pod.life() != ABSENT).map(|(at, pod)| {
        let mut labels = template_labels();
        labels.insert(api::POD_TEMPLATE_HASH.into(), names::blue_hash(pod.version()));
        one_pod(*pod, blue_pod(at), labels, names::blue_set(pod.version()))
    });
    let greens = (0..SIDES).flat_map(|side| {
        view.prod.greens[side].iter().enumerate().filter(|(_, pod)| pod.life() != ABSENT).map(move |(at, pod)| {
            let mut labels = template_labels();
            labels.insert(api::POD_TEMPLATE_HASH.into(), names::green_hash(side, pod.attempt()));
            labels.insert(api::SLOT.into(), names::slot(side, pod.attempt()).into());
            one_pod(*pod, green_pod(side, at), labels, names::green_set(side, pod.inc()))
        })
    });
    let clocks = view.rest.clocks;
    let mut all: Vec<observed::Pod> = blues.chain(greens).collect();
    for pod in &mut all {
        if let Some(open) = &mut pod.open {
            open.since = Some(match (clocks.opening(), clocks.converge()) {
                (_, 1) => at(1),
                (1, _) => seconds_ago(10),
                _ => moment(),
            });
        }
    }
    all
}

fn one_pod(pod: Pod, uid: String, labels: Map, set: String) -> observed::Pod {
    let green = labels.contains_key(api::SLOT);
    let image = names::image(pod.version());
    observed::Pod {
        name: uid.clone(),
        uid,
        resource_version: "pod".into(),
        labels,
        controller: Some(set),
        node: Some("node".into()),
        unplaced: None,
        ip: Some("10.0.0.1".into()),
        deleting: pod.life() == LEAVING,
        ended: false,
        gates: if green && pod.bare() == 0 { vec![api::OPEN.into()] } else { Vec::new() },
        containers_ready: pod.up() == 1,
        // It only delays an opening that is to be quick; what may be opened does not depend on it.
        containers_ready_since: None,
        ready: pod.ready() == 1,
        ready_since: Some(if pod.late() == 1 { seconds_ago(20) } else { moment() }),
        open: (pod.open() != 0)
            .then(|| observed::Open { open: pod.open() == crate::state::OPEN, since: Some(moment()) }),
        // A container that was up once has told its image.
        containers: vec![Container { name: "web".into(), image_id: image.clone(), image, ..Container::default() }],
        host_ports: false,
    }
}

fn template_labels() -> Map {
    [("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "front".to_owned())].into()
}

/// The Deployment of a version as JSON.
fn raw(version: u8, replicas: u8) -> Arc<Value> {
    static RAWS: OnceLock<Vec<Vec<Arc<Value>>>> = OnceLock::new();
    let raws = RAWS.get_or_init(|| {
        let make = |version: u8, replicas: u8| {
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": names::BLUE, "namespace": names::NAMESPACE},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": template_labels()},
                        "spec": {"containers": [{"name": "web", "image": names::image(version)}]},
                    },
                },
            })
        };
        (0..=3).map(|version| (0..=3).map(|replicas| Arc::new(make(version, replicas))).collect()).collect()
    });
    Arc::clone(&raws[usize::from(version)][usize::from(replicas)])
}

pub fn blue(view: &View) -> Workload {
    let blue = view.rest.blue;
    let generation = GENERATION + i64::from(view.hot.gen_());
    Workload {
        name: names::BLUE.into(),
        uid: names::BLUE_UID.into(),
        resource_version: "blue".into(),
        generation,
        observed_generation: generation - i64::from(1 - blue.seen()),
        labels: template_labels(),
        annotations: Map::new(),
        deleting: false,
        paused: false,
        replicas: i32::from(blue.replicas()),
        controller: None,
        owners: Vec::new(),
        managers: managers(blue.ours(), 1 - blue.theirs(), blue.theirs(), 0),
        raw: raw(blue.template(), blue.replicas()),
    }
}

pub fn green(green: Green, side: usize) -> Workload {
    let version = if green.drifted() == 1 { 1 } else { names::wanted(side) };
    Workload {
        name: api::green(names::BLUE, names::UIDS[side]),
        uid: names::green_uid(side, green.inc()),
        resource_version: "green".into(),
        generation: 1,
        observed_generation: 1,
        labels: labels(side, green.attempt()),
        annotations: Map::new(),
        deleting: false,
        paused: false,
        replicas: i32::from(green.replicas()),
        controller: None,
        owners: if green.owned() == 1 { vec![names::UIDS[side].into()] } else { Vec::new() },
        managers: managers(1, 1 - green.drifted(), green.drifted(), 0),
        raw: raw(version, green.replicas()),
    }
}

pub fn sets(view: &View, side: usize) -> Vec<ReplicaSet> {
    let Rest { blue, sets, green, .. } = view.rest;
    let mut all = Vec::new();
    if blue.here() == 1 {
        for version in 1..=3 {
            let newest = version == blue.newest();
            let pods = i32::from(sets >> version & 1);
            // A Deployment may keep no history: then an old ReplicaSet goes with its last pod.
            if newest || pods > 0 {
                all.push(ReplicaSet {
                    name: names::blue_set(version),
                    uid: names::blue_set(version),
                    controller: names::BLUE_UID.into(),
                    template_hash: names::blue_hash(version),
                    slot: None,
                    replicas: if newest { i32::from(blue.replicas()) } else { pods },
                    pods,
                    revision: if newest { 10 } else { i64::from(version) },
                });
            }
        }
        if blue.adopted() > 0 {
            let side = usize::from(blue.adopted() - 1);
            all.push(ReplicaSet {
                name: names::green_set(side, 0),
                uid: names::green_set(side, 0),
                controller: names::BLUE_UID.into(),
                template_hash: names::green_hash(side, 1),
                slot: Some(names::slot(side, 1).to_owned()),
                replicas: 0,
                pods: i32::from(sets & 1),
                revision: 1,
            });
        }
    }
    if green.here() == 1 {
        all.push(ReplicaSet {
            name: names::green_set(side, green.inc()),
            uid: names::green_set(side, green.inc()),
            controller: names::green_uid(side, green.inc()),
            template_hash: if green.drifted() == 1 {
                "drifted".into()
            } else {
                names::green_hash(side, green.attempt())
            },
            slot: Some(names::slot(side, green.attempt()).to_owned()),
            replicas: i32::from(green.replicas()),
            pods: i32::from(green.replicas()),
            revision: 1,
        });
    }
    all
}

pub fn slice(view: &View, service: usize) -> Slice {
    let content = view.rest.slices[service];
    let uid = |at: usize| {
        if view.rest.others >> at & 1 == 1 {
            return format!("another-pod-{at}");
        }
        match at.checked_sub(BLUES) {
            None => blue_pod(at),
            Some(at) => green_pod(at / GREENS, at % GREENS),
        }
    };
    let endpoints = (0..BLUES + SIDES * GREENS)
        .filter(|at| content >> (2 * at) & 3 != 0)
        .map(|at| observed::Endpoint { pod: Some(uid(at)), ready: content >> (2 * at) & 3 == 2 })
        .collect();
    Slice {
        service: names::SERVICES[service].into(),
        managed_by: securityhotfix::plan::facts::ENDPOINTSLICE_CONTROLLER.into(),
        endpoints,
    }
}

pub fn claim(claim: Claim) -> Option<observed::Claim> {
    let side = usize::from(claim.holder().checked_sub(1)?);
    Some(observed::Claim {
        name: api::claim(names::BLUE_UID),
        uid: format!("lease-{}", claim.inc()),
        holder: names::UIDS[side].into(),
        holder_name: names::HOTFIXES[side].into(),
    })
}
