//! What requesters and administrators write, on the way from the object to an answer.

use securityhotfix::observe::untrusted as read;
use serde_json::{Value, json};

use crate::answer::{Trust, sound};
use crate::bytes::Bytes;
use crate::json::each;
use crate::picture::begun;
use crate::schema;

/// Three bytes choose a picture; the rest is a document with any of `policy`, `checks`, `hotfix` and `status`, put into it.
pub fn specs(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    let mut head = Bytes(choices.take(3));
    let Ok(document) = serde_json::from_slice::<Value>(choices.0) else { return };
    let (mut o, now) = begun(&mut head);
    let mut trust = Trust::Sound;
    let mut refusable = |takes: bool| {
        if !takes {
            trust = Trust::Damaged;
        }
    };
    if let Some(spec) = document.get("policy")
        && let Ok(policy) = read::policy(&json!({"metadata": {"name": "default"}, "spec": spec}))
    {
        refusable(schema::POLICY.takes(spec));
        o.policy = Some(policy);
    }
    for entry in each(&document["checks"]) {
        let name = entry["name"].as_str().unwrap_or("smoke");
        let object = json!({"metadata": {"uid": format!("check-{name}"), "generation": 2}, "spec": entry["spec"]});
        if let Ok(check) = read::check(&object) {
            refusable(schema::CHECK.takes(&entry["spec"]) && name.len() <= 63 && name.is_ascii());
            o.checks.insert(name.to_owned(), check);
        }
    }
    let (spec, status) = (document.get("hotfix"), document.get("status"));
    let metadata = json!({"name": o.hotfix.name, "namespace": o.hotfix.namespace, "uid": o.hotfix.uid,
        "resourceVersion": o.hotfix.resource_version});
    let (own, recorded) = (json!(o.hotfix.spec), json!(o.hotfix.status));
    let object = json!({"metadata": metadata, "spec": spec.unwrap_or(&own), "status": status.unwrap_or(&recorded)});
    if let Ok(hotfix) = read::hotfix(&object) {
        refusable(schema::HOTFIX.takes(&object["spec"]));
        // A spec never changes under an attempt, and nobody but the operator writes a status.
        refusable(status.is_none() && (spec.is_none() || o.attempt().is_none()));
        (o.hotfix.spec, o.hotfix.status) = (hotfix.spec, hotfix.status);
    }
    sound(&o, now, trust);
}
