use super::*;

const FAILED: &[u8] = include_bytes!("../../tests/fixtures/reports/junit-failed.xml");
const PASSED: &[u8] = include_bytes!("../../tests/fixtures/reports/junit-passed.xml");

#[test]
fn cases_are_told_apart() {
    let report = parse(FAILED).unwrap();
    assert_eq!((report.passed, report.skipped), (1, 1));
    let failed: Vec<_> = report.failures.iter().map(|failure| (&*failure.id, &*failure.message)).collect();
    assert_eq!(failed, [("smoke.login <form>", "expected 200, got 500"), ("smoke.search", "timed out")]);
}

#[test]
fn a_run_in_which_all_passed_has_no_gap() {
    let report = parse(PASSED).unwrap();
    assert_eq!((report.passed, report.failures.len(), report.gap), (2, 0, None));
}

#[test]
fn a_run_of_nothing_is_a_gap() {
    for nothing in ["<testsuites/>", "<testsuite tests='5'/>", "<testsuite><testcase><skipped/></testcase></testsuite>"]
    {
        assert_eq!(parse(nothing.as_bytes()).unwrap().gap.as_deref(), Some("no test case was run"), "{nothing}");
    }
}

#[test]
fn a_declared_failure_counts_though_no_case_shows_it() {
    let report = parse(b"<testsuite failures='1' errors='2'><testcase name='a'/></testsuite>").unwrap();
    assert_eq!(report.failures[0].message, "the suite declares 3 failures that none of its cases shows");
}

#[test]
fn a_suite_that_could_not_be_set_up_is_a_failure() {
    let report = parse(b"<testsuite><error message='no address'/><testcase name='a'/></testsuite>").unwrap();
    assert_eq!(report.failures[0].message, "no address");
}

#[test]
fn a_failed_case_is_not_saved_by_being_skipped_too() {
    let report = parse(b"<testsuite><testcase name='a'><failure/><skipped/></testcase></testsuite>").unwrap();
    assert_eq!((report.failures.len(), report.skipped), (1, 0));
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    let deep = format!("<testsuite>{}", "<a>".repeat(40));
    let wide = format!("<testsuite {}/>", (1..=100).map(|n| "a".repeat(n) + "='' ").collect::<String>());
    for (text, reason) in [
        ("<html/>", "root"),
        ("<testsuite>", "ends before its root"),
        ("<testsuite></testsuites>", "expected `</testsuite>`"),
        ("<testsuite/><testsuite/>", "more than one root"),
        ("<testsuite/>4 tests passed", "text outside its root"),
        ("plain text", "text outside its root"),
        ("<!-- nothing -->", "ends before its root"),
        ("<!DOCTYPE t [<!ENTITY a 'b'>]><testsuite name='&a;'/>", "document type"),
        ("<testsuite name='&a;'/>", "entity"),
        ("<testsuite>&a;</testsuite>", "entity"),
        (&deep, "nested too deeply"),
        (&wide, "attributes of one element"),
    ] {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    assert!(parse(b"<testsuite name='\xff'/>").is_err());
}

#[test]
fn what_stands_where_nobody_looks_proves_nothing() {
    for odd in [
        r#"<testsuite><testcase name="a"><steps><failure message="no"/></steps></testcase><testcase name="b"/></testsuite>"#,
        r#"<testsuite><group><testcase name="a"><error/></testcase></group><testcase name="b"/></testsuite>"#,
    ] {
        let report = parse(odd.as_bytes()).unwrap();
        assert!(report.gap.is_some_and(|gap| gap.ends_with("where none is understood")), "{odd}");
    }
}

#[test]
fn what_is_no_name_of_an_element_is_refused() {
    for odd in [
        r#"<testsuite><testcase name="a"/><testcase<error/> name="b"/></testsuite>"#,
        r#"<testsuite><testcase name="a"><failure/message="no"/></testcase><testcase name="b"/></testsuite>"#,
    ] {
        assert!(parse(odd.as_bytes()).is_err(), "{odd}");
    }
}
