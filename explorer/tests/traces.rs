//! What was found once is followed again: it must not come back, and the mutant that brings it back must be noticed.

use hotfix_explorer::mutants::NONE;
use hotfix_explorer::trace::{Trace, mutant_of};

/// Every kept trace, with the name of its file.
fn kept() -> Vec<(String, Trace)> {
    let files = std::fs::read_dir(Trace::directory()).unwrap().map(|file| file.unwrap().path());
    let mut all: Vec<(String, Trace)> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let trace = Trace::parse(&std::fs::read_to_string(&path).unwrap());
            (name.clone(), trace.unwrap_or_else(|why| panic!("{name}: {why}")))
        })
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!all.is_empty());
    all
}

#[test]
fn what_was_found_once_does_not_happen_any_more() {
    for (name, trace) in kept() {
        let followed = trace.follow(&NONE);
        assert!(followed.broken.is_empty(), "{name}: {:?}", followed.broken);
        eprintln!("{name}: {} of {} moves skipped", followed.skipped, trace.moves.len());
    }
}

#[test]
fn who_brings_it_back_is_noticed_on_the_same_trace() {
    for (name, trace) in kept() {
        let Some(mutant) = mutant_of(&trace) else { continue };
        let followed = trace.follow(mutant);
        assert_eq!(followed.skipped, 0, "{name} cannot be followed any more");
        assert!(followed.broken.iter().any(|(law, _)| *law == trace.law), "{name}: {:?}", followed.broken);
    }
}

#[test]
fn a_trace_reads_back_as_it_was_written() {
    for (name, trace) in kept() {
        assert_eq!(Trace::parse(&trace.text()).as_ref(), Ok(&trace), "{name}");
    }
    assert!(Trace::parse("title x\nworld core\n").is_err());
    assert!(Trace::parse("nonsense\n").is_err());
}
