//! A Lease as it is read and written.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::candidate::{Kind, Write};
use crate::api::names::MANAGER;
use crate::cluster::{Call, Verb};

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its `resourceVersion`: what a write compares.
    pub version: String,
    /// Who holds it; nobody after a release.
    pub holder: Option<String>,
    /// For how long after each renewal the holder may count on it.
    pub duration: Duration,
    /// When it was renewed, in the holder's words. Compared, never read as a time: clocks differ.
    pub renewed: Option<String>,
    /// How often it changed hands.
    pub transitions: i64,
}

impl Record {
    /// Reads it leniently: whatever is missing or odd counts as nothing.
    pub fn read(lease: &Value) -> Self {
        let text = |pointer| lease.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let number = |pointer| lease.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        Self {
            version: text("/metadata/resourceVersion").unwrap_or_default().to_owned(),
            holder: text("/spec/holderIdentity").map(str::to_owned),
            duration: Duration::from_secs(u64::try_from(number("/spec/leaseDurationSeconds")).unwrap_or_default()),
            renewed: text("/spec/renewTime").map(str::to_owned),
            transitions: number("/spec/leaseTransitions"),
        }
    }

    /// Whether the holder has done nothing between the two. What others change about the object, its labels for example, is
    /// no sign of the holder's life.
    pub fn same_claim(&self, other: &Self) -> bool {
        let claim = |record: &Self| (record.holder.clone(), record.renewed.clone(), record.transitions);
        claim(self) == claim(other)
    }
}

/// A call that reads the Lease.
pub(super) fn read(path: &str, name: &str) -> Call {
    Call::get(format!("{path}/{name}"))
}

/// The call that makes this write, at this time.
///
/// A patch with a `resourceVersion` is refused with 409 when the object has another; so is the creation of one that exists.
pub(super) fn write(path: &str, name: &str, me: &str, lease: Duration, write: &Write, now: Timestamp) -> Call {
    // As Kubernetes writes it; a clock that was set back to the very microsecond must not make a renewal a no-op.
    let stamp = format!("{now:.6}");
    let stamp = if write.renewed.as_ref() == Some(&stamp) {
        format!("{:.6}", now + jiff::SignedDuration::from_micros(1))
    } else {
        stamp
    };
    let spec = match write.kind {
        Kind::Take => json!({
            "holderIdentity": me,
            "leaseDurationSeconds": lease.as_secs(),
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": write.transitions,
        }),
        Kind::Keep => json!({"renewTime": stamp}),
        Kind::Free => json!({"holderIdentity": null, "renewTime": stamp}),
    };
    let (verb, path, metadata) = match &write.over {
        Some(version) => (Verb::StrategicPatch, format!("{path}/{name}"), json!({"resourceVersion": version})),
        None => (Verb::Create, path.to_owned(), json!({"name": name})),
    };
    let body = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec});
    Call { verb, path, query: vec![], body: Some(body) }.with("fieldManager", MANAGER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/op/leases";

    fn told(over: Option<&str>, kind: Kind, renewed: Option<&str>) -> Call {
        let asked = Write { kind, over: over.map(str::to_owned), renewed: renewed.map(str::to_owned), transitions: 3 };
        write(PATH, "operator", "me", Duration::from_secs(5), &asked, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_change_compares_the_version() {
        for kind in [Kind::Take, Kind::Keep, Kind::Free] {
            let call = told(Some("7"), kind, None);
            assert_eq!((call.verb, call.path.as_str()), (Verb::StrategicPatch, &*format!("{PATH}/operator")));
            assert_eq!(call.body.unwrap()["metadata"], json!({"resourceVersion": "7"}));
        }
        let created = told(None, Kind::Take, None);
        assert_eq!((created.verb, created.path.as_str()), (Verb::Create, PATH));
    }

    #[test]
    fn a_release_leaves_nobodys_name() {
        let body = told(Some("7"), Kind::Free, None).body.unwrap();
        assert_eq!(body["spec"], json!({"holderIdentity": null, "renewTime": "1970-01-01T00:00:00.000000Z"}));
    }

    #[test]
    fn a_renewal_changes_the_time_whatever_the_clock_says() {
        let body = told(Some("7"), Kind::Keep, Some("1970-01-01T00:00:00.000000Z")).body.unwrap();
        assert_eq!(body["spec"]["renewTime"], "1970-01-01T00:00:00.000001Z");
    }

    #[test]
    fn what_is_odd_in_a_lease_counts_as_nothing() {
        let odd = json!({"metadata": {"resourceVersion": "7"}, "spec": {
            "holderIdentity": "", "leaseDurationSeconds": -4, "renewTime": 5, "leaseTransitions": "many",
        }});
        let read = Record::read(&odd);
        assert_eq!((read.holder, read.duration, read.renewed, read.transitions), (None, Duration::ZERO, None, 0));
    }

    #[test]
    fn a_label_is_no_sign_of_life_and_a_renewal_is() {
        let lease = |version: &str, renewed: &str| {
            Record::read(&json!({"metadata": {"resourceVersion": version},
                "spec": {"holderIdentity": "a", "renewTime": renewed}}))
        };
        assert!(lease("7", "t").same_claim(&lease("8", "t")));
        assert!(!lease("7", "t").same_claim(&lease("8", "u")));
    }
}
