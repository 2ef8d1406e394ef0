//! Measurements on the real cluster: how long the operator takes from what it waits for to what it does next, how long both
//! versions serve at a switch, and for how long nobody leads when the leader ends.
//!
//! It decides what is measured, how often, and how many runs go side by side. It asserts nothing: a slow machine gives slow
//! figures. `docs/measurements.md` says what each figure means.

mod decide;
mod figures;
mod lane;
mod machine;
mod trace;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use figures::{Distribution, Figures, Measure};
pub use machine::Machine;

use crate::lab::{Ending, Lab, LabError, Options, Profile};
use figures::{Head, Row};
use lane::{DEEP_CHECK, Failing, Lane};
use machine::load_average;

/// Name of the local cluster.
const CLUSTER: &str = "bench";

/// A switch counts as not mixed below this: what two decimals show as 0.00 s.
const NOT_MIXED: f64 = 5.0;

/// Runs of a series, and how many of them go side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Series {
    /// How many runs.
    pub runs: usize,
    /// How many at a time, each in a namespace of its own.
    pub lanes: usize,
    /// Pods of the workload.
    pub replicas: u32,
    /// How long the check of the analysis takes.
    pub check_seconds: u32,
    /// How much later each lane starts than the one before.
    #[serde(skip)]
    stagger: Duration,
}

impl Series {
    /// A minute is waited for in each run, in which nothing happens: ten bear each other's company.
    fn long_checks(runs: usize) -> Self {
        let stagger = Duration::from_millis(3_300);
        Self { runs, lanes: runs.min(10), replicas: 1, check_seconds: 60, stagger }
    }

    /// Each failure so many times. While one drains and is cleaned up, the next begins.
    fn rollouts(runs: usize) -> Self {
        Self { runs: runs * 2, lanes: 2, replicas: 2, check_seconds: 5, stagger: Duration::ZERO }
    }

    /// Each ending of a leader so many times, one after the other: there is one leader.
    fn handovers(runs: usize) -> Self {
        Self { runs: runs * 2, lanes: 1, replicas: 1, check_seconds: 1, stagger: Duration::ZERO }
    }
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// How soon the operator goes on after a check that takes a minute.
    Minutes,
    /// Rollouts whose candidate fails, sick or dead.
    Rollouts,
    /// Rollouts in which the operator's leader ends.
    Handovers,
}

impl Which {
    /// All, in the order in which they are played.
    pub const ALL: [Self; 3] = [Self::Minutes, Self::Rollouts, Self::Handovers];

    fn name(self) -> &'static str {
        match self {
            Self::Minutes => "checks_of_60_s",
            Self::Rollouts => "rollouts",
            Self::Handovers => "handovers",
        }
    }

    fn play(self, lab: &Lab, runs: usize, gathered: &Mutex<Gathered>) -> Series {
        match self {
            Self::Minutes => {
                let long = Series::long_checks(runs);
                tell!("== {} checks of 60 s, {} side by side", long.runs, long.lanes);
                side_by_side(lab, "minute", long, gathered, async |lane: &Lane<'_>, nth| {
                    lane.until_analyzed(&format!("run-{nth}"), Measure::CheckOf60ToWrite).await
                });
                long
            }
            Self::Rollouts => {
                let there = Series::rollouts(runs);
                tell!("\n== {} rollouts that go back, with checks of 5 s, one at a time with its traffic", there.runs);
                side_by_side(lab, "rollout", there, gathered, async |lane: &Lane<'_>, nth| {
                    let failing = if nth % 2 == 0 { Failing::Sick } else { Failing::Dead };
                    lane.there_and_back(&format!("run-{nth}"), failing, offset(nth)).await
                });
                there
            }
            Self::Handovers => {
                let handovers = Series::handovers(runs);
                tell!("\n== {} rollouts in which the operator's leader ends, one after the other", handovers.runs);
                side_by_side(lab, "handover", handovers, gathered, async |lane: &Lane<'_>, nth| {
                    let how = if nth % 2 == 0 { Ending::Told } else { Ending::Killed };
                    lane.handed_over(&format!("run-{nth}"), how, offset(nth)).await
                });
                handovers
            }
        }
    }
}

/// A run that gave no figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub run: String,
    /// Why.
    pub why: String,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// When it was begun.
    pub at: Timestamp,
    /// On what.
    pub machine: Machine,
    /// How the operator was built: Release or Dev.
    pub profile: String,
    /// Version of Kubernetes.
    pub kubernetes: String,
    /// How many runs, and how many side by side.
    pub series: BTreeMap<&'static str, Series>,
    /// The distributions, in milliseconds.
    pub milliseconds: BTreeMap<Measure, Distribution>,
    /// All figures, in milliseconds, in the order they were taken.
    pub figures: BTreeMap<Measure, Vec<f64>>,
    /// What one decision costs, in microseconds; of a release alone.
    pub decide_us: Option<Value>,
    /// The switches, and how many of them showed both versions for 0.00 s.
    pub switches: Switches,
    /// The machine's load average of one minute, once in each run.
    pub load_average: Option<Distribution>,
    /// Runs that gave no figures.
    pub broken: Vec<Broken>,
}

/// How often both versions were not seen together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Switches {
    /// All switches.
    pub all: usize,
    /// Those in which no two answers prove 0.005 s or more.
    pub not_mixed: usize,
}

/// What the lanes bring together.
#[derive(Default)]
struct Gathered {
    figures: Figures,
    broken: Vec<Broken>,
    load: Vec<f64>,
}

/// Measures what is chosen, each so many times, and tells the tables on standard error.
pub fn measure(runs: usize, profile: Profile, chosen: &[Which]) -> Result<Account, LabError> {
    let (at, machine) = (Timestamp::now(), Machine::this());
    let decide = match profile {
        Profile::Release => decide::decide().inspect_err(|error| tell!("{error}")).ok(),
        Profile::Dev => None,
    };
    let cluster = std::env::var("HOTFIX_CLUSTER_NAME").unwrap_or_else(|_| CLUSTER.to_owned());
    let lab = Lab::up(&Options { profile, ..Options::named(&cluster) })?;
    let kubernetes = lab.ground().run(async || -> Result<String, LabError> {
        lab.apply(DEEP_CHECK).await?;
        Ok(lab
            .ground()
            .client()
            .await?
            .apiserver_version()
            .await
            .map(|version| version.git_version)
            .unwrap_or_default())
    })??;
    let built = if profile == Profile::Release { "built for release" } else { "built without optimisation" };
    tell!("\n{machine}; Kubernetes {kubernetes}, one node; the operator {built}\n");
    let gathered = Mutex::default();

    let mut series = BTreeMap::new();
    for which in Which::ALL.into_iter().filter(|which| chosen.contains(which)) {
        series.insert(which.name(), which.play(&lab, runs, &gathered));
    }
    lab.down()?;

    let Gathered { figures, broken, load } = gathered.into_inner().unwrap_or_default();
    let switches = switches(figures.of(Measure::MixedAtLeast));
    let load_average = Distribution::of(&load);
    tables(&figures, switches, load_average, &broken);
    if let Some(decide) = &decide {
        tell!("one decision, in microseconds: {decide}");
    }
    Ok(Account {
        at,
        machine,
        profile: format!("{profile:?}"),
        kubernetes,
        series,
        milliseconds: figures.distributions().into_iter().collect(),
        figures: Measure::ALL.into_iter().map(|measure| (measure, figures.of(measure).to_vec())).collect(),
        decide_us: decide,
        switches,
        load_average,
        broken,
    })
}

/// Moves a run within a second. Primes, so that twenty runs fall on twenty different parts of it.
fn offset(nth: usize) -> Duration {
    Duration::from_millis(u64::try_from(nth * 137 % 1009).unwrap_or(0))
}

fn switches(mixed: &[f64]) -> Switches {
    Switches { all: mixed.len(), not_mixed: mixed.iter().filter(|time| **time < NOT_MIXED).count() }
}

/// Plays a series: each lane takes the next run when it is done with one.
fn side_by_side(
    lab: &Lab,
    name: &str,
    series: Series,
    gathered: &Mutex<Gathered>,
    run: impl AsyncFn(&Lane<'_>, usize) -> Result<Figures, LabError> + Sync,
) {
    let next = AtomicUsize::new(0);
    let alone = tokio::sync::Mutex::new(());
    thread::scope(|scope| {
        for number in 0..series.lanes {
            let (next, run, alone) = (&next, &run, &alone);
            scope.spawn(move || {
                thread::sleep(series.stagger * u32::try_from(number).unwrap_or(0));
                let namespace = format!("bench-{name}-{number}");
                let played = lab.scene(&namespace, async |scene| {
                    let lane = Lane::set(scene, series.replicas, series.check_seconds, alone).await?;
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= series.runs {
                            return scene.leave().await;
                        }
                        let begun = Instant::now();
                        let taken = run(&lane, nth).await;
                        if taken.is_err() {
                            lane.clear(&format!("run-{nth}")).await;
                        }
                        note(gathered, &format!("{name} {nth}"), begun, taken);
                    }
                });
                if let Err(error) = played.and_then(|played| played) {
                    note(gathered, &namespace, Instant::now(), Err(error));
                }
            });
        }
    });
}

/// Tells and keeps what came of a run.
fn note(gathered: &Mutex<Gathered>, run: &str, begun: Instant, taken: Result<Figures, LabError>) {
    let Ok(mut gathered) = gathered.lock() else { return };
    let seconds = begun.elapsed().as_secs();
    gathered.load.push(load_average());
    match taken {
        Ok(figures) => {
            tell!("{run} ({seconds} s): {}", figures.line());
            gathered.figures.extend(figures);
        }
        Err(error) => {
            tell!("{run} ({seconds} s) gave no figures: {error}");
            gathered.broken.push(Broken { run: run.to_owned(), why: error.to_string() });
        }
    }
}

fn tables(figures: &Figures, switches: Switches, load_average: Option<Distribution>, broken: &[Broken]) {
    tell!("\n{Head}");
    for (measure, distribution) in figures.distributions() {
        tell!("{}", Row(measure, distribution));
    }
    let Switches { all, not_mixed } = switches;
    tell!("");
    if all > 0 {
        tell!("at {not_mixed} of {all} switches both versions answered new connections for 0.00 s");
    }
    if let Some(Distribution { min, median, max, .. }) = load_average {
        tell!(
            "load average of the machine: {min:.1} to {max:.1}, median {median:.1}; other work on it is in the figures"
        );
    }
    for Broken { run, why } in broken {
        tell!("{run} gave no figures: {why}");
    }
}
