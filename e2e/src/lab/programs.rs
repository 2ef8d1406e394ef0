//! Builds the static programs that go into images, with the flags of the Makefile, so that nothing is compiled twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::error::{Asked, LabError};

/// How the programs are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As tests are: built sooner, and what the tests compiled is used again.
    Dev,
    /// As it is shipped: what figures are taken from.
    Release,
}

/// What the names begin with of the variables that cargo sets for a program it runs.
const TOLD: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_RUSTC_CURRENT_"];

/// Where the built programs lie.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The operator.
    pub operator: PathBuf,
    /// The demonstration application.
    pub web: PathBuf,
    /// The programs of check Jobs.
    pub check: PathBuf,
    /// The load generator.
    pub load: PathBuf,
}

impl Programs {
    /// Builds them; cargo tells its progress on standard error.
    pub fn build(profile: Profile) -> Result<Self, LabError> {
        let mut cargo = cargo()?;
        cargo
            .args(["build", "--message-format=json-render-diagnostics", "-p", "securityhotfix", "-p", "hotfix-e2e"])
            .args(["--bin", "hotfix-operator", "--bin", "web", "--bin", "check", "--bin", "load"]);
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        let output = cargo.output().asked(|| "running cargo".to_owned())?;
        if !output.status.success() {
            return Err(LabError::Command { command: "cargo build".to_owned(), said: "see above".to_owned() });
        }
        let built = executables(&String::from_utf8_lossy(&output.stdout));
        let find = |name: &str| {
            built.get(name).cloned().ok_or_else(|| LabError::Unfit(format!("cargo did not say where it put {name}")))
        };
        Ok(Self { operator: find("hotfix-operator")?, web: find("web")?, check: find("check")?, load: find("load")? })
    }
}

/// Builds the operator alone, unoptimised, for suites that run it as a process of this machine.
pub fn operator() -> Result<PathBuf, LabError> {
    let mut cargo = cargo()?;
    cargo.args([
        "build",
        "--message-format=json-render-diagnostics",
        "-p",
        "securityhotfix",
        "--bin",
        "hotfix-operator",
    ]);
    let output = cargo.output().asked(|| "running cargo".to_owned())?;
    let built = executables(&String::from_utf8_lossy(&output.stdout));
    built
        .get("hotfix-operator")
        .cloned()
        .ok_or_else(|| LabError::Command { command: "cargo build".to_owned(), said: "see above".to_owned() })
}

/// Cargo in the repository, with the flags of the Makefile; it tells its progress on standard error.
pub(crate) fn cargo() -> Result<Command, LabError> {
    let host = host()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository()).stdin(Stdio::null()).stderr(Stdio::inherit());
    // What cargo tells the programs it runs would make build scripts run anew, and with them half of the dependencies.
    let told = |name: &str| TOLD.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
        cargo.env_remove(name);
    }
    if std::env::var_os("CARGO_BUILD_TARGET").is_none() {
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", host.to_uppercase().replace('-', "_"));
        cargo.env("CARGO_BUILD_TARGET", &host).env(flags, "-C target-feature=+crt-static");
    }
    Ok(cargo)
}

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn host() -> Result<String, LabError> {
    let output = Command::new("rustc").arg("-vV").output().asked(|| "asking rustc for its host".to_owned())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| LabError::Unfit("rustc does not tell its host".to_owned()))
}

/// What cargo says it built: program and path.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let path = message.get("executable")?.as_str()?;
            Some((message.pointer("/target/name")?.as_str()?.to_owned(), PathBuf::from(path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::executables;

    #[test]
    fn a_built_program_is_found_in_what_cargo_says() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"hotfix_e2e"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"web"},"executable":"/t/web"}"#,
            "\nnot json\n"
        );
        let found = executables(messages);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("web".to_owned(), "/t/web".into())]);
    }
}
