//! Whole rollouts on a real cluster, under load: what is promised, told as stories. Needs root.
//!
//! The operator runs as a pod, installed by Helm; nothing is a stand-in. Each story has a namespace of its own. To play some of
//! them: `cargo test -p hotfix-e2e --test rollouts -- WORD...`.

#[path = "suites/deletions.rs"]
mod deletions;
#[path = "suites/drains.rs"]
mod drains;
#[path = "suites/engines.rs"]
mod engines;
#[path = "suites/faults.rs"]
mod faults;
#[path = "suites/gates.rs"]
mod gates;
#[path = "suites/gone.rs"]
mod gone;
#[path = "suites/healthy.rs"]
mod healthy;
#[path = "suites/kills.rs"]
mod kills;
#[path = "suites/owners.rs"]
mod owners;
#[path = "suites/people.rs"]
mod people;
#[path = "suites/registries.rs"]
mod registries;
#[path = "suites/sickness.rs"]
mod sickness;
#[path = "suites/telling.rs"]
mod telling;
#[path = "suites/webhooks.rs"]
mod webhooks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let suites = [
        healthy::SCENARIOS,
        gates::SCENARIOS,
        faults::SCENARIOS,
        deletions::SCENARIOS,
        gone::SCENARIOS,
        owners::SCENARIOS,
        people::SCENARIOS,
        engines::SCENARIOS,
        registries::SCENARIOS,
        sickness::SCENARIOS,
        drains::SCENARIOS,
        webhooks::SCENARIOS,
        kills::SCENARIOS,
    ];
    hotfix_e2e::lab::play("rollouts", &suites)
}
