//! Builds one upstream into the cache: under a lock, in a folder of its own, moved into place when it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::outside;

/// How often a build tells that it is still at work: often enough that nobody takes it for hung.
const PROGRESS: Duration = Duration::from_secs(15);

/// What a failed build shows of its output: a compiler's last words fit, a flood does not.
const LAST_LINES: usize = 30;

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Go is missing.
    #[error(
        "{name} has to be built and `go` cannot be run ({source}): install Go (https://go.dev/dl) and have it in PATH"
    )]
    NoGo {
        /// What was to be built.
        name: &'static str,
        /// What running `go` answered.
        source: io::Error,
    },
    /// The build failed.
    #[error("building {name} failed ({status}); the end of its output:\n{output}")]
    Build {
        /// What was to be built.
        name: &'static str,
        /// How `go` ended.
        status: ExitStatus,
        /// The last lines it printed.
        output: String,
    },
    /// The cache cannot be used.
    #[error("the tool cache {path} cannot be used: {source}; set XDG_CACHE_HOME to a folder that can be written")]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What went wrong with it.
        source: io::Error,
    },
    /// Nowhere to cache.
    #[error("neither XDG_CACHE_HOME nor HOME is set: set one of them, the tools are cached below it")]
    NoHome,
}

/// The exact versions of everything an upstream is built from.
pub(super) struct Pins {
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// The source of a program of our own; empty where the programs come from the modules.
    pub(super) main_go: &'static str,
}

/// One upstream project and the programs taken from it.
pub(super) struct Upstream {
    pub(super) name: &'static str,
    pub(super) pins: Pins,
    /// File name and Go package of each program.
    pub(super) programs: &'static [(&'static str, &'static str)],
    pub(super) ldflags: &'static str,
    pub(super) env: &'static [(&'static str, &'static str)],
    /// How long a build from nothing takes, for the person who waits.
    pub(super) usually: &'static str,
}

/// The folder below which everything built or downloaded is kept: `${XDG_CACHE_HOME:-~/.cache}/hotfix`.
pub fn cache_dir() -> Result<PathBuf, ToolError> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("XDG_CACHE_HOME")
        .or_else(|| of("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("hotfix"))
        .ok_or(ToolError::NoHome)
}

impl Upstream {
    /// The folder with this upstream's programs, if it is there.
    pub(super) fn built(&self) -> Option<PathBuf> {
        let bin = cache_dir().ok()?.join("tools").join(format!("{}-{}", self.name, self.key())).join("bin");
        bin.is_dir().then_some(bin)
    }

    /// The folder with this upstream's programs, built if these pins were not built here before.
    pub(super) fn ensure(&self) -> Result<PathBuf, ToolError> {
        let cache = cache_dir()?.join("tools");
        let entry = cache.join(format!("{}-{}", self.name, self.key()));
        let bin = entry.join("bin");
        // Entries appear by rename, whole or not at all.
        if bin.is_dir() {
            return Ok(bin);
        }
        create(&cache)?;
        let _lock = self.lock(&cache)?;
        if !bin.is_dir() {
            self.build(&cache, &entry)?;
        }
        Ok(bin)
    }

    /// Names the content: pins and everything else that changes what comes out.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.pins.go_mod, self.pins.go_sum, self.ldflags] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(self.pins.main_go);
        for (name, value) in self.env.iter().chain(self.programs) {
            hash.update(format!("{name}={value}\0"));
        }
        hash.finalize().iter().take(8).fold(String::new(), |key, byte| key + &format!("{byte:02x}"))
    }

    /// One build of an upstream at a time; the lock goes with the file handle, so also with a process that dies.
    fn lock(&self, cache: &Path) -> Result<File, ToolError> {
        let path = cache.join(format!(".{}.lock", self.name));
        let failed = |source| ToolError::Cache { path: path.clone(), source };
        let file = File::create(&path).map_err(failed)?;
        if file.try_lock().is_err() {
            tell!("tools: waiting for another process that builds {}", self.name);
            file.lock().map_err(failed)?;
        }
        Ok(file)
    }

    fn build(&self, cache: &Path, entry: &Path) -> Result<(), ToolError> {
        let work = cache.join(format!(".{}.building", self.name));
        // Under the lock, a folder that is there already was left by a build that died.
        if work.exists() {
            fs::remove_dir_all(&work).map_err(|source| ToolError::Cache { path: work.clone(), source })?;
        }
        let bin = work.join("bin");
        create(&bin)?;
        write(&work.join("go.mod"), self.pins.go_mod)?;
        write(&work.join("go.sum"), self.pins.go_sum)?;
        if !self.pins.main_go.is_empty() {
            write(&work.join("main.go"), self.pins.main_go)?;
        }

        let begun = Instant::now();
        let names: Vec<_> = self.programs.iter().map(|(name, _)| *name).collect();
        tell!("tools: building {} (from nothing {})", names.join(", "), self.usually);
        let log = work.join("build.log");
        let status = self.wait(self.start(&work, &bin, &log)?, begun, &log)?;
        if !status.success() {
            let output = last_lines(&log);
            return Err(ToolError::Build { name: self.name, status, output });
        }
        fs::rename(&work, entry).map_err(|source| ToolError::Cache { path: entry.to_owned(), source })?;
        tell!("tools: built {} in {}, kept in {}", names.join(", "), spent(begun), entry.display());
        Ok(())
    }

    fn start(&self, work: &Path, bin: &Path, log: &Path) -> Result<Child, ToolError> {
        let failed = |source| ToolError::Cache { path: log.to_owned(), source };
        let output = File::create(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut go = outside::command("go");
        // One program may be named otherwise than its package; several keep their packages' names.
        let target = match self.programs {
            [(name, _)] => bin.join(name),
            _ => bin.to_owned(),
        };
        go.args(["build", "-mod=readonly", "-trimpath", "-ldflags", self.ldflags, "-o"]).arg(target);
        go.args(self.programs.iter().map(|(_, package)| *package));
        go.current_dir(work)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env_remove("GOFLAGS")
            .envs(self.env.iter().copied());
        go.stdin(Stdio::null()).stdout(output).stderr(errors);
        go.spawn().map_err(|source| ToolError::NoGo { name: self.name, source })
    }

    fn wait(&self, mut go: Child, begun: Instant, log: &Path) -> Result<ExitStatus, ToolError> {
        let mut told = Instant::now();
        loop {
            match go.try_wait().map_err(|source| ToolError::Cache { path: log.to_owned(), source })? {
                Some(status) => return Ok(status),
                None if told.elapsed() >= PROGRESS => {
                    told = Instant::now();
                    tell!(
                        "tools: still building {}, {} so far (from nothing {})",
                        self.name,
                        spent(begun),
                        self.usually
                    );
                }
                None => thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

fn create(path: &Path) -> Result<(), ToolError> {
    fs::create_dir_all(path).map_err(|source| ToolError::Cache { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), ToolError> {
    fs::write(path, text).map_err(|source| ToolError::Cache { path: path.to_owned(), source })
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn spent(begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(go_mod: &'static str, ldflags: &'static str) -> Upstream {
        let pins = Pins { go_mod, go_sum: "", main_go: "" };
        Upstream { name: "it", pins, programs: &[("it", "example.com/it")], ldflags, env: &[], usually: "no time" }
    }

    #[test]
    fn another_pin_or_another_flag_is_another_entry_of_the_cache() {
        let key = upstream("module a", "-s").key();
        assert_eq!(key.len(), 16);
        assert_eq!(key, upstream("module a", "-s").key());
        assert_ne!(key, upstream("module b", "-s").key());
        assert_ne!(key, upstream("module a", "-w").key());
    }
}
