//! Who wrote what, as `metadata.managedFields` tells.

use serde_json::Value;

use crate::observe::json::{array, moment, word};
use crate::plan::observed::{Manager, Owns};

/// The field managers of an object, in order, each with whether it owns a field that `contested` points out among those
/// it wrote.
pub(super) fn managers(object: &Value, contested: fn(&Value) -> bool) -> Vec<Manager> {
    let entries = array(object, "/metadata/managedFields").iter().enumerate();
    entries
        .map(|(index, entry)| Manager {
            name: word(entry, "/manager"),
            index,
            at: moment(entry, "/time"),
            owns: if entry.get("fieldsV1").is_some_and(contested) { Owns::Contested } else { Owns::Else },
        })
        .collect()
}

/// A Service's selector.
pub(super) fn selector(fields: &Value) -> bool {
    fields.pointer("/f:spec/f:selector").is_some()
}

/// The image of any container of a pod template.
pub(super) fn image(fields: &Value) -> bool {
    ["f:containers", "f:initContainers"].iter().any(|list| {
        let containers = fields.pointer(&format!("/f:spec/f:template/f:spec/{list}")).and_then(Value::as_object);
        containers.into_iter().flat_map(|containers| containers.values()).any(|fields| fields.get("f:image").is_some())
    })
}

/// Names of the managers that own anything of the spec.
pub(super) fn of_spec(object: &Value) -> Vec<String> {
    let mut names: Vec<String> = array(object, "/metadata/managedFields")
        .iter()
        .filter(|entry| entry.pointer("/fieldsV1/f:spec").is_some())
        .map(|entry| word(entry, "/manager"))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manager_is_known_by_what_it_owns() {
        let service = json!({"metadata": {"managedFields": [
            {"manager": "kubectl", "time": "2026-11-23T17:00:00Z", "fieldsV1": {"f:spec": {"f:selector": {}}}},
            {"manager": "other", "fieldsV1": {"f:metadata": {}}},
            {"manager": "odd", "fieldsV1": 7},
        ]}});
        let read = managers(&service, selector);
        assert_eq!(read.iter().map(|m| m.owns).collect::<Vec<_>>(), [Owns::Contested, Owns::Else, Owns::Else]);
        assert_eq!((read[1].name.as_str(), read[1].index, read[1].at), ("other", 1, None));
        assert!(read[0].at.is_some());
    }

    #[test]
    fn a_container_is_found_by_its_key() {
        let of =
            |fields| json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": fields}}}}});
        assert!(image(&of(json!({"f:image": {}}))));
        assert!(!image(&of(json!({"f:env": {}}))));
    }

    #[test]
    fn managers_of_the_status_did_not_ask_for_anything() {
        let hotfix = json!({"metadata": {"managedFields": [
            {"manager": "controller", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "kubectl", "fieldsV1": {"f:spec": {}}},
        ]}});
        assert_eq!(of_spec(&hotfix), ["kubectl"]);
    }
}
