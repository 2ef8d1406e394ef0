//! The one shape that every test tool's report is brought to.

use super::text::{MAX_DETAIL, MAX_NAME};
use super::{MAX_CASES, ReportError, Tool, bounded, text::clean};

/// What a test tool says it did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// The tools that wrote it, where they say so.
    pub tools: Vec<Tool>,
    /// Cases that passed. SARIF names findings only, so this stays 0 there.
    pub passed: usize,
    /// Cases or rules that failed.
    pub failures: Vec<TestFailure>,
    /// Results that the tool accepted in a suppression of its own.
    pub suppressed: usize,
    /// Cases that were left out.
    pub skipped: usize,
    /// Why the report does not tell a whole run, as a clause: the tool broke off, nothing was run, a result was left
    /// open. A report with such a gap proves failures, but never success.
    pub gap: Option<String>,
}

/// A failed case or a violated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// The case or rule.
    pub id: String,
    /// What the tool says of it.
    pub message: String,
}

/// Bound of the tools kept from one report: a merged SARIF file has one run for each tool.
const MAX_TOOLS: usize = 32;

impl TestReport {
    pub(super) fn tool(&mut self, tool: Tool) -> Result<(), ReportError> {
        bounded(self.tools.len() + 1, MAX_TOOLS, "tools")?;
        self.tools.push(tool);
        Ok(())
    }

    pub(super) fn failure(&mut self, id: &str, message: &str) -> Result<(), ReportError> {
        bounded(self.failures.len() + 1, MAX_CASES, "failures")?;
        self.failures.push(TestFailure { id: clean(id, MAX_NAME), message: clean(message, MAX_DETAIL) });
        Ok(())
    }

    /// Notes a gap; the first one is kept, the others follow from it as a rule.
    pub(super) fn gap(&mut self, why: impl Into<String>) {
        self.gap.get_or_insert_with(|| why.into());
    }
}
