//! What people read in the conditions when the operator itself is kept from working: a missing right, a write that was
//! refused, a failure of its own.
//!
//! The planner writes every other condition, but it needs a whole picture, which is just what may be missing here. So
//! this one is laid over the planner's conditions, and the planner is shown its own ones underneath: it neither takes
//! the complaint back before it is settled nor mistakes it for a fact of the rollout.

use super::trouble::Trouble;
use crate::api::conditions::{Condition, Wanted, merge};
use crate::api::time::Moment;
use crate::api::{ConditionType, Reason, SecurityHotfixStatus, Truth};
use crate::plan::{Note, Weight};

/// What is to be complained of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    reason: Reason,
    message: String,
}

/// A complaint that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The planner's conditions underneath.
    under: Vec<Condition>,
    /// The conditions as they were written.
    written: Vec<Condition>,
}

impl Complaint {
    /// What people should read of this trouble; `None` where it passes by itself.
    pub fn of(trouble: &Trouble) -> Option<Self> {
        let (reason, message) = match trouble {
            Trouble::Transient(_) | Trouble::Contended { .. } | Trouble::TimedOut(_) => return None,
            Trouble::Refused(why) => (
                Reason::ApiRefused,
                format!("The operator cannot go on: {}. It tries again every minute.", why.trim_end_matches('.')),
            ),
            Trouble::Unrunnable(why) => {
                let mut why = why.trim_end_matches('.').to_owned();
                if let Some(first) = why.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                let message = format!("{why}. Mend the SecurityCheck: it is run as soon as it has changed.");
                (Reason::CheckInvalid, message)
            }
            Trouble::Violation { action, why } => (
                Reason::InvariantViolated,
                format!(
                    "The operator refused a write of its own ({action}), which would break an invariant: {why}. Nothing was written; it looks again every minute. Please report this."
                ),
            ),
            Trouble::Panicked(why) => (
                Reason::OperatorFailed,
                format!(
                    "The operator failed: {why}. It tries again every minute; its log says more. Please report this."
                ),
            ),
        };
        Some(Self { reason, message })
    }

    /// The same as an event.
    pub fn note(&self) -> Note {
        Note { weight: Weight::Warning, reason: self.reason, action: "Look", text: self.message.clone() }
    }

    /// The conditions with this complaint over those of `status`; `None` when it is there already, or when the hotfix
    /// has come to a good end that no complaint should hide.
    pub fn over(
        &self,
        status: &SecurityHotfixStatus,
        said: Option<&Said>,
        generation: i64,
        now: Moment,
    ) -> Option<Said> {
        let under = said.map_or_else(|| status.conditions.clone(), |said| said.beneath(&status.conditions));
        if under.iter().any(|c| c.type_ == ConditionType::Ready && c.status == Truth::True) {
            return None;
        }
        let wanted = [(ConditionType::Ready, Truth::False), (ConditionType::Stalled, Truth::True)]
            .map(|(type_, status)| Wanted { type_, status, reason: self.reason, message: self.message.clone() });
        let mut written = merge(&status.conditions, wanted.to_vec(), generation, now);
        let covered = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
        written.extend(under.iter().filter(|condition| !covered.contains(&condition.type_)).cloned());
        (written != status.conditions).then_some(Said { under, written })
    }
}

impl Said {
    /// What was written.
    pub fn written(&self) -> &[Condition] {
        &self.written
    }

    /// The planner's conditions under `seen`, if `seen` is what was written; otherwise somebody wrote others since.
    pub fn beneath(&self, seen: &[Condition]) -> Vec<Condition> {
        if self.covers(seen) { self.under.clone() } else { seen.to_vec() }
    }

    /// Whether `seen` is what was written.
    pub fn covers(&self, seen: &[Condition]) -> bool {
        seen == self.written
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: u32) -> Moment {
        Moment::new(format!("2026-11-23T12:00:{second:02}Z").parse().unwrap())
    }

    fn status(ready: &str) -> SecurityHotfixStatus {
        serde_json::from_value(json!({"conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": at(1), "reason": "Scanning", "message": "scans"},
            {"type": "Reconciling", "status": "True", "lastTransitionTime": at(1), "reason": "Scanning", "message": ""},
            {"type": "Scanned", "status": "Unknown", "lastTransitionTime": at(1), "reason": "Scanning", "message": ""},
        ]}))
        .unwrap()
    }

    fn refused() -> Complaint {
        Complaint::of(&Trouble::Refused("The operator may not list pods.".into())).unwrap()
    }

    #[test]
    fn a_refusal_stalls_the_hotfix_and_says_what_is_missing() {
        let said = refused().over(&status("False"), None, 1, at(5)).unwrap();
        let of = |type_| said.written().iter().find(|c| c.type_ == type_);
        let stalled = of(ConditionType::Stalled).unwrap();
        assert_eq!(
            (stalled.status, stalled.reason, stalled.last_transition_time),
            (Truth::True, Reason::ApiRefused, at(5))
        );
        assert!(stalled.message.contains("may not list pods"));
        assert_eq!(of(ConditionType::Ready).unwrap().last_transition_time, at(1), "it was False before");
        assert!(of(ConditionType::Reconciling).is_none());
        assert!(of(ConditionType::Scanned).is_some());
    }

    #[test]
    fn a_check_that_cannot_be_run_is_named_as_such() {
        let trouble =
            Trouble::Unrunnable("check trivy cannot be run, since the API server refuses its Job: no.".into());
        let note = Complaint::of(&trouble).unwrap().note();
        assert_eq!(note.reason, Reason::CheckInvalid);
        assert_eq!(
            note.text,
            "Check trivy cannot be run, since the API server refuses its Job: no. Mend the SecurityCheck: it is run as soon as it has changed."
        );
    }

    #[test]
    fn the_same_complaint_is_written_once() {
        let mut status = status("False");
        let said = refused().over(&status, None, 1, at(5)).unwrap();
        status.conditions = said.written().to_vec();
        assert_eq!(refused().over(&status, Some(&said), 1, at(9)), None);
    }

    #[test]
    fn the_planner_sees_its_own_conditions_underneath() {
        let before = status("False");
        let said = refused().over(&before, None, 1, at(5)).unwrap();
        assert_eq!(said.beneath(said.written()), before.conditions);
        assert_eq!(said.beneath(&[]), [], "what others wrote since is shown as it is");
    }

    #[test]
    fn a_good_end_is_not_hidden() {
        assert_eq!(refused().over(&status("True"), None, 1, at(5)), None);
    }

    #[test]
    fn what_passes_by_itself_is_no_complaint() {
        assert_eq!(Complaint::of(&Trouble::Transient("late".into())), None);
        assert_eq!(Complaint::of(&Trouble::TimedOut(std::time::Duration::from_secs(1))), None);
    }
}
