//! What is done to the operator on purpose, on a real API server: rights taken away, fields that make no sense, and labels,
//! owners and annotations changed under it. Needs root and Go; no node. `cargo test -p hotfix-e2e --test hostile -- rights`
//! plays one suite. `docs/hostile.md` tells what it found.

mod fields;
mod garbled;
mod rights;

use std::process::ExitCode;
use std::time::Instant;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hotfix_e2e::cluster::ApiServer;
use hotfix_e2e::faults::dice::Dice;
use hotfix_e2e::faults::ground;
use hotfix_e2e::faults::lane::{Lane, REQUEST_TIMEOUT, Shared};
use hotfix_e2e::faults::stand::stand;
use hotfix_e2e::lab::{self, Ground, LabError};

/// A suite: plays on lanes of its own and gives a sentence for everything that is not as it has to be.
type Suite = for<'a> fn(&'a [Lane<'a>]) -> LocalBoxFuture<'a, Result<Vec<String>, LabError>>;

/// Every suite with the number of lanes it plays on.
const SUITES: [(&str, usize, Suite); 3] = [
    ("rights", rights::LANES, |lanes| rights::play(lanes).boxed_local()),
    ("fields", fields::LANES, |lanes| fields::play(lanes).boxed_local()),
    ("garbled", garbled::LANES, |lanes| garbled::play(lanes).boxed_local()),
];

/// What is drawn is drawn with this, where `SEED` says nothing else.
const SEED: u64 = 20_261_123;

/// A setting of the environment; an empty one and 0 are none.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !matches!(value.as_str(), "" | "0"))
}

/// The dice of this run.
fn dice() -> Dice {
    Dice::new(setting("SEED").and_then(|seed| seed.parse().ok()).unwrap_or(SEED))
}

/// What is played of it: with `CHANGE=slot` what is told with that word, with `N=20` so many, drawn.
fn chosen<T>(mut all: Vec<T>, told: impl Fn(&T) -> String) -> Vec<T> {
    if let Some(word) = setting("CHANGE") {
        all.retain(|it| told(it).contains(&word));
    }
    if let Some(count) = setting("N").and_then(|count| count.parse().ok()) {
        dice().shuffle(&mut all);
        all.truncate(count);
    }
    all
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(&**word));
    let chosen: Vec<_> = SUITES.into_iter().filter(|(name, ..)| asked(name)).collect();
    if std::env::args().any(|word| word == "--list") {
        for (name, ..) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let played = lab::operator().and_then(|operator| {
        let api = ApiServer { request_timeout: REQUEST_TIMEOUT, ..ApiServer::default() };
        stand("hostile", api, operator, Vec::is_empty, async |shared, ground| play(&chosen, shared, ground).await)
    });
    match played {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            println!("{} things are not as they have to be", wrong.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play(chosen: &[(&str, usize, Suite)], shared: &Shared, ground: &Ground) -> Result<Vec<String>, LabError> {
    let mut lanes = Vec::new();
    for (suite, count, _) in chosen {
        let mut own = Vec::new();
        for number in 1..=*count {
            let name = format!("{suite}-{number:02}");
            let operator = ground::install(ground, &shared.admin, &name).await?;
            own.push(Lane { shared, name, operator });
        }
        lanes.push(own);
    }
    // One after the other: side by side they would be judged by how busy the machine is.
    let mut all = Vec::new();
    for ((name, _, suite), lanes) in chosen.iter().zip(&lanes) {
        let begun = Instant::now();
        let wrong = suite(lanes).await?;
        println!("{name}: played in {} s, {} wrong", begun.elapsed().as_secs(), wrong.len());
        for what in &wrong {
            println!("WRONG {name}: {what}");
        }
        all.extend(wrong);
    }
    Ok(all)
}
