//! The one shape that every scanner's report is brought to.

use std::fmt;

use crate::api::ScanFormat;

use super::{
    AliasSet, MAX_DIGESTS, MAX_FINDINGS, MAX_PACKAGES, ReportError, Severity, bounded,
    text::{self, clean, clean_option},
};

/// What the scanner must be asked for so that its report shows what it recognised; without that a clean report cannot be
/// told from one of a scanner that saw nothing.
pub fn packages_hint(format: ScanFormat) -> &'static str {
    match format {
        ScanFormat::TrivyJson => "let Trivy list all packages (its default: take --list-all-pkgs=false away)",
        ScanFormat::OsvScannerJson => "add --all-packages to the arguments of osv-scanner",
    }
}

/// What one scan of one image found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanReport {
    /// The scanner.
    pub tool: Tool,
    /// The vulnerability data base, where the report tells.
    pub database: Option<Database>,
    /// Digests (`sha256:…`) of the repositories' manifests the scanner says it read. Empty when it does not say.
    pub repo_digests: Vec<String>,
    /// The digest of the image's configuration, where the report tells.
    pub image_id: Option<String>,
    /// Every package the scanner recognised. None at all is not a clean image: the scanner saw nothing in it.
    pub packages: Vec<PackageSeen>,
    /// Every vulnerability, the suppressed ones too.
    pub findings: Vec<Finding>,
    /// What a reader should know though it changes no verdict, as whole sentences.
    pub warnings: Vec<String>,
}

/// A scanner or test tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version, where the report tells.
    pub version: Option<String>,
}

impl Tool {
    /// Whether its report tells a version. A build that nobody released calls itself `dev` or the like, which is none.
    pub fn tells_its_version(&self) -> bool {
        self.version.as_ref().is_some_and(|version| version.contains(|c: char| c.is_ascii_digit()))
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version.as_ref().filter(|_| self.tells_its_version()) {
            Some(version) => write!(f, "{} {version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The state of a vulnerability data base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Its schema or content version.
    pub version: Option<String>,
    /// When its content was made, as the tool writes it.
    pub updated_at: Option<String>,
}

/// A package a scanner recognised in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSeen {
    /// Its name.
    pub name: String,
    /// Its version, empty when not told.
    pub version: String,
}

/// One vulnerability of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The vulnerability's own names.
    pub ids: AliasSet,
    /// Bulletins and upstream records that mention it. One bulletin often covers several vulnerabilities, so these
    /// tell that an advisory is present, but never that two findings are the same.
    pub bulletins: AliasSet,
    /// The package.
    pub package: String,
    /// The package URL, where told.
    pub purl: Option<String>,
    /// The installed version, empty when not told.
    pub installed: String,
    /// The version or versions that fix it, where there are any.
    pub fixed: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What the data base says of it.
    pub status: Status,
    /// Whether an ignore file or a VEX statement hid it. It counts all the same.
    pub suppressed: bool,
}

impl Finding {
    /// Whether the finding is about the advisory with these names.
    pub fn concerns(&self, advisory: &AliasSet) -> bool {
        self.ids.intersects(advisory) || self.bulletins.intersects(advisory)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.ids.headline(), self.package)?;
        if !self.installed.is_empty() {
            write!(f, " {}", self.installed)?;
        }
        if self.suppressed {
            f.write_str(" (suppressed)")?;
        }
        Ok(())
    }
}

/// What a data base says of a finding. Only shown: no status makes a finding go away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the scanners' own words")]
pub enum Status {
    #[default]
    Unknown,
    NotAffected,
    Affected,
    Fixed,
    UnderInvestigation,
    WillNotFix,
    FixDeferred,
    EndOfLife,
}

impl Status {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "not_affected" => Self::NotAffected,
            "affected" => Self::Affected,
            "fixed" => Self::Fixed,
            "under_investigation" => Self::UnderInvestigation,
            "will_not_fix" => Self::WillNotFix,
            "fix_deferred" => Self::FixDeferred,
            "end_of_life" => Self::EndOfLife,
            _ => Self::Unknown,
        }
    }
}

/// Collects a report and keeps its bounds.
pub(super) struct Builder(ScanReport);

impl Builder {
    pub(super) fn new(tool: &str, version: Option<&str>) -> Self {
        Self(ScanReport {
            tool: Tool { name: clean(tool, text::MAX_WORD), version: clean_option(version, text::MAX_WORD) },
            database: None,
            repo_digests: Vec::new(),
            image_id: None,
            packages: Vec::new(),
            findings: Vec::new(),
            warnings: Vec::new(),
        })
    }

    pub(super) fn database(&mut self, version: Option<&str>, updated_at: Option<&str>) {
        let database = Database {
            version: clean_option(version, text::MAX_WORD),
            updated_at: clean_option(updated_at, text::MAX_WORD),
        };
        if database != Database::default() {
            self.0.database = Some(database);
        }
    }

    pub(super) fn image_id(&mut self, id: Option<&str>) {
        self.0.image_id = clean_option(id, text::MAX_WORD);
    }

    /// Takes `repository@sha256:…` or a bare digest.
    pub(super) fn repo_digest(&mut self, reference: &str) -> Result<(), ReportError> {
        bounded(self.0.repo_digests.len() + 1, MAX_DIGESTS, "digests of the image")?;
        let digest = reference.rsplit_once('@').map_or(reference, |(_, digest)| digest);
        self.0.repo_digests.push(clean(digest, text::MAX_WORD));
        Ok(())
    }

    pub(super) fn package(&mut self, name: &str, version: &str) -> Result<(), ReportError> {
        bounded(self.0.packages.len() + 1, MAX_PACKAGES, "packages")?;
        self.0
            .packages
            .push(PackageSeen { name: clean(name, text::MAX_NAME), version: clean(version, text::MAX_WORD) });
        Ok(())
    }

    pub(super) fn finding(&mut self, finding: Finding) -> Result<(), ReportError> {
        bounded(self.0.findings.len() + 1, MAX_FINDINGS, "findings")?;
        self.0.findings.push(finding);
        Ok(())
    }

    pub(super) fn warning(&mut self, sentence: String) {
        self.0.warnings.push(sentence);
    }

    /// The report. A package that only a finding names was recognised, too.
    pub(super) fn finish(mut self) -> ScanReport {
        if self.0.packages.is_empty() {
            self.0.packages = self
                .0
                .findings
                .iter()
                .map(|finding| PackageSeen { name: finding.package.clone(), version: finding.installed.clone() })
                .collect();
        }
        self.0
    }
}
