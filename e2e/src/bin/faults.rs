//! `make faults`: plays the fault suite; progress on standard error, one line on standard output.

use std::process::ExitCode;

use clap::Parser;
use hotfix_e2e::faults::plan::{Part, Plan};
use hotfix_e2e::faults::{Settings, run};

/// Lets calls between the operator and a real API server go wrong, and judges what came of it. Needs root and Go.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many plans are played.
    #[arg(env = "N", long, default_value_t = 400)]
    plans: usize,
    /// All plans there are.
    #[arg(env = "ALL", long, default_value = "")]
    all: String,
    /// Only the plans of this part, as 3/10: always the same ones, so that what is printed of the parts adds up.
    #[arg(env = "PART", long)]
    part: Option<Part>,
    /// What the sample is drawn by.
    #[arg(env = "SEED", long, default_value_t = 20_261_123)]
    seed: u64,
    /// One plan, as it was told, or several of one run with semicolons between them.
    #[arg(env = "PLAN", long, value_delimiter = ';')]
    plan: Vec<Plan>,
    /// How many plans are played side by side.
    #[arg(env = "LANES", long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
    /// Whether mutants are played too: 0 for no.
    #[arg(env = "MUTANTS", long, default_value = "1")]
    mutants: String,
    /// Scenarios whose names contain one of these words, separated by commas.
    #[arg(env = "SCENARIOS", long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// These faults only, by their words, separated by commas.
    #[arg(env = "FAULTS", long, value_delimiter = ',')]
    faults: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let one = !arguments.plan.is_empty();
    let all = !matches!(arguments.all.as_str(), "" | "0");
    let settings = Settings {
        plans: (!all).then_some(arguments.plans),
        part: arguments.part,
        seed: arguments.seed,
        only: arguments.plan,
        lanes: usize::from(if one { 3 } else { arguments.lanes }),
        mutants: !one && arguments.mutants != "0",
        scenarios: arguments.scenarios,
        faults: arguments.faults,
    };
    match run(&settings) {
        Ok(summary) => {
            for killed in &summary.mutants {
                let first = |by: &String| by.split(" (").next().unwrap_or(by).chars().take(160).collect::<String>();
                let by: Vec<String> = killed.by.iter().map(first).collect();
                let by = if by.is_empty() { "nothing: it lives".to_owned() } else { by.join(" | ") };
                eprintln!("mutant {:?} in {}: {by}", killed.mutant, killed.plan);
            }
            for violation in &summary.violations {
                eprintln!("{}: {}", violation.plan, violation.what);
            }
            let (mutants, living) = (summary.mutants.len(), summary.living());
            eprintln!("faults: versions={} mutants={mutants} living={living} seed={}", summary.versions, settings.seed);
            println!("{summary}");
            if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}
