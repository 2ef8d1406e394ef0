//! Conditions: their types, their reasons, and the one way to set one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Moment;

/// The longest message a condition, verdict or latch carries, in bytes: long enough for a sentence with names in
/// it, short enough that thirteen of them leave a status far below what etcd and `kubectl get` bear.
pub const MESSAGE_MAX: usize = 1024;

/// What a condition speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// The summary: True when nothing is left to do and the workload is patched.
    Ready,
    /// Present, and True, only while the operator works towards the end.
    Reconciling,
    /// Present, and True, only while a person is needed, or the hotfix has ended without remediation.
    Stalled,
    /// The scan gate passed.
    Scanned,
    /// The candidate was ready at staging size.
    Staged,
    /// The analysis gate passed.
    Analyzed,
    /// The approval gate passed, or no approval is required.
    Approved,
    /// Traffic moved to the candidate, and every endpoint followed.
    Promoted,
    /// The candidate served for the soak with its checks passing.
    Verified,
    /// The last vulnerable pod is gone.
    Remediated,
    /// The traffic was returned to the Deployment's own pods.
    RolledBack,
    /// A person's decision is awaited.
    AwaitingApproval,
    /// The hotfix has come to an end, good or bad; for `kubectl wait`.
    Finished,
}

/// True, False or Unknown, as Kubernetes spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Truth {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is not known yet.
    Unknown,
}

/// Why a condition is as it is. Each has an anchor in the runbooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[rustfmt::skip]
pub enum Reason {
    // Progress.
    /// Nothing has been done yet.
    Pending,
    /// The scan gate runs.
    Scanning,
    /// The candidate starts.
    Staging,
    /// The analysis gate runs.
    Analyzing,
    /// A decision is awaited.
    AwaitingApproval,
    /// The candidate takes the traffic.
    Promoting,
    /// The candidate serves and is checked.
    Verifying,
    /// The patched image goes into the user's Deployment.
    FoldingBack,
    /// The traffic goes back and the candidate is removed.
    RollingBack,
    /// What the attempt made is being removed.
    CleaningUp,

    // Results.
    /// The step passed.
    Passed,
    /// The step was not reached.
    NotReached,
    /// No approval is required by the policy.
    NotRequired,
    /// The workload is patched and nothing vulnerable runs.
    Remediated,
    /// The workload ran the patched image already.
    AlreadyPatched,
    /// The traffic is back on the Deployment's own pods.
    RolledBack,
    /// A person rejected the candidate.
    Rejected,
    /// A person ended the attempt.
    Cancelled,
    /// The owner deployed another image.
    Superseded,

    // What is waited for before an attempt begins.
    /// `spec.suspend` is true.
    Suspended,
    /// Another policy applies to the namespace than the one the attempt began under.
    PolicyChanged,
    /// No policy applies to the namespace.
    PolicyMissing,
    /// The policy cannot be carried out as written.
    PolicyInvalid,
    /// A check named by the policy does not exist.
    CheckMissing,
    /// A check cannot be run as written, or not in this gate.
    CheckInvalid,
    /// Another hotfix has the workload.
    WorkloadClaimed,
    /// The image is not in the policy's allow-list.
    ImageNotAllowed,
    /// The image of a container is no reference that can be read.
    ImageUnreadable,
    /// The registry did not tell a digest for the image.
    ImageUnresolved,
    /// A container named by the hotfix is not in the Deployment.
    ContainerNotFound,
    /// The target Deployment does not exist.
    TargetNotFound,
    /// The target is being deleted.
    TargetTerminating,
    /// The target is paused.
    TargetPaused,
    /// The target is scaled to zero.
    TargetScaledToZero,
    /// Another controller or rollout tool owns the target.
    TargetOwned,
    /// The target is in the middle of a rollout of its owner's.
    TargetRollingOut,
    /// No image digest is known for a running pod, so there is nothing to scan as a baseline.
    BaselineUnknown,
    /// No Service selects the workload.
    NoService,
    /// A Service also selects pods that are not of the workload.
    ServiceShared,
    /// A Service has endpoints that the EndpointSlice controller does not manage.
    ForeignEndpoints,
    /// A Service is of a kind that cannot be switched safely.
    ServiceUnsupported,
    /// A load balancer registers the pods itself.
    PodLoadBalancer,
    /// A Service with a `Local` traffic policy has nodes the candidate does not cover.
    LocalTrafficPolicy,
    /// The pods use host ports or the host's network, or a volume only one node can mount.
    PodsNotDoubled,
    /// An autoscaler's metric would be doubled by a second set of pods.
    AutoscalerUnsupported,
    /// A living hotfix has its mark or slot on a Service.
    ServiceHeld,
    /// A hotfix that is gone left its candidate on the workload; it is taken away first.
    LeftBehind,
    /// The namespace has a policy that refuses the candidate, or changes it.
    AdmissionRefused,

    // Why an attempt ended.
    /// The scan gate failed.
    ScanFailed,
    /// The candidate was not ready in time, or failed to start.
    StagingFailed,
    /// The analysis gate failed.
    AnalysisFailed,
    /// The candidate could not be opened in time.
    OpeningFailed,
    /// The endpoints did not follow the switch in time.
    ConvergenceFailed,
    /// The verification gate failed.
    VerificationFailed,
    /// A person asked for the end by annotation.
    Aborted,
    /// The hotfix was deleted.
    Deleted,
    /// The owner deployed something else.
    BlueRedeployed,
    /// The target Deployment is gone.
    BlueGone,
    /// Somebody changed a Service's selector or mark again after it had been set again.
    ServiceChanged,
    /// The candidate was changed or removed by somebody.
    GreenChanged,
    /// The patched image was taken out of the Deployment twice.
    FoldBackReverted,

    // What is held back.
    /// No side that is safe to send traffic to; nothing is moved until blue recovers or a person decides.
    BlueNotReady,
    /// The operator refused a write of its own that broke an invariant.
    InvariantViolated,
    /// The API server, or an admission rule, does not let the operator read or write what it has to.
    ApiRefused,
    /// The operator failed on this hotfix by a fault of its own.
    OperatorFailed,
    /// The pod of a check has not started: its image cannot be pulled, or no node takes it.
    CheckNotStarted,
    /// The last run of a check proved nothing, and another one follows.
    CheckInconclusive,
    /// The roll-out of the patched image takes longer than the policy says.
    FoldBackSlow,

    // What people asked for.
    /// A command given by annotation was not carried out.
    CommandRefused,

    /// A reason of another version of the operator.
    #[serde(other)]
    Other,
}

/// A plain string in the schema: a new reason must not need a new definition before a status can be written.
impl JsonSchema for Reason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 1, "maxLength": 64})
    }
}

impl Reason {
    /// The reason as conditions spell it.
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }
}

/// One thing that is true, false or unknown of a hotfix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it speaks of.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// True, False or Unknown.
    pub status: Truth,
    /// The generation of the spec it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status last changed.
    pub last_transition_time: Moment,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence: what was seen, what is awaited, what to do.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What a condition should be; the time of its last change is found by [`merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it speaks of.
    pub type_: ConditionType,
    /// True, False or Unknown.
    pub status: Truth,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
}

/// Turns what should be into conditions, keeping the transition time of each whose status did not change.
pub fn merge(before: &[Condition], wanted: Vec<Wanted>, generation: i64, now: Moment) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|Wanted { type_, status, reason, message }| {
            let kept = before.iter().find(|c| c.type_ == type_ && c.status == status);
            Condition {
                type_,
                status,
                observed_generation: Some(generation),
                last_transition_time: kept.map_or(now, |c| c.last_transition_time),
                reason,
                message: shorten(&message, MESSAGE_MAX),
            }
        })
        .collect()
}

/// `text` cut to at most `max` bytes on a character boundary, with an ellipsis where something was cut.
pub fn shorten(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ELLIPSIS}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Moment {
        Moment::new(jiff::Timestamp::from_second(second).unwrap())
    }

    fn wanted(status: Truth, message: &str) -> Vec<Wanted> {
        vec![Wanted { type_: ConditionType::Ready, status, reason: Reason::Pending, message: message.into() }]
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_does() {
        let first = merge(&[], wanted(Truth::Unknown, "a"), 1, at(1));
        let second = merge(&first, wanted(Truth::Unknown, "b"), 1, at(2));
        assert_eq!(second[0].last_transition_time, at(1));
        assert_eq!(second[0].message, "b");
        let third = merge(&second, wanted(Truth::True, "c"), 1, at(3));
        assert_eq!(third[0].last_transition_time, at(3));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = shorten(&"ä".repeat(600), 1024);
        assert!(cut.len() <= 1024);
        assert!(cut.ends_with('…'));
        assert_eq!(shorten("short", 1024), "short");
    }
}
