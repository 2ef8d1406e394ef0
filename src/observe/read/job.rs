//! Check Jobs.

use serde_json::Value;

use crate::api::time::Moment;
use crate::observe::json::{condition, holds, map, moment, text, word};
use crate::plan::jobs::late;
use crate::plan::observed::Map;

/// A check Job, without what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: Map,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Moment,
    /// Why there can be no output, in a sentence, where the Job tells.
    pub no_output: Option<String>,
}

/// Reads a Job.
pub fn run(object: &Value) -> Option<Job> {
    Some(Job {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        labels: map(object, "/metadata/labels"),
        ended: ended(object),
    })
}

/// How the Job ended, if it has. Complete or Failed alone say so: the conditions that come before them announce it.
pub fn ended(object: &Value) -> Option<Ended> {
    let last = ["Complete", "Failed"].into_iter().find(|kind| holds(object, kind))?;
    let condition = condition(object, last)?;
    let at = moment(condition, "/lastTransitionTime").or_else(|| moment(object, "/metadata/creationTimestamp"))?;
    let no_output =
        (text(condition, "/reason") == Some("DeadlineExceeded")).then(|| late(&word(object, "/metadata/name"), None));
    Some(Ended { at, no_output })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(conditions: &Value) -> Value {
        json!({"metadata": {"name": "check-1", "uid": "j", "labels": {"a": "b"}}, "status": {"conditions": conditions}})
    }

    #[test]
    fn a_job_has_ended_once_its_last_condition_says_so() {
        let announced = run(&job(&json!([{"type": "SuccessCriteriaMet", "status": "True"}]))).unwrap();
        assert_eq!(announced.ended, None);
        let at = "2026-11-23T17:00:00Z";
        for kind in ["Complete", "Failed"] {
            let read = run(&job(&json!([{"type": kind, "status": "True", "lastTransitionTime": at}]))).unwrap();
            assert_eq!(read.ended, Some(Ended { at: Moment::new(at.parse().unwrap()), no_output: None }));
        }
    }

    #[test]
    fn a_job_that_hit_its_deadline_has_nothing_to_say() {
        let read = run(&job(&json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded",
            "lastTransitionTime": "2026-11-23T17:00:00Z"}])));
        let message = read.unwrap().ended.unwrap().no_output.unwrap();
        assert_eq!(message, "The check's Job check-1 was ended at its deadline before it could report.");
    }
}
