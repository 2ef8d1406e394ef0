//! What stands around a workload: budgets, autoscalers, load balancers, the claim.

use serde_json::Value;

use crate::api::names::{HOTFIX_NAME, HOTFIX_UID};
use crate::observe::json::{array, map, text, word};
use crate::plan::observed::{Autoscaler, Budget, Claim};

/// Reads a PodDisruptionBudget.
pub fn budget(object: &Value) -> Option<Budget> {
    let field = |pointer| object.pointer(pointer).cloned().unwrap_or(Value::Null);
    Some(Budget {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        labels: map(object, "/metadata/labels"),
        selector: field("/spec/selector"),
        spec: field("/spec"),
    })
}

/// Reads a HorizontalPodAutoscaler if it scales the Deployment of that name.
pub fn autoscaler(object: &Value, deployment: &str) -> Option<Autoscaler> {
    let target = |field| text(object, field);
    let scales = target("/spec/scaleTargetRef/kind") == Some("Deployment")
        && target("/spec/scaleTargetRef/name") == Some(deployment);
    scales.then(|| Autoscaler {
        name: word(object, "/metadata/name"),
        metrics: array(object, "/spec/metrics").iter().map(metric).collect(),
    })
}

fn metric(metric: &Value) -> String {
    let kind = word(metric, "/type");
    // The field is named as the type, with a small first letter.
    let mut letters = kind.chars();
    let field: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    format!("{kind}/{}", word(metric, &format!("/{field}/target/type")))
}

/// The Service whose pods a TargetGroupBinding registers.
pub fn target_group_service(object: &Value) -> Option<String> {
    // Instances are registered by node, behind the Service's own routing.
    let by_instance = text(object, "/spec/targetType") == Some("instance");
    text(object, "/spec/serviceRef/name").filter(|_| !by_instance).map(str::to_owned)
}

/// Reads the Lease that claims a workload. The holder is told by labels beside the holder's identity, since an identity
/// is one word and people want the name.
pub fn claim(object: &Value) -> Option<Claim> {
    let labels = map(object, "/metadata/labels");
    // `<name>/<uid>`, for people who look at the Lease; the uid is what tells.
    let identity = text(object, "/spec/holderIdentity").and_then(|identity| identity.rsplit('/').next());
    let holder = identity.map(str::to_owned).or_else(|| labels.get(HOTFIX_UID).cloned());
    Some(Claim {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        holder: holder.unwrap_or_default(),
        holder_name: labels.get(HOTFIX_NAME).cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_budget_keeps_its_selector_as_it_was_written() {
        let read = budget(&json!({
            "metadata": {"name": "b", "uid": "u"},
            "spec": {"maxUnavailable": "20%", "selector": {"matchLabels": {"app": "web"}}}
        }))
        .unwrap();
        assert_eq!(read.selector, json!({"matchLabels": {"app": "web"}}));
        assert_eq!(read.spec["maxUnavailable"], "20%");
        assert_eq!(budget(&json!({"metadata": {"name": "b", "uid": "u"}})).unwrap().selector, Value::Null);
    }

    #[test]
    fn an_autoscaler_is_read_if_it_scales_the_workload() {
        let object = json!({
            "metadata": {"name": "h"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
                {"type": "ContainerResource", "containerResource": {"target": {"type": "AverageValue"}}},
                {"type": "External", "external": {"target": {"type": "Value"}}},
                {}
            ]}
        });
        let read = autoscaler(&object, "web").unwrap();
        assert_eq!(read.metrics, ["Resource/Utilization", "ContainerResource/AverageValue", "External/Value", "/"]);
        assert_eq!(autoscaler(&object, "api"), None);
    }

    #[test]
    fn a_target_group_of_addresses_names_its_service() {
        let of = |kind| json!({"spec": {"targetType": kind, "serviceRef": {"name": "web"}}});
        assert_eq!(target_group_service(&of("ip")).as_deref(), Some("web"));
        assert_eq!(target_group_service(&of("instance")), None);
    }

    #[test]
    fn a_claim_tells_its_holder() {
        let read = claim(&json!({
            "metadata": {"name": "hotfix-d", "uid": "l", "labels": {"securityhotfix.dev/hotfix-name": "web-cve"}},
            "spec": {"holderIdentity": "web-cve/u"}
        }))
        .unwrap();
        assert_eq!((read.holder.as_str(), read.holder_name.as_str()), ("u", "web-cve"));
        let nobody = claim(&json!({"metadata": {"name": "hotfix-d", "uid": "l"}})).unwrap();
        assert_eq!(nobody.holder, "");
    }
}
