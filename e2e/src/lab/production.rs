//! What belongs to the user, as it was: the Deployment and the Services, to be compared with what they are afterwards.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use securityhotfix::api::names::SLOT;
use serde_json::{Value, json};

use super::error::{Asked, LabError};

/// The image of a Deployment's first container.
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// The user's objects of a namespace: labels, annotations (without the revision Kubernetes counts) and spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Production(BTreeMap<String, Value>);

impl Production {
    /// Takes them down.
    pub async fn of(client: &Client, namespace: &str) -> Result<Self, LabError> {
        let all = ListParams::default();
        let deployments = Api::<Deployment>::namespaced(client.clone(), namespace).list(&all).await;
        let services = Api::<Service>::namespaced(client.clone(), namespace).list(&all).await;
        let deployments = deployments.asked(|| "listing Deployments".to_owned())?;
        let services = services.asked(|| "listing Services".to_owned())?;
        let theirs = |labels: &BTreeMap<String, String>| !labels.contains_key(SLOT);
        let deployments = deployments.items.iter().filter(|object| theirs(object.labels()));
        let services = services.items.iter().filter(|object| theirs(object.labels()));
        let deployments = deployments.map(|object| (format!("deployment/{}", object.name_any()), kept(object)));
        let services = services.map(|object| (format!("service/{}", object.name_any()), kept(object)));
        Ok(Self(deployments.chain(services).collect()))
    }

    /// The same with another image in this Deployment.
    #[must_use]
    pub fn but_with_image(mut self, deployment: &str, image: &str) -> Self {
        let object = self.0.get_mut(&format!("deployment/{deployment}"));
        if let Some(found) = object.and_then(|object| object.pointer_mut(IMAGE)) {
            *found = Value::from(image);
        }
        self
    }

    /// Where the other differs, as `object path: before -> after`; nothing if it is the same.
    pub fn differences(&self, after: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        for name in names {
            let (before, after) = (self.0.get(name), after.0.get(name));
            compare(name, before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null), &mut found);
        }
        found
    }
}

fn kept(object: &impl serde::Serialize) -> Value {
    let mut object = serde_json::to_value(object).unwrap_or_default();
    let mut annotations = object["metadata"]["annotations"].take();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    json!({
        "labels": object["metadata"]["labels"].take(),
        "annotations": annotations,
        "spec": object["spec"].take(),
    })
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let (left, right) = (left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null));
                compare(&format!("{path} {key}"), left, right, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path} {index}"), left, right, found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push(format!("{path}: {left} -> {right}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(image: &str, replicas: i32) -> Production {
        let spec = json!({"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}});
        Production(BTreeMap::from([("deployment/web".to_owned(), json!({"spec": spec}))]))
    }

    #[test]
    fn the_same_has_no_differences_and_an_image_may_be_expected_to_differ() {
        let (before, after) = (web("a", 3), web("b", 3));
        assert_eq!(
            before.differences(&after),
            ["deployment/web spec template spec containers 0 image: \"a\" -> \"b\""]
        );
        assert!(before.but_with_image("web", "b").differences(&after).is_empty());
    }

    #[test]
    fn what_is_gone_or_changed_is_named() {
        assert_eq!(web("a", 3).differences(&web("a", 2)), ["deployment/web spec replicas: 3 -> 2"]);
        let gone = web("a", 3).differences(&Production(BTreeMap::new()));
        assert!(gone[0].starts_with("deployment/web: {") && gone[0].ends_with("-> null"), "{gone:?}");
    }
}
