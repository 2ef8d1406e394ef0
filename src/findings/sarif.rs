//! SARIF 2.1.0, for the reports of tests and analysers.
//!
//! SARIF lists what was found, not what was looked at, and knows neither packages nor versions: enough to say that an
//! analyser found something, never enough to prove a package fixed. A run without a list of results, and an invocation
//! that says it was not successful, prove nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    MAX_CASES, ReportError, TestReport, Tool, bounded,
    json::{self, nullable},
    text::{self, clean, clean_option},
};

const FORMAT: &str = "a SARIF report";

pub(super) fn parse(report: &[u8]) -> Result<TestReport, ReportError> {
    let log: Log = json::read(FORMAT, report)?;
    if log.version != "2.1.0" {
        return Err(ReportError::UnsupportedVersion {
            format: FORMAT,
            found: clean(&log.version, text::MAX_WORD),
            supported: "2.1.0",
        });
    }
    let mut report = TestReport::default();
    if log.runs.is_empty() {
        report.gap("it has no run of any tool");
    }
    for run in &log.runs {
        read_run(run, &mut report)?;
    }
    Ok(report)
}

fn read_run(run: &Run, report: &mut TestReport) -> Result<(), ReportError> {
    let driver = &run.tool.driver;
    let name = clean(&driver.name, text::MAX_WORD);
    report.tool(Tool { name: name.clone(), version: clean_option(driver.version.as_deref(), text::MAX_WORD) })?;
    if run.invocations.iter().any(|invocation| invocation.execution_successful == Some(false)) {
        report.gap(format!("{name} says that its run was not successful"));
    }
    let Some(results) = &run.results else {
        report.gap(format!("the run of {name} has no list of results"));
        return Ok(());
    };
    bounded(results.len(), MAX_CASES, "results")?;
    let rules = Rules::of(driver);
    for result in results {
        read_result(result, &rules, report)?;
    }
    Ok(())
}

fn read_result(result: &RunResult, rules: &Rules<'_>, report: &mut TestReport) -> Result<(), ReportError> {
    match result.kind.as_deref().unwrap_or("fail") {
        "pass" => report.passed += 1,
        "notApplicable" | "informational" => report.skipped += 1,
        "fail" if result.is_accepted() => report.suppressed += 1,
        // A level of `note` or `none` is by its definition no problem that needs fixing.
        "fail" if matches!(rules.level(result), "note" | "none") => report.passed += 1,
        "fail" => report.failure(rules.name(result), &result.message.text)?,
        // `open` and `review` are left to a person by the tool; a word we do not know is left to nobody.
        _ => report.gap("a result was left open by the tool"),
    }
    Ok(())
}

#[derive(Deserialize)]
struct Log {
    #[serde(default, deserialize_with = "nullable")]
    version: String,
    #[serde(default, deserialize_with = "nullable")]
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default, deserialize_with = "nullable")]
    tool: RunTool,
    #[serde(default, deserialize_with = "nullable")]
    invocations: Vec<Invocation>,
    results: Option<Vec<RunResult>>,
}

#[derive(Default, Deserialize)]
struct RunTool {
    #[serde(default, deserialize_with = "nullable")]
    driver: Driver,
}

#[derive(Default, Deserialize)]
struct Driver {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    version: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default, deserialize_with = "nullable")]
    id: String,
    #[serde(default, deserialize_with = "nullable")]
    default_configuration: Configuration,
}

#[derive(Default, Deserialize)]
struct Configuration {
    level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunResult {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    level: Option<String>,
    kind: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    message: Message,
    #[serde(default, deserialize_with = "nullable")]
    suppressions: Vec<Suppression>,
}

#[derive(Default, Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "nullable")]
    text: String,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
}

impl RunResult {
    /// Suppressed, and by the specification's words accepted: none of the suppressions is under review or rejected.
    fn is_accepted(&self) -> bool {
        let accepted = |one: &Suppression| matches!(one.status.as_deref(), None | Some("accepted"));
        !self.suppressions.is_empty() && self.suppressions.iter().all(accepted)
    }
}

/// The rules of a driver, found by index or by id.
struct Rules<'a> {
    listed: &'a [Rule],
    by_id: BTreeMap<&'a str, &'a Rule>,
}

impl<'a> Rules<'a> {
    fn of(driver: &'a Driver) -> Self {
        Self { listed: &driver.rules, by_id: driver.rules.iter().map(|rule| (&*rule.id, rule)).collect() }
    }

    fn of_result(&self, result: &RunResult) -> Option<&'a Rule> {
        let index = result.rule_index.and_then(|index| usize::try_from(index).ok());
        let by_id = || self.by_id.get(result.rule_id.as_deref()?).copied();
        index.and_then(|index| self.listed.get(index)).or_else(by_id)
    }

    fn name<'r>(&self, result: &'r RunResult) -> &'r str
    where
        'a: 'r,
    {
        let described = || self.of_result(result).map(|rule| &*rule.id);
        result.rule_id.as_deref().or_else(described).unwrap_or("(a rule without a name)")
    }

    /// The result's own level, else its rule's, else the specification's default.
    fn level<'r>(&self, result: &'r RunResult) -> &'r str
    where
        'a: 'r,
    {
        let described = || self.of_result(result).and_then(|rule| rule.default_configuration.level.as_deref());
        result.level.as_deref().or_else(described).unwrap_or("warning")
    }
}

#[cfg(test)]
#[path = "sarif_tests.rs"]
mod tests;
