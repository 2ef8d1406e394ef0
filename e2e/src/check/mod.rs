//! The programs that run inside check Jobs of the demonstration and the suites.
//!
//! [`smoke`] is an honest test of an address. [`misbehave`] is what a gate must never mistake for a pass. None of
//! them knows the operator: they get what any check gets, environment and arguments.

pub mod misbehave;
pub mod smoke;
