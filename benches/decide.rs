//! How long `decide` takes on the pictures of a rollout that goes well, as a distribution.
//!
//! `cargo bench --bench decide` prints one line for people on standard error and one of JSON on standard output. Nothing
//! is asserted here: a figure depends on the machine.

#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use securityhotfix::plan::{Observed, decide};

use world::World;
use world::controllers::ALL;

/// How often each picture is decided upon: enough that a distribution of a few hundred pictures is smooth.
const ROUNDS: usize = 200;

fn main() {
    let pictures = pictures();
    let mut times: Vec<Duration> = Vec::with_capacity(pictures.len() * ROUNDS);
    for round in 0..=ROUNDS {
        for (observed, now) in &pictures {
            let begun = Instant::now();
            black_box(decide(black_box(observed), *now));
            let took = begun.elapsed();
            // The first round fills the caches.
            if round > 0 {
                times.push(took);
            }
        }
    }
    times.sort_unstable();
    let at = |share: f64| micros(times[share_of(times.len(), share)]);
    let (p50, p90, p99, max) = (at(0.5), at(0.9), at(0.99), micros(times[times.len() - 1]));
    eprintln!(
        "decide: {} pictures, {} runs: median {p50:.1} us, p90 {p90:.1} us, p99 {p99:.1} us, max {max:.1} us",
        pictures.len(),
        times.len()
    );
    println!(
        "{}",
        serde_json::json!({"decide_us": {"pictures": pictures.len(), "runs": times.len(), "p50": p50, "p90": p90, "p99": p99, "max": max}})
    );
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a length"
)]
fn share_of(length: usize, share: f64) -> usize {
    ((length - 1) as f64 * share) as usize
}

/// Every picture of one rollout, in the order in which it is decided upon.
fn pictures() -> Vec<(Observed, Timestamp)> {
    let mut world = World::with_hotfix();
    let mut pictures = Vec::new();
    loop {
        let due = world.operators.keys().find(|name| world.operator_is_due(name)).cloned();
        if let Some(name) = due {
            if let Some(observed) = world.observe(&name) {
                pictures.push((observed, world.now));
            }
            world.step_operator(&name);
        } else if !ALL.iter().any(|controller| world.step(*controller)) {
            match world.next_wake() {
                Some(next) => world.now = next,
                None => return pictures,
            }
        }
    }
}
