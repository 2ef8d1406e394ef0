//! From evidence to a verdict.
//!
//! Each gate is a pure function over a small input of its own: reports that were read, codes that were seen, answers
//! that were counted. What is missing, late, damaged or about something else is part of the input, never an error, and
//! never becomes a pass. A gate never runs a check, never reads a clock, and never decides what happens next: that is
//! the planner's.
//!
//! A gate with several rules is an ordered chain, and the first violation is the verdict. A rule is one function and
//! one line in the chain.

pub mod approval;
pub mod fold;
pub mod http;
pub mod retry;
pub mod scan;
pub mod test;

use std::fmt;

pub use crate::api::VerdictWord as Verdict;
use crate::api::conditions::MESSAGE_MAX;
use crate::findings::text::{clean, counted};

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen, and what to do about it: whole sentences, at most [`MESSAGE_MAX`] bytes.
    pub message: String,
    /// What it rests on: for a scan the candidate's report first, then those of the running images.
    pub evidence: Vec<Evidence>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What was looked at: an image, an address.
    pub subject: String,
    /// SHA-256 of the raw report, in hex; none where there is no report, only answers that were counted.
    pub sha256: Option<String>,
    /// The tool, with its version and data base where told.
    pub tool: Option<String>,
    /// What was counted.
    pub counts: Counts,
}

/// What was counted in a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packages recognised, or test cases run.
    pub examined: usize,
    /// Vulnerabilities found, or failures.
    pub found: usize,
    /// Of the found ones, those the tool was told to hide; or suppressed results.
    pub suppressed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.examined == 1 { "package or case" } else { "packages or cases" };
        write!(f, "{} {what} examined, {}", self.examined, counted(self.found, "finding"))
    }
}

impl CheckOutcome {
    fn new(verdict: Verdict, message: &str, evidence: Vec<Evidence>) -> Self {
        Self { verdict, message: clean(message, MESSAGE_MAX), evidence }
    }
}

/// Where a check stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It has not come to a verdict; what is awaited, in a sentence.
    Pending(String),
    /// It has.
    Done(CheckOutcome),
}

/// A violated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Violation {
    verdict: Verdict,
    message: String,
}

impl Violation {
    fn fail(message: String) -> Self {
        Self { verdict: Verdict::Fail, message }
    }

    fn inconclusive(message: String) -> Self {
        Self { verdict: Verdict::Inconclusive, message }
    }
}

/// A report that was read whole, and the hash of its bytes.
#[derive(Debug)]
pub struct Read<'a, T> {
    /// SHA-256 of the raw report, in hex.
    pub sha256: &'a str,
    /// What it says.
    pub content: &'a T,
}

impl<T> Clone for Read<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Read<'_, T> {}

/// A reason as the last clause of a sentence, whether it was written as a clause or as a sentence of its own.
pub fn clause(why: &str) -> &str {
    why.trim_end().trim_end_matches('.')
}

/// The first `shown` of a list for a message, and how many more there are.
fn listed<T: std::fmt::Display>(items: &[T], shown: usize) -> String {
    let text = items.iter().take(shown).map(T::to_string).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(shown) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_in_the_singular_and_the_plural() {
        let told = |examined, found| Counts { examined, found, suppressed: 0 }.to_string();
        assert_eq!(told(1, 1), "1 package or case examined, 1 finding");
        assert_eq!(told(2, 0), "2 packages or cases examined, 0 findings");
    }
}
