//! What is in the images of this project.
//!
//! The application's images look to a scanner like a Debian image with Python packages, one of which has, or no
//! longer has, a known vulnerability. Nothing in them is Python; what the scanner reads is what it would find in
//! an image of the real thing.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{Config, Layer, PackError, Packed, pack};
use crate::app::faults::Scheduled;

/// The package the demonstration's advisory is about.
const JINJA: &str = "Jinja2";
/// A version in which scanners find CVE-2024-22195 (GHSA-h5c8-rqwp-cp95).
const VULNERABLE: &str = "3.1.0";
/// A version in which they do not.
const PATCHED: &str = "3.1.6";

/// One image of the demonstration application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    version: String,
    packages: BTreeMap<String, String>,
    faults: Vec<Scheduled>,
    slow_start: Duration,
}

impl Web {
    /// The application of this version with the vulnerable package.
    pub fn vulnerable(version: &str) -> Self {
        Self { version: version.to_owned(), packages: BTreeMap::new(), faults: Vec::new(), slow_start: Duration::ZERO }
            .package(JINJA, VULNERABLE)
    }

    /// The application of this version with the patched package.
    pub fn patched(version: &str) -> Self {
        Self::vulnerable(version).package(JINJA, PATCHED)
    }

    /// Holds this version of a Python package too, or instead of the one it held.
    #[must_use]
    pub fn package(mut self, name: &str, version: &str) -> Self {
        self.packages.insert(name.to_owned(), version.to_owned());
        self
    }

    /// Fails so, wherever it runs.
    #[must_use]
    pub fn fault(mut self, fault: Scheduled) -> Self {
        self.faults.push(fault);
        self
    }

    /// Listens only this long after its start; whole seconds.
    #[must_use]
    pub fn slow_start(mut self, delay: Duration) -> Self {
        self.slow_start = delay;
        self
    }

    /// Writes the image; `program` is the built application.
    pub fn pack(&self, program: &Path, into: &Path) -> Result<Packed, PackError> {
        let mut env = BTreeMap::from([("VERSION".to_owned(), self.version.clone())]);
        if !self.faults.is_empty() {
            let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
            env.insert("FAULT".to_owned(), faults.join(","));
        }
        if !self.slow_start.is_zero() {
            env.insert("SLOW_START".to_owned(), self.slow_start.as_secs().to_string());
        }
        let config = Config { entrypoint: vec!["/web".to_owned()], env };
        let packages = self.packages.iter().fold(Layer::new(), |layer, (name, version)| {
            layer.text(
                format!("/usr/lib/python3/dist-packages/{name}-{version}.dist-info/METADATA"),
                format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
            )
        });
        pack(&config, &[debian(), packages, Layer::new().program("/web", program)], into)
    }
}

/// The files by which a scanner knows the distribution and its packages.
fn debian() -> Layer {
    let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
                   VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
    let installed = [("base-files", "12.4+deb12u12"), ("libc6", "2.36-9+deb12u13"), ("python3-minimal", "3.11.2-1+b1")]
        .map(|(name, version)| {
            format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n")
        });
    Layer::new()
        .text("/etc/os-release", release)
        .text("/etc/debian_version", "12.12\n")
        .text("/var/lib/dpkg/status", installed.join("\n"))
}

/// The command of a SecurityCheck that scans `$(IMAGE)` with the image of [`trivy`]: it reaches no network but the
/// registry, which speaks plain HTTP, and needs one writable folder, an emptyDir at `/tmp`.
pub const TRIVY_COMMAND: [&str; 18] = [
    "trivy",
    "image",
    "--quiet",
    "--format=json",
    "--scanners=vuln",
    "--show-suppressed",
    "--image-src=remote",
    "--insecure",
    "--cache-dir=/trivy",
    "--cache-backend=memory",
    "--offline-scan",
    "--skip-db-update",
    "--skip-java-db-update",
    "--skip-check-update",
    "--skip-version-check",
    "--disable-telemetry",
    "--timeout=2m",
    "$(IMAGE)",
];

/// The command of a SecurityCheck that scans `$IMAGE` with the image of [`osv_scanner`], as docs/checks.md has it; it
/// needs an emptyDir at `/tmp` as well. The scanner itself takes a name only where there is a Docker daemon.
pub const OSV_SCANNER_COMMAND: [&str; 3] = [
    "sh",
    "-c",
    r#"crane pull "$IMAGE" /tmp/image.tar &&
exec osv-scanner scan image --offline --all-packages --format json --archive /tmp/image.tar"#,
];

/// The operator: its static binary and nothing else.
pub fn operator(program: &Path, into: &Path) -> Result<Packed, PackError> {
    let layer = Layer::new().program("/hotfix-operator", program);
    pack(&run(["/hotfix-operator"]), &[layer], into)
}

/// The project's own small programs for checks: `check smoke`, and those that misbehave.
pub fn check(program: &Path, into: &Path) -> Result<Packed, PackError> {
    pack(&run(["/usr/local/bin/check"]), &[Layer::new().program("/usr/local/bin/check", program)], into)
}

/// The load generator, for clusters whose network this machine is not in.
pub fn load(program: &Path, into: &Path) -> Result<Packed, PackError> {
    pack(&run(["/usr/local/bin/load"]), &[Layer::new().program("/usr/local/bin/load", program)], into)
}

/// Trivy with a data base made of this repository's advisories; `database` holds `trivy.db` and `metadata.json`.
/// It runs with a read-only root, since it opens the data base for reading only and keeps its cache in memory.
pub fn trivy(program: &Path, database: &Path, into: &Path) -> Result<Packed, PackError> {
    let tool = Layer::new().program("/usr/local/bin/trivy", program);
    let data = ["trivy.db", "metadata.json"]
        .into_iter()
        .fold(Layer::new(), |layer, name| layer.copy(Path::new("/trivy/db").join(name), database.join(name)));
    pack(&run(["/usr/local/bin/trivy"]), &[tool, data], into)
}

/// osv-scanner with the same advisories, the program that fetches an image for it, since it reads archives, and a
/// shell to run one after the other; `database` has a folder with an archive of OSV records for each ecosystem.
pub fn osv_scanner(
    scanner: &Path,
    crane: &Path,
    shell: &Path,
    database: &Path,
    into: &Path,
) -> Result<Packed, PackError> {
    let tools = Layer::new()
        .program("/usr/local/bin/osv-scanner", scanner)
        .program("/usr/local/bin/crane", crane)
        .program("/usr/local/bin/sh", shell);
    let archives = ["PyPI/all.zip", "Debian/all.zip"];
    let data = archives
        .into_iter()
        .fold(Layer::new(), |layer, name| layer.copy(Path::new("/osv/osv-scalibr").join(name), database.join(name)));
    let mut config = run(["/usr/local/bin/osv-scanner"]);
    config.env.insert("OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY".to_owned(), "/osv".to_owned());
    pack(&config, &[tools, data], into)
}

fn run<const N: usize>(entrypoint: [&str; N]) -> Config {
    // A check's command is found by its name, as in any other image.
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin".to_owned())]);
    Config { entrypoint: entrypoint.map(str::to_owned).to_vec(), env }
}
