//! Explores every world and breaks the planner in every way it knows; one line on standard output says what came of it.
//!
//! `explorer` as `make explore` runs it, `explorer small` as `make test` does, `explorer deep` with `DEEP=1`;
//! `explorer world NAME FAULTS MOVES` for one world; `explorer tell NAME MOVE...` for the story of a trace;
//! `explorer keep FILE WORLD LAW MOVE...` to make a regression test of it, `explorer keep-mutant FILE MUTANT` of the trace by
//! which a mutant is caught.

use std::process::ExitCode;
use std::time::Instant;

use hotfix_explorer::config::Config;
use hotfix_explorer::intern::Intern;
use hotfix_explorer::mutants::{self, Mutant, NONE};
use hotfix_explorer::search::{Finding, Limits, Outcome, explore};
use hotfix_explorer::story::retell;
use hotfix_explorer::trace::{self, Trace};
use hotfix_explorer::{laws, witness, worlds};

/// No world may take more: 2^32 places are what its states are numbered with, and less memory is there.
const STATES_MAX: u64 = 400_000_000;
/// No mutant needs more to be caught.
const MUTANT_STATES_MAX: u64 = 1_500_000;

/// How much is explored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Full,
    Deep,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => all(Size::Full),
        ["small"] => all(Size::Small),
        ["deep"] => all(Size::Deep),
        ["world", name, budgets @ ..] => one(name, budgets),
        ["tell", name, trace @ ..] => {
            println!("{}", retell(&world(name), trace));
            ExitCode::SUCCESS
        }
        ["keep", name, world, law, moves @ ..] => keep(name, &kept(world, law, moves)),
        ["keep-mutant", name, mutant] => keep(name, &counterexample(mutant)),
        other => {
            eprintln!("explorer [small | deep | world NAME [FAULTS MOVES] | tell NAME MOVE... |");
            eprintln!("          keep FILE WORLD LAW MOVE... | keep-mutant FILE MUTANT], not {other:?}");
            ExitCode::FAILURE
        }
    }
}

fn world(name: &str) -> Config {
    *worlds::named(name).unwrap_or_else(|| panic!("there is no world {name}"))
}

/// What has been counted over all worlds.
#[derive(Default)]
struct Sum {
    states: u64,
    transitions: u64,
    depth: u32,
    violations: usize,
    seen: u64,
    complete: bool,
}

impl Sum {
    fn add(&mut self, config: &Config, outcome: &Outcome) {
        self.states += outcome.states;
        self.transitions += outcome.transitions;
        self.depth = self.depth.max(outcome.depth);
        self.violations += outcome.findings.len();
        self.seen |= outcome.seen;
        self.complete &= outcome.complete;
        for finding in &outcome.findings {
            report(config, finding);
        }
    }
}

fn report(config: &Config, finding: &Finding) {
    let Finding { law, what, trace, times } = finding;
    let words: Vec<String> = trace.iter().map(ToString::to_string).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    eprintln!("\nVIOLATION {law}, {times} times in world {}: {what}\n", config.name);
    eprintln!("{}", retell(config, &words));
    let (run, moves) = ("cargo run --profile explore -p hotfix-explorer --", words.join(" "));
    eprintln!("tell it again:  {run} tell {} {moves}", config.name);
    eprintln!("make it a test: {run} keep {law} {} {law} {moves}\n", config.name);
}

fn kept(world: &str, law: &str, moves: &[&str]) -> Trace {
    let moves = moves.iter().map(|word| (*word).to_owned()).collect();
    Trace { title: format!("{law} in the world {world}"), world: world.into(), law: law.into(), mutant: None, moves }
}

/// The shortest trace by which a mutant breaks its law.
fn counterexample(name: &str) -> Trace {
    let mutant = mutants::named(name).unwrap_or_else(|| panic!("there is no mutant {name}"));
    let finding = killer(mutant).0.unwrap_or_else(|| panic!("the mutant survives: {name}"));
    let moves = finding.trace.iter().map(ToString::to_string).collect();
    let (world, law) = (mutant.world.0.into(), mutant.breaks.into());
    Trace { title: name.into(), world, law, mutant: Some(name.into()), moves }
}

/// Writes a trace where the tests find it.
fn keep(name: &str, trace: &Trace) -> ExitCode {
    match trace::keep(name, trace) {
        Ok(path) => {
            println!("kept: {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{name} cannot be kept: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &Config, mutant: &Mutant, limits: Limits) -> Outcome {
    explore(config, mutant, &Intern::default(), limits)
}

fn one(name: &str, budgets: &[&str]) -> ExitCode {
    let mut config = world(name);
    let number = |at: usize| budgets.get(at).and_then(|budget| budget.parse().ok());
    config.faults = number(0).unwrap_or(config.faults);
    config.moves = number(1).unwrap_or(config.moves);
    let mut sum = Sum { complete: true, ..Sum::default() };
    let outcome = run(&config, &NONE, Limits { states: STATES_MAX, until: None, loud: true });
    tell_world(&config, &outcome, Instant::now());
    sum.add(&config, &outcome);
    if sum.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_world(config: &Config, outcome: &Outcome, begun: Instant) {
    eprintln!(
        "world {:<13} faults {} moves {}: states {:>10} transitions {:>11} depth {:>3} longest fair run {:>3} pictures {:>7} violations {} {:>4} s{}",
        config.name,
        config.faults,
        config.moves,
        outcome.states,
        outcome.transitions,
        outcome.depth,
        outcome.longest,
        outcome.pictures,
        outcome.findings.len(),
        begun.elapsed().as_secs(),
        if outcome.complete { "" } else { " (cut off)" }
    );
}

fn all(size: Size) -> ExitCode {
    let begun = Instant::now();
    let mut sum = Sum { complete: true, ..Sum::default() };
    for config in worlds::ALL {
        let (faults, moves) = match size {
            Size::Small => config.small,
            Size::Full => (config.faults, config.moves),
            Size::Deep => config.deep,
        };
        let config = Config { faults, moves, ..*config };
        let now = Instant::now();
        let outcome = run(&config, &NONE, Limits { states: STATES_MAX, until: None, loud: size == Size::Deep });
        tell_world(&config, &outcome, now);
        sum.add(&config, &outcome);
    }
    let killed = mutants::all().filter(|mutant| is_killed(mutant)).count();
    let unbroken = unbroken();
    for law in &unbroken {
        eprintln!("no mutant breaks {law}");
    }
    let unseen: Vec<&str> =
        witness::ALL.iter().enumerate().filter(|(at, _)| sum.seen >> at & 1 == 0).map(|(_, name)| *name).collect();
    for name in &unseen {
        eprintln!("never witnessed: {name}");
    }
    println!(
        "explore: states={} transitions={} depth={} violations={} mutants_killed={killed}/{} seconds={} laws={} invariants={} witnesses={}/{}",
        sum.states,
        sum.transitions,
        sum.depth,
        sum.violations,
        mutants::all().count(),
        begun.elapsed().as_secs(),
        laws::ALL.len(),
        securityhotfix::plan::invariants::ALL.len(),
        witness::ALL.len() - unseen.len(),
        witness::ALL.len(),
    );
    // In a small run not everything is seen, which is said and no failure.
    let vacuous = size != Size::Small && !unseen.is_empty();
    let good =
        sum.violations == 0 && killed == mutants::all().count() && unbroken.is_empty() && sum.complete && !vacuous;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_killed(mutant: &Mutant) -> bool {
    let now = Instant::now();
    let (killer, outcome) = killer(mutant);
    let word = if killer.is_some() { "killed" } else { "SURVIVED" };
    let steps = killer.as_ref().map_or(0, |finding| finding.trace.len());
    eprintln!(
        "mutant {word}: {} | {} | after {steps} steps, {} states, {} ms",
        mutant.name,
        mutant.breaks,
        outcome.states,
        now.elapsed().as_millis()
    );
    killer.is_some()
}

/// The finding that kills a mutant, if there is one.
fn killer(mutant: &Mutant) -> (Option<Finding>, Outcome) {
    let limits = Limits { states: MUTANT_STATES_MAX, until: Some(mutant.breaks), loud: false };
    let outcome = run(&mutant.config(), mutant, limits);
    (outcome.findings.iter().find(|finding| finding.law == mutant.breaks).cloned(), outcome)
}

/// Laws and invariants that no mutant breaks: nothing shows that they would notice.
fn unbroken() -> Vec<&'static str> {
    let broken = mutants::broken_by_some();
    let invariants = securityhotfix::plan::invariants::ALL.iter().map(|(name, _)| *name);
    laws::ALL.iter().map(|(name, ..)| *name).chain(invariants).filter(|name| !broken.contains(name)).collect()
}
