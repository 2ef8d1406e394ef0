//! The project's own kinds: an object that cannot be read is told from none, and what can be read is read whole.

use std::fmt::Debug;

use securityhotfix::observe::untrusted as read;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One object, taken by the reader of each kind.
pub fn own(bytes: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Value>(bytes) else { return };
    match read::hotfix(&object) {
        Ok(hotfix) => {
            reads_back(&hotfix.spec);
            reads_back(&hotfix.status);
            let recorded = object.get("status").is_some_and(|status| !status["attempt"].is_null());
            assert_eq!(hotfix.status.attempt.is_some(), recorded, "an attempt was forgotten, or made up");
            assert!(hotfix.annotations.keys().all(|key| key.starts_with("securityhotfix.dev/")));
        }
        Err(why) => assert!(!why.is_empty()),
    }
    if let Ok(policy) = read::policy(&object) {
        reads_back(&policy.spec);
    }
    if let Ok(check) = read::check(&object) {
        reads_back(&check.spec);
    }
    if let Ok(report) = read::report(&object) {
        reads_back(&report.spec);
    }
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_value(value).expect("it can be written");
    let again: T = serde_json::from_value(written).expect("what was written can be read");
    assert_eq!(&again, value, "written and read again it is another");
}
