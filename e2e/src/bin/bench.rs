//! `make bench`: measures on the real cluster; tables on standard error, one JSON document on standard output.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use hotfix_e2e::bench::{self, Account, Which};
use hotfix_e2e::lab::Profile;
use serde::Serialize;

/// Measures how long the operator takes on a real cluster. Needs root.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each thing is measured.
    #[arg(long, env = "RUNS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// What is measured; everything otherwise.
    #[arg(long, env = "SERIES", value_enum, value_delimiter = ',')]
    series: Vec<Which>,
    /// How the programs are built.
    #[arg(long, env = "PROFILE", value_enum, default_value_t = Build::Release)]
    profile: Build,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Build {
    Dev,
    Release,
}

/// The document on standard output.
#[derive(Serialize)]
struct Document {
    bench: Account,
}

fn main() -> ExitCode {
    let Arguments { runs, series, profile } = Arguments::parse();
    let series = if series.is_empty() { Which::ALL.to_vec() } else { series };
    let profile = match profile {
        Build::Dev => Profile::Dev,
        Build::Release => Profile::Release,
    };
    let document = bench::measure(usize::from(runs), profile, &series).map(|bench| Document { bench });
    let printed = document.map_err(|error| error.to_string()).and_then(|document| {
        let text = serde_json::to_string(&document).map_err(|error| error.to_string())?;
        println!("{text}");
        Ok(())
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
