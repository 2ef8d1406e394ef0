//! Breadth first, every interleaving, two threads.
//!
//! Of a state that was looked at only a fingerprint is kept, with the state it came from and the one its fair run goes
//! on with: enough for the shortest trace to it, which is found again by doing it again, and for following every fair
//! run to its end. The frontier alone holds whole states. The result does not depend on which thread is faster: each
//! owns half of all fingerprints, and takes in what both have found in the same order.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use crate::config::Config;
use crate::decided::{Answers, Memory};
use crate::fair::{self, Fair};
use crate::intern::Intern;
use crate::laws::Broken;
use crate::moves::Move;
use crate::mutants::Mutant;
use crate::rest;
use crate::state::State;

/// Threads, and halves of the fingerprints.
const THREADS: usize = 2;
/// How many states of a level are looked at before what they led to is taken in.
const CHUNK: usize = 1 << 14;
/// Nothing follows fairly.
const REST: u32 = u32::MAX;

/// The states one thread owns.
struct Shard {
    /// Places in `prints`, by fingerprint; 0 is empty, else the place and 1.
    table: Vec<u32>,
    prints: Vec<u64>,
    parents: Vec<u32>,
    fair: Vec<u32>,
}

impl Shard {
    fn new() -> Self {
        Self { table: vec![0; 1 << 12], prints: Vec::new(), parents: Vec::new(), fair: Vec::new() }
    }

    /// The place of a fingerprint, and whether it is new.
    fn insert(&mut self, print: u64, parent: u32) -> (u32, bool) {
        if self.prints.len() * 3 > self.table.len() * 2 {
            self.grow();
        }
        let mask = self.table.len() - 1;
        let mut slot = spread(print) & mask;
        loop {
            match self.table[slot] {
                0 => {
                    let place = u32::try_from(self.prints.len()).expect("fewer than 2^31 states");
                    self.table[slot] = place + 1;
                    self.prints.push(print);
                    self.parents.push(parent);
                    self.fair.push(REST);
                    return (place, true);
                }
                place if self.prints[place as usize - 1] == print => return (place - 1, false),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 2 - 1;
        let mut table = vec![0_u32; mask + 1];
        for (place, print) in self.prints.iter().enumerate() {
            let mut slot = spread(*print) & mask;
            while table[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            table[slot] = u32::try_from(place + 1).expect("fewer than 2^31 states");
        }
        self.table = table;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a place in a table")]
fn spread(print: u64) -> usize {
    (print >> 1) as usize
}

fn shard_of(print: u64) -> usize {
    usize::from(print & 1 == 1)
}

/// Something one state led to.
struct Found {
    state: State,
    print: u64,
    parent: u32,
    /// It is what fairly follows.
    fair: bool,
}

/// A broken law with the first state that broke it, or from which it is broken.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The law.
    pub law: &'static str,
    /// What happened.
    pub what: String,
    /// The moves that lead to it, fewest first.
    pub trace: Vec<Move>,
    /// How often it was broken.
    pub times: u64,
}

/// What came of an exploration.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Distinct states.
    pub states: u64,
    /// Transitions.
    pub transitions: u64,
    /// Length of the longest shortest trace.
    pub depth: u32,
    /// Length of the longest fair run.
    pub longest: u32,
    /// Broken laws, by name.
    pub findings: Vec<Finding>,
    /// What was witnessed, by bit.
    pub seen: u64,
    /// Different pictures the planner was asked about.
    pub pictures: usize,
    /// Everything within the budgets was looked at.
    pub complete: bool,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// States.
    pub states: u64,
    /// Stop at the end of the level in which this law was broken, or any where it is empty.
    pub until: Option<&'static str>,
    /// Tell on standard error how far it is.
    pub loud: bool,
}

/// What one thread found in a chunk.
#[derive(Default)]
struct Looked {
    found: [Vec<Found>; THREADS],
    broken: Vec<(u32, Option<Move>, Broken)>,
    seen: u64,
    transitions: u64,
}

/// Broken laws by name: from which state, by which move, what, how often.
type Breaks = BTreeMap<&'static str, (u32, Option<Move>, String, u64)>;

/// Where an exploration begins.
pub fn start(config: &Config, memory: &mut Memory<'_>) -> State {
    let mut state = config.beginning();
    state.settle(config);
    let mut steps = 0;
    while !(config.from)(state.sides[0].mile) {
        let (Fair::Move(mv) | Fair::Time(mv)) = fair::next(&state, config, memory) else {
            panic!("{} never begins: the fault-free run ends in {state:#?}", config.name)
        };
        state = state.apply(mv, config, memory).state;
        steps += 1;
        assert!(steps < 5_000, "{} never begins", config.name);
    }
    state.faults = config.faults;
    state.moves = config.moves;
    state
}

/// Explores a world.
pub fn explore(config: &Config, mutant: &Mutant, intern: &Intern, limits: Limits) -> Outcome {
    let shared = Mutex::new(Answers::default());
    let mut memories: Vec<Memory<'_>> = (0..THREADS).map(|_| Memory::new(&shared, intern, mutant)).collect();
    let first = start(config, &mut memories[0]);
    let mut shards: Vec<Shard> = (0..THREADS).map(|_| Shard::new()).collect();
    let print = first.fingerprint();
    let home = shard_of(print);
    let (place, _) = shards[home].insert(print, REST);
    let root = id(home, place);
    let mut level: Vec<Vec<(u32, State)>> = vec![Vec::new(); THREADS];
    level[home].push((root, first));
    let mut outcome = Outcome { complete: true, ..Outcome::default() };
    let mut breaks = Breaks::new();
    let begun = Instant::now();
    while level.iter().any(|part| !part.is_empty()) {
        let mut next: Vec<Vec<(u32, State)>> = vec![Vec::new(); THREADS];
        let longest = level.iter().map(Vec::len).max().unwrap_or(0);
        for from in (0..longest).step_by(CHUNK) {
            let looked: Vec<Looked> = std::thread::scope(|scope| {
                let threads: Vec<_> = memories
                    .iter_mut()
                    .zip(&level)
                    .map(|(memory, part)| {
                        let end = part.len().min(from + CHUNK);
                        let part = &part[from.min(end)..end];
                        scope.spawn(move || look(part, config, memory))
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("a thread that looks")).collect()
            });
            let fairs: Vec<Vec<(u32, u32)>> = std::thread::scope(|scope| {
                let looked = &looked;
                let threads: Vec<_> = shards
                    .iter_mut()
                    .zip(&mut next)
                    .enumerate()
                    .map(|(at, (shard, next))| scope.spawn(move || take_in(at, shard, next, looked)))
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("a thread that takes in")).collect()
            });
            for (from, to) in fairs.into_iter().flatten() {
                shards[from as usize % THREADS].fair[from as usize / THREADS] = to;
            }
            for part in looked {
                outcome.seen |= part.seen;
                outcome.transitions += part.transitions;
                for (state, mv, (law, what)) in part.broken {
                    breaks.entry(law).or_insert((state, mv, what, 0)).3 += 1;
                }
            }
        }
        outcome.states = shards.iter().map(|shard| shard.prints.len() as u64).sum();
        if limits.loud {
            let frontier: usize = next.iter().map(Vec::len).sum();
            eprintln!(
                "  {:12} depth {:3} states {:>11} frontier {frontier:>9} pictures {:>7} violations {} {:>4} s",
                config.name,
                outcome.depth,
                outcome.states,
                shared.lock().unwrap().len(),
                breaks.len(),
                begun.elapsed().as_secs()
            );
        }
        let stop = outcome.states >= limits.states
            || (limits.until.is_some_and(|law| law.is_empty() && !breaks.is_empty() || breaks.contains_key(law)));
        if stop && next.iter().any(|part| !part.is_empty()) {
            outcome.complete = false;
            level = next;
            break;
        }
        level = next;
        outcome.depth += u32::from(level.iter().any(|part| !part.is_empty()));
    }
    // States that were not looked at have no fair run yet; runs that reach them are not judged.
    for (state, _) in level.iter().flatten() {
        shards[*state as usize % THREADS].fair[*state as usize / THREADS] = UNKNOWN;
    }
    outcome.longest = follow(&shards, &mut breaks);
    outcome.pictures = shared.lock().unwrap().len();
    outcome.findings = breaks
        .into_iter()
        .map(|(law, (state, mv, what, times))| {
            let mut trace = trace(&shards, state, &first, config, &mut memories[0]);
            trace.extend(mv);
            Finding { law, what, trace, times }
        })
        .collect();
    outcome
}

/// Its fair run is not known.
const UNKNOWN: u32 = u32::MAX - 1;

fn id(shard: usize, place: u32) -> u32 {
    place * u32::try_from(THREADS).unwrap() + u32::try_from(shard).unwrap()
}

fn look(part: &[(u32, State)], config: &Config, memory: &mut Memory<'_>) -> Looked {
    let mut looked = Looked::default();
    let mut moves = Vec::new();
    for (id, state) in part {
        let fair = fair::next(state, config, memory);
        moves.clear();
        state.moves(config, memory, !matches!(fair, Fair::Move(_)), &mut moves);
        let follows = match fair {
            Fair::Move(mv) | Fair::Time(mv) => Some(mv),
            Fair::Rest => {
                looked.broken.extend(rest::wrong(state, config).into_iter().map(|broken| (*id, None, broken)));
                None
            }
        };
        assert!(follows.is_none_or(|mv| moves.contains(&mv)), "{follows:?} is fair and cannot happen in {state:#?}");
        for mv in &moves {
            let stepped = state.apply(*mv, config, memory);
            looked.transitions += 1;
            looked.seen |= stepped.seen;
            looked.broken.extend(stepped.broken.into_iter().map(|broken| (*id, Some(*mv), broken)));
            let fair = follows == Some(*mv);
            if stepped.state == *state && !fair {
                continue;
            }
            let print = stepped.state.fingerprint();
            looked.found[shard_of(print)].push(Found { state: stepped.state, print, parent: *id, fair });
        }
    }
    looked
}

fn take_in(at: usize, shard: &mut Shard, next: &mut Vec<(u32, State)>, looked: &[Looked]) -> Vec<(u32, u32)> {
    let mut fairs = Vec::new();
    for found in looked.iter().flat_map(|looked| &looked.found[at]) {
        let (place, new) = shard.insert(found.print, found.parent);
        let id = id(at, place);
        if new {
            next.push((id, found.state));
        }
        if found.fair {
            fairs.push((found.parent, id));
        }
    }
    fairs
}

/// Follows the fair run from every state; gives the length of the longest. One that comes back to where it was never
/// ends.
fn follow(shards: &[Shard], breaks: &mut Breaks) -> u32 {
    const NEW: u32 = 0;
    const OPEN: u32 = u32::MAX;
    let mut lengths: Vec<Vec<u32>> = shards.iter().map(|shard| vec![NEW; shard.prints.len()]).collect();
    let mut longest = 0;
    let mut path = Vec::new();
    for home in 0..shards.len() {
        for place in 0..u32::try_from(shards[home].prints.len()).unwrap() {
            let mut at = id(home, place);
            path.clear();
            let mut length = loop {
                let (shard, place) = (at as usize % THREADS, at as usize / THREADS);
                match lengths[shard][place] {
                    NEW => {}
                    OPEN => {
                        breaks.entry("it-ends").or_insert((at, None, "it goes on for ever".into(), 0)).3 += 1;
                        break 1;
                    }
                    known => break known,
                }
                lengths[shard][place] = OPEN;
                path.push(at);
                match shards[shard].fair[place] {
                    REST | UNKNOWN => break 0,
                    follows => at = follows,
                }
            };
            for at in path.iter().rev() {
                length += 1;
                lengths[*at as usize % THREADS][*at as usize / THREADS] = length;
            }
            longest = longest.max(length);
        }
    }
    longest
}

/// The moves that lead to a state, found by doing them again.
fn trace(shards: &[Shard], state: u32, first: &State, config: &Config, memory: &mut Memory<'_>) -> Vec<Move> {
    let mut prints = Vec::new();
    let mut at = state;
    loop {
        let (shard, place) = (&shards[at as usize % THREADS], at as usize / THREADS);
        prints.push(shard.prints[place]);
        match shard.parents[place] {
            REST => break,
            parent => at = parent,
        }
    }
    prints.pop();
    let mut state = *first;
    let mut trace = Vec::new();
    for print in prints.into_iter().rev() {
        let quiet = !matches!(fair::next(&state, config, memory), Fair::Move(_));
        let mut moves = Vec::new();
        state.moves(config, memory, quiet, &mut moves);
        let (mv, next) = moves
            .into_iter()
            .map(|mv| (mv, state.apply(mv, config, memory).state))
            .find(|(_, next)| next.fingerprint() == print)
            .expect("the same move leads to the same state");
        trace.push(mv);
        state = next;
    }
    trace
}
