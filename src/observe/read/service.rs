//! Services and the endpoints behind them.

use serde_json::Value;

use super::managers;
use crate::observe::json::{array, deleting, flag, map, text, word};
use crate::plan::observed::{Endpoint, Service, Slice};

/// Reads a Service.
pub fn service(object: &Value) -> Option<Service> {
    let local = |field| text(object, field) == Some("Local");
    Some(Service {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        resource_version: text(object, "/metadata/resourceVersion")?.to_owned(),
        selector: map(object, "/spec/selector"),
        labels: map(object, "/metadata/labels"),
        annotations: map(object, "/metadata/annotations"),
        deleting: deleting(object),
        type_: word(object, "/spec/type"),
        headless: text(object, "/spec/clusterIP") == Some("None"),
        publish_not_ready: flag(object, "/spec/publishNotReadyAddresses"),
        local_traffic: local("/spec/internalTrafficPolicy") || local("/spec/externalTrafficPolicy"),
        ports: array(object, "/spec/ports").to_vec(),
        managers: managers::managers(object, managers::selector),
    })
}

/// True when annotations ask a load balancer controller to register this Service's pods by itself. Such controllers go
/// by addresses, and not all of them by readiness.
pub fn registers_pods(service: &Service) -> bool {
    let says = |key: &str, value: &str| service.annotations.get(key).is_some_and(|found| found == value);
    says("service.beta.kubernetes.io/aws-load-balancer-nlb-target-type", "ip")
        || says("service.beta.kubernetes.io/aws-load-balancer-type", "nlb-ip")
        || says("alb.ingress.kubernetes.io/target-type", "ip")
        || service.annotations.get("cloud.google.com/neg").is_some_and(|neg| neg != "{}")
}

/// Reads an EndpointSlice; one of no Service is none of ours to look at.
pub fn slice(object: &Value) -> Option<Slice> {
    Some(Slice {
        service: text(object, "/metadata/labels/kubernetes.io~1service-name")?.to_owned(),
        managed_by: word(object, "/metadata/labels/endpointslice.kubernetes.io~1managed-by"),
        endpoints: array(object, "/endpoints").iter().map(endpoint).collect(),
    })
}

fn endpoint(object: &Value) -> Endpoint {
    let of_pod = text(object, "/targetRef/kind").is_none_or(|kind| kind == "Pod");
    Endpoint {
        pod: text(object, "/targetRef/uid").filter(|_| of_pod).map(str::to_owned),
        // The API says that an endpoint which does not tell is to be taken for a ready one.
        ready: object.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity() -> Value {
        json!({"name": "web", "uid": "u", "resourceVersion": "1"})
    }

    #[test]
    fn a_service_is_read() {
        let read = service(&json!({
            "metadata": {"name": "web", "uid": "u", "resourceVersion": "1", "deletionTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"securityhotfix.dev/mark": "hold/u/1"}},
            "spec": {"type": "ClusterIP", "clusterIP": "None", "selector": {"app": "web"},
                "externalTrafficPolicy": "Local", "ports": [{"port": 80}], "publishNotReadyAddresses": true}
        }))
        .unwrap();
        assert!(read.deleting && read.headless && read.publish_not_ready && read.local_traffic);
        assert_eq!((read.selector["app"].as_str(), read.ports.len()), ("web", 1));
        assert_eq!(read.annotations["securityhotfix.dev/mark"], "hold/u/1");
    }

    #[test]
    fn a_service_of_an_odd_shape_selects_nothing() {
        let read = service(&json!({"metadata": identity(), "spec": {"selector": ["app"], "ports": 80}})).unwrap();
        assert!(read.selector.is_empty() && read.ports.is_empty() && !read.local_traffic);
        assert_eq!(service(&json!({"spec": {}})), None);
    }

    #[test]
    fn an_endpoint_that_does_not_tell_counts_as_ready() {
        let read = slice(&json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
            "endpoints": [
                {"targetRef": {"kind": "Pod", "uid": "p"}, "conditions": {"ready": false}},
                {"targetRef": {"kind": "Node", "uid": "n"}},
                {}
            ]
        }))
        .unwrap();
        assert_eq!(read.managed_by, "endpointslice-controller.k8s.io");
        let endpoint = |pod: Option<&str>, ready| Endpoint { pod: pod.map(Into::into), ready };
        assert_eq!(read.endpoints, [endpoint(Some("p"), false), endpoint(None, true), endpoint(None, true)]);
        assert_eq!(slice(&json!({"metadata": {}})), None);
    }

    #[test]
    fn a_service_whose_pods_are_registered_elsewhere_is_known_by_its_annotations() {
        let with = |key: &str, value: &str| Service {
            annotations: [(key.to_owned(), value.to_owned())].into(),
            ..Service::default()
        };
        assert!(registers_pods(&with("service.beta.kubernetes.io/aws-load-balancer-nlb-target-type", "ip")));
        assert!(registers_pods(&with("cloud.google.com/neg", r#"{"ingress": true}"#)));
        assert!(!registers_pods(&with("service.beta.kubernetes.io/aws-load-balancer-nlb-target-type", "instance")));
        assert!(!registers_pods(&Service::default()));
    }
}
