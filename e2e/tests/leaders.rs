//! Two replicas of the operator on a real cluster, under load: the lead is taken from the one that has it, in the middle of a
//! rollout and of a rollback, and from one that is frozen with its switch on the way. Needs root.
//!
//! To play some of them: `cargo test -p hotfix-e2e --test leaders -- WORD...`.

#[path = "suites/handovers.rs"]
mod handovers;
#[path = "suites/storms.rs"]
mod storms;
#[path = "suites/telling.rs"]
#[allow(dead_code)] // What the rollouts ask at their end; not all of it is asked here.
mod telling;
#[path = "suites/zombies.rs"]
mod zombies;

use std::process::ExitCode;

fn main() -> ExitCode {
    hotfix_e2e::lab::play("leaders", &[handovers::SCENARIOS, zombies::SCENARIOS, storms::SCENARIOS])
}
