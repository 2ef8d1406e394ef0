//! The cost of one decision, as the project's own micro-benchmark tells it.

use serde_json::Value;

use crate::lab::{Asked, LabError, cargo};

/// Runs it, optimised, and gives its one line of JSON.
pub fn decide() -> Result<Value, LabError> {
    let mut bench = cargo()?;
    bench.args(["bench", "--quiet", "-p", "securityhotfix", "--bench", "decide"]);
    let output = bench.output().asked(|| "running cargo bench".to_owned())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()?.get("decide_us").cloned());
    figures.ok_or_else(|| LabError::Unfit("the micro-benchmark told nothing".to_owned()))
}
