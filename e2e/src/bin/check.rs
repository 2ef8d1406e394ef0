//! The programs of check Jobs in one binary; `hotfix_e2e::check` says what they are.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use hotfix_e2e::check::{
    misbehave::Misbehaviour,
    smoke::{Outcome, Smoke},
};
use tokio::time;

/// What a check Job runs: a smoke test, or something that misbehaves.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Asks the address under test for a path; ends with 0 if every answer is 200 and says what is expected.
    Smoke {
        /// The address under test, host:port.
        #[arg(long, env = "TARGET_ADDRESS")]
        address: String,
        /// The path.
        #[arg(long, env = "ARG_PATH", default_value = "/healthz")]
        path: String,
        /// Text the body must contain.
        #[arg(long, env = "ARG_EXPECT", default_value = "")]
        expect: String,
        /// How many requests.
        #[arg(long, env = "ARG_REQUESTS", default_value_t = 1)]
        requests: u32,
        /// Seconds to wait before the first one, for checks that are to take their time.
        #[arg(long, env = "ARG_AFTER", default_value_t = 0)]
        after: u64,
        /// Print a JUnit report.
        #[arg(long)]
        junit: bool,
    },
    /// Does what no check should.
    Misbehave {
        /// How.
        how: Misbehaviour,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("check: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    match arguments.what {
        What::Smoke { address, path, expect, requests, after, junit } => {
            time::sleep(Duration::from_secs(after)).await;
            let smoke = Smoke { address, path, expect, requests, timeout: Duration::from_secs(5) };
            let outcome = smoke.run().await;
            if junit {
                print!("{}", smoke.junit(&outcome));
            }
            Ok(match outcome {
                Outcome::Passed => ExitCode::SUCCESS,
                Outcome::Failed(seen) => {
                    eprintln!("{seen}");
                    ExitCode::FAILURE
                }
            })
        }
        What::Misbehave { how } => Ok(how.run()?),
    }
}
