//! Every target over its committed corpus, and over drawn changes of it: the same functions that `make fuzz` drives.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hotfix_fuzz::{TARGETS, Target, target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseError, TestRunner};

/// How many changed inputs each target is played with in `make unit`; `PROPTEST_CASES` says another number.
const CASES: u32 = 400;

/// All corpora together, in bytes: they are cloned with the project.
const CORPORA_MAX: u64 = 1_500_000;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpora().join(target.name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One change to an input.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index),
    Drop(Index, usize),
    Repeat(Index, usize),
    /// From here on another input of the corpus.
    Cross(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        at().prop_map(Mutation::Cut),
        (at(), 1usize..200).prop_map(|(at, len)| Mutation::Drop(at, len)),
        (at(), 1usize..200).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        (at(), at()).prop_map(|(at, other)| Mutation::Cross(at, other)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation, corpus: &[(PathBuf, Vec<u8>)]) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let part = |at: &Index, len: usize| at.index(length)..(at.index(length) + len).min(length);
    match mutation {
        Mutation::Flip(at, byte) => bytes[at.index(length)] = *byte,
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Drop(at, len) => drop(bytes.drain(part(at, *len))),
        Mutation::Repeat(at, len) => {
            let repeated = bytes[part(at, *len)].to_vec();
            bytes.splice(at.index(length)..at.index(length), repeated);
        }
        Mutation::Cross(at, other) => {
            let (_, other) = other.get(corpus);
            bytes.truncate(at.index(length));
            bytes.extend(other.get(at.index(length)..).unwrap_or_default());
        }
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

fn play(name: &str) {
    let target = target(name).unwrap();
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (path, bytes) in &corpus {
        assert!(catch_unwind(|| (target.play)(bytes)).is_ok(), "{name} fails with {}", path.display());
    }
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let input = (any::<Index>(), prop::collection::vec(mutation(), 1..5));
    let played = TestRunner::new(config).run(&input, |(which, mutations)| {
        let mut bytes = which.get(&corpus).1.clone();
        for mutation in &mutations {
            mutate(&mut bytes, mutation, &corpus);
        }
        catch_unwind(AssertUnwindSafe(|| (target.play)(&bytes)))
            .map_err(|_| TestCaseError::fail(format!("{name} fails with {}", bytes.escape_ascii())))
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}

macro_rules! played {
    ($($name:ident)*) => {
        $(#[test] fn $name() { play(stringify!($name)); })*

        #[test]
        fn every_target_is_played_and_has_a_corpus_that_stays_small() {
            let mut played = vec![$(stringify!($name)),*];
            let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            let mut folders: Vec<String> =
                fs::read_dir(corpora()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
            played.sort_unstable();
            targets.sort_unstable();
            folders.sort_unstable();
            assert_eq!(played, targets);
            assert_eq!(folders, targets);
            let sizes = TARGETS.iter().flat_map(|target| corpus(*target)).map(|(_, bytes)| bytes.len() as u64);
            let size: u64 = sizes.sum();
            assert!(size <= CORPORA_MAX, "{size} bytes: minimise it with `make fuzz MERGE=1`");
        }
    };
}

played! {
    trivy osv sarif junit severity log image manifest challenge login objects lease own people specs decide tangle
}
