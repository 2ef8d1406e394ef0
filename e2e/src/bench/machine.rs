//! The machine the figures were taken on, in a line, and what else kept it busy.

use std::fmt;
use std::fs;

use serde::Serialize;

/// What the figures depend on beside the operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Processor cores.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
        let kib: u64 = total.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores, {} GiB, Linux {}", self.cores, self.memory_gib, self.kernel)
    }
}

/// How many processes wanted a core, on average over the last minute; what this cluster itself did is among them.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
