use super::*;

const FAILED: &[u8] = include_bytes!("../../tests/fixtures/reports/sarif-failed.json");
const CLEAN: &[u8] = include_bytes!("../../tests/fixtures/reports/sarif-clean.json");

fn run(body: &str) -> TestReport {
    let log = format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t"}}}},{body}}}]}}"#);
    parse(log.as_bytes()).unwrap()
}

#[test]
fn results_are_told_apart_by_kind_level_and_suppression() {
    let report = parse(FAILED).unwrap();
    let failed: Vec<_> = report.failures.iter().map(|failure| &*failure.id).collect();
    assert_eq!(failed, ["missing-csp", "open-redirect"], "a rejected suppression suppresses nothing");
    assert_eq!((report.suppressed, report.skipped, report.passed), (1, 1, 2));
    assert_eq!(report.tools[0].to_string(), "header-probe 1.4");
    assert_eq!(report.gap, None);
}

#[test]
fn an_empty_list_of_results_is_a_clean_run() {
    let report = parse(CLEAN).unwrap();
    assert!(report.failures.is_empty());
    assert_eq!(report.gap, None);
}

#[test]
fn a_run_that_does_not_tell_its_results_or_failed_is_a_gap() {
    assert_eq!(run(r#""invocations":[]"#).gap.as_deref(), Some("the run of t has no list of results"));
    assert_eq!(
        run(r#""invocations":[{"executionSuccessful":false}],"results":[]"#).gap.as_deref(),
        Some("t says that its run was not successful")
    );
    assert_eq!(parse(br#"{"version":"2.1.0","runs":[]}"#).unwrap().gap.as_deref(), Some("it has no run of any tool"));
    for kind in ["open", "review", "of-tomorrow"] {
        assert!(run(&format!(r#""results":[{{"kind":"{kind}"}}]"#)).gap.is_some(), "{kind}");
    }
}

#[test]
fn a_result_that_says_nothing_else_is_a_failure() {
    let report = run(r#""results":[{}]"#);
    assert_eq!(report.failures[0].id, "(a rule without a name)");
}

#[test]
fn another_version_is_refused() {
    assert!(matches!(parse(br#"{"version":"2.2.0","runs":[]}"#), Err(ReportError::UnsupportedVersion { .. })));
    assert!(matches!(parse(b"{}"), Err(ReportError::UnsupportedVersion { .. })));
}
