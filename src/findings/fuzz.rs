//! No bytes make a parser panic, and none of the bounds is ever broken.

use proptest::prelude::*;

use super::*;

const VALID: [(Format, &[u8]); 8] = [
    (Format::Scan(ScanFormat::TrivyJson), include_bytes!("../../tests/fixtures/reports/trivy-vulnerable.json")),
    (Format::Scan(ScanFormat::TrivyJson), include_bytes!("../../tests/fixtures/reports/trivy-suppressed.json")),
    (Format::Scan(ScanFormat::OsvScannerJson), include_bytes!("../../tests/fixtures/reports/osv-vulnerable.json")),
    (Format::Scan(ScanFormat::OsvScannerJson), include_bytes!("../../tests/fixtures/reports/osv-patched.json")),
    (Format::Test(ReportFormat::Sarif), include_bytes!("../../tests/fixtures/reports/sarif-failed.json")),
    (Format::Test(ReportFormat::Sarif), include_bytes!("../../tests/fixtures/reports/sarif-clean.json")),
    (Format::Test(ReportFormat::Junit), include_bytes!("../../tests/fixtures/reports/junit-failed.xml")),
    (Format::Test(ReportFormat::Junit), include_bytes!("../../tests/fixtures/reports/junit-passed.xml")),
];

#[derive(Clone, Copy, Debug)]
enum Format {
    Scan(ScanFormat),
    Test(ReportFormat),
}

const FORMATS: [Format; 4] = [
    Format::Scan(ScanFormat::TrivyJson),
    Format::Scan(ScanFormat::OsvScannerJson),
    Format::Test(ReportFormat::Sarif),
    Format::Test(ReportFormat::Junit),
];

/// Parses, and checks what must hold of every report and of every refusal.
fn parse_and_check(format: Format, bytes: &[u8]) -> Result<(), TestCaseError> {
    let refused = match format {
        Format::Scan(format) => match parse_scan(format, bytes) {
            Ok(report) => return sound_scan(&report),
            Err(error) => error,
        },
        Format::Test(format) => match parse_test(format, bytes) {
            Ok(report) => return sound_test(&report),
            Err(error) => error,
        },
    };
    let message = refused.to_string();
    prop_assert!(message.len() < 512, "{message}");
    prop_assert!(!message.chars().any(char::is_control), "{message:?}");
    Ok(())
}

fn sound_scan(report: &ScanReport) -> Result<(), TestCaseError> {
    prop_assert!(report.findings.len() <= MAX_FINDINGS && report.packages.len() <= MAX_PACKAGES);
    prop_assert!(report.findings.is_empty() || !report.packages.is_empty());
    for finding in &report.findings {
        prop_assert!(!finding.ids.is_empty());
        prop_assert!(finding.package.len() <= text::MAX_NAME);
        prop_assert!(!finding.to_string().chars().any(char::is_control));
    }
    Ok(())
}

fn sound_test(report: &TestReport) -> Result<(), TestCaseError> {
    for failure in &report.failures {
        prop_assert!(failure.id.len() <= text::MAX_NAME && failure.message.len() <= text::MAX_DETAIL);
        prop_assert!(!failure.message.chars().any(char::is_control));
    }
    Ok(())
}

/// One change to a valid report.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
        (any::<prop::sample::Index>(), 1usize..200).prop_map(|(at, len)| Mutation::Drop(at, len)),
        (any::<prop::sample::Index>(), 1usize..200).prop_map(|(at, len)| Mutation::Repeat(at, len)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Mutation::Drop(at, len) => {
            let from = at.index(bytes.len());
            bytes.drain(from..(from + len).min(bytes.len()));
        }
        Mutation::Repeat(at, len) => {
            let from = at.index(bytes.len());
            let part = bytes[from..(from + len).min(bytes.len())].to_vec();
            bytes.splice(from..from, part);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        for format in FORMATS {
            parse_and_check(format, &bytes)?;
        }
    }

    #[test]
    fn arbitrary_json_is_refused_or_read(text in r#"[\[\]{}:,"a-zA-Z0-9 .null]{0,200}"#) {
        for format in FORMATS {
            parse_and_check(format, text.as_bytes())?;
        }
    }

    #[test]
    fn mutated_reports_are_refused_or_read(which in 0..VALID.len(), changes in prop::collection::vec(mutation(), 1..6)) {
        let (format, valid) = VALID[which];
        let mut bytes = valid.to_vec();
        for change in &changes {
            mutate(&mut bytes, change);
        }
        parse_and_check(format, &bytes)?;
    }
}

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
    for format in FORMATS {
        assert!(parse_and_check(format, deep.as_bytes()).is_ok());
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
