//! How everything behaves that is not modelled: images, scanners, kubelets, the registry, admission. A story changes it
//! while it is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What is decided by the story.
#[expect(clippy::struct_excessive_bools, reason = "each is switched by a story on its own")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// What is in each image, by its reference with digest.
    pub images: BTreeMap<String, Image>,
    /// How many more scans of an image print garbage, by its reference.
    pub garbage: BTreeMap<String, usize>,
    /// Why the pods of new check Jobs do not start, as Kubernetes says.
    pub stuck: Option<String>,
    /// Tests fail.
    pub tests_fail: bool,
    /// Opened pods do not become ready: their kubelets hang.
    pub kubelet_hangs: bool,
    /// Services whose slices are not brought up to date.
    pub slices_hang: BTreeSet<String>,
    /// The scheduler finds room for the Deployment's own pods on one node only.
    pub crowded: bool,
    /// An admission webhook takes the readiness gate off pods.
    pub gate_stripped: bool,
    /// The registry does not know the image.
    pub registry_fails: Option<String>,
    /// Admission refuses the candidate.
    pub refusal: Option<String>,
    /// Why the operator may not ask admission.
    pub denied: Option<String>,
    /// What admission adds to the candidate's template.
    pub injected: Option<(String, Value)>,
    /// Pods (by name) that were broken by hand.
    pub broken: BTreeSet<String>,
}

/// How an image behaves.
#[expect(clippy::struct_excessive_bools, reason = "each is switched by a story on its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its Jinja2 has the vulnerability.
    pub vulnerable: bool,
    /// The scanner sees nothing of it.
    pub invisible: bool,
    /// It brings another vulnerability, critical.
    pub worse: bool,
    /// Its containers never become ready.
    pub never_ready: bool,
    /// It answers its probes badly, while its readiness probe stays green.
    pub sick: bool,
    /// It died.
    pub dead: bool,
}
