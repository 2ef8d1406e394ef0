//! The local cluster, the workload and the suites on it.

pub mod app;
pub mod check;
pub mod cluster;
pub mod digest;
pub mod http;
pub mod images;
pub mod packages;
pub mod tools;
