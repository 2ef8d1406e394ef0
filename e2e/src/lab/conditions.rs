//! Reading a hotfix's status.

use securityhotfix::api::{Condition, ConditionType, Outcome, Phase, SecurityHotfix, Truth};

/// A condition of the hotfix.
pub fn condition(hotfix: &SecurityHotfix, type_: ConditionType) -> Option<&Condition> {
    hotfix.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the hotfix has come to an end, good or bad.
pub fn is_finished(hotfix: &SecurityHotfix) -> bool {
    condition(hotfix, ConditionType::Finished).is_some_and(|condition| condition.status == Truth::True)
}

/// How the current attempt ended, if it did.
pub fn outcome(hotfix: &SecurityHotfix) -> Option<Outcome> {
    hotfix.status.as_ref()?.attempt.as_ref()?.outcome
}

/// Where the hotfix stands, in a word.
pub fn phase(hotfix: &SecurityHotfix) -> Option<Phase> {
    hotfix.status.as_ref()?.phase
}

/// The hotfix in a line, for messages.
pub fn told(hotfix: &SecurityHotfix) -> String {
    let phase = phase(hotfix).map_or_else(|| "no phase".to_owned(), |phase| format!("{phase:?}"));
    let ready = condition(hotfix, ConditionType::Ready)
        .map_or_else(String::new, |ready| format!(", {:?}: {}", ready.reason, ready.message));
    format!("{phase}{ready}")
}
