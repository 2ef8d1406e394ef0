//! What an answer means, by what is to be done next.

use kube::core::Status;
use serde_json::Value;

use super::{Answer, Effect, EffectError};
use crate::cluster::CallError;
use crate::plan::action::Action;
use crate::plan::jobs::CHECK;

/// The most characters of a refusal that are kept: a condition's message holds 1,024, and the sentence around it needs
/// its share.
const REFUSAL_MAX: usize = 700;

/// Whether an action makes an object or works on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Makes,
    WorksOn,
}

fn kind(action: &Action) -> Kind {
    match action {
        Action::Claim(_)
        | Action::OpenReport(_)
        | Action::CreateJob(_)
        | Action::CreateGreen(_)
        | Action::CreatePreview(_)
        | Action::CreateBudget(_) => Kind::Makes,
        Action::Record { .. }
        | Action::AddFinalizer { .. }
        | Action::RemoveFinalizer { .. }
        | Action::Unclaim(_)
        | Action::WriteReport { .. }
        | Action::DeleteJob(_)
        | Action::ResizeGreen { .. }
        | Action::DeleteGreen(_)
        | Action::DeletePreview(_)
        | Action::DeleteBudget(_)
        | Action::Hold { .. }
        | Action::Switch { .. }
        | Action::Seal { .. }
        | Action::Unpin { .. }
        | Action::Unmark { .. }
        | Action::Open(_)
        | Action::Close(_)
        | Action::FoldBack { .. }
        | Action::Disown { .. } => Kind::WorksOn,
    }
}

/// What the answer to `action` means, with the object it made or changed.
pub(super) fn read(action: &Action, answer: Result<Value, CallError>) -> Result<Answer, EffectError> {
    match answer {
        Ok(object) => Ok(Answer { effect: Effect::Done, object: Some(object) }),
        Err(error) => Ok(Answer { effect: refused(action, error)?, object: None }),
    }
}

/// What it means that `action` was answered so, or not at all.
fn refused(action: &Action, error: CallError) -> Result<Effect, EffectError> {
    let CallError::Status(status) = &error else {
        return Err(EffectError::Transient { action: action.name(), source: error });
    };
    if let (400 | 422, Action::CreateJob(job)) = (status.code, action)
        && let Some(check) =
            job.pointer("/metadata/labels").and_then(|labels| labels.get(CHECK)).and_then(Value::as_str)
    {
        return Err(EffectError::Unrunnable { check: check.to_owned(), message: cut(&error.to_string()) });
    }
    match (status.code, kind(action)) {
        // A kind or namespace that is not there cannot be written to; an object that is gone need not be.
        (404, Kind::WorksOn) => Ok(Effect::Gone),
        (409, Kind::Makes) if status.reason == "AlreadyExists" => Ok(Effect::AlreadyExists),
        (409, _) => Ok(Effect::Conflict),
        (422, Kind::WorksOn) if !names_fields(status) => Ok(Effect::Conflict),
        (403, _) if namespace_is_terminating(status) => Ok(Effect::Gone),
        // Told to come back later, no longer known (a token that is being renewed), or the server's own trouble.
        (401 | 408 | 429 | 500.., _) => Err(EffectError::Transient { action: action.name(), source: error }),
        _ => Err(EffectError::Refused { action: action.name(), message: cut(&error.to_string()) }),
    }
}

/// True when the object as it would be is invalid: then the fields at fault are named. A failed test, or a path that is
/// not there any more, names none; a merge patch with another object's uid names just that.
fn names_fields(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.field != "metadata.uid")
}

fn namespace_is_terminating(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == "NamespaceTerminating")
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(REFUSAL_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::plan::action::{Target, Versioned};

    fn open() -> Action {
        Action::Open(Versioned { name: "web-1".into(), uid: "u".into(), resource_version: "7".into() })
    }

    fn effect(action: &Action, answer: Result<Value, CallError>) -> Result<Effect, EffectError> {
        read(action, answer).map(|answer| answer.effect)
    }

    fn refusal(status: Value) -> Result<Value, CallError> {
        Err(CallError::Status(Box::new(serde_json::from_value(status).unwrap())))
    }

    #[test]
    fn an_answer_is_an_effect() {
        let object = json!({"kind": "Pod"});
        let answer = read(&open(), Ok(object.clone())).unwrap();
        assert_eq!(answer, Answer { effect: Effect::Done, object: Some(object) });
    }

    #[test]
    fn an_object_that_is_gone_needs_no_more_work() {
        let gone = || refusal(json!({"code": 404, "reason": "NotFound"}));
        assert_eq!(effect(&open(), gone()).unwrap(), Effect::Gone);
        let delete = Action::DeleteGreen(Target { name: "g".into(), uid: "u".into() });
        assert_eq!(effect(&delete, gone()).unwrap(), Effect::Gone);
    }

    #[test]
    fn a_kind_that_is_missing_refuses_what_would_be_made_of_it() {
        let answer = effect(&Action::OpenReport(json!({})), refusal(json!({"code": 404, "message": "not found"})));
        let Err(EffectError::Refused { action, message }) = answer else { panic!("{answer:?}") };
        assert_eq!((action, message.as_str()), ("open report", "not found (404)"));
    }

    #[test]
    fn a_failed_test_is_a_conflict_and_an_invalid_object_is_a_refusal() {
        let test = json!({"code": 422, "reason": "Invalid", "message": "the server rejected our request"});
        assert_eq!(effect(&open(), refusal(test)).unwrap(), Effect::Conflict);
        let another = json!({"code": 422, "reason": "Invalid", "message": "metadata.uid: field is immutable",
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}});
        assert_eq!(effect(&open(), refusal(another)).unwrap(), Effect::Conflict);
        let invalid = json!({"code": 422, "reason": "Invalid", "message": "spec.x: Invalid value",
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "spec.x"}]}});
        assert!(matches!(effect(&open(), refusal(invalid)), Err(EffectError::Refused { .. })));
    }

    #[test]
    fn a_job_that_cannot_be_made_names_its_check_and_the_field() {
        let job = Action::CreateJob(json!({"metadata": {"labels": {"securityhotfix.dev/check": "trivy"}}}));
        let invalid = json!({"code": 422, "reason": "Invalid",
            "message": "Job.batch \"check-1\" is invalid: spec.template.spec.containers[0].image: Required value",
            "details": {"causes": [{"reason": "FieldValueRequired", "field": "spec.template.spec.containers[0].image"}]}});
        for refused in [invalid, json!({"code": 400, "message": "quantities must match", "reason": "BadRequest"})] {
            let said = refused["message"].as_str().unwrap().to_owned();
            let answer = effect(&job, refusal(refused));
            let Err(EffectError::Unrunnable { check, message }) = answer else { panic!("{answer:?}") };
            assert!(check == "trivy" && message.contains(&said), "{check}: {message}");
        }
        let denied = json!({"code": 403, "reason": "Forbidden", "message": "a webhook said no"});
        assert!(matches!(effect(&job, refusal(denied)), Err(EffectError::Refused { .. })));
    }

    #[test]
    fn two_of_one_name_are_told_from_two_writers() {
        let exists = || refusal(json!({"code": 409, "reason": "AlreadyExists"}));
        assert_eq!(effect(&Action::CreateGreen(json!({})), exists()).unwrap(), Effect::AlreadyExists);
        let conflict = || refusal(json!({"code": 409, "reason": "Conflict"}));
        assert_eq!(effect(&open(), conflict()).unwrap(), Effect::Conflict);
        assert_eq!(effect(&Action::CreateGreen(json!({})), conflict()).unwrap(), Effect::Conflict);
    }

    #[test]
    fn a_namespace_on_its_way_out_counts_as_gone_and_any_other_denial_as_refused() {
        let terminating = json!({"code": 403, "reason": "Forbidden",
            "details": {"causes": [{"reason": "NamespaceTerminating"}]}});
        assert_eq!(effect(&Action::CreateGreen(json!({})), refusal(terminating)).unwrap(), Effect::Gone);
        let denied = json!({"code": 403, "reason": "Forbidden", "message": "x".repeat(5000)});
        let Err(EffectError::Refused { message, .. }) = effect(&open(), refusal(denied)) else { panic!() };
        assert_eq!(message.chars().count(), REFUSAL_MAX + 1);
    }

    #[test]
    fn silence_and_trouble_of_the_server_are_tried_again() {
        let late = effect(&open(), Err(CallError::TimedOut(Duration::from_secs(10))));
        assert!(matches!(late, Err(EffectError::Transient { .. })));
        for code in [401, 408, 429, 500, 503, 504] {
            let answer = effect(&open(), refusal(json!({"code": code})));
            assert!(matches!(answer, Err(EffectError::Transient { .. })), "{code}");
        }
    }
}
