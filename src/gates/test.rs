//! A test Job's verdict: its command's exit code, and its report where one is declared.
//!
//! Success needs both to agree. A declared report that is not there, cannot be read or tells no whole run proves
//! failures, never success; an exit code of a command that did not run, or was ended, proves nothing.

use super::{CheckOutcome, Counts, Evidence, Read, Verdict, Violation, clause, listed};
use crate::api::ReportFormat;
use crate::findings::text::counted;
use crate::findings::{TestFailure, TestReport};

/// Failures named in a message; the report has them all.
const SHOWN: usize = 3;

/// What the gate looks at.
#[derive(Clone, Debug)]
pub struct TestInput<'a> {
    /// Where the test was pointed at, for the record.
    pub subject: &'a str,
    /// The format the check declares, if it declares one.
    pub declared: Option<ReportFormat>,
    /// What the Job brought back, or why it brought back nothing, as a clause.
    pub run: Result<TestRun<'a>, &'a str>,
}

/// What a test Job brought back.
#[derive(Clone, Copy, Debug)]
pub struct TestRun<'a> {
    /// The command's exit code as a shell tells it: 126 and 127 when it could not be started, 128 and above when a
    /// signal ended it.
    pub exit_code: i32,
    /// SHA-256 of its standard output, in hex.
    pub sha256: &'a str,
    /// The declared report, or why it cannot be read, as a clause. None when none is declared.
    pub report: Option<Result<&'a TestReport, &'a str>>,
}

impl<'a> TestRun<'a> {
    fn read(&self) -> Option<Read<'a, TestReport>> {
        let content = self.report?.ok()?;
        Some(Read { sha256: self.sha256, content })
    }
}

type Rule = fn(&TestInput<'_>, &TestRun<'_>) -> Option<Violation>;

/// The rules, in order. A failure that a report shows stands, however the run ended.
const CHAIN: [Rule; 5] = [no_failure_is_reported, command_ran, report_can_be_read, report_is_whole, command_succeeded];

/// Judges one run of a test.
pub fn judge(input: &TestInput<'_>) -> CheckOutcome {
    let run = match &input.run {
        Ok(run) => run,
        Err(why) => {
            let message = format!("The test of {} gave no usable result: {}.", input.subject, clause(why));
            return CheckOutcome::new(Verdict::Inconclusive, &message, Vec::new());
        }
    };
    let evidence = vec![evidence(input, run)];
    match CHAIN.iter().find_map(|rule| rule(input, run)) {
        Some(violation) => CheckOutcome::new(violation.verdict, &violation.message, evidence),
        None => CheckOutcome::new(Verdict::Pass, &praise(input, run), evidence),
    }
}

fn no_failure_is_reported(input: &TestInput<'_>, run: &TestRun<'_>) -> Option<Violation> {
    let failures: Vec<Shown<'_>> = run.read()?.content.failures.iter().map(Shown).collect();
    if failures.is_empty() {
        return None;
    }
    Some(Violation::fail(format!(
        "The test of {} reports {} failed: {}.",
        input.subject,
        failures.len(),
        listed(&failures, SHOWN)
    )))
}

fn command_ran(input: &TestInput<'_>, run: &TestRun<'_>) -> Option<Violation> {
    let what = match run.exit_code {
        126 => "its program may not be executed".to_owned(),
        127 => "there is no such program in its image".to_owned(),
        signal @ 129..=192 => format!("it was ended by signal {}", signal - 128),
        _ => return None,
    };
    Some(Violation::inconclusive(format!("The test of {} did not run to its end: {what}.", input.subject)))
}

fn report_can_be_read(input: &TestInput<'_>, run: &TestRun<'_>) -> Option<Violation> {
    let format = input.declared?;
    match run.report {
        Some(Ok(_)) => None,
        Some(Err(why)) => Some(Violation::inconclusive(format!(
            "The report of the test of {} cannot be used: {}.",
            input.subject,
            clause(why)
        ))),
        None => Some(Violation::inconclusive(format!(
            "The check declares a {format:?} report, and the test of {} brought none.",
            input.subject
        ))),
    }
}

fn report_is_whole(input: &TestInput<'_>, run: &TestRun<'_>) -> Option<Violation> {
    let gap = run.read()?.content.gap.as_ref()?;
    Some(Violation::inconclusive(format!("The report of the test of {} tells no whole run: {gap}.", input.subject)))
}

fn command_succeeded(input: &TestInput<'_>, run: &TestRun<'_>) -> Option<Violation> {
    if run.exit_code == 0 {
        return None;
    }
    let code = run.exit_code;
    Some(match run.read() {
        Some(_) => Violation::inconclusive(format!(
            "The test of {} reports no failure but ended with exit code {code}: one of the two is wrong.",
            input.subject
        )),
        None => Violation::fail(format!("The test of {} ended with exit code {code}.", input.subject)),
    })
}

fn praise(input: &TestInput<'_>, run: &TestRun<'_>) -> String {
    match run.read().map(|read| read.content) {
        Some(report) if report.passed > 0 => {
            format!("The test of {} passed: {}, none failed.", input.subject, counted(report.passed, "case"))
        }
        Some(_) => format!("The test of {} passed: its report names no failure.", input.subject),
        None => format!("The test of {} passed.", input.subject),
    }
}

struct Shown<'a>(&'a TestFailure);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TestFailure { id, message } = self.0;
        if message.is_empty() { f.write_str(id) } else { write!(f, "{id} ({message})") }
    }
}

fn evidence(input: &TestInput<'_>, run: &TestRun<'_>) -> Evidence {
    let report = run.read().map(|read| read.content);
    Evidence {
        subject: input.subject.to_owned(),
        sha256: Some(run.sha256.to_owned()),
        tool: report.and_then(|report| report.tools.first()).map(ToString::to_string),
        counts: report.map_or_else(Counts::default, |report| Counts {
            examined: report.passed + report.failures.len(),
            found: report.failures.len(),
            suppressed: report.suppressed,
        }),
    }
}

#[cfg(test)]
#[path = "test_tests.rs"]
mod tests;
