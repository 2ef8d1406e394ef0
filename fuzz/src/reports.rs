//! Reports of scanners and of test tools, up to the verdict.

use std::sync::LazyLock;

use securityhotfix::api::conditions::MESSAGE_MAX;
use securityhotfix::api::{ReportFormat, ScanFormat};
use securityhotfix::findings::{
    Finding, MAX_CASES, MAX_FINDINGS, MAX_PACKAGES, ScanReport, Severity, TestReport, parse_scan, parse_test, text,
};
use securityhotfix::gates::scan::{self, Scan, ScanInput};
use securityhotfix::gates::test::{self, TestInput, TestRun};
use securityhotfix::gates::{CheckOutcome, Read, Verdict};
use serde_json::Value;

use crate::bytes::cuts;
use crate::json::each;

/// The advisory of the reports in `tests/fixtures`.
const ADVISORY: [&str; 2] = ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"];

/// Trivy's report.
pub fn trivy(bytes: &[u8]) {
    static BASELINE: LazyLock<ScanReport> = LazyLock::new(|| {
        fixture(ScanFormat::TrivyJson, include_bytes!("../../tests/fixtures/reports/trivy-vulnerable.json"))
    });
    scan(ScanFormat::TrivyJson, bytes, &BASELINE, |report| {
        let found = each(&report["Results"]).flat_map(|result| each(&result["Vulnerabilities"]));
        found.filter_map(|vulnerability| vulnerability["VulnerabilityID"].as_str()).any(is_advisory)
    });
}

/// OSV-Scanner's report.
pub fn osv(bytes: &[u8]) {
    static BASELINE: LazyLock<ScanReport> = LazyLock::new(|| {
        fixture(ScanFormat::OsvScannerJson, include_bytes!("../../tests/fixtures/reports/osv-vulnerable.json"))
    });
    scan(ScanFormat::OsvScannerJson, bytes, &BASELINE, |report| {
        let packages = each(&report["results"]).flat_map(|source| each(&source["packages"]));
        let records = packages.flat_map(|package| each(&package["vulnerabilities"]));
        let names = records.flat_map(|record| std::iter::once(&record["id"]).chain(each(&record["aliases"])));
        names.filter_map(Value::as_str).any(is_advisory)
    });
}

fn fixture(format: ScanFormat, bytes: &[u8]) -> ScanReport {
    parse_scan(format, bytes).expect("a report that was recorded can be read")
}

fn is_advisory(name: &str) -> bool {
    ADVISORY.iter().any(|known| known.eq_ignore_ascii_case(name.trim()))
}

/// `names_it` finds the advisory in the raw document, on a way of its own.
fn scan(format: ScanFormat, bytes: &[u8], other: &ScanReport, names_it: fn(&Value) -> bool) {
    let report = match parse_scan(format, bytes) {
        Ok(report) => report,
        Err(error) => return refused(&error.to_string()),
    };
    sound_scan(&report);
    assert_eq!(parse_scan(format, bytes).as_ref(), Ok(&report), "read twice, it says another thing");
    for cut in cuts(bytes) {
        assert!(parse_scan(format, cut).is_err(), "a report that was cut off is taken for a whole one");
    }
    // Of the image, whatever digests it names; that a foreign report proves nothing is asserted below.
    let own: Vec<&str> = report.repo_digests.iter().chain(&report.image_id).map(String::as_str).collect();
    let others: Vec<&str> = other.repo_digests.iter().map(String::as_str).collect();
    let candidate = judge(format, other, (&report, &own));
    let baseline = judge(format, &report, (other, &others));
    // An escape that is no character, in a field nobody reads, is refused here and read over there.
    let Ok(raw) = serde_json::from_slice::<Value>(bytes) else { return };
    if names_it(&raw) {
        assert_ne!(
            candidate.verdict,
            Verdict::Pass,
            "the candidate's report names the advisory: {}",
            candidate.message
        );
    } else {
        let bulletins = report.findings.iter().any(|finding| finding.bulletins.iter().any(is_advisory));
        let elsewhere = report.findings.iter().any(|finding| finding.ids.iter().any(is_advisory));
        let seen = bulletins || elsewhere;
        assert!(seen || baseline.verdict != Verdict::Pass, "it never named the advisory: {}", baseline.message);
    }
    if candidate.verdict == Verdict::Pass {
        assert!(!report.packages.is_empty(), "a scanner that saw nothing passed");
        let worst = report.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Unknown);
        let known = other.findings.len();
        assert!(known > 0 || !worst.reaches(Severity::High), "{worst} came in");
    }
    if !report.repo_digests.is_empty() {
        let foreign = judge(format, other, (&report, &["sha256:another"]));
        assert_ne!(foreign.verdict, Verdict::Pass, "a report on another image passed");
    }
}

fn judge(format: ScanFormat, baseline: &ScanReport, candidate: (&ScanReport, &[&str])) -> CheckOutcome {
    let advisory = ADVISORY.map(str::to_owned);
    let (candidate, digests) = candidate;
    let input = ScanInput {
        container: "web",
        advisory: &advisory,
        scanner: "r.example/scanner:1",
        format,
        introduced: Severity::High,
        baselines: vec![Scan {
            image: "r.example/web@sha256:1",
            digests: baseline.repo_digests.iter().map(String::as_str).collect(),
            report: Ok(Read { sha256: "1", content: baseline }),
        }],
        candidate: Scan {
            image: "r.example/web@sha256:2",
            digests: digests.to_vec(),
            report: Ok(Read { sha256: "2", content: candidate }),
        },
    };
    let outcome = scan::judge(&input);
    shown(&outcome.message, MESSAGE_MAX);
    for evidence in &outcome.evidence {
        shown(evidence.tool.as_deref().unwrap_or_default(), 3 * text::MAX_WORD + 64);
    }
    outcome
}

fn sound_scan(report: &ScanReport) {
    assert!(report.findings.len() <= MAX_FINDINGS && report.packages.len() <= MAX_PACKAGES);
    assert!(report.findings.is_empty() || !report.packages.is_empty());
    for finding in &report.findings {
        sound_finding(finding);
    }
    for package in &report.packages {
        shown(&package.name, text::MAX_NAME);
        shown(&package.version, text::MAX_WORD);
    }
    for digest in report.repo_digests.iter().chain(&report.image_id) {
        shown(digest, text::MAX_WORD);
    }
    for warning in &report.warnings {
        shown(warning, 512);
    }
}

fn sound_finding(finding: &Finding) {
    assert!(!finding.ids.is_empty());
    for name in finding.ids.iter().chain(finding.bulletins.iter()) {
        shown(name, text::MAX_NAME);
    }
    shown(&finding.package, text::MAX_NAME);
    shown(&finding.installed, text::MAX_WORD);
    shown(finding.fixed.as_deref().unwrap_or_default(), text::MAX_WORD);
    shown(finding.purl.as_deref().unwrap_or_default(), text::MAX_NAME);
}

/// Text that people will see: bounded, in one line, and nothing that steers a terminal.
pub fn shown(text: &str, max: usize) {
    assert!(text.len() <= max, "{} bytes of at most {max}: {text}", text.len());
    assert!(!text.chars().any(char::is_control), "a control character: {text:?}");
}

/// Why something was refused, as people will read it.
pub fn refused(why: &str) {
    shown(why, 512);
    assert!(!why.is_empty());
}

/// SARIF.
pub fn sarif(bytes: &[u8]) {
    test_report(ReportFormat::Sarif, bytes, |bytes| {
        let raw: Value = serde_json::from_slice(bytes).unwrap_or_default();
        each(&raw["runs"]).flat_map(|run| each(&run["results"])).any(|result| {
            let plain = result.get("kind").is_none_or(|kind| kind.is_null() || kind == "fail");
            let hidden = each(&result["suppressions"]).next().is_some();
            plain && !hidden && result["level"] == "error"
        })
    });
}

/// JUnit XML.
pub fn junit(bytes: &[u8]) {
    test_report(ReportFormat::Junit, bytes, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        // In a comment, a character section or an instruction it is no element.
        let plain = !["<!", "<?"].iter().any(|opening| text.contains(opening));
        let begins = |at: usize, name: &str| {
            text[at + name.len()..].starts_with(|c: char| c == '>' || c == '/' || c.is_ascii_whitespace())
        };
        plain && ["<failure", "<error"].iter().any(|name| text.match_indices(name).any(|(at, _)| begins(at, name)))
    });
}

/// `says_failed` finds a failure in the raw document, on a way of its own.
fn test_report(format: ReportFormat, bytes: &[u8], says_failed: fn(&[u8]) -> bool) {
    let report = match parse_test(format, bytes) {
        Ok(report) => report,
        Err(error) => return refused(&error.to_string()),
    };
    sound_test(&report);
    assert_eq!(parse_test(format, bytes).as_ref(), Ok(&report), "read twice, it says another thing");
    for cut in cuts(bytes) {
        // XML goes on after its root: what is cut off there said nothing.
        let same = format == ReportFormat::Junit && parse_test(format, cut).as_ref() == Ok(&report);
        assert!(same || parse_test(format, cut).is_err(), "a report that was cut off is taken for a whole one");
    }
    for exit_code in [0, 1, 126, 127, 137, 255, -1] {
        let run = TestRun { exit_code, sha256: "0", report: Some(Ok(&report)) };
        let outcome = test::judge(&TestInput { subject: "web", declared: Some(format), run: Ok(run) });
        shown(&outcome.message, MESSAGE_MAX);
        if outcome.verdict == Verdict::Pass {
            assert_eq!(exit_code, 0, "{}", outcome.message);
            assert!(report.failures.is_empty() && report.gap.is_none(), "{report:?}");
            assert!(!says_failed(bytes), "the report says that something failed: {}", outcome.message);
        }
    }
}

fn sound_test(report: &TestReport) {
    assert!(report.failures.len() <= MAX_CASES);
    for failure in &report.failures {
        shown(&failure.id, text::MAX_NAME);
        shown(&failure.message, text::MAX_DETAIL);
    }
    for tool in &report.tools {
        shown(&tool.to_string(), 2 * text::MAX_WORD + 1);
    }
    shown(report.gap.as_deref().unwrap_or_default(), 512);
}

/// Words, scores and vectors of severity, and the cleaning of text.
pub fn severity(bytes: &[u8]) {
    let raw = String::from_utf8_lossy(bytes);
    let word = Severity::from_word(&raw);
    assert_eq!(Severity::from_word(&word.to_string()), word, "a severity reads back");
    let vector = Severity::from_vector(&raw);
    assert_eq!(vector, Severity::from_vector(&raw));
    assert!(vector == Severity::Unknown || raw.starts_with("CVSS:3."), "{raw:?} has a score");
    if let Ok(score) = raw.trim().parse::<f64>() {
        let of_score = Severity::from_score(score);
        assert!(of_score == Severity::Unknown || (0.0..=10.0).contains(&score), "{score} is {of_score}");
    }
    // What is not known counts as bad as any bar.
    for bar in [Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
        assert!(word != Severity::Unknown || word.reaches(bar), "an unknown severity passed below {bar}");
    }
    for max in [0, 1, 2, 3, 4, 16, 240] {
        let clean = text::clean(&raw, max);
        shown(&clean, max);
        assert_eq!(text::clean(&clean, max), clean, "clean text is changed by cleaning");
    }
}
