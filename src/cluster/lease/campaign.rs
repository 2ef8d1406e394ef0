//! Carries out what a candidate decides, and tells the process how it stands.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, DynamicObject, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::Value;
use tracing::{info, trace, warn};

use super::candidate::{Answer, Candidate, Lost, Source, Step, Write};
use super::leadership::{Announcer, View};
use super::record::{self, Record};
use crate::cluster::{CallError, send_within};

/// A watch in which nothing happens for so long is opened anew: a leader renews ten times in it, so either nobody leads, or
/// the connection is dead.
const SILENCE: Duration = Duration::from_secs(10);

/// How long to wait before a watch that ended or failed is opened again; until then the candidate looks by itself.
const REOPEN: Duration = Duration::from_secs(1);

/// How often the Lease is tried to be given up, when somebody touched it meanwhile.
const RELEASES_MAX: usize = 3;

/// Which Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// How a campaign ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to end. The Lease is free, or was not this candidate's.
    Released,
    /// It was told to end, and could not give up the Lease: it runs out.
    Kept,
    /// It led, and does not any more.
    Lost(Lost),
}

/// A name for this process that no other has, past or present: a pod keeps its name when its container is started anew, and
/// what the one before left behind must not look like one's own.
pub fn identity(pod: &str) -> String {
    // Each state has random keys of its own.
    let random = RandomState::new().hash_one((pod, std::process::id(), Timestamp::now()));
    format!("{pod}_{random:016x}")
}

/// Campaigns until the lead is lost, or until `leave` resolves: then it gives up the Lease.
///
/// `watching` has no time-out of its own; every call of `client` has one here.
pub async fn campaign(
    client: Client,
    watching: Client,
    place: Place,
    candidate: Candidate,
    announcer: Announcer,
    leave: impl Future<Output = ()>,
) -> End {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", place.namespace);
    let mut sights = pin!(sights(watching, &place));
    let mut leave = pin!(leave);
    let mut race = Race { client, path, name: place.name, candidate, announcer, trouble: None, told: View::default() };
    loop {
        race.announce();
        match race.candidate.step(Instant::now()) {
            Step::Stop(lost) => return End::Lost(lost),
            Step::Read => race.read().await,
            Step::Write(write) => race.write(write).await,
            Step::Wait(until) => {
                tokio::select! {
                    biased;
                    () = &mut leave => return race.release().await,
                    Some(seen) = sights.next() => race.candidate.saw(seen, Source::Watch, Instant::now()),
                    () = tokio::time::sleep_until(until.into()) => {}
                }
            }
        }
    }
}

struct Race {
    client: Client,
    path: String,
    name: String,
    candidate: Candidate,
    announcer: Announcer,
    trouble: Option<String>,
    told: View,
}

impl Race {
    /// Tells the process how it stands, and the log when that is news for a person.
    fn announce(&mut self) {
        let candidate = &self.candidate;
        let view = View {
            until: candidate.leads_until(),
            holder: candidate.holder().map(str::to_owned),
            trouble: self.trouble.clone(),
        };
        if view.until.is_some() && self.told.until.is_none() {
            info!(me = candidate.me(), "leads");
        } else if view.until.is_none() && view.holder != self.told.holder {
            info!(me = candidate.me(), leader = view.holder, "stands by");
        }
        if let Some(why) = view.trouble.as_ref().filter(|_| view.trouble != self.told.trouble) {
            warn!(why, "the lease cannot be read or written");
        }
        self.announcer.tell(view.clone());
        self.told = view;
    }

    /// How long a call may take: a leader that may not act any more has nothing to wait for.
    fn limit(&self) -> Duration {
        let call = self.candidate.times().call;
        let left = self.candidate.leads_until().map(|until| until.saturating_duration_since(Instant::now()));
        left.map_or(call, |left| left.min(call))
    }

    async fn read(&mut self) {
        let answer = send_within(&self.client, &record::read(&self.path, &self.name), self.limit()).await;
        let now = Instant::now();
        match answer {
            Ok(lease) => self.saw(Some(&lease), now),
            Err(error) if error.code() == 404 => self.saw(None, now),
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.candidate.failed(now);
            }
        }
    }

    fn saw(&mut self, lease: Option<&Value>, now: Instant) {
        self.trouble = None;
        self.candidate.saw(lease.map(Record::read), Source::Read, now);
    }

    async fn write(&mut self, write: Write) {
        let times = self.candidate.times();
        let now = Timestamp::now();
        let call = record::write(&self.path, &self.name, self.candidate.me(), times.announced(), &write, now);
        let limit = self.limit();
        // Taken before it is sent: from here on somebody else may see it.
        let sent = Instant::now();
        let answer = send_within(&self.client, &call, limit).await;
        self.trouble = answer.as_ref().err().filter(|error| !overtaken(error)).map(ToString::to_string);
        // Once a second when all is well: not worth a line.
        trace!(kind = ?write.kind, trouble = self.trouble, took_ms = sent.elapsed().as_millis(), "lease");
        let answer = match answer {
            Ok(lease) => Answer::Done(Record::read(&lease)),
            Err(error) if overtaken(&error) => Answer::Overtaken,
            Err(_) => Answer::Unknown,
        };
        self.candidate.wrote(write.kind, sent, answer, Instant::now());
    }

    async fn release(mut self) -> End {
        for _ in 0..RELEASES_MAX {
            let Some(write) = self.candidate.release(Instant::now()) else { break };
            self.write(write).await;
            self.announce();
            if self.candidate.leads_until().is_none() {
                return End::Released;
            }
            // Somebody touched it, or it is not known what became of it.
            self.read().await;
        }
        if self.candidate.leads_until().is_none() { End::Released } else { End::Kept }
    }
}

/// Whether an answer says that the Lease is another than was thought: changed, made or deleted by somebody.
fn overtaken(error: &CallError) -> bool {
    matches!(error.code(), 404 | 409)
}

/// The Lease as it changes; without an end. What it misses the candidate looks for by itself.
fn sights(client: Client, place: &Place) -> impl Stream<Item = Option<Record>> + use<> {
    // Raw, so that a time reads the same whether it was watched or asked for.
    let leases: Api<DynamicObject> = Api::namespaced_with(client, &place.namespace, &ApiResource::erase::<Lease>(&()));
    // The right to watch is given for this one name, and a request has a name by this selector only.
    let only = WatchParams::default().fields(&format!("metadata.name={}", place.name));
    let sights =
        futures::stream::unfold((leases, only, None, false), |(leases, only, mut open, mut broke)| async move {
            loop {
                let mut events = match open.take() {
                    Some(events) => events,
                    // Without a version it begins with what is there.
                    None => match leases.watch(&only, "").await {
                        Ok(events) => events.boxed(),
                        Err(error) => {
                            if !std::mem::replace(&mut broke, true) {
                                warn!(%error, "the lease cannot be watched; it is looked at every second and a half");
                            }
                            tokio::time::sleep(REOPEN).await;
                            continue;
                        }
                    },
                };
                let seen = match tokio::time::timeout(SILENCE, events.next()).await {
                    Ok(Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)))) => {
                        serde_json::to_value(&lease).map(|lease| Record::read(&lease)).ok()
                    }
                    Ok(Some(Ok(WatchEvent::Deleted(_)))) => None,
                    Ok(Some(Ok(WatchEvent::Bookmark(_)))) => {
                        open = Some(events);
                        continue;
                    }
                    Ok(Some(Ok(WatchEvent::Error(_)) | Err(_)) | None) => {
                        tokio::time::sleep(REOPEN).await;
                        continue;
                    }
                    Err(_silent) => continue,
                };
                return Some((seen, (leases, only, Some(events), false)));
            }
        });
    sights.boxed()
}

#[cfg(test)]
#[path = "campaign_tests.rs"]
mod tests;
