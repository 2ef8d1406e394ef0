//! The fault suite: the real operator process against the real API server, with a proxy between them that lets calls go
//! wrong, and oracles that judge what an independent observer saw of the cluster.
//!
//! [`proxy`] carries, names and records calls; [`plan`] says which of them goes wrong and how; [`scenario`] what else happens;
//! [`laws`] and [`ending`] judge. [`lane`] plays a run, this module all of them side by side. `docs/faults.md` tells what it
//! found.

mod batch;
pub mod cost;
pub mod dice;
pub mod ending;
pub mod fault;
pub mod ground;
pub mod lane;
pub mod laws;
pub mod mutant;
pub mod name;
pub mod operator;
pub mod people;
pub mod plan;
pub mod proxy;
pub mod replies;
pub mod report;
pub mod scenario;
pub mod stand;
mod suite;
pub mod watcher;
pub mod world;

pub use suite::{Settings, run};
