//! How a check's result leaves its pod unharmed.
//!
//! A check's pod has no API token and nobody it could answer to, so its only way out is its log: a line-oriented text
//! that a container runtime splits, a kubelet rotates, and into which every process of the pod can write. The runner
//! therefore keeps the check's output to itself, and prints it as one framed document; the operator reads exactly one
//! whole frame, or nothing. This module never decides what a report means.

pub mod frame;
mod runner;

pub use runner::{InstallError, install_runner, run_check};
