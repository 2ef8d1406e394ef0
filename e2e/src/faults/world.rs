//! What an independent observer has seen of one lane: every object at every version, in the order in which they were written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// The kinds that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Deployments.
    Deployment,
    /// ReplicaSets.
    ReplicaSet,
    /// Pods.
    Pod,
    /// Services.
    Service,
    /// EndpointSlices.
    Slice,
    /// Leases.
    Lease,
    /// Budgets.
    Budget,
    /// Check Jobs.
    Job,
    /// Hotfixes.
    Hotfix,
    /// Their records.
    Report,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Deployment,
        Self::ReplicaSet,
        Self::Pod,
        Self::Service,
        Self::Slice,
        Self::Lease,
        Self::Budget,
        Self::Job,
        Self::Hotfix,
        Self::Report,
    ];

    /// Group, version, kind and plural.
    pub fn api(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Self::ReplicaSet => ("apps", "v1", "ReplicaSet", "replicasets"),
            Self::Pod => ("", "v1", "Pod", "pods"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::Slice => ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
            Self::Lease => ("coordination.k8s.io", "v1", "Lease", "leases"),
            Self::Budget => ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::Job => ("batch", "v1", "Job", "jobs"),
            Self::Hotfix => ("securityhotfix.dev", "v1alpha1", "SecurityHotfix", "securityhotfixes"),
            Self::Report => ("securityhotfix.dev", "v1alpha1", "HotfixReport", "hotfixreports"),
        }
    }
}

/// Namespace and name; shared, since a world is copied for every change.
pub type Place = Arc<(String, String)>;

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Event {
    /// The version at which it happened: one order for all kinds.
    pub version: u64,
    /// The kind.
    pub kind: Kind,
    /// Whether the object is gone with it.
    pub gone: bool,
    /// The object, the last of it where it is gone.
    pub object: Arc<Value>,
}

/// Every object of a lane at one moment.
#[derive(Debug, Clone, Default)]
pub struct World(BTreeMap<(Kind, Place), Arc<Value>>);

impl World {
    /// Lets an event happen; gives what the object was before.
    pub fn apply(&mut self, event: &Event) -> Option<Arc<Value>> {
        let key = (event.kind, place(&event.object));
        let known = self.0.get(&key).map(|object| version(object));
        if known.is_some_and(|known| known > event.version) {
            return None;
        }
        if event.gone { self.0.remove(&key) } else { self.0.insert(key, Arc::clone(&event.object)) }
    }

    /// Every object of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |((found, _), _)| *found == kind).map(|(_, object)| &**object)
    }

    /// The object of this name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.all(kind).find(|object| text(object, "/metadata/name") == name)
    }

    /// The version of the object an event is about, if it is there.
    pub fn versions_of(&self, event: &Event) -> Option<u64> {
        self.0.get(&(event.kind, place(&event.object))).map(|object| version(object))
    }

    /// The versions of all objects, to compare.
    pub fn versions(&self) -> BTreeMap<(Kind, Place), u64> {
        self.0.iter().map(|(key, object)| (key.clone(), version(object))).collect()
    }
}

/// What was seen, from a moment on.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What there was then.
    pub before: World,
    /// What happened since.
    pub events: Vec<Event>,
}

/// Namespace and name of an object.
pub fn place(object: &Value) -> Place {
    Arc::new((text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned()))
}

/// The version of an object.
pub fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}

/// A text in an object, empty where there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A list in an object, empty where there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// An annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// The status of a condition.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    list(object, "/status/conditions").iter().find(|it| text(it, "/type") == kind).map_or("", |it| text(it, "/status"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(version: u64, gone: bool) -> Event {
        let object = json!({"metadata": {"namespace": "l", "name": "web", "resourceVersion": version.to_string()}});
        Event { version, kind: Kind::Service, gone, object: Arc::new(object) }
    }

    #[test]
    fn what_is_told_late_does_not_undo_what_is_newer() {
        let mut world = World::default();
        world.apply(&event(5, false));
        world.apply(&event(3, false));
        assert_eq!(world.get(Kind::Service, "web").map(version), Some(5));
        world.apply(&event(7, true));
        assert!(world.get(Kind::Service, "web").is_none());
    }
}
