//! The operator's rights: it uses every one the chart grants and asks for no other, and each that is taken away is named,
//! costs few calls, harms nothing, and is all that was missing.

mod roles;
mod stories;
mod taker;

use std::collections::BTreeSet;
use std::time::Duration;

use hotfix_e2e::cluster::AuditRecord;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::world::{History, Kind, list, text};
use hotfix_e2e::lab::LabError;
use hotfix_e2e::rights::{Right, compare, granted};
use securityhotfix::api::rbac::Reach;
use serde_json::Value;

use roles::Roles;
use stories::{Played, Story};
use taker::{Taken, Taking, Told};

/// Lanes: the rights are shared out among five healthy rollouts; three lose them when traffic has moved, one fails twice, one
/// elects a leader.
pub const LANES: usize = SHARES + 5;
const SHARES: usize = 5;

/// The first delay after a refusal, cut by a half as the operator cuts it at most; each next one is twice as long.
const LEAST_DELAY: Duration = Duration::from_millis(125);

/// Refused calls of one look: one for each of two pods, and one by a watch, which tries again by itself about as often.
const REFUSED_OF_A_LOOK: usize = 3;

/// So often is the one right refused that shows that the calls grow fewer.
const OFTEN: usize = 7;

/// What shows that nothing hangs on a right: one that no run has used, each with its reason. Empty is how it should be.
const UNUSED: &[(&str, &str)] = &[];

pub async fn play(lanes: &[Lane<'_>]) -> Result<Vec<String>, LabError> {
    let stories = stories();
    let played = futures::future::join_all(lanes.iter().zip(&stories).map(async |(lane, story)| {
        let played = stories::play(lane, story).await;
        played.map(|played| (lane, played))
    }));
    let played: Vec<_> = played.await.into_iter().collect::<Result<_, _>>()?;
    let mut wrong = Vec::new();
    for (lane, played) in &played {
        let about = |what: &String| format!("{} ({}): {what}", lane.name, played.story);
        wrong.extend(played.violations.iter().map(about));
        wrong.extend(played.taken.iter().flat_map(judged).map(|what| about(&what)));
    }
    let taken: Vec<&Taken> = played.iter().flat_map(|(_, played)| &played.taken).collect();
    let records = lanes.first().map(|lane| lane.shared.cluster.audit().all()).transpose()?.unwrap_or_default();
    let (missing, unused) = used(lanes, &records);
    wrong.extend(missing.iter().map(|right| format!("asked for and not granted: {right}")));
    wrong.extend(unused.iter().map(|right| format!("granted and not used: {right}")));
    wrong.extend(
        UNUSED
            .iter()
            .filter(|(right, _)| !granted().iter().any(|it| it.to_string() == *right))
            .map(|(right, _)| format!("said to be unused and not granted: {right}")),
    );
    wrong.extend(untried(&taken).iter().map(|right| format!("never taken away: {right}")));
    let (pods, tokens) = check_pods(&played);
    wrong.extend(tokens);
    tell(&taken, &unused, pods);
    Ok(wrong)
}

/// Who plays what: every right but those of the election at its first use; the ones that move traffic once more when it has moved.
fn stories() -> Vec<Story> {
    let all: Vec<Right> = granted().into_iter().collect();
    let leads = |right: &&Right| matches!(right.reach(), Reach::Own | Reach::Lease);
    // Only a second event of one kind is a patch: that takes a second attempt.
    let again = |right: &&Right| right.resource == "events" && right.verb == "patch";
    // What is listed for a watch too is taken when that is open: before, nothing is looked at, and the log alone can tell.
    let first = |right: &Right| {
        let watched = right.verb == "list" && matches!(&*right.resource, "hotfixpolicies" | "securitychecks");
        Taking { right: right.clone(), after: watched.then_some("claim"), refusals: 1 }
    };
    let plain: Vec<&Right> = all.iter().filter(|right| !leads(right) && !again(right)).collect();
    let share = |nth: usize| plain.iter().skip(nth).step_by(SHARES).map(|right| first(right)).collect();
    let mut stories: Vec<Story> = (0..SHARES).map(|nth| Story::healthy(share(nth))).collect();
    let late = |reach: Reach, verb: &str, resource: &str, after: &'static str| {
        let found = all.iter().find(|it| it.reach() == reach && it.verb == verb && it.resource == resource);
        found.map(|right| Taking { after: Some(after), ..first(right) })
    };
    let work = |verb, resource, after| late(Reach::Workloads, verb, resource, after);
    let moved = [
        work("list", "pods", "switch web"),
        work("list", "endpointslices", "switch web"),
        late(Reach::Checks, "list", "jobs", "switch web"),
        work("patch", "securityhotfixes/status", "record converged"),
    ];
    let forward = [
        work("patch", "deployments", "record verified"),
        work("list", "services", "fold back web"),
        work("patch", "services", "fold back web"),
        work("patch", "pods/status", "seal web"),
        work("patch", "securityhotfixes", "record finished"),
    ];
    let back = [
        work("patch", "securityhotfixes/status", "switch web"),
        work("patch", "services", "record latch"),
        work("list", "pods", "record latch"),
        work("patch", "pods/status", "seal web"),
        work("delete", "deployments", "record returned"),
        work("get", "deployments", "record latch"),
    ];
    stories.push(Story::healthy(moved.into_iter().flatten().collect()));
    stories.push(Story::healthy(forward.into_iter().flatten().collect()));
    stories.push(Story::rolled_back(back.into_iter().flatten().collect()));
    let mut twice: Vec<Taking> = all.iter().filter(again).map(first).collect();
    twice.extend(work("list", "replicasets", "record staged").map(|taking| Taking { refusals: OFTEN, ..taking }));
    stories.push(Story::twice(twice));
    stories.push(Story::elected(all.iter().filter(leads).map(first).collect()));
    stories
}

/// What is wrong with how the operator took it that a right was away.
fn judged(taken: &Taken) -> Vec<String> {
    let Taken { taking, told, refused, wanted, may_be_logged, after_good_end, away, .. } = taken;
    let mut wrong = Vec::new();
    if *told == Told::Nowhere {
        wrong.push(format!("{taking} was away and nothing said so"));
    } else if *told == Told::Log && !may_be_logged && !after_good_end {
        wrong.push(format!("{taking} was away and no condition said so"));
    }
    let (least, most) = (*wanted, refused_at_most(*away));
    if !(least..=most).contains(refused) {
        let seconds = away.as_secs_f64();
        wrong.push(format!(
            "{taking} was away for {seconds:.1} s, and {refused} calls were refused, not {least} to {most}"
        ));
    }
    wrong
}

/// How many calls the operator's delays allow to be refused in that time. Its timers never end early, so that a machine that is
/// busy only makes it fewer.
fn refused_at_most(away: Duration) -> usize {
    let delays = (0..).map(|nth| LEAST_DELAY * 2_u32.pow(nth));
    let ends = delays.scan(Duration::ZERO, |end, delay| {
        *end += delay;
        Some(*end)
    });
    REFUSED_OF_A_LOOK * (1 + ends.take_while(|end| *end <= away).count())
}

/// What was asked for and not granted, and what is granted and was asked for by nobody and is not said to be so.
fn used(lanes: &[Lane<'_>], records: &[AuditRecord]) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let mut missing = BTreeSet::new();
    let mut unused = granted();
    for lane in lanes {
        let (checks, lease) = (format!("{}-checks", lane.name), Roles::lease(&lane.name));
        let rights = compare(records, &Roles::user(&lane.name), Roles::places(&checks, &lease));
        missing.extend(rights.missing);
        unused = unused.intersection(&rights.unused).cloned().collect();
    }
    unused.retain(|right| !UNUSED.iter().any(|(known, _)| *known == right.to_string()));
    (missing, unused)
}

fn untried(taken: &[&Taken]) -> Vec<Right> {
    let tried = |right: &Right| taken.iter().any(|it| it.right == *right);
    let known = |right: &Right| UNUSED.iter().any(|(known, _)| *known == right.to_string());
    granted().into_iter().filter(|right| !tried(right) && !known(right)).collect()
}

/// Every pod of a check, and what is wrong with it: it may have no token by which it could ask the API server for anything.
fn check_pods(played: &[(&Lane<'_>, Played)]) -> (usize, Vec<String>) {
    let pods = |history: &History| -> Vec<Value> {
        let of_jobs = |pod: &&Value| list(pod, "/metadata/ownerReferences").iter().any(|it| text(it, "/kind") == "Job");
        let pods = history.events.iter().filter(|event| event.kind == Kind::Pod).map(|event| &*event.object);
        pods.filter(of_jobs).cloned().collect()
    };
    let all: Vec<Value> = played.iter().flat_map(|(_, played)| pods(&played.history)).collect();
    let names: BTreeSet<String> = all.iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect();
    let has_token = |pod: &&Value| {
        let asks = pod.pointer("/spec/automountServiceAccountToken") != Some(&Value::Bool(false));
        let volumes = list(pod, "/spec/volumes").iter().flat_map(|volume| list(volume, "/projected/sources"));
        asks || volumes.into_iter().any(|source| source.get("serviceAccountToken").is_some())
    };
    let wrong = all.iter().filter(has_token).map(|pod| format!("a check has a token: {}", text(pod, "/metadata/name")));
    (names.len(), wrong.collect())
}

fn tell(taken: &[&Taken], unused: &BTreeSet<Right>, check_pods: usize) {
    for it in taken {
        let Taken { taking, told, refused, calls, away, .. } = it;
        let (seconds, most) = (away.as_secs_f64(), refused_at_most(*away));
        eprintln!("away {seconds:.1} s: {taking}: {told:?}, refused {refused} (at most {most}) of {calls} calls");
    }
    let told = |told: Told| taken.iter().filter(|it| it.told == told).count();
    let all = granted().len();
    println!(
        "rights: granted={all} used={} stated={} away={} in_conditions={} in_log={} silent={} refused_max={} check_pods={check_pods}",
        all - unused.len() - UNUSED.len(),
        UNUSED.len(),
        taken.len(),
        told(Told::Condition),
        told(Told::Log),
        told(Told::Nowhere),
        taken.iter().map(|it| it.refused).max().unwrap_or(0),
    );
}
