//! An explicit-state model checker over the shipped planner.
//!
//! See docs/explorer.md for what is explored, with which bounds, and what it has found.

mod act;
mod bits;
pub mod config;
mod controllers;
mod decided;
mod environment;
mod fair;
pub mod intern;
pub mod laws;
mod moves;
pub mod mutants;
mod names;
mod picture;
mod rest;
pub mod search;
mod server;
mod state;
pub mod witness;
pub mod worlds;
