//! Whole rollouts on a real cluster, under load: what is promised, told as stories. Needs root.
//!
//! The operator runs as a pod, installed by Helm; nothing is a stand-in. Each story has a namespace of its own. To play some of
//! them: `cargo test -p hotfix-e2e --test rollouts -- WORD...`.

#[path = "suites/healthy.rs"]
mod healthy;
#[path = "suites/telling.rs"]
mod telling;

use std::process::ExitCode;

fn main() -> ExitCode {
    hotfix_e2e::lab::play("rollouts", &[healthy::SCENARIOS])
}
