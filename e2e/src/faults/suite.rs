//! The whole suite: the ground, runs without a fault, then every plan on whichever lane is free, then the mutants.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::batch::grouped;
use super::cost::{Cost, Spent};
use super::ending;
use super::ground;
use super::lane::{Lane, Order, REQUEST_TIMEOUT, Reference, Run, Shared};
use super::mutant::Mutant;
use super::plan::{self, Part, Plan, Sites};
use super::report::{Killed, Summary, Violation};
use super::scenario::{self, Scenario};
use super::stand::stand;
use crate::cluster::ApiServer;
use crate::images::program;
use crate::lab::{Asked, Ground, LabError};

/// The cluster's name where `HOTFIX_CLUSTER_NAME` says no other.
const CLUSTER: &str = "faults";

/// Runs without a fault of each scenario: what differs between them is no fault's doing.
const REFERENCES: usize = 3;

/// A run without a fault that did not come about is tried so often: the machine may have been too busy.
const TRIES: usize = 2;

/// A plan by itself whose call does not come is tried so often: some looks come about by the clock, and not in every run.
const TRIES_ALONE: usize = 3;

/// What to play.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many plans; `None` for all there are.
    pub plans: Option<usize>,
    /// Only the plans of this part.
    pub part: Option<Part>,
    /// What the sample is drawn by.
    pub seed: u64,
    /// These plans in one run, and no others; a sample where there are none.
    pub only: Vec<Plan>,
    /// Lanes side by side.
    pub lanes: usize,
    /// Whether the mutants are played too.
    pub mutants: bool,
    /// Scenarios whose names contain one of these words; all where there are none.
    pub scenarios: Vec<String>,
    /// These faults only; all where there are none.
    pub faults: Vec<String>,
}

/// Plays it.
pub fn run(settings: &Settings) -> Result<Summary, LabError> {
    let operator = program("hotfix-operator").asked(|| "looking for the operator".to_owned())?;
    let api = ApiServer { audited: false, request_timeout: REQUEST_TIMEOUT };
    stand(CLUSTER, api, operator, Summary::is_good, async |shared, ground| play(settings, shared, ground).await)
}

async fn play(settings: &Settings, shared: &Shared, ground: &Ground) -> Result<Summary, LabError> {
    let mut lanes = Vec::new();
    for number in 1..=settings.lanes {
        let name = format!("lane-{number:02}");
        let operator = ground::install(ground, &shared.admin, &name).await?;
        lanes.push(Lane { shared, name, operator });
    }
    tell!("{} lanes on cluster {}; {}", lanes.len(), shared.cluster.name(), ground::images());

    let mut summary = Summary::default();
    let chosen = chosen(settings);
    let references = reference(&lanes, &chosen, &mut summary).await;
    let (plans, all) = plans(settings, &chosen, &summary.sites);
    let groups = if settings.only.is_empty() { grouped(&plans, &summary.sites) } else { vec![settings.only.clone()] };
    tell!("{} plans of {all}, in {} runs", plans.len(), groups.len());
    let played = side_by_side(&lanes, groups.into_iter().filter_map(order).collect(), &references).await;
    let (mut alone, apart) = sorted_out(played, &mut summary, false);
    for left in (0..TRIES_ALONE).rev() {
        if alone.is_empty() {
            break;
        }
        tell!("{} plans are played alone", alone.len());
        let orders = alone.iter().filter_map(|plan| order(vec![plan.clone()])).collect();
        let played = side_by_side(&lanes, orders, &references).await;
        (alone, _) = sorted_out(played, &mut summary, left == 0);
    }
    for violation in apart {
        let explained = |one: &Violation| violation.plan.split(';').any(|plan| plan == one.plan);
        if !summary.violations.iter().any(explained) {
            summary.violations.push(violation);
        }
    }
    if settings.mutants {
        summary.mutants = mutants(&lanes, &references).await;
    }
    Ok(summary)
}

fn order(plans: Vec<Plan>) -> Option<Order> {
    let scenario = scenario::named(&plans.first()?.scenario)?;
    Some(Order { scenario, plans, mutant: None })
}

/// Takes into the summary what runs have shown, and gives the plans that are to be played alone: those of a run that went wrong, and
/// those whose call never came, since what another fault changed may have been the reason, and those of a run that lost the API server. What went wrong in runs of several plans
/// is given beside; it counts unless one of the plans alone explains it. The `last` time a call that never came is wrong.
fn sorted_out(played: Vec<(Order, Run)>, summary: &mut Summary, last: bool) -> (Vec<Plan>, Vec<Violation>) {
    let (mut again, mut apart) = (Vec::new(), Vec::new());
    for (order, mut run) in played {
        summary.versions += run.versions;
        let missed = std::mem::take(&mut run.missed);
        if run.lost && !last {
            again.extend(order.plans);
            continue;
        }
        if order.plans.len() > 1 {
            if let Some(first) = run.violations.first() {
                apart.push(Violation { plan: told(&order), what: format!("only together: {first}") });
                again.extend(order.plans);
                continue;
            }
            again.extend(missed.iter().cloned());
        } else if !missed.is_empty() && run.violations.is_empty() && !last {
            again.extend(missed.iter().cloned());
        } else {
            run.violations.extend(missed.iter().map(|plan| format!("the call of {plan} never came")));
            note(summary, &order.plans.first().map_or_else(String::new, ToString::to_string), &run);
        }
        summary.played.extend(order.plans.into_iter().filter(|plan| !missed.contains(plan)));
    }
    (again, apart)
}

fn chosen(settings: &Settings) -> Vec<&'static Scenario> {
    let asked = |scenario: &&Scenario| match settings.only.first() {
        Some(plan) => plan.scenario == scenario.name,
        None => settings.scenarios.is_empty() || settings.scenarios.iter().any(|word| scenario.name.contains(&**word)),
    };
    scenario::ALL.iter().filter(asked).collect()
}

/// The plans to play, and how many there are that could be.
fn plans(settings: &Settings, chosen: &[&Scenario], sites: &BTreeMap<String, Sites>) -> (Vec<Plan>, usize) {
    if !settings.only.is_empty() {
        return (settings.only.clone(), settings.only.len());
    }
    let of = |scenario: &&Scenario| sites.get(scenario.name).map(|sites| sites.plans(scenario.name));
    let asked = |plan: &Plan| settings.faults.is_empty() || settings.faults.contains(&plan.fault.to_string());
    let mine = |plan: &Plan| settings.part.is_none_or(|part| plan.part(part.of) == part.which);
    let all: Vec<Plan> = chosen.iter().filter_map(of).flatten().filter(asked).filter(mine).collect();
    (plan::sample(&all, settings.plans.unwrap_or(usize::MAX), settings.seed), all.len())
}

/// Plays each scenario without a fault.
async fn reference(
    lanes: &[Lane<'_>],
    chosen: &[&'static Scenario],
    summary: &mut Summary,
) -> BTreeMap<String, Reference> {
    let orders = chosen
        .iter()
        .flat_map(|scenario| std::iter::repeat_n(Order { scenario, plans: Vec::new(), mutant: None }, REFERENCES));
    let runs = side_by_side(lanes, orders.collect(), &BTreeMap::new()).await;
    let mut found: BTreeMap<String, Reference> = BTreeMap::new();
    for scenario in chosen {
        let mut counts = None;
        let mut sites: Option<Sites> = None;
        let mut end = None;
        for (_, run) in runs.iter().filter(|(order, _)| order.scenario.name == scenario.name) {
            summary.versions += run.versions;
            note(summary, scenario.name, run);
            if let Some(end) = &end {
                for what in ending::differences("", end, &run.end) {
                    let what = format!("two runs without a fault end differently: {what}");
                    summary.violations.push(Violation { plan: scenario.name.to_owned(), what });
                }
            }
            end.get_or_insert_with(|| run.end.clone());
            ending::join(&mut counts, &run.writes);
            // What not every run does is no site: a plan could wait for it in vain.
            match &mut sites {
                None => sites = Some(run.sites.clone()),
                Some(sites) => {
                    sites.writes.retain(|site| run.sites.writes.contains(site));
                    sites.reads.retain(|site| run.sites.reads.contains(site));
                    sites.changed.retain(|site| run.sites.changed.contains(site));
                    sites.watches.retain(|site| run.sites.watches.contains(site));
                }
            }
        }
        let reference = Reference { end: end.unwrap_or_default(), counts: counts.unwrap_or_default() };
        found.insert(scenario.name.to_owned(), reference);
        summary.sites.insert(scenario.name.to_owned(), sites.unwrap_or_default());
    }
    found
}

/// Plays orders on whichever lane is free.
async fn side_by_side(
    lanes: &[Lane<'_>],
    orders: VecDeque<Order>,
    references: &BTreeMap<String, Reference>,
) -> Vec<(Order, Run)> {
    let (all, begun) = (orders.len(), Instant::now());
    let Some(shared) = lanes.first().map(|lane| lane.shared) else { return Vec::new() };
    let before = Spent::now(shared);
    let waiting = Arc::new(Mutex::new(orders));
    let done = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = lanes.iter().map(|lane| {
        let (next, done) = (&next, &done);
        async move {
            while let Some(order) = next() {
                let run = attempt(lane, &order, references.get(order.scenario.name)).await;
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((order, run));
                let (order, run) = &done[done.len() - 1];
                progress(lane, order, run, (done.len(), all), begun);
            }
        }
    });
    futures::future::join_all(work).await;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let after = Spent::now(shared);
    let phases = done.iter().map(|(_, run)| &*run.phases).collect();
    tell!("{all} runs in {} s: {}", begun.elapsed().as_secs(), Cost { phases, spent: (&before, &after) });
    done
}

async fn attempt(lane: &Lane<'_>, order: &Order, reference: Option<&Reference>) -> Run {
    let mut why = String::new();
    for _ in 0..TRIES {
        // On the heap: a run is a large future, and there are many side by side.
        match Box::pin(lane.play(order, reference)).await {
            Ok(run) => return run,
            Err(error) => why = error.to_string(),
        }
    }
    Run { violations: vec![format!("it could not be played: {why}")], ..Run::default() }
}

fn told(order: &Order) -> String {
    let plans = order.plans.iter().map(ToString::to_string).collect::<Vec<_>>().join(";");
    match (plans.is_empty(), order.mutant) {
        (false, Some(mutant)) => format!("{mutant:?} in {plans}"),
        (true, Some(mutant)) => format!("{mutant:?} in {}", order.scenario.name),
        (false, None) => plans,
        (true, None) => format!("{} without a fault", order.scenario.name),
    }
}

fn progress(lane: &Lane<'_>, order: &Order, run: &Run, (nth, all): (usize, usize), begun: Instant) {
    let well = match (run.violations.is_empty(), order.mutant.is_some()) {
        (true, false) => "ok",
        (true, true) => "LIVES",
        (false, true) => "killed",
        (false, false) => "VIOLATED",
    };
    let (took, total) =
        (run.phases.iter().map(|(_, took)| *took).sum::<Duration>().as_secs(), begun.elapsed().as_secs());
    tell!("{nth}/{all} ({total} s) {}: {} {well} in {took} s", lane.name, told(order));
    if order.mutant.is_none() && !run.violations.is_empty() {
        for what in &run.violations {
            tell!("    {what}");
        }
        tell!("    writes: {}", run.told.join(", "));
        if !order.plans.is_empty() {
            tell!("    again: make faults PLAN='{}'", told(order));
        }
        keep(lane, &told(order));
    }
}

/// Keeps the operator's log of a plan that went wrong.
fn keep(lane: &Lane<'_>, order: &str) {
    // A file's name may have 255 bytes.
    let plain: String =
        order.chars().take(200).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let folder = &lane.shared.folder;
    let kept = folder.join(format!("violated-{plain}.log"));
    if std::fs::copy(folder.join(format!("{}.log", lane.name)), &kept).is_ok() {
        tell!("    its operator said: {}", kept.display());
    }
}

fn note(summary: &mut Summary, plan: &str, run: &Run) {
    let violations = run.violations.iter().map(|what| Violation { plan: plan.to_owned(), what: what.clone() });
    summary.violations.extend(violations);
}

async fn mutants(lanes: &[Lane<'_>], references: &BTreeMap<String, Reference>) -> Vec<Killed> {
    let known = Mutant::ALL.into_iter().filter(|(_, scenario, _)| references.contains_key(*scenario));
    let orders = known.filter_map(|(mutant, name, plan)| {
        Some(Order {
            scenario: scenario::named(name)?,
            plans: plan.parse().into_iter().collect(),
            mutant: Some(mutant),
        })
    });
    let played = side_by_side(lanes, orders.collect(), references).await;
    let killed = |(order, run): (Order, Run)| {
        let plan = order.plans.first().map_or_else(|| order.scenario.name.to_owned(), ToString::to_string);
        Some(Killed { mutant: order.mutant?, plan, by: run.violations })
    };
    played.into_iter().filter_map(killed).collect()
}
