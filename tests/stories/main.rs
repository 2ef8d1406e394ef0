//! Stories of rollouts, told by the shipped planner over a small world, and compared with files that read as prose.
//!
//! A story is an arrangement in a few lines and what people do meanwhile. Each is told once in the natural order, which is
//! what its golden file shows; then again in many orders drawn from a seed, and with an operator that forgets everything
//! after each of its writes: all of these must come to the same end. After every step every invariant and every law of the
//! world is checked.
//!
//! To accept a changed story: `INSTA_UPDATE=always cargo test -p securityhotfix --test stories`, and read the diff.

#[path = "../world/mod.rs"]
mod world;

mod chaos;
mod gates;
mod gone;
mod happy;
mod labels;
mod moments;
mod narrator;
mod order;
mod people;
mod refusals;
mod rollback;
mod story;
