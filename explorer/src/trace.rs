//! Traces that are kept: what an exploration found once, followed again by every test run.
//!
//! A file of `tests/traces/` says in which world it happens, which law it is about, which mutant brings the error back,
//! and the moves, which are the words of the `tell` command.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::config::Config;
use crate::decided::Memory;
use crate::fair::{self, Fair};
use crate::intern::Intern;
use crate::moves::Move;
use crate::mutants::{self, Mutant};
use crate::rest;
use crate::search::start;
use crate::state::State;
use crate::worlds;

/// Moves are written in lines no longer than this.
const WIDTH: usize = 110;
/// No fair run here is as long; one that is goes on for ever.
const RUN_MAX: usize = 2_000;

/// A trace with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What went wrong, in a few words.
    pub title: String,
    /// The world it happens in.
    pub world: String,
    /// The law or invariant that was broken.
    pub law: String,
    /// The mutant that breaks it again by these moves, where there is one.
    pub mutant: Option<String>,
    /// The moves.
    pub moves: Vec<String>,
}

/// What came of following a trace.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Laws that were broken on the way, or from some state of it, by name.
    pub broken: Vec<(&'static str, String)>,
    /// Moves that could not happen.
    pub skipped: usize,
}

impl Trace {
    /// Where traces are kept.
    #[must_use]
    pub fn directory() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces"))
    }

    /// A trace as it is written down.
    ///
    /// # Errors
    ///
    /// Says which line cannot be understood, or what is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut trace =
            Self { title: String::new(), world: String::new(), law: String::new(), mutant: None, moves: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(' ').ok_or_else(|| format!("not understood: {line}"))?;
            let value = value.trim();
            match key {
                "title" => trace.title = value.into(),
                "world" => trace.world = value.into(),
                "law" => trace.law = value.into(),
                "mutant" => trace.mutant = Some(value.into()),
                "moves" => trace.moves.extend(value.split_whitespace().map(str::to_owned)),
                _ => return Err(format!("not understood: {line}")),
            }
        }
        let missing = trace.title.is_empty() || trace.world.is_empty() || trace.law.is_empty();
        if missing { Err("a trace has a title, a world and a law".into()) } else { Ok(trace) }
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("title  {}\nworld  {}\nlaw    {}\n", self.title, self.world, self.law);
        if let Some(mutant) = &self.mutant {
            writeln!(text, "mutant {mutant}").expect("a String takes everything");
        }
        let mut line = String::new();
        for word in &self.moves {
            if !line.is_empty() && line.len() + word.len() >= WIDTH {
                writeln!(text, "moves {line}").expect("a String takes everything");
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        writeln!(text, "moves {line}").expect("a String takes everything");
        text
    }

    /// Follows it with this mutant, or [`mutants::NONE`], and looks from every state of it where the fair run ends. Moves
    /// that cannot happen are skipped: what is decided otherwise by now is written otherwise.
    ///
    /// # Panics
    ///
    /// When there is no world of its name.
    #[must_use]
    pub fn follow(&self, mutant: &Mutant) -> Followed {
        let world = worlds::named(&self.world).unwrap_or_else(|| panic!("there is no world {}", self.world));
        let config = &unbounded(world);
        let (intern, shared) = (Intern::default(), Mutex::default());
        let memory = &mut Memory::new(&shared, &intern, mutant);
        let mut state = start(config, memory);
        let mut followed = Followed::default();
        followed.broken.extend(run(state, config, memory));
        for word in &self.moves {
            let Some(mv) = can(&state, config, memory).into_iter().find(|mv| mv.to_string() == *word) else {
                followed.skipped += 1;
                continue;
            };
            let stepped = state.apply(mv, config, memory);
            followed.broken.extend(stepped.broken);
            state = stepped.state;
            followed.broken.extend(run(state, config, memory));
        }
        followed
    }
}

/// A world in which no budget bounds what goes wrong: a trace says itself what does.
#[must_use]
pub fn unbounded(config: &Config) -> Config {
    Config { faults: 9, moves: 9, ..*config }
}

/// What can happen in a state.
pub fn can(state: &State, config: &Config, memory: &mut Memory<'_>) -> Vec<Move> {
    let quiet = !matches!(fair::next(state, config, memory), Fair::Move(_));
    let mut moves = Vec::new();
    state.moves(config, memory, quiet, &mut moves);
    moves
}

/// What is broken on the fair run from a state, or where it ends.
fn run(mut state: State, config: &Config, memory: &mut Memory<'_>) -> Vec<(&'static str, String)> {
    let mut broken = Vec::new();
    for _ in 0..RUN_MAX {
        let (Fair::Move(mv) | Fair::Time(mv)) = fair::next(&state, config, memory) else {
            broken.extend(rest::wrong(&state, config));
            return broken;
        };
        let stepped = state.apply(mv, config, memory);
        broken.extend(stepped.broken);
        state = stepped.state;
    }
    broken.push(("it-ends", "it goes on for ever".into()));
    broken
}

/// Keeps a trace in a file of this name; gives its path.
///
/// # Errors
///
/// When the file cannot be written.
pub fn keep(name: &str, trace: &Trace) -> std::io::Result<PathBuf> {
    let path = Trace::directory().join(format!("{name}.trace"));
    std::fs::create_dir_all(Trace::directory())?;
    std::fs::write(&path, trace.text())?;
    Ok(path)
}

/// The mutant a trace names, or the planner as it is.
///
/// # Panics
///
/// When there is no mutant of that name.
#[must_use]
pub fn mutant_of(trace: &Trace) -> Option<&'static Mutant> {
    let name = trace.mutant.as_ref()?;
    Some(mutants::named(name).unwrap_or_else(|| panic!("there is no mutant {name}")))
}
