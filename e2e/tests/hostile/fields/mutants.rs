//! What can be wrong with a field, derived from its schema: nothing here knows a kind.

use serde_json::{Map, Value, json};

use super::classes;

/// One object that is wrong in one place.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The field, as a JSON pointer.
    pub field: String,
    /// What sort of field that is.
    pub sort: String,
    /// What is wrong with it.
    pub what: String,
    /// The object.
    pub object: Value,
}

/// Nearly as long as the API server takes at all.
const HUGE: usize = 1_000_000;

/// Every field of `schema` that `good` has, and every mutant of it; `good` has every field there is, or several of them have.
pub fn of(good: &Value, schema: &Value) -> (Vec<String>, Vec<Mutant>) {
    let mut fields = Vec::new();
    walk("/spec", &schema["properties"]["spec"], good, &mut fields);
    let mutants = fields.iter().flat_map(|(pointer, schema, required)| mutate(good, pointer, schema, *required));
    let mutants = mutants.collect();
    (fields.into_iter().map(|(pointer, ..)| pointer).collect(), mutants)
}

fn walk<'a>(pointer: &str, schema: &'a Value, good: &Value, fields: &mut Vec<(String, &'a Value, bool)>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, field) in properties {
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
        each(&format!("{pointer}/{name}"), field, required, good, fields);
    }
}

fn each<'a>(
    pointer: &str,
    schema: &'a Value,
    required: bool,
    good: &Value,
    fields: &mut Vec<(String, &'a Value, bool)>,
) {
    let Some(value) = good.pointer(pointer) else { return };
    fields.push((pointer.to_owned(), schema, required));
    match schema["type"].as_str() {
        Some("array") => {
            let item = format!("{pointer}/0");
            if schema["items"]["type"] == "object" {
                walk(&item, &schema["items"], good, fields);
            } else {
                each(&item, &schema["items"], true, good, fields);
            }
        }
        Some("object") if schema.get("properties").is_some() => walk(pointer, schema, good, fields),
        Some("object") => {
            for key in value.as_object().into_iter().flat_map(Map::keys).take(1) {
                each(&format!("{pointer}/{key}"), &schema["additionalProperties"], false, good, fields);
            }
        }
        _ => {}
    }
}

fn mutate(good: &Value, pointer: &str, schema: &Value, required: bool) -> Vec<Mutant> {
    let mut all = Vec::new();
    let sort = classes::sort(pointer, schema);
    let mut set = |what: &str, value: Value| {
        let mut object = good.clone();
        if let Some(place) = object.pointer_mut(pointer) {
            *place = value;
            all.push(Mutant { field: pointer.to_owned(), sort: sort.clone(), what: what.to_owned(), object });
        }
    };
    set("null", Value::Null);
    let value = good.pointer(pointer).cloned().unwrap_or_default();
    let bound = |name: &str| schema[name].as_u64().and_then(|it| usize::try_from(it).ok());
    match schema["type"].as_str() {
        Some("string") => strings(schema, &value, &bound, &mut set),
        Some("integer" | "number") => numbers(schema, &mut set),
        Some("boolean") => {
            set("a string", json!("yes"));
            set("the other", json!(value != true));
        }
        Some("array") => arrays(&value, &bound, &mut set),
        _ => objects(schema, &value, &bound, &mut set),
    }
    let mut without = good.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let parent = without.pointer_mut(parent);
    if let Some(parent) = parent.and_then(Value::as_object_mut) {
        parent.remove(key);
        let what = if required { "missing, required" } else { "missing" };
        all.push(Mutant { field: pointer.to_owned(), sort, what: what.to_owned(), object: without });
    }
    all
}

fn strings(schema: &Value, value: &Value, bound: &dyn Fn(&str) -> Option<usize>, set: &mut dyn FnMut(&str, Value)) {
    let good = value.as_str().unwrap_or_default();
    set("a number", json!(7));
    set("a list", json!([good]));
    set("empty", json!(""));
    set("blank", json!("   "));
    set("huge", json!("a".repeat(HUGE)));
    set("an option", json!("--help"));
    set("a substitution", json!("$(IMAGE)$(NOTHING)$$(X)"));
    let unicode = [
        ("combining", "e\u{301}e\u{301}"),
        ("right to left", "\u{202e}cba"),
        ("a null character", "a\u{0}b"),
        ("an emoji", "🔥🔥🔥🔥🔥🔥🔥🔥"),
        ("a line break", "a\nb"),
        ("an invisible character", "a\u{200b}b"),
    ];
    for (what, text) in unicode {
        set(what, json!(text));
        // What fits a pattern that is not anchored, and looks like the good one.
        set(&format!("{what}, behind the good value"), json!(format!("{good}{text}")));
    }
    if let Some(max) = bound("maxLength") {
        set("as long as may be", json!(filled(good, max)));
        set("too long", json!(filled(good, max + 1)));
    }
    if let Some(min) = bound("minLength").filter(|min| *min > 1) {
        set("too short", json!("a".repeat(min - 1)));
    }
    if schema.get("enum").is_some() {
        set("not one of them", json!("Nonsense"));
        set("one of them in lower case", json!(good.to_lowercase()));
    }
    let rules = schema["x-kubernetes-validations"].to_string();
    if schema.get("pattern").is_some() || rules.contains("matches(") {
        set("against its pattern", json!(format!("{good} !")));
    }
    if schema["format"] == "date-time" {
        for odd in ["yesterday", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-01-11"] {
            set(&format!("the time {odd}"), json!(odd));
        }
    }
    if rules.contains("duration(") {
        for odd in ["-1s", "0s", "1e9h", "99999999h", "9223372036854775807h", "1h1h", "10", "5m ", "1.5h", "1us"] {
            set(&format!("the duration {odd}"), json!(odd));
        }
    }
}

/// The value made longer without leaving what its characters are.
fn filled(good: &str, length: usize) -> String {
    let last = good.chars().last().filter(char::is_ascii_alphanumeric).unwrap_or('a');
    let mut long: String = good.chars().take(length).collect();
    while long.chars().count() < length {
        long.push(last);
    }
    long
}

fn numbers(schema: &Value, set: &mut dyn FnMut(&str, Value)) {
    set("a string", json!("1"));
    set("a fraction", json!(1.5));
    set("the largest there is", json!(i64::MAX));
    set("more than the largest", json!(1e30));
    set("the smallest there is", json!(i64::MIN));
    for (name, step) in [("minimum", -1), ("maximum", 1)] {
        if let Some(limit) = schema[name].as_f64() {
            set(&format!("the {name}"), json!(limit));
            set(&format!("beyond the {name}"), json!(limit + f64::from(step)));
        }
    }
}

fn arrays(value: &Value, bound: &dyn Fn(&str) -> Option<usize>, set: &mut dyn FnMut(&str, Value)) {
    let items = value.as_array().cloned().unwrap_or_default();
    let first = items.first().cloned().unwrap_or_default();
    set("an object", json!({}));
    set("a string", json!("x"));
    set("empty", json!([]));
    set("of null", json!([null]));
    set("the same twice", json!([first, first]));
    set("huge", json!(vec![first.clone(); 20_000]));
    if let Some(max) = bound("maxItems") {
        let different: Vec<Value> = (0..=max).map(|nth| numbered(&first, nth)).collect();
        set("as many as may be", different.get(..max).unwrap_or_default().into());
        set("too many", different.into());
    }
}

/// The item, different from those of other numbers.
fn numbered(item: &Value, nth: usize) -> Value {
    match item {
        Value::String(text) => json!(format!("{text}{nth}")),
        Value::Object(fields) => {
            let named = ["name", "container", "check"].into_iter().find(|key| fields.contains_key(*key));
            let mut item = item.clone();
            if let Some(key) = named {
                item[key] = numbered(&item[key], nth);
            }
            item
        }
        other => other.clone(),
    }
}

fn objects(schema: &Value, value: &Value, bound: &dyn Fn(&str) -> Option<usize>, set: &mut dyn FnMut(&str, Value)) {
    set("a list", json!([]));
    set("a string", json!("x"));
    set("empty", json!({}));
    let with = |key: &str, more: Value| {
        let mut value = value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.insert(key.to_owned(), more);
        }
        value
    };
    set("a field nobody knows", with("nobodyKnows", json!({"deep": [1]})));
    if schema.get("properties").is_some() {
        return;
    }
    for (what, key) in
        [("an empty key", ""), ("a key with a blank", "a b"), ("an emoji for a key", "🔥"), ("a dash", "a-b")]
    {
        set(what, with(key, json!("x")));
    }
    set("a long key", with(&"k".repeat(300), json!("x")));
    set("two keys in one environment", json!({"path": "1", "PATH": "2"}));
    if let Some(max) = bound("maxProperties") {
        let all: Map<String, Value> = (0..=max).map(|nth| (format!("k{nth}"), json!("1"))).collect();
        set("too many keys", Value::Object(all));
    }
}
