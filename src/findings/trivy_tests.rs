use super::*;

const VULNERABLE: &[u8] = include_bytes!("../../tests/fixtures/reports/trivy-vulnerable.json");
const SUPPRESSED: &[u8] = include_bytes!("../../tests/fixtures/reports/trivy-suppressed.json");
const NOTHING: &[u8] = include_bytes!("../../tests/fixtures/reports/trivy-nothing.json");

#[test]
fn a_report_tells_tool_digest_packages_and_findings() {
    let report = parse(VULNERABLE).unwrap();
    assert_eq!(report.tool.to_string(), "Trivy 0.72.0");
    assert_eq!(report.repo_digests, [format!("sha256:{}", "1".repeat(64))]);
    assert_eq!(report.image_id, Some(format!("sha256:{}", "a".repeat(64))));
    let packages: Vec<_> = report.packages.iter().map(|package| (&*package.name, &*package.version)).collect();
    assert_eq!(packages, [("libc6", "2.36"), ("Jinja2", "3.1.0")]);
    let jinja = &report.findings[1];
    assert_eq!(jinja.to_string(), "CVE-2024-22195 in Jinja2 3.1.0");
    assert!(jinja.concerns(&AliasSet::new(["ghsa-h5c8-rqwp-cp95"]).unwrap()));
    assert_eq!(jinja.purl.as_deref(), Some("pkg:pypi/jinja2@3.1.0"));
    assert_eq!(jinja.fixed.as_deref(), Some("3.1.3"));
    assert_eq!((jinja.severity, jinja.status, jinja.suppressed), (Severity::Medium, Status::Fixed, false));
}

#[test]
fn a_suppressed_vulnerability_is_a_finding_and_other_suppressions_are_not() {
    let report = parse(SUPPRESSED).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].suppressed);
    assert_eq!(report.findings[0].severity, Severity::Medium, "taken from the vector, since the word is UNKNOWN");
}

#[test]
fn the_end_of_life_of_a_distribution_is_a_warning() {
    let report = parse(SUPPRESSED).unwrap();
    assert_eq!(report.warnings, ["The distribution debian 10.1 is at its end of life and gets no more fixes."]);
}

#[test]
fn a_report_without_results_recognised_nothing() {
    let report = parse(NOTHING).unwrap();
    assert!(report.packages.is_empty() && report.findings.is_empty());
}

#[test]
fn a_package_that_only_a_finding_names_was_recognised() {
    let report = parse(
        br#"{"SchemaVersion":2,"Results":[{"Target":"t","Vulnerabilities":[{"VulnerabilityID":"CVE-1-1","PkgName":"p"}]}]}"#,
    )
    .unwrap();
    assert_eq!(report.packages.len(), 1);
    assert_eq!(report.findings[0].severity, Severity::Unknown);
}

#[test]
fn a_list_that_is_null_is_empty() {
    let report = parse(br#"{"SchemaVersion":2,"Metadata":null,"Results":[{"Target":"t","Packages":null}]}"#).unwrap();
    assert!(report.packages.is_empty());
}

#[test]
fn the_data_base_is_told_by_a_server_only() {
    let report = parse(
        br#"{"SchemaVersion":2,"Trivy":{"Version":"0.72.0","Server":{"VulnerabilityDB":{"Version":2,"UpdatedAt":"2026-11-23T00:00:00Z"}}}}"#,
    )
    .unwrap();
    let database = report.database.unwrap();
    assert_eq!(
        (database.version.as_deref(), database.updated_at.as_deref()),
        (Some("2"), Some("2026-11-23T00:00:00Z"))
    );
    assert_eq!(parse(VULNERABLE).unwrap().database, None);
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    for (bytes, reason) in [
        (&b"{}"[..], "it has no SchemaVersion"),
        (br#"{"SchemaVersion":1}"#, "version 1"),
        (br#"{"SchemaVersion":"2"}"#, "invalid type"),
        (br#"{"SchemaVersion":2,"Results":{}}"#, "invalid type"),
        (br#"{"SchemaVersion":2} {"SchemaVersion":2}"#, "trailing characters"),
        (br#"{"SchemaVersion":2,"SchemaVersion":2}"#, "duplicate field"),
        (br#"{"SchemaVersion":2,"Results":[{"Target":"t","Vulnerabilities":[{"PkgName":"p"}]}]}"#, "no VulnerabilityID"),
        (
            br#"{"SchemaVersion":2,"Results":[{"ExperimentalModifiedFindings":[{"Type":"vulnerability","Finding":7}]}]}"#,
            "a suppressed finding is not a vulnerability",
        ),
        (b"2026-11-23T17:00:00Z\tFATAL\tunable to open the data base", "invalid type"),
        (&VULNERABLE[..VULNERABLE.len() / 2], "EOF"),
    ] {
        let error = parse(bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
