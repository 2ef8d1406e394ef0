use super::*;

fn report() -> TestReport {
    TestReport { passed: 4, ..TestReport::default() }
}

fn failed() -> TestReport {
    let failures = vec![TestFailure { id: "login".into(), message: "expected 200, got 500".into() }];
    TestReport { failures, ..report() }
}

fn with_gap() -> TestReport {
    TestReport { gap: Some("no test case was run".into()), passed: 0, ..report() }
}

/// Verdict and message of a run with a declared report.
fn declared(exit_code: i32, report: Result<&TestReport, &'static str>) -> (Verdict, String) {
    outcome(Some(ReportFormat::Junit), Ok(TestRun { exit_code, sha256: "5f", report: Some(report) }))
}

/// Verdict and message of a run without one.
fn plain(exit_code: i32) -> (Verdict, String) {
    outcome(None, Ok(TestRun { exit_code, sha256: "5f", report: None }))
}

fn outcome(declared: Option<ReportFormat>, run: Result<TestRun<'_>, &str>) -> (Verdict, String) {
    let outcome = judge(&TestInput { subject: "10.0.0.7:80", declared, run });
    (outcome.verdict, outcome.message)
}

#[test]
fn an_exit_code_decides_where_no_report_is_declared() {
    assert_eq!(plain(0), (Verdict::Pass, "The test of 10.0.0.7:80 passed.".into()));
    assert_eq!(plain(3), (Verdict::Fail, "The test of 10.0.0.7:80 ended with exit code 3.".into()));
}

#[test]
fn a_command_that_did_not_run_to_its_end_proves_nothing() {
    for (code, why) in [(126, "may not be executed"), (127, "no such program"), (137, "signal 9"), (143, "signal 15")] {
        let (verdict, message) = plain(code);
        assert_eq!(verdict, Verdict::Inconclusive, "{code}");
        assert!(message.contains(why), "{message}");
    }
    assert_eq!(declared(137, Ok(&report())).0, Verdict::Inconclusive);
}

#[test]
fn report_and_exit_code_must_agree_for_a_pass() {
    assert_eq!(
        declared(0, Ok(&report())),
        (Verdict::Pass, "The test of 10.0.0.7:80 passed: 4 cases, none failed.".into())
    );
    assert_eq!(declared(1, Ok(&report())).0, Verdict::Inconclusive);
}

#[test]
fn a_reported_failure_fails_however_the_run_ended() {
    for code in [0, 1, 137] {
        let (verdict, message) = declared(code, Ok(&failed()));
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(message, "The test of 10.0.0.7:80 reports 1 failed: login (expected 200, got 500).");
    }
    let broken_off = TestReport { gap: with_gap().gap, ..failed() };
    assert_eq!(declared(0, Ok(&broken_off)).0, Verdict::Fail);
}

#[test]
fn a_declared_report_that_is_missing_unreadable_or_not_whole_proves_nothing() {
    assert_eq!(declared(0, Err("the report is empty")).0, Verdict::Inconclusive);
    assert_eq!(declared(1, Err("the report is empty")).0, Verdict::Inconclusive);
    assert_eq!(declared(0, Ok(&with_gap())).0, Verdict::Inconclusive);
    let silent = Ok(TestRun { exit_code: 0, sha256: "5f", report: None });
    assert_eq!(outcome(Some(ReportFormat::Sarif), silent).0, Verdict::Inconclusive);
}

#[test]
fn a_job_that_brought_nothing_back_proves_nothing() {
    let (verdict, message) = outcome(None, Err("the check did not end within 10m"));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(message, "The test of 10.0.0.7:80 gave no usable result: the check did not end within 10m.");
}

#[test]
fn the_evidence_names_the_report_and_what_was_counted() {
    let report = failed();
    let run = Ok(TestRun { exit_code: 1, sha256: "5f", report: Some(Ok(&report)) });
    let outcome = judge(&TestInput { subject: "web", declared: Some(ReportFormat::Junit), run });
    assert_eq!(outcome.evidence[0].sha256.as_deref(), Some("5f"));
    assert_eq!(outcome.evidence[0].counts, Counts { examined: 5, found: 1, suppressed: 0 });
}
