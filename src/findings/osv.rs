//! OSV-Scanner's JSON, version 2.
//!
//! Without `--all-packages` the report of a clean image is an empty list of results, the very same that an image of
//! unknown make gives; so such a report proves nothing. Vulnerabilities come as OSV records, and `groups` says which of
//! them are one and the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{
    AliasSet, Finding, ReportError, ScanReport, Severity, Status,
    json::{self, nullable},
    scan::Builder,
    text::{self, clean},
};

const FORMAT: &str = "an OSV-Scanner JSON report";

/// Fixed versions shown of one finding; it is one for each maintained branch.
const MAX_FIXED: usize = 4;

pub(super) fn parse(report: &[u8]) -> Result<ScanReport, ReportError> {
    let report: Report = json::read(FORMAT, report)?;
    let Some(results) = report.results else {
        return Err(ReportError::malformed(FORMAT, "it has no results"));
    };
    let mut builder = Builder::new("OSV-Scanner", None);
    for package in results.iter().flat_map(|source| &source.packages) {
        read_package(package, &mut builder)?;
    }
    Ok(builder.finish())
}

fn read_package(from: &PackageVulns, builder: &mut Builder) -> Result<(), ReportError> {
    builder.package(from.package.name(), &from.package.version)?;
    // Records that share an id are all of it: each may have a name the others lack.
    let mut records: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in &from.vulnerabilities {
        records.entry(&*record.id).or_default().push(record);
    }
    if records.contains_key("") {
        return Err(ReportError::malformed(FORMAT, "a vulnerability has no id"));
    }
    for group in &from.groups {
        let members: Vec<&Record> = group.ids.iter().filter_map(|id| records.get(&**id)).flatten().copied().collect();
        builder.finding(read_group(&from.package, group, &members)?)?;
    }
    let grouped: BTreeSet<&str> = from.groups.iter().flat_map(|group| &group.ids).map(String::as_str).collect();
    let lone = Group::default();
    for record in &from.vulnerabilities {
        if !grouped.contains(&*record.id) {
            builder.finding(read_group(&from.package, &lone, &[record])?)?;
        }
    }
    Ok(())
}

fn read_group(package: &Package, group: &Group, members: &[&Record]) -> Result<Finding, ReportError> {
    let mut ids = AliasSet::new(group.ids.iter().chain(&group.aliases))?;
    let mut bulletins = AliasSet::default();
    for record in members {
        ids.extend([&record.id])?;
        ids.extend(&record.aliases)?;
        bulletins.extend(&record.upstream)?;
    }
    if ids.is_empty() {
        return Err(ReportError::malformed(FORMAT, "a group of vulnerabilities has no id"));
    }
    let fixed = fixed_versions(package, members);
    Ok(Finding {
        ids,
        bulletins,
        package: clean(package.name(), text::MAX_NAME),
        purl: None,
        installed: clean(&package.version, text::MAX_WORD),
        status: if fixed.is_some() { Status::Fixed } else { Status::Affected },
        fixed,
        severity: severity(group, members),
        suppressed: false,
    })
}

/// The group's score; else the worst vector or word of its records.
fn severity(group: &Group, members: &[&Record]) -> Severity {
    let score = group.max_severity.trim().parse().map_or(Severity::Unknown, Severity::from_score);
    if score != Severity::Unknown {
        return score;
    }
    members.iter().fold(Severity::Unknown, |worst, record| {
        let vectors = record.severity.iter().map(|rating| Severity::from_vector(&rating.score));
        let word = record.database_specific.get("severity").and_then(Value::as_str).map(Severity::from_word);
        vectors.chain(word).fold(worst, Severity::worse)
    })
}

fn fixed_versions(package: &Package, members: &[&Record]) -> Option<String> {
    let mut versions: Vec<&str> = members
        .iter()
        .flat_map(|record| &record.affected)
        .filter(|affected| affected.package.as_ref().is_none_or(|named| named.name == package.name))
        .flat_map(|affected| &affected.ranges)
        .flat_map(|range| &range.events)
        .filter_map(|event| event.fixed.as_deref())
        .collect();
    versions.dedup();
    versions.truncate(MAX_FIXED);
    (!versions.is_empty()).then(|| clean(&versions.join(", "), text::MAX_WORD))
}

#[derive(Deserialize)]
struct Report {
    results: Option<Vec<Source>>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default, deserialize_with = "nullable")]
    packages: Vec<PackageVulns>,
}

#[derive(Deserialize)]
struct PackageVulns {
    package: Package,
    #[serde(default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Record>,
    #[serde(default, deserialize_with = "nullable")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    os_package_name: String,
    #[serde(default, deserialize_with = "nullable")]
    version: String,
    #[serde(default, deserialize_with = "nullable")]
    commit: String,
}

impl Package {
    /// The name the package is installed under: a distribution files vulnerabilities under the source package's name,
    /// which several installed packages share.
    fn name(&self) -> &str {
        [&*self.os_package_name, &*self.name, &*self.commit]
            .into_iter()
            .find(|name| !name.trim().is_empty())
            .unwrap_or("(unnamed)")
    }
}

#[derive(Default, Deserialize)]
struct Group {
    #[serde(default, deserialize_with = "nullable")]
    ids: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    max_severity: String,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default, deserialize_with = "nullable")]
    id: String,
    #[serde(default, deserialize_with = "nullable")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    upstream: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    severity: Vec<Rating>,
    #[serde(default, deserialize_with = "nullable")]
    affected: Vec<Affected>,
    /// Free-form by its own specification.
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Rating {
    #[serde(default, deserialize_with = "nullable")]
    score: String,
}

#[derive(Deserialize)]
struct Affected {
    package: Option<Named>,
    #[serde(default, deserialize_with = "nullable")]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default, deserialize_with = "nullable")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    fixed: Option<String>,
}

#[cfg(test)]
#[path = "osv_tests.rs"]
mod tests;
