//! The operator's binary: the command line, and nothing else.

use std::process::ExitCode;

use clap::Parser;
use securityhotfix::controller::args::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
