//! HTTP checks: every pod has to answer well several times in a row.
//!
//! One bad answer is weather, and one good answer is luck: what counts is how many came in a row, for each pod by
//! itself. A verdict of this gate can turn: while the candidate serves it is asked again and again, and a pod that
//! begins to fail fails the check. Bodies are compared and forgotten; none is ever quoted.

use std::collections::BTreeMap;

use super::{CheckOutcome, CheckState, Counts, Evidence, Verdict, listed};
use crate::api::HttpCheck;
use crate::findings::text::{MAX_DETAIL, clean, counted};

/// Pods named in a message.
const SHOWN: usize = 3;

/// The most of a body that is read and compared, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Pods that are asked for one check: at an interval of a second so many answers are what one process can take beside its
/// work. No candidate is believed before all of its pods have answered, so a larger one takes a check that asks a Service.
pub const PODS_MAX: usize = 1_000;

/// How many times as many answers as a verdict takes a pod may give without coming to one. A pod that starts slowly has come
/// to one by then, and one that answers well and badly in turns is not what anybody approved.
const UNSETTLED: i32 = 10;

/// The path to ask for: the check's, with `$(ARG_<NAME>)` replaced by the policy's arguments. Fails with a sentence when
/// an argument is missing, or when what comes out is no path.
pub fn path(check: &HttpCheck, args: &BTreeMap<String, String>) -> Result<String, String> {
    let mut path = String::new();
    let mut rest = check.path.as_str();
    while let Some((before, after)) = rest.split_once("$(ARG_") {
        let (name, behind) =
            after.split_once(')').ok_or_else(|| format!("The path {} has a $( without its ).", check.path))?;
        let value = args.iter().find(|(given, _)| given.to_ascii_uppercase() == name).map(|(_, value)| value);
        let value = value.ok_or_else(|| {
            format!("The path {} needs the argument {name}: give it in the policy's args.", check.path)
        })?;
        path.push_str(before);
        path.push_str(value);
        rest = behind;
    }
    path.push_str(rest);
    // What is appended to the pod's own address must not be able to name another.
    if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(path)
    } else {
        Err(format!("The path {} does not become a path that begins with / and has no blanks.", check.path))
    }
}

/// What came back from one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// An answer with this status and the beginning of this body.
    Response {
        /// The status code. A redirect is an answer like any other, and not followed.
        status: u16,
        /// At most [`MAX_BODY_BYTES`] of its body.
        body: &'a [u8],
    },
    /// None within the time.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
}

/// How often in a row a pod has answered well, or badly. At most one of these two counts is above zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// Good answers in a row, up to now.
    pub successes: i32,
    /// Bad answers in a row, up to now.
    pub failures: i32,
    /// Answers in a row, up to now, after none of which either was often enough.
    pub unsettled: i32,
    /// The last answer, in words.
    pub last: String,
}

impl Streak {
    /// The streak after one more answer.
    #[must_use]
    pub fn after(&self, check: &HttpCheck, answer: &Answer<'_>) -> Self {
        let (successes, failures, last) = match assess(check, answer) {
            Ok(last) => (self.successes.saturating_add(1), 0, last),
            Err(last) => (0, self.failures.saturating_add(1), last),
        };
        let settled = successes >= check.successes.max(1) || failures >= check.failures.max(1);
        Self { successes, failures, unsettled: if settled { 0 } else { self.unsettled.saturating_add(1) }, last }
    }
}

/// After how many answers in a row without a verdict a pod has failed.
pub fn unsettled_max(check: &HttpCheck) -> i32 {
    UNSETTLED.saturating_mul(check.successes.max(1).saturating_add(check.failures.max(1)))
}

/// Whether an answer is good, and what it was in words.
fn assess(check: &HttpCheck, answer: &Answer<'_>) -> Result<String, String> {
    let (status, body) = match answer {
        Answer::TimedOut => return Err("no answer in time".to_owned()),
        Answer::Unreachable => return Err("no connection".to_owned()),
        Answer::Response { status, body } => (*status, *body),
    };
    if !check.statuses.contains(&i32::from(status)) {
        return Err(format!("status {status}"));
    }
    match &check.body_contains {
        Some(text) if !contains(body, text.as_bytes()) => {
            Err(format!("status {status}, without the text it must contain"))
        }
        _ => Ok(format!("status {status}")),
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// A pod and its streak; a pod that was not asked yet has an empty one.
#[derive(Clone, Copy, Debug)]
pub struct PodStreak<'a> {
    /// Name of the pod.
    pub pod: &'a str,
    /// Good answers in a row.
    pub successes: i32,
    /// Bad answers in a row.
    pub failures: i32,
    /// Answers in a row without a verdict.
    pub unsettled: i32,
    /// The last answer, in words.
    pub last: &'a str,
}

impl std::fmt::Display for PodStreak<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = if self.last.is_empty() { "not asked yet" } else { self.last };
        write!(f, "{} ({last})", self.pod)
    }
}

/// Judges the streaks of all pods of the candidate that are to answer.
pub fn judge(check: &HttpCheck, pods: &[PodStreak<'_>]) -> CheckState {
    let failed: Vec<PodStreak<'_>> = pods.iter().filter(|pod| pod.failures >= check.failures.max(1)).copied().collect();
    if !failed.is_empty() {
        let times = counted(check.failures.max(1), "time");
        return fails(check, pods, &failed, &format!("did not answer {} as wanted {times} in a row", place(check)));
    }
    let most = unsettled_max(check);
    let wavering: Vec<PodStreak<'_>> = pods.iter().filter(|pod| pod.unsettled >= most).copied().collect();
    if !wavering.is_empty() {
        let times = counted(check.successes.max(1), "time");
        let did = format!(
            "answered {} now well and now badly, and in {most} answers never well {times} in a row",
            place(check)
        );
        return fails(check, pods, &wavering, &did);
    }
    let awaited: Vec<PodStreak<'_>> =
        pods.iter().filter(|pod| pod.successes < check.successes.max(1)).copied().collect();
    if pods.is_empty() {
        return CheckState::Pending(format!("Waiting for a pod of the candidate to ask for {}.", place(check)));
    }
    if !awaited.is_empty() {
        return CheckState::Pending(format!(
            "{} of {} answered {} {} in a row; waiting for {}.",
            pods.len() - awaited.len(),
            counted(pods.len(), "pod"),
            place(check),
            counted(check.successes.max(1), "time"),
            listed(&awaited, SHOWN)
        ));
    }
    let all = match pods {
        [_] => "The pod of the candidate answers".to_owned(),
        pods => format!("All {} pods of the candidate answer", pods.len()),
    };
    let times = counted(check.successes.max(1), "time");
    let message = format!("{all} {} as wanted, {times} in a row or more.", place(check));
    CheckState::Done(CheckOutcome::new(Verdict::Pass, &message, evidence(check, pods)))
}

/// The failure of these pods of all, by what they did.
fn fails(check: &HttpCheck, all: &[PodStreak<'_>], these: &[PodStreak<'_>], did: &str) -> CheckState {
    let (pods, shown) = (counted(all.len(), "pod"), listed(these, SHOWN));
    let message = format!("Of {pods} of the candidate, {} {did}: {shown}.", these.len());
    CheckState::Done(CheckOutcome::new(Verdict::Fail, &message, evidence(check, all)))
}

fn place(check: &HttpCheck) -> String {
    format!(":{}{}", check.port, clean(&check.path, MAX_DETAIL))
}

/// There is no report to hash: what was counted is all there is.
fn evidence(check: &HttpCheck, pods: &[PodStreak<'_>]) -> Vec<Evidence> {
    vec![Evidence {
        subject: place(check),
        sha256: None,
        tool: None,
        counts: Counts {
            examined: pods.len(),
            found: pods.iter().filter(|pod| pod.failures > 0).count(),
            suppressed: 0,
        },
    }]
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
