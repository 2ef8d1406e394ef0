//! What each command of the binary does, and the exit status it ends with.
//!
//! 0: done. 1: it failed on the way. 2: what was asked for makes no sense, and the message says what to write instead.

use std::process::ExitCode;

use super::args::{Cli, Command, RunArgs};
use super::{logging, operator};
use crate::api::{crd_yaml, crds};
use crate::check;

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(args) => run(args),
            Command::Crds => print(&definitions()),
            Command::RunCheck { command } => check::run_check(&command),
            Command::InstallRunner { dest } => match check::install_runner(&dest) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error),
            },
            Command::Version => print(&format!("hotfix-operator {}\n", env!("CARGO_PKG_VERSION"))),
        }
    }
}

fn run(args: RunArgs) -> ExitCode {
    let config = match args.check() {
        Ok(config) => config,
        Err(bad) => return senseless(&bad),
    };
    if let Err(bad) = logging::start() {
        return senseless(&bad);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(operator::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure),
    }
}

/// Every definition, as one stream of YAML documents.
fn definitions() -> String {
    crds().iter().flat_map(|crd| ["---\n".to_owned(), crd_yaml(crd)]).collect()
}

fn print(text: &str) -> ExitCode {
    use std::io::Write;
    // A reader that has seen enough, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn senseless(why: &impl std::fmt::Display) -> ExitCode {
    eprintln!("hotfix-operator: {why}");
    ExitCode::from(2)
}

fn failed(why: &impl std::fmt::Display) -> ExitCode {
    eprintln!("hotfix-operator: {why}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_a_document_of_its_own() {
        let text = definitions();
        let kinds = text.split("---\n").skip(1).map(|document| {
            let crd: serde_json::Value = serde_saphyr::from_str(document).unwrap();
            crd["spec"]["names"]["kind"].as_str().unwrap().to_owned()
        });
        assert_eq!(kinds.collect::<Vec<_>>(), ["HotfixPolicy", "HotfixReport", "SecurityCheck", "SecurityHotfix"]);
    }
}
