//! The CustomResourceDefinitions, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use super::{HotfixPolicy, HotfixReport, SecurityCheck, SecurityHotfix};

/// Every definition, in the order of their names.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![HotfixPolicy::crd(), unjudged(HotfixReport::crd()), SecurityCheck::crd(), unobserved(SecurityHotfix::crd())]
}

/// The file a definition is kept in.
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural)
}

/// A definition as the YAML document that is kept in `crds/` and installed.
///
/// # Panics
///
/// Never: a definition is plain data with string keys.
pub fn yaml(crd: &CustomResourceDefinition) -> String {
    let plain = "a definition is plain data with string keys";
    serde_saphyr::to_string(&whole(serde_json::to_value(crd).expect(plain))).expect(plain)
}

/// The same with `8.0` written as `8`: bounds are floats in the type, and nobody writes them so.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "the value is whole, and far below 2^53")]
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, whole(value))).collect(),
        other => other,
    }
}

/// Gives a new object a status that says it was not looked at: without it, tools that read `observedGeneration` take
/// an object the operator has never seen for finished.
fn unobserved(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let status = crd.spec.versions.iter_mut().filter_map(|version| {
        version.schema.as_mut()?.open_api_v3_schema.as_mut()?.properties.as_mut()?.get_mut("status")
    });
    for status in status {
        status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
        status.nullable = None;
    }
    crd
}

/// Takes the rules off what a record repeats of its hotfix: a record must hold what was asked for, also where it was asked
/// for before there was a rule.
fn unjudged(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas =
        crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    schemas.for_each(without_rules);
    crd
}

fn without_rules(schema: &mut JSONSchemaProps) {
    schema.x_kubernetes_validations = None;
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(without_rules);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        without_rules(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        without_rules(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_repeats_what_was_asked_for_without_judging_it() {
        for crd in all() {
            let text = serde_json::to_string(&crd).unwrap();
            let judges = text.contains("x-kubernetes-validations");
            assert_eq!(judges, crd.spec.names.kind != "HotfixReport", "{}", crd.spec.names.kind);
        }
    }

    #[test]
    fn a_new_hotfix_reads_as_not_observed() {
        let crd = all().into_iter().find(|crd| crd.spec.names.kind == "SecurityHotfix").unwrap();
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let status = &schema.properties.unwrap()["status"];
        assert_eq!(status.default.clone().unwrap().0, serde_json::json!({"observedGeneration": -1}));
    }

    #[test]
    fn every_definition_stays_far_below_what_client_side_apply_can_carry() {
        for crd in all() {
            let size = serde_json::to_string(&crd).unwrap().len();
            assert!(size < 60_000, "{} has {size} bytes", crd.spec.names.kind);
        }
    }
}
