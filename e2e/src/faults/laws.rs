//! What must be true of the cluster at every version, whatever the operator thinks: judged from what an independent observer saw,
//! change by change, in the order in which things were written.

mod attempt;
mod candidate;
mod services;
mod traffic;

use serde_json::Value;

use super::scenario::{Scenario, WORKLOAD};
use super::world::{Event, History, Kind, World, list, text};
use securityhotfix::api::names;

pub use traffic::sides;

/// What a history is judged by.
pub struct Facts<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The workload as its owner wrote it.
    pub blue: Value,
    /// The Services as their owner wrote them.
    pub services: Vec<Value>,
}

impl<'a> Facts<'a> {
    /// Of this world, before anybody asks for a hotfix.
    pub fn of(scenario: &'a Scenario, world: &World) -> Self {
        Self {
            scenario,
            blue: world.get(Kind::Deployment, WORKLOAD).cloned().unwrap_or_default(),
            services: world.all(Kind::Service).cloned().collect(),
        }
    }
}

/// One change, with what there was before and after it.
pub(super) struct Change<'a> {
    event: &'a Event,
    before: &'a World,
    after: &'a World,
    facts: &'a Facts<'a>,
    memory: &'a Memory,
}

/// What has to be remembered of the changes before.
#[derive(Default)]
pub(super) struct Memory {
    /// Whether every Service reached the candidate and nothing else at some version up to now.
    converged: bool,
}

type Law = fn(&Change<'_>) -> Option<String>;

/// Every law, by name.
const ALL: &[(&str, Law)] = &[
    ("traffic-has-an-endpoint", traffic::has_an_endpoint),
    ("no-traffic-before-the-gates", traffic::passed_the_gates),
    ("no-traffic-to-an-ungated-digest", traffic::is_of_a_gated_digest),
    ("selectors-are-the-owners", services::selectors_are_the_owners),
    ("hold-before-switch", services::hold_before_switch),
    ("no-switch-after-the-return", services::no_switch_after_the_return),
    ("marks-go-only-when-sealed", services::marks_go_only_when_sealed),
    ("nothing-left-when-the-finalizer-goes", services::nothing_left_when_the_finalizer_goes),
    ("no-candidate-before-the-scan", candidate::not_before_the_scan),
    ("green-is-nobodys-when-it-serves", candidate::is_nobodys_when_it_serves),
    ("latch-before-destruction", candidate::latch_before_destruction),
    ("closed-before-destruction", candidate::closed_before_destruction),
    ("only-announced-pods-open", candidate::only_announced_pods_open),
    ("one-claim", candidate::one_claim),
    ("blue-untouched-before-verified", candidate::blue_untouched_before_verified),
    ("fold-back-changes-images-only", candidate::fold_back_changes_images_only),
    ("milestones-only-grow", attempt::milestones_only_grow),
    ("the-latch-is-for-good", attempt::the_latch_is_for_good),
    ("remediated-means-gone", attempt::remediated_means_gone),
    ("converged-means-converged", attempt::converged_means_converged),
    ("gates-have-evidence", attempt::gates_have_evidence),
    ("conditions-are-true", attempt::conditions_are_true),
    ("finished-is-for-good", attempt::finished_is_for_good),
];

/// How many laws there are.
pub const COUNT: usize = ALL.len();

/// What of a history breaks a law; each law once, with the version at which it was broken first.
pub fn broken(history: &History, facts: &Facts<'_>) -> Vec<String> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut memory = Memory::default();
    let mut now = history.before.clone();
    for event in &history.events {
        let before = now.clone();
        now.apply(event);
        if before.versions_of(event) == now.versions_of(event) {
            continue;
        }
        memory.note(&now, facts);
        let change = Change { event, before: &before, after: &now, facts, memory: &memory };
        for (name, law) in ALL {
            if found.iter().any(|(known, _)| known == name) {
                continue;
            }
            if let Some(what) = law(&change) {
                let object = text(&event.object, "/metadata/name");
                let told = format!("{name}: {what} (at version {}, {:?} {object})", event.version, event.kind);
                found.push((name, told));
            }
        }
    }
    found.into_iter().map(|(_, told)| told).collect()
}

impl Memory {
    fn note(&mut self, now: &World, facts: &Facts<'_>) {
        let whole = |service: &&str| {
            let sides = sides(now, service);
            sides.blue == 0 && sides.green > 0
        };
        self.converged |= facts.scenario.services.iter().all(whole);
    }
}

impl Change<'_> {
    /// The object before and after, where it is of this kind.
    fn of(&self, kind: Kind) -> Option<(&Value, &Value)> {
        if self.event.kind != kind || self.event.gone {
            return None;
        }
        let name = text(&self.event.object, "/metadata/name");
        let after = self.after.get(kind, name)?;
        let before = self.before.get(kind, name).filter(|it| uid(it) == uid(after)).unwrap_or(&Value::Null);
        Some((before, after))
    }
}

/// A hotfix's current attempt, by the slot of what it made.
pub(super) fn attempt_of<'a>(world: &'a World, slot: &str) -> Option<&'a Value> {
    world.all(Kind::Hotfix).find_map(|hotfix| {
        let attempt = hotfix.pointer("/status/attempt")?;
        let number = attempt.get("number")?.as_i64()?;
        (names::slot(uid(hotfix), number) == slot).then_some(attempt)
    })
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(super) fn has(object: &Value, field: &str) -> bool {
    object.get(field).is_some_and(|value| !value.is_null())
}

/// The image of the one container.
pub(super) fn image(pod_spec: &Value) -> &str {
    list(pod_spec, "/containers").first().map_or("", |container| text(container, "/image"))
}

#[cfg(test)]
#[path = "laws_tests.rs"]
mod tests;
