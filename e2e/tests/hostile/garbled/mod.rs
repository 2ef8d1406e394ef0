//! Everything the operator reads of other objects is changed under it in each phase: it notices, or it does not matter.

mod administrator;
mod garbles;
mod play;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use hotfix_e2e::faults::ending;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::scenario::HOTFIX;
use hotfix_e2e::lab::LabError;
use serde_json::Value;

use super::{chosen, setting};
use garbles::{GARBLES, Garble};
use play::{Played, locked};

pub const LANES: usize = 10;

type Order = Option<(Garble, &'static str)>;

/// Plays every change once, in one of the phases it makes sense in, each in another; with `ALL=1` in all of them.
pub async fn play(lanes: &[Lane<'_>]) -> Result<Vec<String>, LabError> {
    let orders = Mutex::new(orders());
    let done = Mutex::new(Vec::new());
    let all = locked(&orders).len();
    for lane in lanes {
        play::prepare(lane).await?;
    }
    let played = futures::future::join_all(lanes.iter().map(async |lane| {
        let next = || locked(&orders).pop_front();
        while let Some(order) = next() {
            let played = play::one(lane, order).await?;
            let mut done = locked(&done);
            done.push((order, played));
            if let Some((order, played)) = done.last() {
                eprintln!("{}/{all} {}: {}: {}", done.len(), lane.name, told(order), played.outcome);
                for what in &played.wrong {
                    eprintln!("    {what}");
                }
            }
        }
        Ok::<(), LabError>(())
    }));
    played.await.into_iter().collect::<Result<Vec<()>, LabError>>()?;
    let done = std::mem::take(&mut *locked(&done));
    Ok(judged(&done))
}

/// The changes in the phases they are played in, the untouched run first.
fn orders() -> VecDeque<Order> {
    let all = setting("ALL").is_some();
    let orders = GARBLES.iter().enumerate().flat_map(|(nth, garble)| {
        let place = nth % garble.phases.len();
        let phases = garble.phases.iter().enumerate().filter(move |(at, _)| all || *at == place);
        phases.map(move |(_, phase)| Some((*garble, *phase)))
    });
    std::iter::once(None).chain(chosen(orders.collect(), told)).collect()
}

fn told(order: &Order) -> String {
    match order {
        None => "nothing".to_owned(),
        Some((garble, phase)) => format!("{:?}: {} after {phase}", garble.on, garble.name),
    }
}

/// The end but for the record that a selector was set again, and whether there was one.
fn without_setting_again(end: &Value) -> (Value, bool) {
    let mut end = end.clone();
    let milestones = end.pointer_mut(&format!("/hotfixes/{HOTFIX}/has")).and_then(Value::as_array_mut);
    let set_again = milestones.is_some_and(|milestones| {
        let before = milestones.len();
        milestones.retain(|it| it != "reassert");
        milestones.len() < before
    });
    (end, set_again)
}

fn judged(done: &[(Order, Played)]) -> Vec<String> {
    let untouched = done.iter().find(|(order, _)| order.is_none()).map(|(_, played)| played);
    let mut wrong = Vec::new();
    let mut table: BTreeMap<String, BTreeMap<&str, String>> = BTreeMap::new();
    let (mut harmless, mut detected) = (0, 0);
    for (order, played) in done {
        wrong.extend(played.wrong.iter().map(|what| format!("{}: {what}", told(order))));
        let Some((garble, phase)) = order else { continue };
        let (end, set_again) = without_setting_again(&played.end);
        let differs = untouched.map(|it| ending::differences("", &it.end, &end)).unwrap_or_default();
        let outcome = match (played.outcome.as_str(), differs.is_empty()) {
            ("Remediated", true) if set_again => "set again, as is on record, then Remediated".to_owned(),
            ("Remediated", true) => "as untouched".to_owned(),
            ("Remediated", false) => {
                let outcome = format!("Remediated, but {}", differs.join("; "));
                wrong.push(format!("{}: {outcome}", told(order)));
                outcome
            }
            (other, _) => other.to_owned(),
        };
        if outcome == "as untouched" {
            harmless += 1;
        } else {
            detected += 1;
        }
        table.entry(format!("{:?}: {}", garble.on, garble.name)).or_default().insert(phase, outcome);
    }
    println!("| changed | after | it ended |\n|---|---|---|");
    for (changed, phases) in &table {
        for (phase, outcome) in phases {
            println!("| {changed} | {phase} | {outcome} |");
        }
    }
    println!(
        "garbled: changes={} plays={} harmless={harmless} noticed={detected} wrong={}",
        GARBLES.len(),
        done.len(),
        wrong.len()
    );
    wrong
}
