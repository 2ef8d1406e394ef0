//! One look at one hotfix: observe, decide, carry out, again and again on fresh reads until nothing is left to do.
//!
//! It decides in which order the rooms are entered and when to stop. What to do is `decide`'s matter alone, and what
//! happened is told by the next observation, never by memory.

use futures::StreamExt;
use jiff::Timestamp;
use tracing::{debug, info};

use super::complaint::Complaint;
use super::permit::Permit;
use super::trouble::Trouble;
use crate::effect::Effect;
use crate::observe::HotfixId;
use crate::plan::invariants::Violation;
use crate::plan::{Action, Decision, Note, Observed, Want};

/// How often one look may go round. A rollout has some 26 writes with waits in between, and a candidate of a thousand
/// pods takes 32 rounds to open; more than twice as many means that something undoes what is written.
const ROUNDS_MAX: u32 = 64;

/// How many conflicts in a row are met with a fresh read at once. Another writer is done after one or two; more is a
/// fight that deserves a pause.
const CONFLICTS_MAX: u32 = 5;

/// How many opens or closes are sent at a time: enough that a hundred pods take a fraction of a second, few enough
/// that the API server's share for one client is not used up.
const WRITES_AT_ONCE: usize = 16;

/// What a look needs from the rooms below.
pub trait Rooms: Send + Sync {
    /// Everything `decide` sees, read now; `None` when the hotfix is gone.
    fn observe(&self, id: &HotfixId) -> impl Future<Output = Result<Option<Observed>, Trouble>> + Send;
    /// Begins to find out what is wanted, in the background, and stops what is not wanted any more. The hotfix is
    /// triggered when something was found.
    fn gather(&self, id: &HotfixId, wants: &[Want]);
    /// Tells people in the conditions of the hotfix what keeps the operator from working; best effort. What cannot be written
    /// there is news too, the first time: an event still tells it.
    fn complain(&self, id: &HotfixId, complaint: &Complaint) -> impl Future<Output = News> + Send;
    /// Nothing keeps the operator from working. True when something did, so that the conditions have to be set right.
    fn settle(&self, id: &HotfixId) -> bool;
    /// The hotfix is gone: what is remembered of it may go too.
    fn forget(&self, uid: &str);
    /// Makes one write.
    fn carry_out(&self, id: &HotfixId, action: &Action) -> impl Future<Output = Result<Effect, Trouble>> + Send;
}

/// Whether people were told something they did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// They were.
    Told,
    /// They knew, or could not be told.
    None,
}

/// What a look tells whoever watches.
pub trait Witness: Send + Sync {
    /// This was seen.
    fn saw(&self, id: &HotfixId, observed: &Observed);
    /// This was written.
    fn wrote(&self, action: &Action);
    /// This is to be told to people.
    fn told(&self, id: &HotfixId, note: &Note);
}

/// The pure half.
#[derive(Clone, Copy)]
pub struct Mind {
    /// What is to be done.
    pub decide: fn(&Observed, Timestamp) -> Decision,
    /// Whether a write would break an invariant, and which.
    pub check: fn(&Observed, &Action) -> Result<(), Violation>,
    /// The time.
    pub now: fn() -> Timestamp,
}

/// How a look ended.
#[derive(Debug)]
pub enum End {
    /// The hotfix is gone.
    Gone,
    /// Nothing is left to do on this observation until the moment named, or until something happens.
    Idle(Box<Observed>, Option<Timestamp>),
    /// It went round as often as it may.
    Unfinished,
    /// The operator is to stop, or leads no more.
    Stopped,
}

/// Looks at one hotfix until nothing is left to do.
pub async fn turn(
    rooms: &impl Rooms,
    witness: &impl Witness,
    mind: Mind,
    permit: &Permit,
    id: &HotfixId,
) -> Result<End, Trouble> {
    let mut conflicts = 0;
    for _ in 0..ROUNDS_MAX {
        // Reading may be broken off at any time; a write that was begun is waited for.
        let observed = tokio::select! {
            biased;
            () = permit.stop().told() => return Ok(End::Stopped),
            observed = rooms.observe(id) => observed?,
        };
        let Some(observed) = observed else { return Ok(End::Gone) };
        witness.saw(id, &observed);
        let decision = (mind.decide)(&observed, (mind.now)());
        rooms.gather(id, &decision.wants);
        if decision.actions.is_empty() {
            return Ok(End::Idle(Box::new(observed), decision.wake));
        }
        match write(rooms, witness, mind, permit, (id, &observed), &decision.actions).await? {
            Written::NotLeading => return Ok(End::Stopped),
            Written::All => {
                conflicts = 0;
                for note in &decision.events {
                    witness.told(id, note);
                }
            }
            Written::Overtaken { action, taken } => {
                conflicts += 1;
                if conflicts >= CONFLICTS_MAX {
                    let contended = Trouble::Contended { action, times: conflicts };
                    return Err(taken.map_or(contended, Trouble::Refused));
                }
            }
        }
    }
    Ok(End::Unfinished)
}

enum Written {
    /// Everything was written, or needs no writing any more.
    All,
    /// The lead ran out before everything was.
    NotLeading,
    /// Something had changed before this could be written.
    Overtaken {
        /// The action's short name.
        action: &'static str,
        /// What is in its way, where its name is taken by what is not seen as this hotfix's.
        taken: Option<String>,
    },
}

/// Carries out the actions of one decision. One that fails does not keep the others from being sent: closing a pod
/// must not wait for another pod.
async fn write(
    rooms: &impl Rooms,
    witness: &impl Witness,
    mind: Mind,
    permit: &Permit,
    (id, observed): (&HotfixId, &Observed),
    actions: &[Action],
) -> Result<Written, Trouble> {
    for action in actions {
        (mind.check)(observed, action)
            .map_err(|broken| Trouble::Violation { action: action.name(), why: broken.to_string() })?;
    }
    let calls: Vec<_> = actions
        .iter()
        .map(|action| async move {
            // Asked when its turn has come: a thousand closes take longer than a moment.
            let answer = if permit.leads() { Some(rooms.carry_out(id, action).await) } else { None };
            (action, answer)
        })
        .collect();
    // In their order, so that the same trouble is told in the same words each time.
    let mut answers = futures::stream::iter(calls).buffered(WRITES_AT_ONCE);
    let mut written = Ok(Written::All);
    let mut all_begun = true;
    while let Some((action, answer)) = answers.next().await {
        let Some(answer) = answer else {
            info!(action = action.name(), "not written: this process leads no more");
            all_begun = false;
            continue;
        };
        match answer {
            Ok(Effect::Done) => witness.wrote(action),
            Ok(Effect::Gone) => info!(action = action.name(), "nothing was left to write to"),
            Ok(effect @ (Effect::Conflict | Effect::AlreadyExists)) => {
                debug!(action = action.name(), ?effect, "overtaken");
                if written.is_ok() {
                    let taken = action.makes().filter(|_| effect == Effect::AlreadyExists).map(in_the_way);
                    written = Ok(Written::Overtaken { action: action.name(), taken });
                }
            }
            Err(trouble) => written = Err(worse(written, trouble)),
        }
    }
    // Whatever became of the others is for the next leader to see.
    if all_begun { written } else { Ok(Written::NotLeading) }
}

/// What people are told of an object that is there each time it is to be made, and that no look finds: looks go by labels.
fn in_the_way(object: &serde_json::Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
    format!(
        "{} {} in namespace {} is to be made, exists, and lacks the labels of this hotfix; remove it or put them back",
        text("/kind"),
        text("/metadata/name"),
        text("/metadata/namespace")
    )
}

/// A refusal says more than a time-out, so it is what people are told.
fn worse(before: Result<Written, Trouble>, trouble: Trouble) -> Trouble {
    match before {
        Err(refused @ Trouble::Refused(_)) => refused,
        _ => trouble,
    }
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
