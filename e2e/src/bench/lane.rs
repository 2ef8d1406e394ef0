//! One lane: a namespace with its own workload, in which runs follow each other.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use securityhotfix::api::{SecurityHotfix, names};
use serde_json::json;
use tokio::sync::Mutex;

use super::figures::{Figures, Measure, between, milliseconds, stamp};
use super::trace::Trace;
use crate::app::{PORT, RED};
use crate::cluster::{AuditLog, Cluster};
use crate::http;
use crate::images::Published;
use crate::lab::{Asked, Ending, Handover, LabError, PolicyOptions, Scene, Workload, manifest};
use crate::load::{Ledger, Micros};

/// The Service, and the Deployment behind it.
const NAME: &str = "web";

/// Versions of the application.
const OLD: &str = "v1";
const NEW: &str = "v2";

/// Clients with a new connection for each request; together they ask every five milliseconds, which is what is known of the time
/// between two answers.
const CLIENTS: u16 = 4;
const RATE: u32 = 200;

/// So many answers of the candidate are waited for before it is made to fail.
const SERVED: u64 = 50;

/// After the traffic is back, what clients may still get is waited for so long: a kube-proxy sync and a half.
const AFTERWARDS: Duration = Duration::from_millis(1500);

/// How the check that is to find a sick candidate asks: five times a second, three bad answers in a row decide.
pub const DEEP_CHECK: &str = "
apiVersion: securityhotfix.dev/v1alpha1
kind: SecurityCheck
metadata: {name: bench-deep}
spec:
  http: {path: /deep, port: 8080, interval: 200ms, timeout: 1s, successes: 2, failures: 3}
";
const DECIDING: usize = 3;

/// How a candidate is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// It answers clients and stays ready; its deep health check says that something is wrong.
    Sick,
    /// Every process of every pod is killed.
    Dead,
}

/// A namespace with its workload.
pub struct Lane<'a> {
    scene: &'a Scene<'a>,
    cluster: &'a Cluster,
    audit: AuditLog,
    web: Workload,
    patched: Published,
    seconds: u32,
    alone: &'a Mutex<()>,
}

impl<'a> Lane<'a> {
    /// Deploys the workload; the analysis will be one check Job that takes so many seconds. Of the lanes that share `alone`
    /// one at a time moves traffic.
    pub async fn set(
        scene: &'a Scene<'a>,
        replicas: u32,
        seconds: u32,
        alone: &'a Mutex<()>,
    ) -> Result<Self, LabError> {
        let lab = scene.lab;
        let no_cluster = || LabError::Unfit("measured on a local cluster only, for its audit log".to_owned());
        let cluster = lab.cluster().ok_or_else(no_cluster)?;
        let (image, patched) = (lab.vulnerable().await?, lab.patched(NEW).await?);
        let replicas = replicas.to_string();
        let places =
            [("name", NAME), ("namespace", &*scene.namespace), ("replicas", &*replicas), ("image", image.as_str())];
        lab.apply(&manifest::fill(manifest::WEB, &places)).await?;
        scene.rolled_out(NAME).await?;
        let web = Workload { name: NAME.to_owned(), image };
        Ok(Self { scene, cluster, audit: cluster.audit(), web, patched, seconds, alone })
    }

    /// One run up to the end of the analysis; what follows is broken off.
    pub async fn until_analyzed(&self, name: &str, measure: Measure) -> Result<Figures, LabError> {
        self.policy("[]").await?;
        let mark = self.audit.mark()?;
        self.scene.hotfix(name, &self.web, &self.patched).await?;
        let analyzed = self.until(name, "the end of the analysis", |it| it.analyzed_at.is_some()).await?;
        let trace = Trace::new(self.audit.since(mark)?);
        let mut figures = Figures::default();
        self.checks(&mut figures, &trace, &analyzed, measure);
        self.over(name).await?;
        Ok(figures)
    }

    /// One run through the switch, whose candidate then fails so, and back. `offset` moves the failure within a second, so that
    /// runs do not fall into step with anything that ticks.
    pub async fn there_and_back(&self, name: &str, failing: Failing, offset: Duration) -> Result<Figures, LabError> {
        let scene = self.scene;
        // Of a dead candidate the operator is to hear from the kubelet alone: a check that asks it could be sooner.
        self.policy(if failing == Failing::Sick { "[{check: bench-deep}]" } else { "[]" }).await?;
        // Two rollouts at a time would wait for each other in kube-proxy, which rests for a second after each round.
        let alone = self.alone.lock().await;
        let mark = self.audit.mark()?;
        scene.hotfix(name, &self.web, &self.patched).await?;
        self.until(name, "the staging", |it| it.staged_at.is_some()).await?;
        let clients = scene.load(&self.web, CLIENTS, 0, RATE).await?;
        let serving = self.until(name, "the convergence", |it| it.converged_at.is_some()).await?;
        clients.wait_for("answers of the candidate", |seen| seen.answers(NEW) > SERVED).await?;
        tokio::time::sleep(offset).await;

        let pods = self.candidates(&serving).await?;
        let failed = Micros::now();
        match failing {
            Failing::Sick => self.sicken(&pods).await?,
            Failing::Dead => self.kill(&pods),
        }
        self.until(name, "the traffic being back", |it| it.drained_from.is_some()).await?;
        tokio::time::sleep(AFTERWARDS).await;
        let red = match failing {
            Failing::Sick => self.decided(&pods).await?,
            Failing::Dead => None,
        };
        let ledger = clients.stop().await?;
        drop(alone);
        scene.finished(name).await?;
        self.over(name).await?;

        let trace = Trace::new(self.audit.since(mark)?);
        let mut figures = Figures::default();
        self.checks(&mut figures, &trace, &serving, Measure::CheckOf5ToWrite);
        if let Some(mixed) = ledger.during(Micros(0)..failed).mixed(OLD, NEW) {
            figures.take(Measure::MixedAtLeast, milliseconds(mixed.at_least));
            figures.take(Measure::MixedAtMost, milliseconds(mixed.at_most));
        }
        match failing {
            Failing::Sick => {
                let missing = || LabError::Unfit("no pod logged the bad answer that decides".to_owned());
                self.sick(&mut figures, &trace, &ledger, red.ok_or_else(missing)?);
            }
            Failing::Dead => {
                let names = pods.iter().map(ResourceExt::name_any).collect();
                let unready = trace.unready(&scene.namespace, &names, stamp(failed));
                let missing = || LabError::Unfit("the pods were never unready together".to_owned());
                self.dead(&mut figures, &trace, &ledger.since(failed), stamp(failed), unready.ok_or_else(missing)?);
            }
        }
        Ok(figures)
    }

    /// One run up to the switch; then the leader is ended, and in the same breath a person ends the rollout: somebody has to lead
    /// before the traffic is back. `offset` moves the end within a second, as the leader renews its lease every second.
    pub async fn handed_over(&self, name: &str, how: Ending, offset: Duration) -> Result<Figures, LabError> {
        let (scene, lab) = (self.scene, self.scene.lab);
        self.policy("[]").await?;
        lab.all_stand_by(&scene.client).await?;
        let mark = self.audit.mark()?;
        scene.hotfix(name, &self.web, &self.patched).await?;
        self.until(name, "the convergence", |it| it.converged_at.is_some()).await?;
        tokio::time::sleep(offset).await;

        let leader = lab.leader(&scene.client).await?;
        let ended = lab.end_leader(&scene.client, &leader, how).await?;
        let word = json!({"metadata": {"annotations": {(names::ABORT): "1/measured"}}});
        scene.patch::<SecurityHotfix>(name, word).await?;
        lab.leader_but(&scene.client, &[&leader]).await?;
        scene.finished(name).await?;
        self.over(name).await?;

        let records = self.audit.since(mark)?;
        let missing = || LabError::Unfit("the handover is not in the audit log".to_owned());
        let seen = Handover::read(&records, &leader, ended).ok_or_else(missing)?;
        let back = Trace::new(records).service_written(&scene.namespace, NAME, ended).map(|back| back.stage_timestamp);
        let mut figures = Figures::default();
        let (nobody, writes, returns) = match how {
            Ending::Told => (Measure::ToldNobodyLeads, Measure::ToldToWrite, Measure::ToldToBack),
            Ending::Killed => (Measure::KilledNobodyLeads, Measure::KilledToWrite, Measure::KilledToBack),
        };
        figures.take(nobody, between(seen.last, seen.taken));
        if how == Ending::Killed {
            figures.take(Measure::KilledToLead, between(ended, seen.taken));
        }
        for (measure, at) in [(writes, seen.first), (returns, back)] {
            if let Some(at) = at {
                figures.take(measure, between(ended, at));
            }
        }
        Ok(figures)
    }

    fn checks(&self, figures: &mut Figures, trace: &Trace, hotfix: &SecurityHotfix, measure: Measure) {
        let uid = hotfix.uid().unwrap_or_default();
        for (gate, measure) in [("scan", Measure::ScanToWrite), ("analyze", measure)] {
            let Some((complete, job)) = trace.job_complete(&uid, gate) else { continue };
            if let Some(next) = trace.next_write(&self.scene.namespace, complete) {
                figures.take(measure, between(complete, next.request_received_timestamp));
            }
            if let Some(ended) = trace.pod_ended(job) {
                figures.take(Measure::PodEndToJobEnd, between(ended, complete));
            }
        }
    }

    fn sick(&self, figures: &mut Figures, trace: &Trace, ledger: &Ledger, red: Timestamp) {
        self.back(figures, trace, red, Measure::SickToWrite, Measure::SickToBack);
        let Some(last) = ledger.last_answer(NEW).map(stamp) else { return };
        figures.take(Measure::SickToLastAnswer, between(red, last));
        if let Some(back) = trace.service_written(&self.scene.namespace, NAME, red) {
            figures.take(Measure::SickBackToLastAnswer, between(back.stage_timestamp, last));
        }
    }

    fn dead(&self, figures: &mut Figures, trace: &Trace, ledger: &Ledger, killed: Timestamp, unready: Timestamp) {
        figures.take(Measure::DeathToUnready, between(killed, unready));
        self.back(figures, trace, unready, Measure::DeadToWrite, Measure::DeadToBack);
        if let Some(last) = ledger.failures().map(|lost| lost.received).max() {
            figures.take(Measure::DeadToLastLoss, between(unready, stamp(last)));
        }
        if let Some(last) = ledger.last_answer(NEW) {
            figures.take(Measure::DeadToLastAnswer, between(unready, stamp(last)));
        }
    }

    fn back(&self, figures: &mut Figures, trace: &Trace, from: Timestamp, write: Measure, back: Measure) {
        if let Some(next) = trace.next_write(&self.scene.namespace, from) {
            figures.take(write, between(from, next.request_received_timestamp));
        }
        if let Some(written) = trace.service_written(&self.scene.namespace, NAME, from) {
            figures.take(back, between(from, written.stage_timestamp));
        }
    }

    async fn policy(&self, verify: &str) -> Result<(), LabError> {
        let policy = PolicyOptions {
            analyze: format!("[{{check: smoke, args: {{path: /healthz, after: \"{}\"}}}}]", self.seconds),
            verify: verify.to_owned(),
            // Longer than a run: every run ends before its candidate is believed.
            soak: "10m".to_owned(),
            ..PolicyOptions::default()
        };
        self.scene.policy(&policy).await
    }

    async fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&securityhotfix::api::Attempt) -> bool,
    ) -> Result<SecurityHotfix, LabError> {
        let attempt = |hotfix: &SecurityHotfix| hotfix.status.as_ref()?.attempt.clone();
        let there = |hotfix: &SecurityHotfix| attempt(hotfix).is_some_and(|it| holds(&it) || it.finished_at.is_some());
        let found = self.scene.until(name, what, there).await?;
        if attempt(&found).is_some_and(|it| holds(&it)) {
            return Ok(found);
        }
        Err(LabError::Unfit(format!("{what} did not come: {}", crate::lab::told(&found))))
    }

    /// The candidate's pods.
    async fn candidates(&self, hotfix: &SecurityHotfix) -> Result<Vec<Pod>, LabError> {
        let number = hotfix.status.as_ref().and_then(|status| Some(status.attempt.as_ref()?.number)).unwrap_or(1);
        let slot = names::slot(&hotfix.uid().unwrap_or_default(), number);
        self.scene.pods(&format!("{}={slot}", names::SLOT)).await
    }

    async fn sicken(&self, pods: &[Pod]) -> Result<(), LabError> {
        for pod in pods {
            let ip: Option<IpAddr> = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
            let ip = ip.ok_or_else(|| LabError::Unfit(format!("pod {} has no address", pod.name_any())))?;
            let ordered = http::get(SocketAddr::new(ip, PORT), NAME, "/_fault/deep").await;
            ordered.map_err(|failure| LabError::Unfit(format!("the fault could not be ordered: {failure}")))?;
        }
        Ok(())
    }

    fn kill(&self, pods: &[Pod]) {
        let statuses = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()).flatten();
        for id in statuses.filter_map(|status| status.container_id.as_ref()) {
            self.cluster.kill_container(id);
        }
    }

    /// When the answer was given that decides: the first to be a pod's third bad one in a row.
    async fn decided(&self, pods: &[Pod]) -> Result<Option<Timestamp>, LabError> {
        let mut decided = Vec::new();
        for pod in pods {
            let args = ["logs", "--namespace", &self.scene.namespace, &pod.name_any()];
            let log = self.scene.lab.ground().kubectl(&args, None).await?;
            decided.extend(reds(&log).nth(DECIDING - 1));
        }
        Ok(decided.into_iter().min().map(stamp))
    }

    /// Removes the hotfix, so that the next can come.
    async fn over(&self, name: &str) -> Result<(), LabError> {
        let api: Api<SecurityHotfix> = self.scene.api();
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            other => other.map(drop).asked(|| format!("deleting {name}"))?,
        }
        self.scene.gone::<SecurityHotfix>(name).await
    }

    /// Leaves nothing of a run that went wrong in the way of the next.
    pub async fn clear(&self, name: &str) {
        if let Err(error) = self.over(name).await {
            tell!("{}/{name}: {error}", self.scene.namespace);
        }
    }
}

/// When an instance gave bad answers, as its log has it.
fn reds(log: &str) -> impl Iterator<Item = Micros> {
    log.lines().filter_map(|line| {
        let (seconds, micros) = line.strip_suffix(RED)?.trim_end().split_once('.')?;
        Some(Micros(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bad_answers_of_an_instance_are_read_from_its_log() {
        let log = format!("v2 listens on 0.0.0.0:8080\n{} {RED}\nDrained\n{} {RED}\n", Micros(1_000_002), Micros(3));
        assert_eq!(reds(&log).collect::<Vec<_>>(), [Micros(1_000_002), Micros(3)]);
    }
}
