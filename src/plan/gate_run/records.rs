//! Verdicts as the status records them.

use jiff::Timestamp;

use super::Ran;
use crate::api::conditions::shorten;
use crate::api::time::Moment;
use crate::api::{Attempt, Gate, VerdictRecord};
use crate::gates::CheckState;

/// The most verdicts one attempt records; a policy has at most 40 checks, and each scan has at most 65 reports.
const VERDICTS_MAX: usize = 128;

/// What the checks said, one entry for each piece of evidence.
pub(super) fn records(gate: Gate, ran: &[(&str, Ran)], attempt: &Attempt, now: Timestamp) -> Vec<VerdictRecord> {
    let at = Moment::new(now);
    let mut records = Vec::new();
    for (check, ran) in ran {
        let CheckState::Done(outcome) = &ran.state else { continue };
        let blank = VerdictRecord {
            gate,
            check: (*check).to_owned(),
            subject: ran.subject.clone(),
            verdict: outcome.verdict,
            message: outcome.message.clone(),
            evidence: None,
            tool: None,
            job: ran.job.clone(),
            at,
        };
        if outcome.evidence.is_empty() {
            records.push(blank);
            continue;
        }
        // What is said is said of the candidate; where only the running images' reports could be read, it is of none of them.
        let first = |subject: &str| gate != Gate::Scan || attempt.images.iter().any(|image| image.image == subject);
        let told_apart = !outcome.evidence.first().is_some_and(|evidence| first(&evidence.subject));
        if told_apart {
            records.push(blank.clone());
        }
        for (nth, evidence) in outcome.evidence.iter().enumerate() {
            let counts = evidence.counts;
            let told = format!("{counts}.");
            records.push(VerdictRecord {
                subject: Some(shorten(&evidence.subject, 256)),
                message: if nth == 0 && !told_apart { outcome.message.clone() } else { told },
                evidence: evidence.sha256.clone(),
                tool: evidence.tool.as_ref().map(|tool| shorten(tool, 256)),
                ..blank.clone()
            });
        }
    }
    records.truncate(VERDICTS_MAX.saturating_sub(attempt.verdicts.len()));
    records
}
