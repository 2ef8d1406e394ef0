//! The explorer's own machinery, and the traces it once found something with.

use hotfix_explorer::config::Config;
use hotfix_explorer::intern::Intern;
use hotfix_explorer::mutants::{self, NONE};
use hotfix_explorer::search::{Limits, explore};
use hotfix_explorer::state::{Pod, State, Svc, code, coded, hold, marked, sealed};
use hotfix_explorer::story::retell;
use hotfix_explorer::{laws, worlds};

fn world(name: &str, faults: u8, moves: u8) -> Config {
    let config = worlds::ALL.iter().find(|config| config.name == name).unwrap();
    Config { faults, moves, ..*config }
}

const LIMITS: Limits = Limits { states: 1_000_000, until: None, loud: false };

#[test]
fn without_faults_or_moves_every_world_comes_to_its_good_end() {
    for config in worlds::ALL {
        let outcome = explore(&Config { faults: 0, moves: 0, ..*config }, &NONE, &Intern::default(), LIMITS);
        let found: Vec<_> = outcome.findings.iter().map(|finding| finding.law).collect();
        assert!(found.is_empty() && outcome.complete, "{}: {found:?}", config.name);
    }
}

#[test]
fn an_exploration_finds_the_same_each_time() {
    let run = || {
        let outcome = explore(&world("late", 1, 1), &NONE, &Intern::default(), LIMITS);
        (outcome.states, outcome.transitions, outcome.depth, outcome.longest, outcome.seen)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_counterexample_is_told_and_can_be_told_again() {
    let mutant = mutants::named("the soak is skipped").unwrap();
    let limits = Limits { until: Some(mutant.breaks), ..LIMITS };
    let outcome = explore(&mutant.config(), mutant, &Intern::default(), limits);
    let finding = outcome.findings.iter().find(|finding| finding.law == mutant.breaks).unwrap();
    let words: Vec<String> = finding.trace.iter().map(ToString::to_string).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // The planner as it is follows the same moves, and nothing is broken.
    let told = retell(&mutant.config(), &words);
    assert!(!told.contains("BROKEN"), "{told}");
    assert!(told.contains("traffic   web -> 1 of the candidate"), "{told}");
}

#[test]
fn a_trace_that_cannot_be_followed_says_what_could_have_happened() {
    let told = retell(&world("core", 0, 0), &["crash"]);
    assert!(told.contains("CANNOT") && told.contains("look.0"), "{told}");
}

#[test]
fn every_mutant_is_meant_to_break_a_law_or_an_invariant_that_exists() {
    let invariants = securityhotfix::plan::invariants::ALL.iter().map(|(name, _)| *name);
    let known: Vec<&str> = laws::ALL.iter().map(|(name, ..)| *name).chain(invariants).collect();
    for mutant in mutants::all() {
        assert!(known.contains(&mutant.breaks), "{}: {}", mutant.name, mutant.breaks);
    }
}

#[test]
fn codes_and_marks_read_back() {
    for side in 0..2 {
        for attempt in 1..=3 {
            let code = code(side, attempt);
            assert_eq!(coded(code), (side, attempt));
            assert_eq!(marked(hold(code)), Some((false, code)));
            assert_eq!(marked(sealed(code)), Some((true, code)));
        }
    }
    assert_eq!(marked(0), None);
}

#[test]
fn states_that_differ_in_one_bit_have_different_fingerprints() {
    let mut seen = std::collections::BTreeSet::from([State::default().fingerprint()]);
    for bit in 0..16 {
        let mut state = State::default();
        state.prod.services[1] = Svc(1 << bit);
        assert!(seen.insert(state.fingerprint()));
        let mut state = State::default();
        state.prod.greens[1][1] = Pod(1 << bit);
        assert!(seen.insert(state.fingerprint()));
    }
}
