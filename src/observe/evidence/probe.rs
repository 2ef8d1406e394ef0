//! HTTP checks: each pod is asked at its own address, again and again while that is wanted.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::sync::Semaphore;
use tracing::warn;

use super::{Task, lock};
use crate::api::time::Moment;
use crate::api::{Gate, HttpCheck};
use crate::cluster::install_crypto;
use crate::gates::http::{Answer, MAX_BODY_BYTES, PODS_MAX, Streak, unsettled_max};
use crate::observe::{HotfixId, Wake};
use crate::plan::decision::Want;
use crate::plan::observed::Probe;

/// Questions on their way at a time, over all hotfixes: one socket and one small buffer each. More wait their turn.
const ON_THEIR_WAY_MAX: usize = 128;

/// Checks that are asked at a time for one hotfix: as many as its gates can name.
const SETS_MAX: usize = 32;

/// How long pods are still asked once nobody wants it. A decision that acts wants nothing for a moment; without this its
/// counts would begin anew each time.
const GRACE: Duration = Duration::from_secs(5);

/// The shortest pause between two rounds, whatever the check says: the API's own lower bound.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// Asks pods.
pub(super) struct Probes {
    wake: Wake,
    prober: Option<Prober>,
    sets: Mutex<HashMap<String, BTreeMap<Key, Set>>>,
}

#[derive(Clone)]
struct Prober {
    client: reqwest::Client,
    turns: Arc<Semaphore>,
    locate: Locate,
}

/// Where a pod at this address is asked; nowhere if it must not be.
type Locate = fn(&str, &HttpCheck) -> Option<Url>;

/// One check in one gate of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    attempt: i64,
    gate: Gate,
    check: (String, i64),
}

/// The pods that are asked for one check.
struct Set {
    http: HttpCheck,
    since: Moment,
    asked: Arc<Mutex<AskedOf>>,
    _task: Task,
}

/// What is asked for one check, and since when nobody wants it any more.
#[derive(Debug, Default)]
struct AskedOf {
    pods: BTreeMap<String, Asked>,
    unwanted_since: Option<Instant>,
}

impl AskedOf {
    /// True once nobody has wanted it for so long that it is over.
    fn is_over(&self, now: Instant) -> bool {
        self.unwanted_since.is_some_and(|since| now.duration_since(since) >= GRACE)
    }
}

/// One pod and what it has answered.
#[derive(Clone, Debug, Default)]
struct Asked {
    address: String,
    streak: Streak,
}

impl Probes {
    pub(super) fn new(wake: Wake) -> Self {
        Self::asking_at(url, wake)
    }

    fn asking_at(locate: Locate, wake: Wake) -> Self {
        install_crypto();
        let client = reqwest::Client::builder()
            // An answer is what the pod says, never what it points to.
            .redirect(Policy::none())
            .no_proxy()
            // Each question opens a connection, as each new client of the workload does.
            .pool_max_idle_per_host(0)
            .tls_certs_only([])
            .user_agent("securityhotfix")
            .build();
        let prober = client.inspect_err(|error| warn!(%error, "HTTP checks cannot be run")).ok().map(|client| Prober {
            client,
            turns: Arc::new(Semaphore::new(ON_THEIR_WAY_MAX)),
            locate,
        });
        Self { wake, prober, sets: Mutex::default() }
    }

    /// Asks exactly the pods that are wanted. Counts go on where the question and the pod's address are the same.
    pub(super) fn ask(&self, id: &HotfixId, wants: &[Want]) {
        let Some(prober) = &self.prober else { return };
        let mut all = lock(&self.sets);
        let mut old = all.remove(&id.uid).unwrap_or_default();
        let mut new = BTreeMap::new();
        let now = Instant::now();
        for want in wants.iter().take(SETS_MAX) {
            let Want::Probe { attempt, gate, check, http, pods } = want else { continue };
            let key = Key { attempt: *attempt, gate: *gate, check: check.clone() };
            // One that is over has no task any more.
            let same = |set: &Set| set.http == *http && !lock(&set.asked).is_over(now);
            let set = match old.remove(&key).filter(same) {
                Some(set) => set,
                None => self.begin(id, prober.clone(), http.clone()),
            };
            let mut asked = lock(&set.asked);
            retain(&mut asked.pods, pods);
            asked.unwanted_since = None;
            drop(asked);
            new.insert(key, set);
        }
        for (key, set) in old {
            let over = {
                let mut asked = lock(&set.asked);
                asked.unwanted_since.get_or_insert(now);
                asked.is_over(now)
            };
            if !over && new.len() < SETS_MAX {
                new.insert(key, set);
            }
        }
        if !new.is_empty() {
            all.insert(id.uid.clone(), new);
        }
    }

    /// What was answered up to now.
    pub(super) fn answers(&self, uid: &str) -> Vec<Probe> {
        let all = lock(&self.sets);
        let mut probes = Vec::new();
        for (key, set) in all.get(uid).into_iter().flatten() {
            let asked_of = lock(&set.asked);
            if asked_of.is_over(Instant::now()) {
                continue;
            }
            for (pod, asked) in &asked_of.pods {
                if asked.streak == Streak::default() {
                    continue;
                }
                probes.push(Probe {
                    attempt: key.attempt,
                    gate: key.gate,
                    check: key.check.clone(),
                    since: set.since,
                    pod: pod.clone(),
                    successes: asked.streak.successes,
                    failures: asked.streak.failures,
                    unsettled: asked.streak.unsettled,
                    last: asked.streak.last.clone(),
                });
            }
        }
        probes
    }

    pub(super) fn forget(&self, uid: &str) {
        lock(&self.sets).remove(uid);
    }

    fn begin(&self, id: &HotfixId, prober: Prober, http: HttpCheck) -> Set {
        let asked: Arc<Mutex<AskedOf>> = Arc::default();
        let round = Round {
            prober,
            http: http.clone(),
            asked: Arc::clone(&asked),
            wake: Arc::clone(&self.wake),
            id: id.clone(),
        };
        let task = tokio::spawn(round.again_and_again());
        Set { http, since: Moment::new(Timestamp::now()), asked, _task: Task(task.abort_handle()) }
    }
}

/// Takes on new pods, drops others, and begins anew with one that has another address.
fn retain(asked: &mut BTreeMap<String, Asked>, pods: &[(String, String)]) {
    let mut before = std::mem::take(asked);
    for (uid, address) in pods.iter().take(PODS_MAX) {
        let known = before.remove(uid).filter(|known| known.address == *address);
        let known = known.unwrap_or_else(|| Asked { address: address.clone(), streak: Streak::default() });
        asked.insert(uid.clone(), known);
    }
}

/// The asking of one set.
struct Round {
    prober: Prober,
    http: HttpCheck,
    asked: Arc<Mutex<AskedOf>>,
    wake: Wake,
    id: HotfixId,
}

impl Round {
    async fn again_and_again(self) {
        let mut beat = tokio::time::interval(self.http.interval.get().max(PAUSE_MIN));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let pods: Vec<(String, String)> = {
                let asked = lock(&self.asked);
                if asked.is_over(Instant::now()) {
                    return;
                }
                asked.pods.iter().map(|(uid, asked)| (uid.clone(), asked.address.clone())).collect()
            };
            join_all(pods.iter().map(|(uid, address)| self.once(uid, address))).await;
        }
    }

    /// Asks one pod once, and wakes the hotfix if the answer can matter.
    async fn once(&self, uid: &str, address: &str) {
        let Ok(_turn) = self.prober.turns.acquire().await else { return };
        let reply = match (self.prober.locate)(address, &self.http) {
            Some(url) => ask(&self.prober.client, url, self.http.timeout.get()).await,
            None => Reply::Unreachable,
        };
        let matters = {
            let mut asked = lock(&self.asked);
            // The pod may have been dropped, or have moved, meanwhile.
            let Some(asked) = asked.pods.get_mut(uid).filter(|asked| asked.address == address) else { return };
            let next = asked.streak.after(&self.http, &reply.answer());
            let matters = matters(&self.http, &asked.streak, &next);
            asked.streak = next;
            matters
        };
        if matters {
            (self.wake)(&self.id);
        }
    }
}

/// True where somebody must look: a pod fails once more or fails no longer, has answered well often enough, or has answered
/// often enough without a verdict.
fn matters(http: &HttpCheck, before: &Streak, after: &Streak) -> bool {
    let turned = (before.failures > 0) != (after.failures > 0);
    let fails_on = after.failures > 0 && after.failures <= http.failures;
    turned || fails_on || after.successes == http.successes || after.unsettled == unsettled_max(http)
}

/// An answer with the bytes it is judged by.
enum Reply {
    Response { status: u16, body: Vec<u8> },
    TimedOut,
    Unreachable,
}

impl Reply {
    fn answer(&self) -> Answer<'_> {
        match self {
            Self::Response { status, body } => Answer::Response { status: *status, body },
            Self::TimedOut => Answer::TimedOut,
            Self::Unreachable => Answer::Unreachable,
        }
    }
}

async fn ask(client: &reqwest::Client, url: Url, timeout: Duration) -> Reply {
    let asking = async {
        let mut response = client.get(url).send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < MAX_BODY_BYTES {
            let Some(chunk) = response.chunk().await? else { break };
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_BODY_BYTES);
        Ok::<_, reqwest::Error>(Reply::Response { status, body })
    };
    match tokio::time::timeout(timeout, asking).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => Reply::Unreachable,
        Err(_) => Reply::TimedOut,
    }
}

/// Where to ask: at the pod's own address and nowhere else, whatever the path says.
fn url(address: &str, http: &HttpCheck) -> Option<Url> {
    let ip: IpAddr = address.parse().ok()?;
    // A pod never has these; whoever could write such an address into a pod's status would have us ask ourselves, or
    // the metadata service of a cloud.
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local || !http.path.starts_with('/') {
        return None;
    }
    let host = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let url = Url::parse(&format!("http://{host}:{}{}", http.port, http.path)).ok()?;
    let same = url.host_str() == Some(host.as_str())
        && i32::from(url.port_or_known_default()?) == http.port
        && url.username().is_empty()
        && url.password().is_none();
    same.then_some(url)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
