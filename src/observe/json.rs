//! Small tolerant readers over raw JSON: what is missing or of another shape is absent, and nothing panics.
//!
//! Raw JSON because typed structs drop the fields they do not know, and because one odd field must not make an object
//! unreadable of which another field matters.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::time::Moment;
use crate::plan::observed::Map;

/// The text at `pointer`.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// The text at `pointer`, empty where there is none.
pub(super) fn word(object: &Value, pointer: &str) -> String {
    text(object, pointer).unwrap_or_default().to_owned()
}

/// The whole number at `pointer`.
pub(super) fn integer(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The whole number at `pointer`, where it fits the field's own type.
pub(super) fn count(object: &Value, pointer: &str) -> Option<i32> {
    integer(object, pointer).and_then(|number| number.try_into().ok())
}

/// True where `pointer` holds `true`.
pub(super) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `pointer`, empty where there is none.
pub(super) fn array<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The map of texts at `pointer`, empty where there is none.
pub(super) fn map(object: &Value, pointer: &str) -> Map {
    let entries = object.pointer(pointer).and_then(Value::as_object);
    entries.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The time at `pointer`.
pub(super) fn moment(object: &Value, pointer: &str) -> Option<Moment> {
    text(object, pointer)?.parse::<Timestamp>().ok().map(Moment::new)
}

/// True while the object is being deleted.
pub(super) fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// The owner that controls the object.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    array(object, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"))
}

/// The status condition of that type.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    array(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == Some(kind))
}

/// True where the status condition of that type is True.
pub(super) fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).and_then(|condition| text(condition, "/status")) == Some("True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_or_of_another_shape_is_absent() {
        for odd in [json!(null), json!([]), json!("x"), json!({"a": 7, "metadata": [], "status": {"conditions": {}}})] {
            assert_eq!(text(&odd, "/a"), None);
            assert_eq!(moment(&odd, "/a"), None);
            assert!(!flag(&odd, "/a"));
            assert!(map(&odd, "/metadata/labels").is_empty());
            assert!(array(&odd, "/status/conditions").is_empty());
            assert!(controller(&odd).is_none());
            assert!(!deleting(&odd) && !holds(&odd, "Ready"));
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_absent() {
        assert_eq!(count(&json!({"a": 3}), "/a"), Some(3));
        assert_eq!(count(&json!({"a": i64::MAX}), "/a"), None);
        assert_eq!(count(&json!({"a": 1.5}), "/a"), None);
    }

    #[test]
    fn a_map_keeps_its_texts() {
        assert_eq!(map(&json!({"m": {"a": "1", "b": 2}}), "/m"), Map::from([("a".into(), "1".into())]));
    }
}
