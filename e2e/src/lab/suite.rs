//! Plays scenarios on one lab: side by side as far as the machine bears it, alone where they count or break things for all.
//!
//! A test binary of its own, without the standard harness, since the lab must come up before the first scenario and go down
//! after the last, whatever happened. Words on the command line choose scenarios by part of their name, as with any test.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::{Lab, LabError, Options, Scene};

/// So many scenarios at a time: each is a rollout of three pods and three more under load, which keeps half a core busy while it
/// moves, and waits most of its time; the smallest machine has two.
const AT_ONCE: usize = 3;

/// Beside which others a scenario can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Beside any.
    Together,
    /// With the cluster to itself: it counts writes, or kills the operator.
    Alone,
}

/// A story to be played in a namespace of its own.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What is told, as a function is named; the namespace has this name too, with hyphens.
    pub name: &'static str,
    /// Beside which others.
    pub how: How,
    /// The story; it panics when something is not as told.
    pub play: for<'a> fn(&'a Scene<'a>) -> LocalBoxFuture<'a, ()>,
}

/// A list of scenarios from functions of the same module, each named as its function: `scenarios![Together: a, b; Alone: c]`.
#[macro_export]
macro_rules! scenarios {
    ($($how:ident: $($story:ident),+ $(,)?);+ $(;)?) => {
        /// The stories of this file.
        pub const SCENARIOS: &[$crate::lab::Scenario] = &[$($(
            $crate::lab::Scenario {
                name: stringify!($story),
                how: $crate::lab::How::$how,
                play: |scene| Box::pin($story(scene)),
            },
        )+)+];
    };
}

/// Plays the scenarios that the command line asks for on one lab.
pub fn play(name: &str, scenarios: &[&[Scenario]]) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let listed = std::env::args().any(|word| word == "--list");
    let asked = |scenario: &&Scenario| words.is_empty() || words.iter().any(|word| scenario.name.contains(&**word));
    let chosen: Vec<Scenario> = scenarios.iter().copied().flatten().filter(asked).copied().collect();
    if listed {
        for scenario in &chosen {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        println!("no scenario of this name");
        return ExitCode::SUCCESS;
    }
    match on_a_lab(name, &chosen) {
        Ok(failed) if failed.is_empty() => {
            println!("\n{} scenarios passed", chosen.len());
            ExitCode::SUCCESS
        }
        Ok(failed) => {
            println!("\n{} of {} scenarios failed: {}", failed.len(), chosen.len(), failed.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("\nno lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_a_lab(name: &str, chosen: &[Scenario]) -> Result<Vec<&'static str>, LabError> {
    let name = std::env::var("HOTFIX_CLUSTER_NAME").unwrap_or_else(|_| name.to_owned());
    let lab = Lab::up(&Options::named(&name).with_private_registries())?;
    let of = |how| chosen.iter().filter(|scenario| scenario.how == how).copied().collect::<VecDeque<_>>();
    let failed = Mutex::default();
    side_by_side(&lab, &Mutex::new(of(How::Together)), AT_ONCE, &failed);
    side_by_side(&lab, &Mutex::new(of(How::Alone)), 1, &failed);
    lab.down()?;
    Ok(failed.into_inner().unwrap_or_default())
}

fn side_by_side(lab: &Lab, scenarios: &Mutex<VecDeque<Scenario>>, at_once: usize, failed: &Mutex<Vec<&'static str>>) {
    let next = || scenarios.lock().ok().and_then(|mut scenarios| scenarios.pop_front());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(scenario) = next() {
                    let begun = Instant::now();
                    let passed = catch_unwind(AssertUnwindSafe(|| one(lab, scenario))).unwrap_or(false);
                    let word = if passed { "ok" } else { "FAILED" };
                    println!("test {} ... {word} ({:.0} s)", scenario.name, begun.elapsed().as_secs_f64());
                    if let (false, Ok(mut failed)) = (passed, failed.lock()) {
                        failed.push(scenario.name);
                    }
                }
            });
        }
    });
}

/// Plays one; what is needed to find out why it failed is told on the screen.
fn one(lab: &Lab, scenario: Scenario) -> bool {
    let namespace = scenario.name.replace('_', "-");
    let played = lab.scene(&namespace, async |scene| {
        let passed = AssertUnwindSafe((scenario.play)(scene)).catch_unwind().await.is_ok();
        if passed {
            if let Err(error) = scene.leave().await {
                println!("{}: {error}", scenario.name);
            }
        } else {
            println!("=== {} failed; what is there:\n{}\n===", scenario.name, scene.dump().await);
            // What a failed story left must not be in the way of the others.
            if std::env::var_os("KEEP").is_none() {
                let _ = scene.leave().await;
            }
        }
        passed
    });
    played.unwrap_or_else(|error| {
        println!("{}: {error}", scenario.name);
        false
    })
}
