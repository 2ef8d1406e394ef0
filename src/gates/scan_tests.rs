use super::*;
use crate::findings::parse_scan;

const OLD: &str = "registry.example/web@sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "registry.example/web@sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn digest(image: &str) -> &str {
    image.rsplit_once('@').unwrap().1
}

fn trivy(name: &str) -> ScanReport {
    let path = format!("{}/tests/fixtures/reports/trivy-{name}.json", env!("CARGO_MANIFEST_DIR"));
    parse_scan(ScanFormat::TrivyJson, &std::fs::read(path).unwrap()).unwrap()
}

/// The scans of a good hotfix; each test breaks one thing.
#[derive(Debug)]
struct Case {
    advisory: Vec<String>,
    introduced: Severity,
    baselines: Vec<Result<ScanReport, &'static str>>,
    candidate: Result<ScanReport, &'static str>,
}

impl Case {
    fn good() -> Self {
        Self {
            advisory: vec!["CVE-2024-22195".into(), "GHSA-h5c8-rqwp-cp95".into()],
            introduced: Severity::High,
            baselines: vec![Ok(trivy("vulnerable"))],
            candidate: Ok(trivy("patched")),
        }
    }

    fn judge(&self) -> CheckOutcome {
        fn scan<'a>(image: &'a str, report: &'a Result<ScanReport, &'static str>) -> Scan<'a> {
            let report = report.as_ref().map(|content| Read { sha256: "5f", content }).map_err(|why| *why);
            Scan { image, digests: vec![digest(image)], report }
        }
        judge(&ScanInput {
            container: "web",
            advisory: &self.advisory,
            scanner: "registry.example/trivy:0.58",
            format: ScanFormat::TrivyJson,
            introduced: self.introduced,
            baselines: self.baselines.iter().map(|report| scan(OLD, report)).collect(),
            candidate: scan(NEW, &self.candidate),
        })
    }

    fn candidate(&mut self) -> &mut ScanReport {
        self.candidate.as_mut().unwrap()
    }

    fn baseline(&mut self) -> &mut ScanReport {
        self.baselines[0].as_mut().unwrap()
    }
}

/// Breaks one thing of a good case and gives verdict and message.
fn after(change: impl FnOnce(&mut Case)) -> (Verdict, String) {
    let mut case = Case::good();
    change(&mut case);
    let outcome = case.judge();
    (outcome.verdict, outcome.message)
}

fn finding(id: &str, package: &str, severity: Severity) -> Finding {
    let mut finding = trivy("vulnerable").findings.remove(0);
    finding.ids = AliasSet::new([id]).unwrap();
    finding.package = package.to_owned();
    finding.severity = severity;
    finding
}

#[test]
fn an_advisory_that_was_there_and_is_gone_passes() {
    let outcome = Case::good().judge();
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(
        outcome.message,
        "CVE-2024-22195 is in the running image of web (Jinja2 3.1.0) and gone from the candidate: Jinja2 is 3.1.6 there. \
         Nothing of severity High or above came in with it, by Trivy 0.72.0."
    );
    assert_eq!(outcome.evidence[0].subject, NEW, "the candidate's evidence comes first");
    assert_eq!(outcome.evidence[1].counts, Counts { examined: 2, found: 2, suppressed: 0 });
}

#[test]
fn an_advisory_that_is_still_there_fails() {
    let (verdict, message) = after(|case| {
        *case.candidate() = trivy("vulnerable");
        case.candidate().repo_digests = vec![digest(NEW).to_owned()];
    });
    assert_eq!(verdict, Verdict::Fail);
    assert_eq!(
        message,
        "The candidate for web still has CVE-2024-22195: CVE-2024-22195 in Jinja2 3.1.0. It is fixed in 3.1.3: build an \
         image with that version and create another SecurityHotfix."
    );
}

#[test]
fn a_suppressed_advisory_is_still_there() {
    let (verdict, message) = after(|case| case.candidate = Ok(trivy("suppressed")));
    assert_eq!(verdict, Verdict::Fail);
    assert!(message.contains("CVE-2024-22195 in Jinja2 3.1.0 (suppressed)"), "{message}");
}

#[test]
fn a_suppressed_advisory_in_the_running_image_shows_that_the_scanner_sees_it() {
    let (verdict, _) = after(|case| case.baseline().findings.iter_mut().for_each(|finding| finding.suppressed = true));
    assert_eq!(verdict, Verdict::Pass);
}

#[test]
fn a_scanner_that_is_blind_on_the_baseline_proves_nothing() {
    let (verdict, message) = after(|case| case.advisory = vec!["CVE-2099-0001".into()]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.starts_with("The scanner is blind to CVE-2099-0001 in what web runs today"), "{message}");
    assert!(message.contains("spec.advisory.ids"), "{message}");
}

#[test]
fn one_baseline_of_several_that_shows_the_advisory_is_enough() {
    let half_patched = |case: &mut Case| {
        let mut patched = trivy("patched");
        patched.repo_digests = vec![digest(OLD).to_owned()];
        case.baselines.push(Ok(patched));
    };
    assert_eq!(after(half_patched).0, Verdict::Pass);
}

#[test]
fn the_advisory_is_known_by_any_name_in_any_case() {
    for id in ["ghsa-H5C8-rqwp-cp95", "cve-2024-22195"] {
        assert_eq!(after(|case| case.advisory = vec![id.into()]).0, Verdict::Pass, "{id}");
    }
}

#[test]
fn the_advisory_may_come_back_under_another_of_its_names() {
    let (verdict, message) = after(|case| {
        case.baseline().findings[1].ids = AliasSet::new(["CVE-2024-22195", "PYSEC-2024-1"]).unwrap();
        case.candidate().findings.push(finding("PYSEC-2024-1", "Jinja2", Severity::Low));
    });
    assert_eq!(verdict, Verdict::Fail);
    assert!(message.contains("PYSEC-2024-1 in Jinja2"), "{message}");
}

#[test]
fn what_came_in_with_the_fix_fails_from_the_threshold_on() {
    for (severity, threshold, verdict) in [
        (Severity::Critical, Severity::High, Verdict::Fail),
        (Severity::High, Severity::High, Verdict::Fail),
        (Severity::Medium, Severity::High, Verdict::Pass),
        (Severity::Unknown, Severity::Critical, Verdict::Fail),
        (Severity::Low, Severity::Low, Verdict::Fail),
    ] {
        let (found, message) = after(|case| {
            case.introduced = threshold;
            case.candidate().findings.push(finding("CVE-2026-0001", "openssl", severity));
        });
        assert_eq!(found, verdict, "{severity} at {threshold}: {message}");
    }
    let (_, message) =
        after(|case| case.candidate().findings.push(finding("CVE-2026-0001", "openssl", Severity::Critical)));
    assert_eq!(
        message,
        "The candidate for web brings in 1 finding of severity High or above that no running image has: CVE-2026-0001 in \
         openssl 2.36-9 [Critical]. Build an image without them and create another SecurityHotfix."
    );
}

#[test]
fn what_was_there_before_is_not_introduced() {
    let old = finding("CVE-2026-0001", "openssl", Severity::Critical);
    let (verdict, _) = after(|case| {
        case.candidate().findings.push(Finding { installed: "1.2".into(), ..old.clone() });
        case.baseline().findings.push(old.clone());
    });
    assert_eq!(verdict, Verdict::Pass, "the same vulnerability of another version is the same");
    let (verdict, _) = after(|case| {
        case.candidate().findings.push(Finding { package: "libssl".into(), ..old.clone() });
        case.baseline().findings.push(old);
    });
    assert_eq!(verdict, Verdict::Fail, "the same vulnerability of another package is another");
}

#[test]
fn a_bulletin_shared_with_an_old_finding_does_not_hide_a_new_one() {
    let (verdict, _) = after(|case| {
        let mut new = finding("CVE-2026-0002", "libc6", Severity::High);
        new.bulletins = AliasSet::new(["DSA-5673-1"]).unwrap();
        case.candidate().findings.push(new);
    });
    assert_eq!(verdict, Verdict::Fail);
}

#[test]
fn a_report_about_another_image_proves_nothing() {
    let (verdict, message) = after(|case| case.candidate().repo_digests = vec![digest(OLD).to_owned()]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("is about another image") && message.contains("$(IMAGE)"), "{message}");
    assert_eq!(after(|case| case.baseline().repo_digests = vec!["sha256:77".into()]).0, Verdict::Inconclusive);
}

#[test]
fn a_report_that_names_no_digest_is_taken_at_its_jobs_word() {
    assert_eq!(after(|case| case.candidate().repo_digests.clear()).0, Verdict::Pass);
}

#[test]
fn a_report_that_knows_the_image_by_its_configuration_is_about_it() {
    let (verdict, _) = after(|case| {
        case.candidate().repo_digests = vec!["sha256:77".into()];
        case.candidate().image_id = Some(digest(NEW).to_owned());
    });
    assert_eq!(verdict, Verdict::Pass);
}

#[test]
fn a_scanner_that_recognised_nothing_proves_nothing() {
    let (verdict, message) = after(|case| case.candidate = Ok(trivy("nothing")));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("which is not the same as finding nothing"), "{message}");
    assert_eq!(after(|case| case.baseline().packages.clear()).0, Verdict::Inconclusive);
}

#[test]
fn a_missing_report_proves_nothing_and_says_why() {
    let (verdict, message) = after(|case| case.candidate = Err("the result of the check was cut off."));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(
        message,
        format!("The scan of the candidate of web ({NEW}) gave no usable report: the result of the check was cut off.")
    );
    assert_eq!(after(|case| case.baselines = vec![Err("late")]).0, Verdict::Inconclusive);
    assert_eq!(after(|case| case.baselines.push(Err("late"))).0, Verdict::Inconclusive);
    assert_eq!(after(|case| case.baselines.clear()).0, Verdict::Inconclusive);
}

#[test]
fn another_scanner_or_data_base_is_no_comparison() {
    let (verdict, message) = after(|case| case.candidate().tool.version = Some("0.73.0".into()));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.starts_with("The scanner changed between the scans"), "{message}");
    let (verdict, message) = after(|case| {
        case.candidate().database =
            Some(crate::findings::Database { version: Some("2".into()), updated_at: Some("2026-11-23".into()) });
    });
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("Trivy 0.72.0 with data base 2 of 2026-11-23"), "{message}");
}

#[test]
fn the_evidence_names_the_scanner_and_its_image_where_it_tells_no_version() {
    let tool = |version: Option<&str>| {
        let mut case = Case::good();
        case.candidate().tool.version = version.map(str::to_owned);
        case.judge().evidence.remove(0).tool
    };
    assert_eq!(tool(Some("0.72.0")).as_deref(), Some("Trivy 0.72.0"));
    for untold in [None, Some("dev")] {
        assert_eq!(tool(untold).as_deref(), Some("Trivy of image registry.example/trivy:0.58"), "{untold:?}");
    }
}

#[test]
fn an_advisory_in_the_candidate_fails_though_the_baseline_proves_nothing() {
    let (verdict, _) = after(|case| {
        case.candidate = Ok(trivy("suppressed"));
        case.baselines = vec![Err("late")];
    });
    assert_eq!(verdict, Verdict::Fail, "a re-run would not change it");
}

#[test]
fn an_advisory_without_a_name_proves_nothing() {
    assert_eq!(after(|case| case.advisory = vec![" ".into()]).0, Verdict::Inconclusive);
    assert_eq!(after(|case| case.advisory.clear()).0, Verdict::Inconclusive);
}

#[test]
fn the_end_of_life_of_the_candidates_distribution_is_told_with_the_pass() {
    let (verdict, message) =
        after(|case| case.candidate().warnings = vec!["The distribution x is at its end of life.".into()]);
    assert_eq!(verdict, Verdict::Pass);
    assert!(message.ends_with("The distribution x is at its end of life."), "{message}");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn any_finding() -> impl Strategy<Value = Finding> {
        (0usize..4, prop::sample::subsequence(vec!["A", "B", "C", "D"], 1..3), any::<bool>(), 0usize..6).prop_map(
            |(package, ids, suppressed, severity)| {
                let severity = [
                    Severity::Unknown,
                    Severity::None,
                    Severity::Low,
                    Severity::Medium,
                    Severity::High,
                    Severity::Critical,
                ][severity];
                let mut finding = finding("x", ["p", "q", "r", "s"][package], severity);
                finding.ids = AliasSet::new(ids).unwrap();
                finding.bulletins = AliasSet::default();
                finding.suppressed = suppressed;
                finding
            },
        )
    }

    fn any_case() -> impl Strategy<Value = Case> {
        let findings = || prop::collection::vec(any_finding(), 0..5);
        let usable = || prop::bool::weighted(0.9);
        (findings(), findings(), usable(), usable(), usable()).prop_map(|(old, new, there, ours, seen)| {
            let mut case = Case::good();
            case.advisory = vec!["A".into()];
            case.baseline().findings = old;
            case.candidate().findings = new;
            if !ours {
                case.candidate().repo_digests = vec!["sha256:77".into()];
            }
            if !seen {
                case.candidate().packages.clear();
            }
            if !there {
                case.baselines = vec![Err("late")];
            }
            case
        })
    }

    proptest! {
        #[test]
        fn a_pass_means_seen_before_gone_now_and_nothing_bad_new(case in any_case()) {
            let outcome = case.judge();
            if outcome.verdict == Verdict::Pass {
                let (old, new) = (case.baselines[0].as_ref().unwrap(), case.candidate.as_ref().unwrap());
                prop_assert!(old.findings.iter().any(|finding| finding.ids.contains("A")));
                prop_assert!(!new.findings.iter().any(|finding| finding.ids.contains("A")));
                prop_assert!(!new.packages.is_empty());
                prop_assert_eq!(&new.repo_digests[..], &[digest(NEW).to_owned()][..]);
                for finding in new.findings.iter().filter(|finding| finding.severity.reaches(Severity::High)) {
                    prop_assert!(old.findings.iter().any(|known|
                        known.package == finding.package && known.ids.intersects(&finding.ids)));
                }
            }
        }

        #[test]
        fn the_same_evidence_gives_the_same_verdict_and_a_bounded_message(case in any_case()) {
            let outcome = case.judge();
            prop_assert_eq!(&case.judge(), &outcome);
            prop_assert!(!outcome.message.is_empty());
            prop_assert!(outcome.message.len() <= crate::api::conditions::MESSAGE_MAX);
        }
    }
}
