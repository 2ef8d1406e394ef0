//! Gated blue-green rollouts of security hotfixes.
//!
//! One direction, observe -> decide -> effect; ARCHITECTURE.md is the map.

pub mod api;
pub mod check;
pub mod cluster;
pub mod controller;
pub mod effect;
pub mod findings;
pub mod gates;
pub mod observe;
pub mod plan;
pub mod report;
