//! The scan gate: is the advisory gone, and did nothing as bad come in its place?
//!
//! A scanner that finds nothing may have seen nothing. The running image is therefore scanned too, by the same scanner
//! with the same data base: only where the advisory is seen does its absence from the candidate mean anything. And the
//! candidate is judged by what it brings in, not by what was there before: a hotfix fixes one thing.
//!
//! Findings that an ignore file or a VEX statement hid count like all others; hiding is not fixing.

use std::collections::HashSet;

use super::{CheckOutcome, Counts, Evidence, Read, Verdict, Violation, clause, listed};
use crate::api::ScanFormat;
use crate::findings::text::{MAX_NAME, clean, counted};
use crate::findings::{AliasSet, Finding, ScanReport, Severity, packages_hint};

/// Findings named in a message; the report has them all.
const SHOWN: usize = 3;

/// What the gate looks at, for one container.
#[derive(Clone, Debug)]
pub struct ScanInput<'a> {
    /// The container.
    pub container: &'a str,
    /// The advisory's names.
    pub advisory: &'a [String],
    /// The image of the scanner, as its check names it.
    pub scanner: &'a str,
    /// How the scanner writes its report.
    pub format: ScanFormat,
    /// Findings that no running image has fail the gate from here on. Unknown severities count as this bad.
    pub introduced: Severity,
    /// A scan of each image the container runs today.
    pub baselines: Vec<Scan<'a>>,
    /// The scan of the patched image.
    pub candidate: Scan<'a>,
}

/// One scan of one image.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    /// The image, as it was given to the scanner: repository and digest.
    pub image: &'a str,
    /// Every digest that stands for it: the one it was asked by, and where known its child manifests and their
    /// configurations.
    pub digests: Vec<&'a str>,
    /// The report, or why there is none, as a clause.
    pub report: Result<Read<'a, ScanReport>, &'a str>,
}

type Rule = fn(&Judged<'_>) -> Option<Violation>;

/// The rules, in order. What the candidate's own report proves comes first: it needs no comparison, and no re-run
/// would change it.
const CHAIN: [Rule; 7] = [
    candidate_was_scanned,
    candidate_is_free_of_the_advisory,
    baselines_were_scanned,
    one_scanner_looked_at_all,
    advisory_is_seen_in_a_baseline,
    nothing_bad_is_introduced,
    advisory_was_gone_under_every_name,
];

/// Judges the scans of one container.
pub fn judge(input: &ScanInput<'_>) -> CheckOutcome {
    let evidence = evidence(input);
    let advisory = match AliasSet::new(input.advisory) {
        Ok(advisory) if !advisory.is_empty() => advisory,
        _ => {
            let message = "The advisory has no usable name, so no scan can prove anything about it.";
            return CheckOutcome::new(Verdict::Inconclusive, message, evidence);
        }
    };
    let judged = Judged { input, advisory };
    match CHAIN.iter().find_map(|rule| rule(&judged)) {
        Some(violation) => CheckOutcome::new(violation.verdict, &violation.message, evidence),
        None => CheckOutcome::new(Verdict::Pass, &judged.praise(), evidence),
    }
}

struct Judged<'a> {
    input: &'a ScanInput<'a>,
    advisory: AliasSet,
}

impl<'a> Judged<'a> {
    fn candidate(&self) -> Option<&'a ScanReport> {
        self.input.candidate.report.ok().map(|read| read.content)
    }

    fn baselines(&self) -> impl Iterator<Item = &'a ScanReport> {
        self.input.baselines.iter().filter_map(|scan| scan.report.ok().map(|read| read.content))
    }

    /// The advisory in the running images.
    fn remedied(&self) -> impl Iterator<Item = &'a Finding> {
        self.baselines().flat_map(|report| &report.findings).filter(|finding| finding.concerns(&self.advisory))
    }

    fn praise(&self) -> String {
        let Judged { input, advisory } = self;
        let Some((remedied, candidate)) = self.remedied().next().zip(self.candidate()) else {
            return String::new();
        };
        let now = match candidate.packages.iter().find(|package| package.name == remedied.package) {
            Some(package) if package.version.is_empty() => format!("the version of {} is not told there", package.name),
            Some(package) => format!("{} is {} there", package.name, package.version),
            None => format!("the scanner recognises no {} there any more", remedied.package),
        };
        let mut message = format!(
            "{} is in the running image of {} ({}) and gone from the candidate: {now}. Nothing of severity {} or above came in with it, by {}.",
            advisory.headline(),
            input.container,
            [&*remedied.package, &remedied.installed].join(" ").trim_end(),
            input.introduced,
            candidate.tool,
        );
        for warning in &candidate.warnings {
            message.push(' ');
            message.push_str(warning);
        }
        message
    }
}

fn candidate_was_scanned(judged: &Judged<'_>) -> Option<Violation> {
    usable(&judged.input.candidate, "the candidate", judged.input)
}

fn baselines_were_scanned(judged: &Judged<'_>) -> Option<Violation> {
    if judged.input.baselines.is_empty() {
        return Some(Violation::inconclusive(format!(
            "No image that {} runs today was scanned, so the scanner has not shown that it can see the advisory.",
            judged.input.container
        )));
    }
    judged.input.baselines.iter().find_map(|scan| usable(scan, "the running image", judged.input))
}

/// A report is there, is about this image where it says so, and recognised something.
fn usable(scan: &Scan<'_>, what: &str, input: &ScanInput<'_>) -> Option<Violation> {
    let container = input.container;
    let report = match scan.report {
        Ok(read) => read.content,
        Err(why) => {
            return Some(Violation::inconclusive(format!(
                "The scan of {what} of {container} ({}) gave no usable report: {}.",
                scan.image,
                clause(why)
            )));
        }
    };
    if !is_about(report, &scan.digests) {
        return Some(Violation::inconclusive(format!(
            "The report on {what} of {container} is about another image: {} was to be scanned, and the report names {}. \
             Let the check scan $(IMAGE).",
            scan.image,
            listed(&report.repo_digests, SHOWN)
        )));
    }
    if report.packages.is_empty() {
        return Some(Violation::inconclusive(format!(
            "The scanner recognised nothing in {what} of {container} ({}), which is not the same as finding nothing. \
             In the SecurityCheck, {}; or use a scanner that knows this kind of image.",
            scan.image,
            packages_hint(input.format)
        )));
    }
    None
}

/// A report that names digests must name one of the image's. One that names none is taken to be about the image its
/// Job was made for.
fn is_about(report: &ScanReport, digests: &[&str]) -> bool {
    let is_ours = |digest: &String| digests.contains(&digest.as_str());
    report.repo_digests.is_empty()
        || report.repo_digests.iter().any(is_ours)
        || report.image_id.as_ref().is_some_and(is_ours)
}

fn candidate_is_free_of_the_advisory(judged: &Judged<'_>) -> Option<Violation> {
    still_there(judged, &judged.advisory)
}

/// The names under which the running image's scan knows the advisory count too: a scanner may file the same
/// vulnerability of another version under another of its names.
fn advisory_was_gone_under_every_name(judged: &Judged<'_>) -> Option<Violation> {
    let mut names = judged.advisory.clone();
    for finding in judged.remedied() {
        if names.extend(finding.ids.iter()).is_err() {
            return Some(Violation::inconclusive(format!(
                "{} has more names than can be compared.",
                judged.advisory.headline()
            )));
        }
    }
    still_there(judged, &names)
}

fn still_there(judged: &Judged<'_>, names: &AliasSet) -> Option<Violation> {
    let found: Vec<&Finding> = judged.candidate()?.findings.iter().filter(|finding| finding.concerns(names)).collect();
    let first = found.first()?;
    let fix = match &first.fixed {
        Some(fixed) => format!("It is fixed in {fixed}: build an image with that version"),
        None => "The scanner knows no fixed version: build an image without the package".to_owned(),
    };
    Some(Violation::fail(format!(
        "The candidate for {} still has {}: {}. {fix} and create another SecurityHotfix.",
        judged.input.container,
        judged.advisory.headline(),
        listed(&found, SHOWN)
    )))
}

fn one_scanner_looked_at_all(judged: &Judged<'_>) -> Option<Violation> {
    let candidate = judged.candidate()?;
    let other = judged
        .baselines()
        .find(|baseline| baseline.tool != candidate.tool || baseline.database != candidate.database)?;
    let what = if other.tool == candidate.tool { "data base" } else { "scanner" };
    Some(Violation::inconclusive(format!(
        "The {what} changed between the scans: the running image of {} was scanned by {}, the candidate by {}. \
         What one of them sees says nothing about the other.",
        judged.input.container,
        described(other, judged.input.scanner),
        described(candidate, judged.input.scanner)
    )))
}

fn advisory_is_seen_in_a_baseline(judged: &Judged<'_>) -> Option<Violation> {
    if judged.remedied().next().is_some() {
        return None;
    }
    let images: Vec<&str> = judged.input.baselines.iter().map(|scan| scan.image).collect();
    Some(Violation::inconclusive(format!(
        "The scanner is blind to {} in what {} runs today ({}), so its absence from the candidate proves nothing. If the \
         scanner knows the vulnerability by another name, create a SecurityHotfix that lists it in spec.advisory.ids; \
         else update the scanner's data base, or name only containers that are affected in spec.images.",
        judged.advisory.headline(),
        judged.input.container,
        listed(&images, SHOWN)
    )))
}

fn nothing_bad_is_introduced(judged: &Judged<'_>) -> Option<Violation> {
    let known: HashSet<(String, &str)> =
        judged.baselines().flat_map(|report| &report.findings).flat_map(keys).collect();
    let mut introduced: Vec<Introduced<'_>> = judged
        .candidate()?
        .findings
        .iter()
        .filter(|finding| finding.severity.reaches(judged.input.introduced))
        .filter(|finding| !keys(finding).any(|key| known.contains(&key)))
        .map(Introduced)
        .collect();
    introduced.sort_by_key(|Introduced(finding)| std::cmp::Reverse(finding.severity));
    if introduced.is_empty() {
        return None;
    }
    Some(Violation::fail(format!(
        "The candidate for {} brings in {} of severity {} or above that no running image has: {}. Build an image without \
         them and create another SecurityHotfix.",
        judged.input.container,
        counted(introduced.len(), "finding"),
        judged.input.introduced,
        listed(&introduced, SHOWN)
    )))
}

/// A finding is the same as another when they share a name and are about the same package; its version may differ.
fn keys(finding: &Finding) -> impl Iterator<Item = (String, &str)> {
    finding.ids.iter().map(|id| (id.to_ascii_lowercase(), &*finding.package))
}

struct Introduced<'a>(&'a Finding);

impl std::fmt::Display for Introduced<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.0, self.0.severity)
    }
}

/// What scanned, as its report tells; with the image that ran where the report tells no version.
fn described(report: &ScanReport, scanner: &str) -> String {
    let tool = if report.tool.tells_its_version() {
        report.tool.to_string()
    } else {
        format!("{} of image {}", report.tool, clean(scanner, MAX_NAME))
    };
    let Some(database) = &report.database else { return tool };
    let told: Vec<&str> = [&database.version, &database.updated_at].into_iter().flatten().map(String::as_str).collect();
    if told.is_empty() { tool } else { format!("{tool} with data base {}", told.join(" of ")) }
}

fn evidence(input: &ScanInput<'_>) -> Vec<Evidence> {
    let scans = std::iter::once(&input.candidate).chain(&input.baselines);
    scans
        .filter_map(|scan| {
            let read = scan.report.ok()?;
            let findings = &read.content.findings;
            Some(Evidence {
                subject: scan.image.to_owned(),
                sha256: Some(read.sha256.to_owned()),
                tool: Some(described(read.content, input.scanner)),
                counts: Counts {
                    examined: read.content.packages.len(),
                    found: findings.len(),
                    suppressed: findings.iter().filter(|finding| finding.suppressed).count(),
                },
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
