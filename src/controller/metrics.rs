//! What the operator counts, and how a scraper reads it.
//!
//! Every label comes from a fixed list, never from a name or a message, so the number of series is bounded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Looks at a hotfix, by how they ended.
    Reconciles,
    /// Looks that failed, by what is to be done about it.
    Errors,
    /// Writes to the API server, by action.
    Writes,
    /// Events, by what became of them.
    Events,
    /// Watches that broke, by kind.
    WatchErrors,
    /// Writes the operator refused itself because they would break an invariant, by action.
    Violations,
}

impl Counter {
    const ALL: [Self; 6] =
        [Self::Reconciles, Self::Errors, Self::Writes, Self::Events, Self::WatchErrors, Self::Violations];

    /// Name, label and help text, as they are scraped.
    const fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Reconciles => ("hotfix_reconciles_total", "result", "Looks at a hotfix."),
            Self::Errors => ("hotfix_reconcile_errors_total", "category", "Looks at a hotfix that failed."),
            Self::Writes => ("hotfix_writes_total", "action", "Writes to the API server that were made."),
            Self::Events => ("hotfix_events_total", "result", "Events for people."),
            Self::WatchErrors => ("hotfix_watch_errors_total", "kind", "Watches that broke and were begun anew."),
            Self::Violations => {
                ("hotfix_invariant_violations_total", "action", "Writes refused because they would break an invariant.")
            }
        }
    }
}

/// Upper bounds of the buckets of a look's length: from a look that found nothing to one at its time-out.
const BOUNDS_MS: [u64; 10] = [5, 10, 25, 50, 100, 250, 1_000, 5_000, 15_000, 60_000];

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Mutex<BTreeMap<(Counter, &'static str), u64>>,
    lengths: Mutex<Lengths>,
}

#[derive(Debug, Default)]
struct Lengths {
    buckets: [u64; BOUNDS_MS.len()],
    count: u64,
    seconds: f64,
}

/// What is not counted but read when a scraper asks.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Hotfixes by phase.
    pub phases: BTreeMap<String, usize>,
    /// Hotfixes that are left alone for a while because they failed.
    pub failing: usize,
    /// Watches that are open beside those that always are.
    pub watches: usize,
    /// Whether this process leads.
    pub leads: bool,
}

impl Metrics {
    /// One more of `counter` with this label.
    pub fn count(&self, counter: Counter, label: &'static str) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner).entry((counter, label)).or_default() += 1;
    }

    /// A look took this long.
    pub fn took(&self, length: Duration) {
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        for (bucket, bound) in lengths.buckets.iter_mut().zip(BOUNDS_MS) {
            *bucket += u64::from(length <= Duration::from_millis(bound));
        }
        lengths.count += 1;
        lengths.seconds += length.as_secs_f64();
    }

    /// Everything, in Prometheus's text format.
    pub fn text(&self, gauges: &Gauges) -> String {
        self.render(gauges).expect("writing to a String cannot fail")
    }

    fn render(&self, gauges: &Gauges) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for counter in Counter::ALL {
            let (name, label, help) = counter.told();
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter")?;
            for ((_, value), count) in counters.iter().filter(|((which, _), _)| *which == counter) {
                writeln!(text, "{name}{{{label}=\"{value}\"}} {count}")?;
            }
        }
        let name = "hotfix_reconcile_seconds";
        writeln!(text, "# HELP {name} How long looks at a hotfix took.\n# TYPE {name} histogram")?;
        let lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        for (bound, count) in BOUNDS_MS.iter().zip(lengths.buckets) {
            let bound = Duration::from_millis(*bound).as_secs_f64();
            writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}")?;
        }
        writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", lengths.count)?;
        writeln!(text, "{name}_sum {}\n{name}_count {}", lengths.seconds, lengths.count)?;
        let name = "hotfix_hotfixes";
        writeln!(text, "# HELP {name} Hotfixes by phase.\n# TYPE {name} gauge")?;
        for (phase, count) in &gauges.phases {
            writeln!(text, "{name}{{phase=\"{phase}\"}} {count}")?;
        }
        for (name, help, value) in [
            ("hotfix_failing", "Hotfixes left alone for a while because the last look failed.", gauges.failing),
            ("hotfix_scoped_watches", "Watches open for hotfixes under way.", gauges.watches),
            ("hotfix_leader", "Whether this process leads: 1 or 0.", usize::from(gauges.leads)),
        ] {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}")?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_documented() {
        let told = include_str!("../../docs/operating.md");
        let text = Metrics::default().text(&Gauges::default());
        for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
            assert!(told.contains(&format!("`{name}`")), "{name} is not in docs/operating.md");
        }
    }

    #[test]
    fn a_scraper_reads_what_was_counted() {
        let metrics = Metrics::default();
        metrics.count(Counter::Writes, "seal");
        metrics.count(Counter::Writes, "seal");
        metrics.count(Counter::Errors, "refused");
        metrics.took(Duration::from_millis(30));
        metrics.took(Duration::from_secs(100));
        let phases = BTreeMap::from([("Verifying".to_owned(), 2)]);
        insta::assert_snapshot!(metrics.text(&Gauges { phases, failing: 1, watches: 5, leads: true }));
    }
}
