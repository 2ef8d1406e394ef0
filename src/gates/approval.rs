//! The approval gate: has whoever must decide decided?
//!
//! Approvals by people are not part of this version; no policy can require one yet, and the gate's place is held by
//! the only input there is. It never reads a decision that nobody checked.

use super::{CheckOutcome, CheckState, Verdict};

/// What the gate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalInput {
    /// The policy requires nobody's approval.
    NotRequired,
}

/// Judges whether the candidate is approved.
pub fn judge(input: ApprovalInput) -> CheckState {
    match input {
        ApprovalInput::NotRequired => {
            let message = "The policy requires no approval.";
            CheckState::Done(CheckOutcome::new(Verdict::Pass, message, Vec::new()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_approval_is_approved() {
        let CheckState::Done(outcome) = judge(ApprovalInput::NotRequired) else { panic!("it is settled") };
        assert_eq!((outcome.verdict, &*outcome.message), (Verdict::Pass, "The policy requires no approval."));
    }
}
