//! What a person sees: plain lines on standard error, one after the other, so that they read the same in a log.

use std::time::{Duration, Instant};

use securityhotfix::api::{Phase, Side, VerdictRecord, VerdictWord};

use super::{CLUSTER, Place, Summary};
use crate::cluster::Cluster;
use crate::load::Snapshot;

/// Where the lines go.
#[derive(Debug)]
pub struct Screen {
    begun: Instant,
}

impl Default for Screen {
    fn default() -> Self {
        Self { begun: Instant::now() }
    }
}

#[expect(clippy::unused_self, reason = "whoever has no screen cannot write on it")]
impl Screen {
    /// A new chapter.
    pub fn title(&self, title: &str) {
        tell!("\n== {title} ({})", clock(self.begun.elapsed()));
    }

    /// A paragraph.
    pub fn text(&self, text: &str) {
        tell!("{text}\n");
    }

    /// Something that happened, so long after the story began.
    pub(super) fn line(&self, at: Duration, what: &str, text: &str) {
        tell!("{}  {what:<12} {text}", clock(at));
    }

    /// A new phase.
    pub(super) fn phase(&self, at: Duration, phase: Phase, message: &str) {
        self.line(at, &format!("{phase:?}"), message);
    }

    /// A gate's verdict with its evidence.
    pub(super) fn verdict_of(&self, at: Duration, record: &VerdictRecord) {
        let word = match record.verdict {
            VerdictWord::Pass => "pass",
            VerdictWord::Fail => "FAIL",
            VerdictWord::Inconclusive => "inconclusive",
        };
        let gate = format!("{:?}", record.gate).to_lowercase();
        let subject = record.subject.as_deref().map_or_else(String::new, |subject| format!(" of {}", short(subject)));
        let evidence = record
            .evidence
            .as_deref()
            .map_or_else(String::new, |hash| format!(" [report sha256:{}]", hash.get(..12).unwrap_or(hash)));
        self.line(at, "", &format!("  {gate} gate, {}{subject}: {word}. {}{evidence}", record.check, record.message));
    }

    /// Where traffic goes, and what the clients have seen.
    pub(super) fn traffic(&self, at: Duration, traffic: Option<Side>, seen: &Snapshot) {
        let to = match traffic {
            Some(Side::Green) => "green",
            Some(Side::Moving) => "moving",
            Some(Side::Blue) | None => "blue",
        };
        let served: Vec<_> =
            seen.versions.iter().map(|(version, served)| format!("{version} {}", served.answers())).collect();
        self.line(at, "", &format!("  traffic: {to:<6} served: {:<24} lost: {}", served.join(", "), seen.failed));
    }

    /// The end.
    pub(super) fn verdict(&self, summary: &Summary) {
        let told = |told, yes: &str, no: &str| if told { yes.to_owned() } else { no.to_owned() };
        tell!("\n== {}", told(summary.is_as_told(), "Both stories ended as told", "NOT as told"));
        let seconds = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1} s"));
        tell!(
            "{} requests, {} lost. Remediated {} after `kubectl apply`; rolled back {} after the failure was seen.",
            summary.requests,
            summary.failed,
            seconds(summary.seconds_to_remediate),
            seconds(summary.seconds_to_roll_back),
        );
    }

    /// How to reach what was left up.
    pub(super) fn kept(&self, place: &Place) {
        tell!("\nEverything stays up. Look at it:");
        let prefix = match place {
            Place::OwnCluster => {
                CLUSTER.parse().map_or_else(|_| String::new(), |name| Cluster::command_line(&name, "exec") + " -- ")
            }
            Place::CurrentContext(_) => String::new(),
        };
        tell!("  {prefix}kubectl get shf,shfr -n {} -o wide", super::NAMESPACE);
        tell!("  {prefix}kubectl describe shf web-cve-2024-22195 -n {}", super::NAMESPACE);
        match place {
            Place::OwnCluster => tell!("Remove it: make down"),
            Place::CurrentContext(_) => {
                tell!(
                    "Remove it: kubectl delete namespace {}; helm uninstall hotfix-operator -n hotfix-system; \
                     kubectl delete namespace hotfix-system; \
                     kubectl delete crd securityhotfixes.securityhotfix.dev hotfixreports.securityhotfix.dev \
                     securitychecks.securityhotfix.dev hotfixpolicies.securityhotfix.dev",
                    super::NAMESPACE
                );
            }
        }
    }
}

/// A digest is told by its beginning.
fn short(subject: &str) -> &str {
    let digits = subject.find("sha256:").map_or(subject.len(), |at| at + "sha256:".len() + 12);
    subject.get(..digits).unwrap_or(subject)
}

fn clock(time: Duration) -> String {
    format!("{:>6.1} s", time.as_secs_f64())
}
