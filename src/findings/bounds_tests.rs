//! The bounds of every format. That no bytes break them is the business of the fuzz targets.

use super::*;

#[test]
fn size_and_emptiness_are_checked_before_anything_is_parsed() {
    let large = vec![b' '; MAX_REPORT_BYTES + 1];
    for format in [ScanFormat::TrivyJson, ScanFormat::OsvScannerJson] {
        assert_eq!(parse_scan(format, &large), Err(ReportError::TooLarge { bytes: large.len() }));
        assert_eq!(parse_scan(format, b" \n"), Err(ReportError::Empty));
    }
    assert_eq!(parse_test(ReportFormat::Junit, b""), Err(ReportError::Empty));
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = "[".repeat(100_000);
    for format in [ScanFormat::TrivyJson, ScanFormat::OsvScannerJson] {
        assert!(parse_scan(format, deep.as_bytes()).is_err());
    }
    for format in [ReportFormat::Sarif, ReportFormat::Junit] {
        assert!(parse_test(format, deep.as_bytes()).is_err());
    }
    let value = format!(r#"{{"SchemaVersion":2,"X":{deep}"#);
    assert!(parse_scan(ScanFormat::TrivyJson, value.as_bytes()).is_err());
}

#[test]
fn a_list_beyond_its_bound_is_refused_whole() {
    let mut report = br#"{"SchemaVersion":2,"Results":[{"Target":"t","Vulnerabilities":["#.to_vec();
    let one = br#"{"VulnerabilityID":"CVE-1-1","PkgName":"p"}"#;
    for n in 0..=MAX_FINDINGS {
        if n > 0 {
            report.push(b',');
        }
        report.extend_from_slice(one);
    }
    report.extend_from_slice(b"]}]}");
    assert_eq!(
        parse_scan(ScanFormat::TrivyJson, &report),
        Err(ReportError::TooMany { what: "findings", max: MAX_FINDINGS })
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_also_where_nobody_reads() {
    let report = b"{\"SchemaVersion\":2,\"CreatedBy\":\"\x80\"}";
    assert!(parse_scan(ScanFormat::TrivyJson, report).is_err());
    assert!(parse_test(ReportFormat::Sarif, b"{\"version\":\"2.1.0\",\"x\":\"\xff\"}").is_err());
}
