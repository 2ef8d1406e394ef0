//! `make demo`: two stories on a real cluster; standard output gets one line of JSON.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use hotfix_e2e::demo::{self, Afterwards, Place, Screen, Summary};
use hotfix_e2e::lab::Profile;
use serde::Serialize;

/// Plays a hotfix that goes through and one that goes back by itself, on a real cluster, under load.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where: on a throw-away cluster of its own, or on the current kubectl context's.
    #[arg(long, env = "CLUSTER", default_value = "")]
    cluster: String,
    /// With --cluster current: the registry images are pushed to, HOST[:PORT][/PATH]; http:// before it for plain HTTP.
    #[arg(long, env = "REGISTRY", default_value = "")]
    registry: String,
    /// 1 leaves everything up afterwards.
    #[arg(long, env = "KEEP", default_value = "")]
    keep: String,
    /// How the programs are built.
    #[arg(long, env = "PROFILE", value_enum, default_value_t = Build::Dev)]
    profile: Build,
}

/// The line on standard output.
#[derive(Serialize)]
struct Line<'a> {
    demo: &'a Summary,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Build {
    Dev,
    Release,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let place = match (&*arguments.cluster, &*arguments.registry) {
        ("", _) => Place::OwnCluster,
        ("current", registry) if !registry.is_empty() => Place::CurrentContext(registry.to_owned()),
        ("current", _) => return complain("CLUSTER=current needs REGISTRY=HOST/PATH, where images can be pushed"),
        (other, _) => return complain(&format!("CLUSTER={other} is not known: leave it out, or say CLUSTER=current")),
    };
    let afterwards = if arguments.keep == "1" { Afterwards::Keep } else { Afterwards::Remove };
    let profile = match arguments.profile {
        Build::Dev => Profile::Dev,
        Build::Release => Profile::Release,
    };
    match demo::play(&place, profile, afterwards, &Screen::default()) {
        Ok(summary) => {
            match serde_json::to_string(&Line { demo: &summary }) {
                Ok(line) => println!("{line}"),
                Err(error) => return complain(&error.to_string()),
            }
            if summary.is_as_told() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(text: &str) -> ExitCode {
    eprintln!("demo: {text}");
    ExitCode::FAILURE
}
