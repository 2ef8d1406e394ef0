//! Takes rights away from a running operator, one at a time, each at the moment in which it is about to be used; watches what
//! the operator makes of it, and gives it back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hotfix_e2e::faults::proxy::{Ledger, Proxy};
use hotfix_e2e::faults::watcher::Watcher;
use hotfix_e2e::faults::world::{Kind, World, condition, list, text};
use hotfix_e2e::rights::{Right, cannot, needed, request};
use securityhotfix::api::rbac::Reach;
use tokio::sync::{OwnedMutexGuard, watch};

use super::roles::{Before, Roles};

/// How long a right stays away at least, so that a loop without pauses would show.
const AWAY: Duration = Duration::from_secs(3);

/// A right that nobody was refused by then, or nobody told of, never will be: the longest that the operator leaves a refusal
/// alone is a minute, and this is two of those.
const CAP: Duration = Duration::from_secs(120);

const LOOK: Duration = Duration::from_millis(50);

/// A right that is to be taken away.
#[derive(Clone, Debug)]
pub struct Taking {
    pub right: Right,
    /// Not before this write was made.
    pub after: Option<&'static str>,
    /// It stays away until so many calls were refused, beside that it was told.
    pub refusals: usize,
}

impl Taking {
    fn told(&self) -> String {
        self.after.map_or_else(|| self.right.to_string(), |after| format!("{} after {after}", self.right))
    }
}

/// Where the operator said what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// In a condition of a hotfix, with the right named.
    Condition,
    /// In its log alone.
    Log,
    /// Nowhere.
    Nowhere,
}

/// What came of one right that was away.
#[derive(Clone, Debug)]
pub struct Taken {
    pub taking: String,
    pub right: Right,
    /// Whether its lack may be told by the log alone.
    pub may_be_logged: bool,
    pub told: Told,
    /// Whether the hotfix had come to a good end, which no condition hides.
    pub after_good_end: bool,
    /// How often the API server refused a call meanwhile.
    pub refused: usize,
    /// How often it had to be.
    pub wanted: usize,
    /// All calls meanwhile, but for the watches.
    pub calls: usize,
    pub away: Duration,
}

/// Takes rights away from one lane's operator.
pub struct Taker {
    pub roles: Roles,
    pub watcher: Watcher,
    pub log: PathBuf,
    waiting: Mutex<Vec<Taking>>,
    done: Mutex<Vec<Taken>>,
    troubles: Mutex<Vec<String>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The right that is about to be away. Calls that need it wait meanwhile: one that came through could be the last.
    going: watch::Sender<Option<Right>>,
    proxy: OnceLock<Arc<Proxy>>,
}

impl Taker {
    pub fn new(roles: Roles, watcher: Watcher, log: PathBuf, takings: Vec<Taking>) -> Arc<Self> {
        Arc::new(Self {
            roles,
            watcher,
            log,
            waiting: Mutex::new(takings),
            done: Mutex::default(),
            troubles: Mutex::default(),
            turn: Arc::default(),
            going: watch::Sender::new(None),
            proxy: OnceLock::new(),
        })
    }

    /// The proxy whose calls are counted; it is made after what it calls.
    pub fn behind(&self, proxy: &Arc<Proxy>) {
        // A second one would be a mistake of the suite, and its calls would not be counted.
        let _ = self.proxy.set(Arc::clone(proxy));
    }

    /// What has not been taken, since it was never asked for.
    pub fn left(&self) -> Vec<String> {
        locked(&self.waiting).iter().map(Taking::told).collect()
    }

    pub fn done(&self) -> Vec<Taken> {
        locked(&self.done).clone()
    }

    pub fn troubles(&self) -> Vec<String> {
        locked(&self.troubles).clone()
    }

    /// Waits until no right is away.
    pub async fn whole(&self) {
        drop(self.turn.lock().await);
    }

    /// Before a call: if its right is to be taken away, it is, and the call is the first to be refused.
    pub async fn before(self: Arc<Self>, method: String, path: String, query: String, place: usize) {
        let (checks, lease) = (format!("{}-checks", self.roles.lane), Roles::lease(&self.roles.lane));
        let places = Roles::places(&checks, &lease);
        let Some(right) = request(&method, &path, &query).and_then(|(verb, it)| needed(verb, &it, places)) else {
            return;
        };
        // The sender lives as long as this does.
        let _ = self.going.subscribe().wait_for(|going| going.as_ref() != Some(&right)).await;
        if !self.wants(&right) {
            return;
        }
        // What tells people of another missing right must not wait for that right to be back.
        let of_hotfix = right.resource == "securityhotfixes" && right.verb == "get";
        let complains = of_hotfix || right.resource == "securityhotfixes/status";
        let turn = if complains {
            Arc::clone(&self.turn).try_lock_owned().ok()
        } else {
            Some(Arc::clone(&self.turn).lock_owned().await)
        };
        let Some(turn) = turn else { return };
        self.going.send_replace(Some(right.clone()));
        if let Some(taking) = self.next(&right) {
            Arc::clone(&self).take(taking, place, turn).await;
        }
        self.going.send_replace(None);
    }

    async fn take(self: Arc<Self>, taking: Taking, place: usize, turn: OwnedMutexGuard<()>) {
        let said = self.said().len();
        match self.roles.take(&taking.right).await {
            Ok(before) => drop(tokio::spawn(Arc::clone(&self).follow(taking, before, (place, said), turn))),
            Err(why) => locked(&self.troubles).push(why),
        }
    }

    fn wants(&self, right: &Right) -> bool {
        let made = |after: &str| self.ledger(|ledger| ledger.committed(after)) > 0;
        locked(&self.waiting).iter().any(|taking| taking.right == *right && taking.after.is_none_or(made))
    }

    fn next(&self, right: &Right) -> Option<Taking> {
        let made = |after: &str| self.ledger(|ledger| ledger.committed(after)) > 0;
        let mut waiting = locked(&self.waiting);
        let place = waiting.iter().position(|it| it.right == *right && it.after.is_none_or(made))?;
        Some(waiting.remove(place))
    }

    async fn follow(self: Arc<Self>, taking: Taking, before: Before, from: (usize, usize), turn: OwnedMutexGuard<()>) {
        let (place, said) = from;
        // The call itself may have waited for long, and others were refused then for want of another right.
        let from = self.ledger(Ledger::calls);
        let begun = Instant::now();
        let mut told = Told::Nowhere;
        let told_enough = |told| match told {
            Told::Condition => true,
            Told::Log => is_told_by_the_log(&taking) || self.has_ended_well(),
            Told::Nowhere => false,
        };
        let refused = || self.ledger(|it| it.answered_with(403, from) + usize::from(it.is_answered_with(403, place)));
        let enough = |told| begun.elapsed() >= AWAY && refused() >= taking.refusals && told_enough(told);
        while !enough(told) && begun.elapsed() < CAP {
            if told != Told::Condition && self.is_in_a_condition(&taking.right) {
                told = Told::Condition;
            } else if told == Told::Nowhere && names(self.said().get(said..).unwrap_or_default(), &taking.right) {
                told = Told::Log;
            }
            tokio::time::sleep(LOOK).await;
        }
        let taken = Taken {
            taking: taking.told(),
            told,
            after_good_end: self.has_ended_well(),
            refused: refused(),
            wanted: taking.refusals,
            calls: self.ledger(Ledger::calls) - from,
            may_be_logged: is_told_by_the_log(&taking),
            // Read after what was refused: no refusal is held against a shorter time than it had.
            away: begun.elapsed(),
            right: taking.right.clone(),
        };
        let mut back = self.roles.give_back(&taken.right, before).await;
        // Where it was refused often it is to go on by itself, within the minute it leaves a refusal alone; the others would
        // only take longer.
        if back.is_ok() && taking.refusals == 1 {
            back = self.roles.nudge().await;
        }
        if let Err(why) = back {
            locked(&self.troubles).push(why);
        }
        locked(&self.done).push(taken);
        drop(turn);
    }

    fn is_in_a_condition(&self, right: &Right) -> bool {
        self.watcher.look(&self.roles.lane, |world| {
            let conditions = world.all(Kind::Hotfix).flat_map(|hotfix| list(hotfix, "/status/conditions"));
            let mut stalled = conditions.filter(|it| text(it, "/type") == "Stalled" && text(it, "/status") == "True");
            stalled.any(|it| names(text(it, "/message"), right))
        })
    }

    fn has_ended_well(&self) -> bool {
        let well = |world: &World| world.all(Kind::Hotfix).any(|hotfix| condition(hotfix, "Ready") == "True");
        self.watcher.look(&self.roles.lane, well)
    }

    fn said(&self) -> String {
        // Lines of JSON: what is quoted in a message is escaped.
        std::fs::read_to_string(&self.log).unwrap_or_default().replace('\\', "")
    }

    fn ledger<T: Default>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        self.proxy.get().map(|proxy| proxy.ledger(look)).unwrap_or_default()
    }
}

/// Rights whose lack no condition can tell or need not: what tells is itself missing, or nothing waits for it. Those of watches
/// slow a rollout down, those of events spare people a copy of the conditions, and who does not lead writes no conditions. When
/// traffic may have moved, a look goes on without the evidence it may not read, and says so in the log.
fn is_told_by_the_log(taking: &Taking) -> bool {
    let Taking { right, after, .. } = taking;
    let hotfixes = right.resource.starts_with("securityhotfixes");
    let tells = hotfixes && matches!(&*right.verb, "get" | "list") || right.resource == "securityhotfixes/status";
    // Deployments are listed for their watch alone.
    let watches = right.verb == "watch" || right.verb == "list" && right.resource == "deployments";
    let evidence = right.resource == "jobs" && right.verb == "list" && after.is_some();
    let leads = matches!(right.reach(), Reach::Own | Reach::Lease);
    tells || watches || evidence || leads || right.resource == "events"
}

/// Whether a text says that this right is missing, in the API server's words.
fn names(text: &str, right: &Right) -> bool {
    text.contains(&cannot(&right.verb, &right.resource, &right.group))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
