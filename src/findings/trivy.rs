//! Trivy's own JSON, schema version 2.
//!
//! Nearly every field is left out when empty, so an absent field says nothing. In particular a report without
//! `Results` is what Trivy writes both for an image it recognised nothing in and for one that is truly empty; either
//! way it proves nothing. `ExperimentalModifiedFindings`, there with `--show-suppressed`, holds what an ignore file or a
//! VEX document took out; a gate must see those.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    AliasSet, Finding, ReportError, ScanReport, Severity, Status,
    json::{self, nullable},
    scan::Builder,
    text::{self, clean, clean_option},
};

const FORMAT: &str = "a Trivy JSON report";

pub(super) fn parse(report: &[u8]) -> Result<ScanReport, ReportError> {
    let report: Report = json::read(FORMAT, report)?;
    match report.schema_version {
        Some(2) => {}
        Some(other) => {
            return Err(ReportError::UnsupportedVersion { format: FORMAT, found: other.to_string(), supported: "2" });
        }
        None => return Err(ReportError::malformed(FORMAT, "it has no SchemaVersion")),
    }
    let mut builder = Builder::new("Trivy", report.trivy.version.as_deref());
    if let Some(db) = &report.trivy.server.vulnerability_db {
        let version = db.version.map(|version| version.to_string());
        builder.database(version.as_deref(), db.updated_at.as_deref());
    }
    builder.image_id(report.metadata.image_id.as_deref());
    for digest in &report.metadata.repo_digests {
        builder.repo_digest(digest)?;
    }
    if let Some(os) = report.metadata.os.as_ref().filter(|os| os.eosl) {
        let name = clean(&format!("{} {}", os.family, os.name), text::MAX_WORD);
        builder.warning(format!("The distribution {name} is at its end of life and gets no more fixes."));
    }
    for result in &report.results {
        read_result(result, &mut builder)?;
    }
    Ok(builder.finish())
}

fn read_result(result: &ScanResult, builder: &mut Builder) -> Result<(), ReportError> {
    for package in &result.packages {
        builder.package(&package.name, &package.version)?;
    }
    for vulnerability in &result.vulnerabilities {
        builder.finding(read_vulnerability(vulnerability, &result.target, Shown::Plainly)?)?;
    }
    for modified in &result.modified_findings {
        // Other types are misconfigurations, secrets and licences, which are no vulnerabilities.
        if modified.kind != "vulnerability" {
            continue;
        }
        let hidden: Vulnerability = modified
            .finding
            .as_ref()
            .and_then(|finding| Vulnerability::deserialize(finding).ok())
            .ok_or_else(|| ReportError::malformed(FORMAT, "a suppressed finding is not a vulnerability"))?;
        builder.finding(read_vulnerability(&hidden, &result.target, Shown::Suppressed)?)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Plainly,
    Suppressed,
}

fn read_vulnerability(from: &Vulnerability, target: &str, shown: Shown) -> Result<Finding, ReportError> {
    let ids = AliasSet::new([&from.id])?;
    if ids.is_empty() {
        return Err(ReportError::malformed(FORMAT, "a vulnerability has no VulnerabilityID"));
    }
    // What names the package most exactly; a finding about no package is one about the whole target.
    let package =
        [&*from.pkg_name, &*from.pkg_id, target].into_iter().find(|name| !name.trim().is_empty()).unwrap_or_default();
    Ok(Finding {
        ids,
        bulletins: AliasSet::new(&from.vendor_ids)?,
        package: clean(package, text::MAX_NAME),
        purl: clean_option(from.pkg_identifier.purl.as_deref(), text::MAX_NAME),
        installed: clean(&from.installed_version, text::MAX_WORD),
        fixed: clean_option(Some(&from.fixed_version), text::MAX_WORD),
        severity: severity(from),
        status: Status::from_word(&from.status),
        suppressed: shown == Shown::Suppressed,
    })
}

/// The word Trivy chose; where it chose none, the worst of the scores that the data base carries.
fn severity(from: &Vulnerability) -> Severity {
    let word = Severity::from_word(&from.severity);
    if word != Severity::Unknown {
        return word;
    }
    from.cvss.values().fold(Severity::Unknown, |worst, cvss| {
        let v3 = match (cvss.v3_score, &cvss.v3_vector) {
            (Some(score), _) => Severity::from_score(score),
            (None, Some(vector)) => Severity::from_vector(vector),
            (None, None) => Severity::Unknown,
        };
        let v4 = cvss.v40_score.map_or(Severity::Unknown, Severity::from_score);
        worst.worse(v3).worse(v4)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    schema_version: Option<u64>,
    #[serde(default, deserialize_with = "nullable")]
    trivy: Info,
    #[serde(default, deserialize_with = "nullable")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    results: Vec<ScanResult>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    version: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    server: Server,
}

#[derive(Default, Deserialize)]
struct Server {
    #[serde(rename = "VulnerabilityDB")]
    vulnerability_db: Option<Db>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Db {
    version: Option<u64>,
    updated_at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<Os>,
    #[serde(rename = "ImageID")]
    image_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    repo_digests: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Os {
    #[serde(default, deserialize_with = "nullable")]
    family: String,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, rename = "EOSL", deserialize_with = "nullable")]
    eosl: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanResult {
    #[serde(default, deserialize_with = "nullable")]
    target: String,
    #[serde(default, deserialize_with = "nullable")]
    packages: Vec<Package>,
    #[serde(default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
    #[serde(default, rename = "ExperimentalModifiedFindings", deserialize_with = "nullable")]
    modified_findings: Vec<Modified>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Package {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vulnerability {
    #[serde(default, rename = "VulnerabilityID", deserialize_with = "nullable")]
    id: String,
    #[serde(default, rename = "VendorIDs", deserialize_with = "nullable")]
    vendor_ids: Vec<String>,
    #[serde(default, rename = "PkgID", deserialize_with = "nullable")]
    pkg_id: String,
    #[serde(default, deserialize_with = "nullable")]
    pkg_name: String,
    #[serde(default, deserialize_with = "nullable")]
    pkg_identifier: Identifier,
    #[serde(default, deserialize_with = "nullable")]
    installed_version: String,
    #[serde(default, deserialize_with = "nullable")]
    fixed_version: String,
    #[serde(default, deserialize_with = "nullable")]
    status: String,
    #[serde(default, deserialize_with = "nullable")]
    severity: String,
    #[serde(default, rename = "CVSS", deserialize_with = "nullable")]
    cvss: BTreeMap<String, Cvss>,
}

#[derive(Default, Deserialize)]
struct Identifier {
    #[serde(rename = "PURL")]
    purl: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cvss {
    v3_vector: Option<String>,
    v3_score: Option<f64>,
    v40_score: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modified {
    #[serde(default, rename = "Type", deserialize_with = "nullable")]
    kind: String,
    /// Read as a vulnerability only when it is said to be one: the other types have other fields.
    finding: Option<serde_json::Value>,
}

#[cfg(test)]
#[path = "trivy_tests.rs"]
mod tests;
