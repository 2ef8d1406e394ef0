//! The model is kept honest: it is played against the in-memory cluster of the golden stories, which has whole objects,
//! real resource versions and controllers of its own. The same things happen to both, in orders drawn from a seed. After
//! each of them the planner must be shown the same picture, decide the same, and its writes must come to the same.

#[path = "../../../tests/stories/order.rs"]
#[allow(dead_code, reason = "stories are shuffled, plays are not")]
mod order;
#[path = "../../../tests/world/mod.rs"]
mod world;

mod cluster;
mod twin;
mod words;

use std::sync::Mutex;

use hotfix_explorer::config::{Config, env};
use hotfix_explorer::decided::Memory;
use hotfix_explorer::intern::Intern;
use hotfix_explorer::mutants::NONE;
use hotfix_explorer::worlds;

use order::Dice;
use twin::{Turn, Twin};

/// No play has more turns.
const TURNS_MAX: usize = 3_000;
/// What goes wrong in one play, at most.
const TROUBLE_MAX: usize = 4;
/// What only the model has: the cluster has no ReplicaSet that is adopted, no foreground deletion, no pod without the
/// gate beside one that has it, and no template that drifts; Jobs are lost in stories of their own, and the other hotfix is
/// asked for only where it takes away what the first left.
const ONLY_MODEL: u64 = env::ORPHAN
    | env::DELETE_FOREGROUND
    | env::BARE
    | env::WRONG
    | env::HANG
    | env::UNGUIDE
    | env::DRIFT
    | env::ASK
    | env::BREAK
    | env::LOSE_JOB;

/// The worlds in which nothing is taken apart that the cluster does at once.
fn played() -> impl Iterator<Item = Config> {
    worlds::ALL.iter().filter(|config| !config.lag && !config.slow && config.order.len() == 3).map(|config| {
        // Where one vanishes the other takes away what it left.
        let both = config.env & env::VANISH != 0;
        Config { env: config.env & !(ONLY_MODEL & !if both { env::ASK } else { 0 }), from: |_| true, ..*config }
    })
}

/// In how many orders each world is played: enough to be fast, or as many as `HONEST_SEEDS` says.
fn seeds() -> u64 {
    std::env::var("HONEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12)
}

/// Plays one world to its end; how many writes were compared.
fn play(config: &Config, dice: Option<Dice>) -> usize {
    let (intern, shared) = (Intern::default(), Mutex::default());
    let mut twin = Twin::new(config, Memory::new(&shared, &intern, &NONE));
    let mut trouble = if dice.is_some() { TROUBLE_MAX } else { 0 };
    let mut dice = dice.unwrap_or_else(|| Dice::new(0));
    for _ in 0..TURNS_MAX {
        let fair = twin.fair();
        let others = if trouble > 0 && dice.roll(6) == 0 { twin.others() } else { Vec::new() };
        let turn = if others.is_empty() { fair } else { Some(others[dice.roll(others.len())]) };
        let Some(turn) = turn else {
            assert!(twin.is_idle());
            return twin.writes;
        };
        trouble -= usize::from(Some(turn) != fair && !matches!(turn, Turn::Look(_)));
        twin.happen(turn);
        // What the other does beside taking away what was left is what the first does.
        if twin.other_begins() {
            return twin.writes;
        }
    }
    panic!("it does not end\n{}", twin.told.join("\n"));
}

#[test]
fn the_fault_free_run_of_every_world_is_the_same_in_both() {
    for config in played() {
        assert!(play(&config, None) > 20, "{}", config.name);
    }
}

#[test]
fn whatever_goes_wrong_goes_the_same_way_in_both() {
    for config in played() {
        let mut writes = 0;
        for seed in 1..=seeds() {
            let run = || play(&config, Some(Dice::new(seed)));
            writes += std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("world {}, seed {seed}", config.name));
        }
        assert!(writes > 0);
        eprintln!("{}: {writes} writes compared", config.name);
    }
}
