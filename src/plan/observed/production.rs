//! What serves: Services, pods, and the Deployments behind them, whoever they belong to.

use std::sync::Arc;

use serde_json::Value;

use super::Map;
use crate::api::time::Moment;

/// A Service.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the API has as a bool")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read.
    pub resource_version: String,
    /// Its selector; empty when it has none.
    pub selector: Map,
    /// Its labels.
    pub labels: Map,
    /// Its annotations, the mark included.
    pub annotations: Map,
    /// True when it is being deleted.
    pub deleting: bool,
    /// `spec.type`.
    pub type_: String,
    /// True when it has no cluster IP, so that clients resolve pods themselves.
    pub headless: bool,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// True when `internalTrafficPolicy` or `externalTrafficPolicy` is `Local`.
    pub local_traffic: bool,
    /// `spec.ports` as the API server gave it.
    pub ports: Vec<Value>,
    /// Its managedFields entries, in order.
    pub managers: Vec<Manager>,
}

/// An entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Name of the manager.
    pub name: String,
    /// Its place in the list, for a patch that removes it.
    pub index: usize,
    /// When it last wrote.
    pub at: Option<Moment>,
    /// True when it owns what this project also writes there: a Service's selector, a container's image.
    pub owns: Owns,
}

/// What a field manager owns, of what matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owns {
    /// The field this project also writes.
    Contested,
    /// Other fields only.
    Else,
}

/// A pod.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the API has as a bool")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read.
    pub resource_version: String,
    /// Its labels.
    pub labels: Map,
    /// UID of its controller.
    pub controller: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// Why no node takes it, as the scheduler says: visible text of at most 300 bytes.
    pub unplaced: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// True when it is being deleted.
    pub deleting: bool,
    /// True when it has ended, well or badly.
    pub ended: bool,
    /// Its readiness gates.
    pub gates: Vec<String>,
    /// Condition `ContainersReady`.
    pub containers_ready: bool,
    /// When it last changed, in whole seconds.
    pub containers_ready_since: Option<Moment>,
    /// Condition `Ready`.
    pub ready: bool,
    /// When `Ready` last changed.
    pub ready_since: Option<Moment>,
    /// Our condition, where it was ever written.
    pub open: Option<Open>,
    /// Its containers, init containers included.
    pub containers: Vec<Container>,
    /// True when it uses the host's network or a host port.
    pub host_ports: bool,
}

/// The state of our readiness gate on a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// True: open. False: closed for good.
    pub open: bool,
    /// When it was written.
    pub since: Option<Moment>,
}

/// A container of a pod, as specified and as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image in the pod's spec.
    pub image: String,
    /// What the kubelet says it runs; empty until it does.
    pub image_id: String,
    /// Why it waits, where it does. Example: `ImagePullBackOff`.
    pub waiting: Option<String>,
    /// How often it was restarted.
    pub restarts: i32,
}

/// A Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Version of this read.
    pub resource_version: String,
    /// Generation of its spec.
    pub generation: i64,
    /// The generation its controller has seen.
    pub observed_generation: i64,
    /// Its labels.
    pub labels: Map,
    /// Its annotations.
    pub annotations: Map,
    /// True when it is being deleted.
    pub deleting: bool,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.replicas`.
    pub replicas: i32,
    /// Its controller, where it has one: kind and name, for a message.
    pub controller: Option<String>,
    /// UIDs of all its owners.
    pub owners: Vec<String>,
    /// Its managedFields entries, in order.
    pub managers: Vec<Manager>,
    /// The object as the API server gave it: the candidate is built from it, unknown fields and all.
    pub raw: Arc<Value>,
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the Deployment that controls it.
    pub controller: String,
    /// Its `pod-template-hash`.
    pub template_hash: String,
    /// The slot it bears: it is, or was, a candidate's.
    pub slot: Option<String>,
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.replicas`: the pods it has.
    pub pods: i32,
    /// Its revision among its Deployment's.
    pub revision: i64,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The Service it is of.
    pub service: String,
    /// Who manages it.
    pub managed_by: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// UID of the pod behind it; `None` where the slice does not say.
    pub pod: Option<String>,
    /// Condition `ready`.
    pub ready: bool,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: Map,
    /// Its selector as it was written.
    pub selector: Value,
    /// Its spec as it was written.
    pub spec: Value,
}

/// A HorizontalPodAutoscaler that scales blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// Its metrics, as `type/target`. Example: `Resource/Utilization`, `External/Value`.
    pub metrics: Vec<String>,
}
