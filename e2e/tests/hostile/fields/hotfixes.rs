//! Hotfixes that were let in although something about them is odd: all at once, each of a workload of its own, beside one
//! about which nothing is.

use std::time::{Duration, Instant};

use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::ground::policy_name;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::proxy::Ledger;
use hotfix_e2e::lab::LabError;
use serde_json::{Value, json};

use super::mutants::Mutant;
use super::world::{Field, Stand};
use super::{Ends, goods, told};

/// A rollout takes half a minute where it is alone; here a hundred begin at once.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long it is counted what those that wait cost.
const IDLE: Duration = Duration::from_secs(5);

/// How often at most. Policies and checks are everybody's: whenever another lane changes one, those that wait here look. A
/// loop would cost too much each time.
const WINDOWS: usize = 24;

/// Calls in that time for each that waits: a look is twenty calls, and one may fall into it.
const CALLS_MAX: usize = 25;

const CANARY: &str = "canary";

pub async fn play(lane: &Lane<'_>, mutants: &[Mutant]) -> Result<Ends, LabError> {
    let field = Field::open(lane).await?;
    field.choose(&policy_name("passes", "passes")).await?;
    let mut asked = Vec::new();
    for (nth, mutant) in mutants.iter().enumerate() {
        let name = format!("web-{nth}");
        field.deploy(&name).await?;
        asked.push((name.clone(), mutant, adapted(&mutant.object, &name)));
    }
    field.deploy(CANARY).await?;
    let mut ends = Ends::default();
    for (name, mutant, object) in &asked {
        if let Err(error) = field.asked(Deed::create(field.hotfixes(), object.clone())).await {
            ends.wrong
                .push(format!("{name} ({} {}) was let in by a dry run alone: {error}", mutant.field, mutant.what));
        }
    }
    field.asked(Deed::create(field.hotfixes(), goods::hotfix(CANARY, CANARY))).await?;

    let over = |stand: &Stand| matches!(stand, Stand::Over(_));
    let canary = field.until(CANARY, PATIENCE, over).await;
    if canary != Stand::Over("Remediated Remediated".to_owned()) {
        ends.wrong.push(format!("the hotfix beside them came no further than {canary:?}"));
    }
    let mut waiting = 0;
    for (name, mutant, object) in &asked {
        let suspended = object.pointer("/spec/suspend") == Some(&json!(true));
        let settled = |stand: &Stand| match stand {
            Stand::Over(_) | Stand::Stalled(_) => true,
            Stand::UnderWay(why) => suspended && why.ends_with("Suspended"),
            Stand::Unseen => false,
        };
        let about = told(None, mutant);
        match field.until(name, PATIENCE, settled).await {
            Stand::Over(how) => {
                eprintln!("{about}: {how}");
                ends.reconciled += 1;
            }
            Stand::UnderWay(why) if suspended && why.ends_with("Suspended") => {
                waiting += 1;
                ends.reconciled += 1;
            }
            Stand::Stalled(reason) => {
                eprintln!("{about}: stalled, {reason}");
                waiting += 1;
                *ends.stalled.entry(reason).or_default() += 1;
            }
            other => ends.wrong.push(format!("{about}: came no further than {other:?}")),
        }
    }
    quiet(&field).await;
    ends.wrong.extend(idle(&field, waiting).await);
    ends.wrong.extend(field.close().await);
    Ok(ends)
}

/// What those that wait cost, where it is too much.
async fn idle(field: &Field<'_>, waiting: usize) -> Option<String> {
    let mut costs = String::new();
    for _ in 0..WINDOWS {
        let (calls, wrote) = (field.proxy.ledger(Ledger::calls), field.proxy.ledger(Ledger::attempted));
        tokio::time::sleep(IDLE).await;
        let calls = field.proxy.ledger(Ledger::calls) - calls;
        let writes = field.proxy.ledger(Ledger::attempted) - wrote;
        costs = format!("{waiting} that wait cost {calls} calls and {writes} writes in {} s", IDLE.as_secs());
        if writes > 0 {
            break;
        }
        if calls <= CALLS_MAX * waiting + CALLS_MAX {
            return None;
        }
    }
    Some(costs)
}

/// One at rest looks once more 25 s after its end, since a write of it may come late; then it costs nothing.
const LAST_LOOK: Duration = Duration::from_secs(30);

/// Waits until those that came to their end have cleared up, and have looked for the last time.
async fn quiet(field: &Field<'_>) {
    let begun = Instant::now();
    let mut last = (Instant::now(), field.proxy.ledger(Ledger::attempted));
    while last.0.elapsed() < LAST_LOOK && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = field.proxy.ledger(Ledger::attempted);
        if now != last.1 {
            last = (Instant::now(), now);
        }
    }
}

/// The same of a workload of its own, under a name of its own, where these are not what is odd.
fn adapted(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["name"] = json!(name);
    if object.pointer("/spec/target/name") == Some(&json!("web")) {
        object["spec"]["target"]["name"] = json!(name);
    }
    object
}
