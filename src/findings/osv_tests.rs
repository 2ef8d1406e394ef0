use super::*;

const VULNERABLE: &[u8] = include_bytes!("../../tests/fixtures/reports/osv-vulnerable.json");
const NOTHING: &[u8] = include_bytes!("../../tests/fixtures/reports/osv-nothing.json");

#[test]
fn a_group_is_one_finding_under_all_its_names() {
    let report = parse(VULNERABLE).unwrap();
    let jinja = &report.findings[0];
    assert_eq!(jinja.to_string(), "CVE-2024-22195 in jinja2 3.1.0");
    for id in ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95", "PYSEC-2024-1"] {
        assert!(jinja.ids.contains(id), "{id}");
    }
    assert_eq!((jinja.severity, jinja.fixed.as_deref()), (Severity::Medium, Some("3.1.3")));
}

#[test]
fn an_upstream_record_tells_the_advisory_but_is_not_the_same_vulnerability() {
    let report = parse(VULNERABLE).unwrap();
    let glibc = &report.findings[1];
    assert_eq!(glibc.package, "libc6");
    assert_eq!(glibc.severity, Severity::Unknown);
    assert!(glibc.concerns(&AliasSet::new(["CVE-2024-2961"]).unwrap()));
    assert!(!glibc.ids.contains("CVE-2024-2961"));
}

#[test]
fn packages_without_findings_were_recognised() {
    let names: Vec<_> = parse(VULNERABLE).unwrap().packages.into_iter().map(|package| package.name).collect();
    assert_eq!(names, ["jinja2", "markupsafe", "libc6"]);
}

#[test]
fn an_empty_list_of_results_recognised_nothing() {
    assert!(parse(NOTHING).unwrap().packages.is_empty());
}

#[test]
fn a_vulnerability_outside_every_group_is_a_finding() {
    let report = parse(
        br#"{"results":[{"packages":[{"package":{"name":"p"},"groups":null,"vulnerabilities":[
            {"id":"GHSA-1","severity":[{"score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]},
            {"id":"GHSA-2","database_specific":{"severity":"MODERATE"}}]}]}]}"#,
    )
    .unwrap();
    let severities: Vec<_> = report.findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Critical, Severity::Medium]);
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    for (bytes, reason) in [
        (&b"{}"[..], "it has no results"),
        (br#"{"results":null}"#, "it has no results"),
        (b"[]", "invalid length"),
        (br#"{"results":[{"packages":[{"package":{"name":"p"},"vulnerabilities":[{"aliases":["x"]}]}]}]}"#, "no id"),
        (br#"{"results":[{"packages":[{"package":{"name":"p"},"groups":[{"ids":[]}]}]}]}"#, "has no id"),
        (br#"{"results":[{"packages":[{}]}]}"#, "missing field `package`"),
    ] {
        let error = parse(bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn records_that_share_an_id_hide_no_name_of_one_another() {
    let report = br#"{"results":[{"packages":[{"package":{"name":"jinja2","version":"3.1.2"},
        "vulnerabilities":[{"id":"X-1","aliases":["CVE-2024-22195"]},{"id":"X-1"}],"groups":[{"ids":["X-1"]}]}]}]}"#;
    let report = parse(report).unwrap();
    assert!(report.findings[0].ids.contains("CVE-2024-22195"));
}
