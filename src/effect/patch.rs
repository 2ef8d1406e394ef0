//! JSON patches, written so that a reader sees what is tested and what is changed.

use serde_json::{Value, json};

use crate::api::names::MARK;
use crate::plan::action::{Annotations, Versioned};

/// A list of operations, applied together or not at all.
#[derive(Debug, Default)]
pub(super) struct Patch(Vec<Value>);

impl Patch {
    /// A patch of an object that must still be at the version it was decided on.
    pub(super) fn at_version(resource_version: &str) -> Self {
        Self::default().test("/metadata/resourceVersion", json!(resource_version))
    }

    /// A patch of an object that must still be the same one, at the version it was decided on.
    pub(super) fn of(object: &Versioned) -> Self {
        Self::at_version(&object.resource_version).test("/metadata/uid", json!(object.uid))
    }

    /// What is at `path` must be `value`, or nothing is changed.
    pub(super) fn test(mut self, path: &str, value: Value) -> Self {
        self.0.push(operation("test", path, value));
        self
    }

    /// Puts `value` at `path`, whether something is there or not; its parent must be there.
    pub(super) fn add(mut self, path: &str, value: Value) -> Self {
        self.0.push(operation("add", path, value));
        self
    }

    /// Puts `value` at `path`, where something must be.
    pub(super) fn replace(mut self, path: &str, value: Value) -> Self {
        self.0.push(operation("replace", path, value));
        self
    }

    /// Takes away what is at `path`, where something must be.
    pub(super) fn remove(mut self, path: &str) -> Self {
        self.0.push(json!({"op": "remove", "path": path}));
        self
    }

    /// Writes the mark into the annotations, making them where there are none.
    pub(super) fn add_mark(self, mark: &str, annotations: Annotations) -> Self {
        match annotations {
            Annotations::Some => self.add(&mark_pointer(), json!(mark)),
            Annotations::None => self.add("/metadata/annotations", json!({ MARK: mark })),
        }
    }

    /// Takes entries of `manager` out of managedFields. The last goes first, so that each is still at its place when
    /// its turn comes.
    pub(super) fn remove_managers(self, manager: &str, ascending: &[usize]) -> Self {
        let tested = ascending
            .iter()
            .fold(self, |patch, index| patch.test(&format!("/metadata/managedFields/{index}/manager"), json!(manager)));
        ascending.iter().rev().fold(tested, |patch, index| patch.remove(&format!("/metadata/managedFields/{index}")))
    }

    /// The patch as it is sent.
    pub(super) fn into_value(self) -> Value {
        Value::Array(self.0)
    }
}

fn operation(op: &str, path: &str, value: Value) -> Value {
    let mut operation = json!({"op": op, "path": path});
    operation["value"] = value;
    operation
}

/// Where the mark is.
pub(super) fn mark_pointer() -> String {
    format!("/metadata/annotations/{}", token(MARK))
}

/// A key as one step of a JSON pointer.
fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_escaped_for_a_pointer() {
        assert_eq!(token("a/b~c"), "a~1b~0c");
        assert_eq!(mark_pointer(), "/metadata/annotations/securityhotfix.dev~1mark");
    }

    #[test]
    fn the_last_manager_goes_first() {
        let patch = Patch::default().remove_managers("m", &[1, 4]).into_value();
        assert_eq!(
            patch,
            json!([
                {"op": "test", "path": "/metadata/managedFields/1/manager", "value": "m"},
                {"op": "test", "path": "/metadata/managedFields/4/manager", "value": "m"},
                {"op": "remove", "path": "/metadata/managedFields/4"},
                {"op": "remove", "path": "/metadata/managedFields/1"}
            ])
        );
    }
}
