//! The record of a hotfix, built from what its status keeps.
//!
//! Pure: it says what a `HotfixReport` is to hold and never reads or writes a cluster, so the planner can compare the
//! record that exists with the one that should, and the same status always gives the same record. It claims only what
//! was recorded; a time nobody recorded is absent, never guessed.

mod spec;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::api::time::Moment;
use crate::api::{GROUP, HotfixReportSpec, SecurityHotfixSpec, SecurityHotfixStatus, VERSION, names};

/// The hotfix a record is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its namespace; the record lives there too.
    pub namespace: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// When it was created.
    pub created_at: Option<Moment>,
    /// Field managers that wrote its spec.
    pub managers: &'a [String],
    /// What is asked for.
    pub spec: &'a SecurityHotfixSpec,
    /// What was recorded.
    pub status: &'a SecurityHotfixStatus,
}

/// The object with which a record is opened.
///
/// It has no ownerReference, since it must outlive the hotfix, and no finalizer; its labels tell whose it is.
pub fn open<'a>(about: impl Into<Subject<'a>>) -> Value {
    let about = about.into();
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "HotfixReport",
        "metadata": {
            "name": names::report(about.name, about.uid),
            "namespace": about.namespace,
            "labels": {
                (names::HOTFIX_UID): about.uid,
                (names::HOTFIX_NAME): about.name,
            },
        },
        "spec": spec::spec(about, None),
    })
}

/// What the record is to say now; `closed` is the moment the hotfix came to its end, and absent until then.
pub fn spec<'a>(about: impl Into<Subject<'a>>, closed: Option<Moment>) -> HotfixReportSpec {
    spec::spec(about.into(), closed)
}
