//! The local cluster, the workload and the suites on it.

/// A line on standard error for the person who waits, shown at once also inside a test, whose output is otherwise held back.
macro_rules! tell {
    ($($line:tt)*) => {{
        // A standard error that is gone is no reason to stop.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($line)*)));
    }};
}

pub mod app;
pub mod bench;
pub mod check;
pub mod cluster;
pub mod deed;
pub mod demo;
pub mod digest;
pub mod faults;
pub mod http;
pub mod images;
pub mod lab;
pub mod load;
mod outside;
pub mod packages;
pub mod rights;
pub mod tools;
