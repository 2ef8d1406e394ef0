//! An explicit-state model checker over the shipped planner.
//!
//! See docs/explorer.md for what is explored, with which bounds, and what it has found.

pub mod act;
pub mod apply;
mod bits;
pub mod config;
pub mod controllers;
pub mod decided;
mod environment;
pub mod fair;
pub mod fingerprint;
pub mod intern;
pub mod laws;
mod look;
pub mod moves;
pub mod mutants;
pub mod names;
pub mod picture;
mod rest;
pub mod search;
pub mod server;
pub mod state;
pub mod story;
pub mod trace;
pub mod versions;
pub mod witness;
mod words;
pub mod worlds;
