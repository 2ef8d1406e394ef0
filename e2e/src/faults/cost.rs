//! What a plan costs: how long each of its phases takes, and which process uses how much of the processor.
//!
//! It judges nothing. A suite that has to end within minutes has to say where they go.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use super::lane::Shared;

/// Ticks of a second in `/proc`: a constant of the kernel's interface.
const TICKS: f64 = 100.0;

/// How long each phase of a run took, in their order.
#[derive(Debug, Clone)]
pub struct Phases {
    took: Vec<(&'static str, Duration)>,
    since: Instant,
}

impl Phases {
    /// The first phase begins.
    pub fn begin() -> Self {
        Self { took: Vec::new(), since: Instant::now() }
    }

    /// A phase has ended, and the next one begins.
    pub fn ended(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.took.push((phase, now - self.since));
        self.since = now;
    }

    /// The phases up to now.
    pub fn took(self) -> Vec<(&'static str, Duration)> {
        self.took
    }
}

/// Seconds of processor time that processes have used up to a moment.
#[derive(Debug, Clone, Default)]
pub struct Spent(BTreeMap<String, f64>);

impl Spent {
    /// Up to now: the cluster's components, this process, and those it has waited for, which are the operators and a few tools.
    pub fn now(shared: &Shared) -> Self {
        let parts = shared.cluster.components().into_iter().map(|(name, id, _)| (name, id.pid.to_string()));
        let parts = parts.chain([("kwok".to_owned(), shared.kwok.id().to_string())]);
        let mut spent: BTreeMap<String, f64> = parts.map(|(name, id)| (name, ticks(&id).0)).collect();
        let (own, waited_for) = ticks("self");
        spent.insert("the suite".to_owned(), own);
        spent.insert("operators".to_owned(), waited_for);
        Self(spent)
    }

    fn since(&self, before: &Self) -> BTreeMap<&str, f64> {
        let used = |(name, now): (&'_ String, &f64)| now - before.0.get(name).copied().unwrap_or(0.0);
        self.0.iter().map(|it| (it.0.as_str(), used(it))).collect()
    }
}

/// What a process has used, and what its children that it waited for have; nothing for one that is gone.
fn ticks(process: &str) -> (f64, f64) {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = fields.split_whitespace().skip(11).take(4).filter_map(|it| it.parse().ok()).collect();
    let sum = |from: usize| fields.iter().skip(from).take(2).sum::<f64>() / TICKS;
    (sum(0), sum(2))
}

/// The cost of several runs, told for one of them on average.
pub struct Cost<'a> {
    /// How long their phases took.
    pub phases: Vec<&'a [(&'static str, Duration)]>,
    /// What had been used before them, and after them.
    pub spent: (&'a Spent, &'a Spent),
}

impl fmt::Display for Cost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = u32::try_from(self.phases.len()).unwrap_or(u32::MAX);
        if runs == 0 {
            return f.write_str("nothing was played");
        }
        let mut order: Vec<(&str, f64)> = Vec::new();
        for (phase, took) in self.phases.iter().copied().flatten() {
            match order.iter_mut().find(|(known, _)| known == phase) {
                Some((_, sum)) => *sum += took.as_secs_f64(),
                None => order.push((phase, took.as_secs_f64())),
            }
        }
        let mean = |sum: f64| sum / f64::from(runs);
        let told = |(name, sum): (&str, f64)| format!("{name} {:.1}", mean(sum));
        let (before, after) = self.spent;
        let mut used: Vec<(&str, f64)> = after.since(before).into_iter().collect();
        used.sort_by(|a, b| b.1.total_cmp(&a.1));
        let cpu: f64 = used.iter().map(|(_, seconds)| seconds).sum();
        let wall: f64 = order.iter().map(|(_, seconds)| seconds).sum();
        let list = |of: Vec<(&str, f64)>| of.into_iter().map(told).collect::<Vec<_>>().join(", ");
        write!(f, "a run takes {:.1} s ({}), ", mean(wall), list(order))?;
        write!(f, "and {:.2} s of a processor ({})", mean(cpu), list(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_several_runs_is_told_for_one() {
        let spent = |etcd: f64| Spent(BTreeMap::from([("etcd".to_owned(), etcd), ("idle".to_owned(), 1.0)]));
        let (before, after) = (spent(1.0), spent(4.0));
        let run = [("deploy", Duration::from_secs(1)), ("rollout", Duration::from_secs(9))];
        let cost = Cost { phases: vec![&run, &run], spent: (&before, &after) };
        assert_eq!(
            cost.to_string(),
            "a run takes 10.0 s (deploy 1.0, rollout 9.0), and 1.50 s of a processor (etcd 1.5, idle 0.0)"
        );
    }

    #[test]
    fn this_process_has_used_something() {
        let begun = Instant::now();
        while ticks("self").0 == 0.0 && begun.elapsed() < Duration::from_secs(10) {}
        assert!(ticks("self").0 > 0.0);
    }
}
