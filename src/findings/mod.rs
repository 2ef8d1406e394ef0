//! What a scanner or a test tool reported, brought to one shape.
//!
//! This module decides what a report says: which vulnerabilities it names under which aliases, how severe each is, and
//! whether the tool recognised anything at all. It never decides what that means for a rollout; the gates do.
//!
//! A report is written by a tool that has read an image somebody else built, so every byte of it is untrusted. Three
//! rules hold for every format: nothing panics, whatever the bytes; text is cleaned and cut before it is kept; and a
//! list is never cut, since what was cut off could be the one finding that matters: too much is an error.

mod alias;
mod cvss;
mod json;
mod junit;
mod osv;
mod sarif;
mod scan;
mod severity;
mod test_report;
pub mod text;
mod trivy;

#[cfg(test)]
mod bounds_tests;

pub use alias::{AliasSet, same_advisory};
pub use scan::{Database, Finding, PackageSeen, ScanReport, Status, Tool, packages_hint};
pub use severity::Severity;
pub use test_report::{TestFailure, TestReport};

use thiserror::Error;

use crate::api::{ReportFormat, ScanFormat};

/// The largest report that is read, in bytes. Trivy's report of a large, neglected image is 3 to 6 MB; beyond this the
/// memory of the operator would be in the hands of whoever built the image.
pub const MAX_REPORT_BYTES: usize = 8 * 1024 * 1024;

/// Findings read from one report. The most neglected public images have under 10,000.
pub const MAX_FINDINGS: usize = 20_000;

/// Packages read from one report. A full desktop distribution has about 5,000.
pub const MAX_PACKAGES: usize = 50_000;

/// Names of one vulnerability. A distribution's bulletin that bundles a kernel release names several dozen.
pub const MAX_ALIASES: usize = 256;

/// Digests under which one image is known to the scanner. One for each repository it was pulled through.
pub const MAX_DIGESTS: usize = 64;

/// Test cases or rule results read from one report.
pub const MAX_CASES: usize = 50_000;

/// Why a report cannot be used as evidence. None of these is ever a pass.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReportError {
    /// The report is larger than [`MAX_REPORT_BYTES`].
    #[error("the report has {bytes} bytes, and at most {MAX_REPORT_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The tool wrote nothing at all.
    #[error("the report is empty: the tool wrote nothing to standard output")]
    Empty,
    /// The bytes are not a report of the declared format.
    #[error("the report is not {format}: {detail}")]
    Malformed {
        /// The declared format.
        format: &'static str,
        /// What is wrong and where, cleaned and cut.
        detail: String,
    },
    /// The report names a version of its format that is not understood.
    #[error("the report is {format} version {found}, and only version {supported} is understood")]
    UnsupportedVersion {
        /// The declared format.
        format: &'static str,
        /// The version it names, cleaned and cut.
        found: String,
        /// What is understood.
        supported: &'static str,
    },
    /// A list is longer than what is read; it is not cut, since the rest could hold what matters.
    #[error("the report has more than {max} {what}, and none is left unread")]
    TooMany {
        /// What there is too much of, in the plural.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

impl ReportError {
    fn malformed(format: &'static str, detail: &str) -> Self {
        Self::Malformed { format, detail: text::clean(detail, text::MAX_DETAIL) }
    }
}

/// Reads a scanner's report.
pub fn parse_scan(format: ScanFormat, report: &[u8]) -> Result<ScanReport, ReportError> {
    sized(report)?;
    match format {
        ScanFormat::TrivyJson => trivy::parse(report),
        ScanFormat::OsvScannerJson => osv::parse(report),
    }
}

/// Reads a test tool's report.
pub fn parse_test(format: ReportFormat, report: &[u8]) -> Result<TestReport, ReportError> {
    sized(report)?;
    match format {
        ReportFormat::Sarif => sarif::parse(report),
        ReportFormat::Junit => junit::parse(report),
    }
}

fn sized(report: &[u8]) -> Result<(), ReportError> {
    if report.len() > MAX_REPORT_BYTES {
        return Err(ReportError::TooLarge { bytes: report.len() });
    }
    if report.iter().all(u8::is_ascii_whitespace) {
        return Err(ReportError::Empty);
    }
    Ok(())
}

/// Fails when a list outgrew its bound.
fn bounded(len: usize, max: usize, what: &'static str) -> Result<(), ReportError> {
    if len > max {
        return Err(ReportError::TooMany { what, max });
    }
    Ok(())
}
