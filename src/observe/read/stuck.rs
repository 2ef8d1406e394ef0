//! Why the pod of a check has not started, as Kubernetes says.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::time::elapsed;
use crate::findings::text::clean;
use crate::observe::json::{array, condition, flag, moment, text, word};

/// The most bytes that are kept: a condition's message holds 1,024, and the sentence around it needs its share.
const KEPT: usize = 300;

/// The most bytes of the image in it, so that what was said of it has room.
const IMAGE_KEPT: usize = 160;

/// What every container waits for that is on its way.
const ON_ITS_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// How long a node may take to set a pod up, before any image is pulled: volumes that are there are mounted within seconds,
/// a disk that has to be attached takes up to half a minute.
const SETTING_UP: Duration = Duration::from_secs(30);

/// Why a pod has not started: what its first container that is not on its way waits for, why no node takes the pod, or what
/// its node may be missing. `None` while nothing says that it will not.
pub fn stuck(pod: &Value, now: Timestamp) -> Option<String> {
    let waiting =
        [("/spec/initContainers", "/status/initContainerStatuses"), ("/spec/containers", "/status/containerStatuses")]
            .into_iter()
            .find_map(|(specs, statuses)| waiting(array(pod, specs), array(pod, statuses)));
    waiting.or_else(|| unscheduled(pod)).or_else(|| not_set_up(pod, now))
}

/// What a pod is told to wait for whose volumes or network its node has not made ready for long. Why is said in events alone,
/// which the operator may not read, so it names what can be missing. The words are the same at each look.
fn not_set_up(pod: &Value, now: Timestamp) -> Option<String> {
    let ready = condition(pod, "PodReadyToStartContainers").filter(|it| text(it, "/status") == Some("False"))?;
    let since = moment(ready, "/lastTransitionTime")?;
    // A pod that has ended is not ready either.
    if text(pod, "/status/phase") != Some("Pending") || elapsed(since.timestamp(), now) < SETTING_UP {
        return None;
    }
    let mounted: Vec<String> = array(pod, "/spec/volumes").iter().filter_map(source).collect();
    let missing = if mounted.is_empty() {
        "the events of the pod say why".to_owned()
    } else {
        format!("see whether what it mounts exists ({})", mounted.join(", "))
    };
    let node = text(pod, "/spec/nodeName").unwrap_or_default();
    Some(clean(&format!("node {node} has not set it up within {} s: {missing}", SETTING_UP.as_secs()), KEPT))
}

/// What a volume cannot be mounted without.
fn source(volume: &Value) -> Option<String> {
    let of = |kind: &str, source: &str, name: &str| {
        let source = volume.get(source).filter(|source| !flag(source, "/optional"))?;
        Some(format!("{kind} {}", text(source, name)?))
    };
    of("Secret", "secret", "/secretName")
        .or_else(|| of("ConfigMap", "configMap", "/name"))
        .or_else(|| of("PersistentVolumeClaim", "persistentVolumeClaim", "/claimName"))
}

fn waiting(specs: &[Value], statuses: &[Value]) -> Option<String> {
    statuses.iter().find_map(|status| {
        let reason = text(status, "/state/waiting/reason").filter(|reason| !reason.is_empty())?;
        if ON_ITS_WAY.contains(&reason) {
            return None;
        }
        let spec = specs.iter().find(|spec| text(spec, "/name") == text(status, "/name"));
        let image = spec.map(|spec| word(spec, "/image")).unwrap_or_default();
        let message = text(status, "/state/waiting/message").unwrap_or_default();
        // The kubelet says both in turn, and what it says first is why: told alike, it is told once.
        let (reason, message) = match message.split_once("ErrImagePull: ") {
            Some((_, why)) if reason == "ImagePullBackOff" => ("ErrImagePull", why),
            _ => (reason, message),
        };
        Some(told(reason, &image, message))
    })
}

/// Why no node takes a pod, as the scheduler says. Visible text of at most 300 bytes.
pub fn unplaced(pod: &Value) -> Option<String> {
    let why = text(unplaceable(pod)?, "/message").filter(|why| !why.is_empty()).unwrap_or("the scheduler says no more");
    Some(clean(why, KEPT).trim_end_matches([' ', '.', ':']).to_owned())
}

fn unplaceable(pod: &Value) -> Option<&Value> {
    condition(pod, "PodScheduled").filter(|condition| text(condition, "/status") == Some("False"))
}

fn unscheduled(pod: &Value) -> Option<String> {
    let scheduled = unplaceable(pod)?;
    let image = array(pod, "/spec/containers").first().map(|container| word(container, "/image")).unwrap_or_default();
    let reason = text(scheduled, "/reason").filter(|reason| !reason.is_empty()).unwrap_or("Unschedulable");
    Some(told(reason, &image, text(scheduled, "/message").unwrap_or_default()))
}

fn told(reason: &str, image: &str, message: &str) -> String {
    let why = format!("{reason} (image {}): {message}", clean(image, IMAGE_KEPT));
    clean(&why, KEPT).trim_end_matches([' ', '.', ':']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stuck(pod: &Value) -> Option<String> {
        super::stuck(pod, "2026-11-23T12:00:30Z".parse().unwrap())
    }

    #[test]
    fn why_no_node_takes_a_pod_is_the_schedulers_word() {
        let pod = |status: &str, message: &str| json!({"status": {"conditions": [{"type": "PodScheduled", "status": status, "message": message}]}});
        let why = "0/1 nodes are available: 1 Insufficient cpu.";
        assert_eq!(unplaced(&pod("False", why)).as_deref(), Some("0/1 nodes are available: 1 Insufficient cpu"));
        assert_eq!(unplaced(&pod("False", "")).as_deref(), Some("the scheduler says no more"));
        assert_eq!(unplaced(&pod("True", "")), None);
    }

    fn pod(runner: &Value, check: &Value) -> Value {
        json!({
            "spec": {
                "initContainers": [{"name": "runner", "image": "r/operator:1"}],
                "containers": [{"name": "check", "image": "r/trivy:9"}],
            },
            "status": {
                "initContainerStatuses": [{"name": "runner", "state": runner}],
                "containerStatuses": [{"name": "check", "state": check}],
            },
        })
    }

    fn waits(reason: &str, message: &str) -> Value {
        json!({"waiting": {"reason": reason, "message": message}})
    }

    #[test]
    fn a_pod_that_is_on_its_way_is_not_stuck() {
        let on_its_way = waits("PodInitializing", "");
        assert_eq!(stuck(&pod(&waits("ContainerCreating", ""), &on_its_way)), None);
        assert_eq!(stuck(&pod(&json!({"running": {}}), &on_its_way)), None);
        assert_eq!(stuck(&pod(&json!({"terminated": {}}), &json!({"running": {}}))), None);
        assert_eq!(stuck(&json!({})), None);
    }

    #[test]
    fn a_pod_whose_image_cannot_be_pulled_says_so_the_same_while_it_is_tried_again() {
        let done = json!({"terminated": {"reason": "Completed"}});
        let tried = stuck(&pod(&done, &waits("ErrImagePull", "r/trivy:9: not found")));
        assert_eq!(tried.as_deref(), Some("ErrImagePull (image r/trivy:9): r/trivy:9: not found"));
        let backs_off = "Back-off pulling image \"r/trivy:9\": ErrImagePull: r/trivy:9: not found";
        assert_eq!(stuck(&pod(&done, &waits("ImagePullBackOff", backs_off))), tried);
        let runner = stuck(&pod(&waits("InvalidImageName", ""), &waits("PodInitializing", "")));
        assert_eq!(runner.as_deref(), Some("InvalidImageName (image r/operator:1)"));
    }

    #[test]
    fn a_pod_that_no_node_takes_says_so() {
        let mut waits = pod(&Value::Null, &Value::Null);
        waits["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu."}]);
        assert_eq!(
            stuck(&waits).as_deref(),
            Some("Unschedulable (image r/trivy:9): 0/1 nodes are available: 1 Insufficient cpu")
        );
    }

    #[test]
    fn what_is_said_is_bounded_and_cannot_steer_a_terminal() {
        let hostile = waits("ErrImagePull", &format!("\u{1b}[2J{}", "x".repeat(5000)));
        let why = stuck(&pod(&json!({"terminated": {}}), &hostile)).unwrap();
        assert!(why.len() <= KEPT && !why.chars().any(char::is_control), "{why}");
    }

    fn set_up_since(at: &str, volumes: &Value) -> Value {
        let mut pod = pod(&waits("PodInitializing", ""), &waits("PodInitializing", ""));
        pod["spec"]["nodeName"] = json!("worker-1");
        pod["spec"]["volumes"] = volumes.clone();
        pod["status"]["phase"] = json!("Pending");
        pod["status"]["conditions"] =
            json!([{"type": "PodReadyToStartContainers", "status": "False", "lastTransitionTime": at}]);
        pod
    }

    #[test]
    fn a_pod_whose_node_does_not_set_it_up_names_what_it_mounts() {
        let volumes = json!([
            {"name": "runner", "emptyDir": {}},
            {"name": "volume-0", "secret": {"secretName": "registry"}},
            {"name": "volume-1", "configMap": {"name": "rules"}},
            {"name": "volume-2", "persistentVolumeClaim": {"claimName": "db"}},
            {"name": "volume-3", "secret": {"secretName": "spare", "optional": true}},
        ]);
        assert_eq!(stuck(&set_up_since("2026-11-23T12:00:01Z", &volumes)), None, "that is soon");
        assert_eq!(
            stuck(&set_up_since("2026-11-23T12:00:00Z", &volumes)).as_deref(),
            Some(
                "node worker-1 has not set it up within 30 s: see whether what it mounts exists (Secret registry, ConfigMap rules, PersistentVolumeClaim db)"
            )
        );
        assert_eq!(
            stuck(&set_up_since("2026-11-23T11:00:00Z", &json!([]))).as_deref(),
            Some("node worker-1 has not set it up within 30 s: the events of the pod say why")
        );
    }

    #[test]
    fn a_pod_that_is_set_up_or_has_ended_waits_for_no_volume() {
        let mut pulls = set_up_since("2026-11-23T11:00:00Z", &json!([]));
        pulls["status"]["conditions"][0]["status"] = json!("True");
        assert_eq!(stuck(&pulls), None);
        let mut ended = set_up_since("2026-11-23T11:00:00Z", &json!([]));
        ended["status"]["phase"] = json!("Succeeded");
        assert_eq!(stuck(&ended), None);
    }

    #[test]
    fn a_container_that_lacks_a_secret_says_so_in_the_kubelets_words() {
        let lacks = waits("CreateContainerConfigError", "secret \"registry\" not found");
        let why = stuck(&pod(&json!({"terminated": {"reason": "Completed"}}), &lacks));
        assert_eq!(why.as_deref(), Some("CreateContainerConfigError (image r/trivy:9): secret \"registry\" not found"));
    }
}
