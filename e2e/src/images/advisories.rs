//! The advisories the scanners of the demonstration and the suites know, and the data bases made of them.
//!
//! The real data bases have hundreds of thousands of records and come over the internet; these hold the few records
//! in `e2e/advisories/`, in OSV's format, and are made where they are needed. A suite that publishes an advisory
//! between two phases makes a second data base with one record more.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::tools::{Tool, ToolError};

/// One published advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advisory {
    /// Its id at GitHub.
    pub id: &'static str,
    /// The same vulnerability's CVE id.
    pub cve: &'static str,
    record: &'static str,
}

/// What the demonstration is about: medium severity, Jinja2 before 3.1.3.
pub const JINJA: Advisory = Advisory {
    id: "GHSA-h5c8-rqwp-cp95",
    cve: "CVE-2024-22195",
    record: include_str!("../../advisories/GHSA-h5c8-rqwp-cp95.json"),
};

/// What a careless patch may bring along: critical severity, PyYAML before 5.4.
pub const PYYAML: Advisory = Advisory {
    id: "GHSA-8q59-q68h-6hv4",
    cve: "CVE-2020-14343",
    record: include_str!("../../advisories/GHSA-8q59-q68h-6hv4.json"),
};

/// Data bases on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Databases {
    /// For Trivy: the folder with `trivy.db` and `metadata.json`.
    pub trivy: PathBuf,
    /// For osv-scanner: the folder with an archive of records for each ecosystem.
    pub osv: PathBuf,
}

/// Why there is no data base.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryError {
    /// The program that writes it could not be built.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file could not be written, or the program not run.
    #[error("cannot make the scanners' data bases: {0}")]
    Io(#[from] io::Error),
    /// The program refused.
    #[error("cannot make the scanners' data bases: {0}")]
    Refused(String),
}

/// Makes the data bases that know these advisories and no others, in a folder that is made if need be. Without any
/// advisory they are the data bases of a blind scanner.
pub fn databases(advisories: &[Advisory], into: &Path) -> Result<Databases, AdvisoryError> {
    let records = into.join("records");
    fs::create_dir_all(&records)?;
    let mut maker = Command::new(Tool::AdvisoryDb.path()?);
    maker.arg(into);
    for advisory in advisories {
        let file = records.join(advisory.id).with_extension("json");
        fs::write(&file, advisory.record)?;
        maker.arg(file);
    }
    let made = maker.output()?;
    if !made.status.success() {
        return Err(AdvisoryError::Refused(String::from_utf8_lossy(&made.stderr).trim().to_owned()));
    }
    Ok(Databases { trivy: into.join("trivy"), osv: into.join("osv/osv-scalibr") })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_advisory_is_the_record_it_is_named_after() {
        for advisory in [JINJA, PYYAML] {
            let record: Value = serde_json::from_str(advisory.record).expect("it is JSON");
            assert_eq!(record["id"], advisory.id);
            assert_eq!(record["aliases"][0], advisory.cve);
        }
    }
}
