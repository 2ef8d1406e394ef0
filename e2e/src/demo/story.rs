//! One story: a hotfix is applied, watched until its end, and the clients are asked what they saw.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use securityhotfix::api::{ConditionType, Outcome, Phase, SecurityHotfix, Side};

use super::Screen;
use crate::images::Published;
use crate::lab::{Clients, Ground, LabError, PATIENCE, Scene, Workload, condition, is_finished, outcome};
use crate::load::Micros;

/// The clients ask this long before the hotfix comes, and after it is over.
const AROUND: Duration = Duration::from_secs(3);

/// How often the traffic is told while nothing else happens.
const TICK: Duration = Duration::from_secs(4);

/// A story to be played.
pub(super) struct Told<'a> {
    pub scene: &'a Scene<'a>,
    pub screen: &'a Screen,
    pub workload: &'a Workload,
    pub hotfix: &'a str,
    pub image: &'a Published,
    pub rate: u32,
}

/// How a story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Remediated,
    RolledBack,
    Otherwise,
}

/// What is known of a story afterwards.
pub(super) struct Account {
    pub ended: Ended,
    /// From the apply to the end.
    pub took: Duration,
    /// From the latch until no Service had the candidate any more.
    pub back_after: Option<Duration>,
    pub requests: u64,
    pub failed: u64,
    /// What of ours is still there.
    pub left: Vec<String>,
}

/// What was shown already.
#[derive(Default)]
struct Shown {
    phase: Option<Phase>,
    message: String,
    verdicts: usize,
    traffic: Option<Side>,
}

impl Told<'_> {
    pub(super) async fn play(&self) -> Result<Account, LabError> {
        let Self { scene, screen, workload, .. } = *self;
        let clients = scene.load(workload, 8, 8, self.rate).await?;
        clients.wait_for("answers of the running version", |seen| seen.requests > 100).await?;
        tokio::time::sleep(AROUND).await;

        screen.text(&format!("$ kubectl apply -f - # {}", self.hotfix));
        let begun = Instant::now();
        scene.hotfix(self.hotfix, workload, self.image).await?;
        let hotfix = self.watch(begun, &clients).await?;
        let took = begun.elapsed();
        tokio::time::sleep(AROUND).await;
        let left = match scene.nothing_left().await {
            Ok(()) => Vec::new(),
            Err(LabError::TimedOut { seen, .. }) => vec![seen],
            Err(other) => return Err(other),
        };
        let ledger = clients.stop().await?;

        let attempt = hotfix.status.as_ref().and_then(|status| status.attempt.as_ref());
        let latch = attempt.and_then(|attempt| attempt.latch.as_ref());
        let back = attempt.and_then(|attempt| attempt.drained_from);
        let back_after = latch.zip(back).map(|(latch, back)| back.since(latch.at));
        let ended = match outcome(&hotfix) {
            Some(Outcome::Remediated) => Ended::Remediated,
            Some(Outcome::RolledBack) => Ended::RolledBack,
            _ => Ended::Otherwise,
        };
        let total = ledger.total();
        let versions: Vec<_> = total.versions.keys().cloned().collect();
        screen.traffic(took, Some(Side::Blue), total);
        // Of a rollback the switch is told alone: what came before it was seen to fail.
        let until =
            latch.and_then(|latch| u64::try_from(latch.at.timestamp().as_microsecond()).ok()).unwrap_or(u64::MAX);
        if let [old, new] = &versions[..]
            && let Some(mixed) = ledger.during(Micros(0)..Micros(until)).mixed(old, new)
        {
            screen.line(took, "", &format!("  at the switch both versions answered new connections for {mixed}"));
        }
        let nothing = if left.is_empty() {
            "nothing of the operator's is left but the record: `kubectl get hotfixreports`".to_owned()
        } else {
            format!("LEFT BEHIND: {}", left.join("; "))
        };
        screen.line(took, "", &format!("  {nothing}"));
        Ok(Account { ended, took, back_after, requests: total.requests, failed: total.failed, left })
    }

    /// Tells what happens until the hotfix has come to its end.
    async fn watch(&self, begun: Instant, clients: &Clients<'_>) -> Result<SecurityHotfix, LabError> {
        let mut shown = Shown::default();
        let mut changes =
            pin!(watcher::watch_object(self.scene.api::<SecurityHotfix>(), self.hotfix).default_backoff());
        let mut tick = tokio::time::interval(TICK);
        tick.reset();
        loop {
            tokio::select! {
                change = changes.next() => {
                    let Some(Ok(Some(hotfix))) = change else { continue };
                    self.show(&mut shown, begun.elapsed(), &hotfix, clients);
                    tick.reset();
                    if is_finished(&hotfix) {
                        return Ok(hotfix);
                    }
                }
                _ = tick.tick() => self.screen.traffic(begun.elapsed(), shown.traffic, &clients.snapshot()),
            }
            if begun.elapsed() > PATIENCE * 2 {
                let seen = format!("{:?}: {}", shown.phase, shown.message);
                return Err(LabError::TimedOut { what: "the end of the story".to_owned(), waited: PATIENCE * 2, seen });
            }
        }
    }

    fn show(&self, shown: &mut Shown, at: Duration, hotfix: &SecurityHotfix, clients: &Clients<'_>) {
        let Some(status) = &hotfix.status else { return };
        let verdicts = status.attempt.as_ref().map_or(&[][..], |attempt| &attempt.verdicts);
        for verdict in verdicts.get(shown.verdicts..).unwrap_or_default() {
            self.screen.verdict_of(at, verdict);
        }
        shown.verdicts = verdicts.len();
        let message = condition(hotfix, ConditionType::Ready).map_or("", |ready| &ready.message);
        if let Some(phase) = status.phase.filter(|phase| Some(*phase) != shown.phase || message != shown.message) {
            self.screen.phase(at, phase, message);
            shown.phase = Some(phase);
            message.clone_into(&mut shown.message);
        }
        if status.traffic != shown.traffic {
            shown.traffic = status.traffic;
            self.screen.traffic(at, shown.traffic, &clients.snapshot());
        }
    }
}

/// The demonstration installs the operator and takes it away again, which must not happen to somebody's own.
pub(super) async fn refuse_a_taken_cluster(ground: &Ground) -> Result<(), LabError> {
    let definition = ["get", "crd", "securityhotfixes.securityhotfix.dev", "--ignore-not-found", "-o", "name"];
    if ground.kubectl(&definition, None).await?.trim().is_empty() {
        return Ok(());
    }
    let text = "this cluster has the operator's definitions already; the demonstration installs its own and takes them away \
                again, so it will not touch them. Uninstall them, or use another cluster";
    Err(LabError::Unfit(text.to_owned()))
}
