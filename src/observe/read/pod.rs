//! Pods.

use serde_json::Value;

use crate::api::names::OPEN;
use crate::observe::json::{array, condition, controller, count, deleting, flag, holds, map, moment, text, word};
use crate::plan::observed::{Container, Open, Pod};

/// Reads a pod.
pub fn pod(object: &Value) -> Option<Pod> {
    Some(Pod {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        resource_version: text(object, "/metadata/resourceVersion")?.to_owned(),
        labels: map(object, "/metadata/labels"),
        controller: controller(object).and_then(|owner| text(owner, "/uid")).map(str::to_owned),
        node: text(object, "/spec/nodeName").map(str::to_owned),
        unplaced: super::stuck::unplaced(object),
        ip: text(object, "/status/podIP").map(str::to_owned),
        deleting: deleting(object),
        ended: matches!(text(object, "/status/phase"), Some("Succeeded" | "Failed")),
        gates: array(object, "/spec/readinessGates").iter().map(|gate| word(gate, "/conditionType")).collect(),
        containers_ready: holds(object, "ContainersReady"),
        containers_ready_since: condition(object, "ContainersReady")
            .and_then(|ready| moment(ready, "/lastTransitionTime")),
        ready: holds(object, "Ready"),
        ready_since: condition(object, "Ready").and_then(|ready| moment(ready, "/lastTransitionTime")),
        open: condition(object, OPEN).map(|open| Open {
            open: text(open, "/status") == Some("True"),
            since: moment(open, "/lastTransitionTime"),
        }),
        containers: containers(object, "/spec/initContainers", "/status/initContainerStatuses")
            .chain(containers(object, "/spec/containers", "/status/containerStatuses"))
            .collect(),
        host_ports: flag(object, "/spec/hostNetwork") || has_host_port(object),
    })
}

fn containers<'a>(pod: &'a Value, specs: &str, statuses: &str) -> impl Iterator<Item = Container> + 'a {
    let statuses = array(pod, statuses);
    array(pod, specs).iter().map(move |spec| {
        let name = word(spec, "/name");
        let status = statuses.iter().find(|status| text(status, "/name") == Some(&name)).unwrap_or(&Value::Null);
        Container {
            image: word(spec, "/image"),
            image_id: word(status, "/imageID"),
            waiting: text(status, "/state/waiting/reason").map(str::to_owned),
            restarts: count(status, "/restartCount").unwrap_or_default(),
            name,
        }
    })
}

fn has_host_port(pod: &Value) -> bool {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .flat_map(|list| array(pod, list))
        .flat_map(|container| array(container, "/ports"))
        .any(|port| count(port, "/hostPort").is_some_and(|port| port != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_of_the_candidate_is_read() {
        let read = pod(&json!({
            "metadata": {"name": "web-1", "uid": "u", "resourceVersion": "9", "labels": {"app": "web"},
                "ownerReferences": [{"uid": "x"}, {"uid": "rs", "controller": true}]},
            "spec": {"nodeName": "n1", "readinessGates": [{"conditionType": "securityhotfix.dev/open"}],
                "initContainers": [{"name": "init", "image": "r/init:1"}],
                "containers": [{"name": "web", "image": "r/web:1", "ports": [{"containerPort": 80}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.7",
                "containerStatuses": [{"name": "web", "imageID": "r/web@sha256:00", "restartCount": 2,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
                "conditions": [
                    {"type": "ContainersReady", "status": "True", "lastTransitionTime": "2026-11-23T16:59:59Z"},
                    {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-23T17:00:00Z"},
                    {"type": "securityhotfix.dev/open", "status": "True", "lastTransitionTime": "2026-11-23T17:00:01Z"}
                ]}
        }))
        .unwrap();
        assert_eq!(read.controller.as_deref(), Some("rs"));
        assert_eq!(read.gates, [OPEN]);
        assert!(read.containers_ready && !read.ready && !read.deleting && !read.ended && !read.host_ports);
        assert!(read.containers_ready_since.is_some());
        assert!(read.ready_since.is_some() && read.open.is_some_and(|open| open.open && open.since.is_some()));
        let [init, web] = read.containers.as_slice() else { panic!("{:?}", read.containers) };
        assert_eq!((init.name.as_str(), init.image_id.as_str()), ("init", ""));
        assert_eq!((web.image_id.as_str(), web.restarts), ("r/web@sha256:00", 2));
        assert_eq!(web.waiting.as_deref(), Some("CrashLoopBackOff"));
    }

    #[test]
    fn a_pod_that_says_nothing_is_neither_ready_nor_open() {
        let read = pod(&json!({
            "metadata": {"name": "p", "uid": "u", "resourceVersion": "1"},
            "spec": {"containers": "none"}, "status": {"conditions": [7, {"type": "Ready", "status": true}]}
        }))
        .unwrap();
        assert!(!read.ready && !read.containers_ready && read.open.is_none() && read.containers.is_empty());
        assert_eq!(read.controller, None);
        assert_eq!(pod(&json!({"metadata": {"name": "p"}})), None);
    }

    #[test]
    fn a_pod_on_the_hosts_network_or_a_port_of_it_is_told() {
        let with = |spec| json!({"metadata": {"name": "p", "uid": "u", "resourceVersion": "1"}, "spec": spec});
        assert!(pod(&with(json!({"hostNetwork": true}))).unwrap().host_ports);
        assert!(pod(&with(json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}))).unwrap().host_ports);
        assert!(!pod(&with(json!({"containers": [{"name": "c", "ports": [{"hostPort": 0}]}]}))).unwrap().host_ports);
    }
}
