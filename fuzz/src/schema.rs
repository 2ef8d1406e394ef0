//! Whether the API server would take what the operator writes: the bounds of the installed definitions.

use std::sync::LazyLock;

use securityhotfix::api::crds;
use serde_json::Value;

/// The definition of one kind, or a part of it.
#[derive(Debug)]
pub struct Schema(Value);

/// The status of a SecurityHotfix.
pub static STATUS: LazyLock<Schema> = LazyLock::new(|| Schema::of("SecurityHotfix", "status"));
/// The spec of a SecurityHotfix.
pub static HOTFIX: LazyLock<Schema> = LazyLock::new(|| Schema::of("SecurityHotfix", "spec"));
/// The spec of a HotfixPolicy.
pub static POLICY: LazyLock<Schema> = LazyLock::new(|| Schema::of("HotfixPolicy", "spec"));
/// The spec of a SecurityCheck.
pub static CHECK: LazyLock<Schema> = LazyLock::new(|| Schema::of("SecurityCheck", "spec"));
/// The spec of a HotfixReport.
pub static REPORT: LazyLock<Schema> = LazyLock::new(|| Schema::of("HotfixReport", "spec"));

impl Schema {
    fn of(kind: &str, part: &str) -> Self {
        let all = crds();
        let crd = all.iter().find(|crd| crd.spec.names.kind == kind).expect("there is such a kind");
        let crd = serde_json::to_value(crd).expect("a definition can be written");
        Self(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part].clone())
    }

    /// What is wrong with `value` by the part of the schema at `pointer`, in clauses: sizes, types, words, required
    /// fields. Rules in CEL are the API server's own matter.
    pub fn faults(&self, pointer: &str, value: &Value) -> Vec<String> {
        let schema = self.0.pointer(pointer).expect("the schema has such a part");
        let mut faults = Vec::new();
        check(schema, value, "", &mut faults);
        faults
    }

    /// Whether nothing is wrong with a whole one.
    pub fn takes(&self, value: &Value) -> bool {
        self.faults("", value).is_empty()
    }
}

fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let mut size = |size: usize, least: &str, most: &str| {
        let size = size as u64;
        if bound(least).is_some_and(|least| size < least) || bound(most).is_some_and(|most| size > most) {
            faults.push(format!("{at} has size {size}, {most} is {:?}", bound(most)));
        }
    };
    match value {
        // Go counts characters, not bytes.
        Value::String(text) => size(text.chars().count(), "minLength", "maxLength"),
        Value::Array(items) => {
            size(items.len(), "minItems", "maxItems");
            for (n, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{at}/{n}"), faults);
            }
        }
        Value::Object(fields) => {
            size(fields.len(), "minProperties", "maxProperties");
            for (name, field) in fields {
                let part = schema.pointer(&format!("/properties/{name}")).unwrap_or(&schema["additionalProperties"]);
                if !part.is_null() {
                    check(part, field, &format!("{at}/{name}"), faults);
                }
            }
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            faults.extend(required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at} lacks {name}")));
        }
        _ => {}
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if schema["type"].as_str().is_some_and(|wanted| wanted != kind && wanted != "number") {
        faults.push(format!("{at} is of type {kind} and must be {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        faults.push(format!("{at} is {value}, of none of the words"));
    }
    let number = value.as_f64();
    let outside = |name: &str, beyond: fn(f64, f64) -> bool| {
        schema.get(name).and_then(Value::as_f64).zip(number).is_some_and(|(bound, number)| beyond(number, bound))
    };
    if outside("minimum", |number, least| number < least) || outside("maximum", |number, most| number > most) {
        faults.push(format!("{at} is {value}, out of bounds"));
    }
}
