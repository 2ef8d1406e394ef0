//! What must hold of every answer of the planner.

use jiff::Timestamp;
use securityhotfix::effect::{Place, request};
use securityhotfix::plan::decision::ACTIONS_MAX;
use securityhotfix::plan::{Action, Decision, Observed, decide, invariants};
use serde_json::{Value, json};

use crate::schema;

/// The most records at one moment, each made on the one before: an attempt that ends and begins again takes about ten.
const RECORDS_MAX: usize = 32;

/// Whether a picture is one that a cluster can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is: nothing the operator wants to write breaks an invariant, or a bound of its definitions.
    Sound,
    /// It holds what only the operator could have written and never writes, or what the API server refuses: it is answered
    /// all the same, and the invariants stop what is wrong.
    Damaged,
}

/// Asks what is to be done, and follows the answers as long as they are records of the operator's own.
pub fn sound(observed: &Observed, now: Timestamp, trust: Trust) {
    let mut observed = observed.clone();
    for round in 0..RECORDS_MAX {
        let decision = one(&observed, now, trust);
        let [Action::Record { status, .. }] = decision.actions.as_slice() else { return };
        assert_ne!(**status, observed.hotfix.status, "a write that changes nothing, in round {round}");
        observed.hotfix.status = (**status).clone();
        observed.hotfix.resource_version = format!("after-{round}");
    }
    panic!("it records again and again: {:#?}", observed.hotfix.status);
}

fn one(o: &Observed, now: Timestamp, trust: Trust) -> Decision {
    let decision = decide(o, now);
    assert_eq!(decision, decide(o, now), "asked twice it says another thing");
    let alike = |is: fn(&Action) -> bool| decision.actions.iter().all(is);
    let together = alike(|it| matches!(it, Action::Open(_))) || alike(|it| matches!(it, Action::Close(_)));
    assert!(decision.actions.len() <= if together { ACTIONS_MAX } else { 1 }, "{:?}", decision.actions);
    if decision.actions.is_empty() {
        let later = decision.wake.is_none_or(|wake| wake > now || now == Timestamp::MAX);
        assert!(later, "asked again at once: {:?} at {now}", decision.wake);
    }
    let place = Place {
        namespace: o.hotfix.namespace.clone(),
        hotfix: o.hotfix.name.clone(),
        checks_namespace: o.settings.checks_namespace.clone(),
    };
    for action in &decision.actions {
        let call = request(action, &place, now);
        assert!(call.path.starts_with("/api"), "{}", call.path);
        match (invariants::check(o, action), trust) {
            (Err(violation), Trust::Sound) => panic!("{violation}\n{action:#?}"),
            (Ok(()), Trust::Sound) => taken(o, action),
            // Such a write is refused, and never sent.
            (_, Trust::Damaged) => {}
        }
    }
    decision
}

/// The API server takes the write: its sizes and words are those of the definitions.
fn taken(o: &Observed, action: &Action) {
    let (schema, value): (&schema::Schema, Value) = match action {
        Action::Record { status, .. } if schema::STATUS.takes(&json!(o.hotfix.status)) => {
            for condition in &status.conditions {
                let said = &condition.message;
                assert!(!said.chars().any(char::is_control), "{said:?}");
            }
            (&schema::STATUS, json!(status))
        }
        Action::OpenReport(report) => (&schema::REPORT, report["spec"].clone()),
        Action::WriteReport { spec, .. } => (&schema::REPORT, json!(spec)),
        Action::CreateJob(job) => return labelled(job),
        _ => return,
    };
    let faults = schema.faults("", &value);
    assert!(faults.is_empty(), "the API server would refuse it: {}\n{value:#}", faults.join(", "));
}

/// Names and labels of a Job are ones.
fn labelled(job: &Value) {
    let fits = |text: &str| {
        let ends = [text.bytes().next(), text.bytes().next_back()];
        text.len() <= 63
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && ends.into_iter().flatten().all(|byte| byte.is_ascii_alphanumeric())
    };
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let labels = job.pointer(labels).and_then(Value::as_object).expect("a Job has labels");
        for (key, value) in labels {
            assert!(value.as_str().is_some_and(fits), "label {key} is {value}");
        }
    }
    assert!(job["metadata"]["name"].as_str().is_some_and(fits), "{}", job["metadata"]["name"]);
    let seconds = job["spec"]["activeDeadlineSeconds"].as_u64();
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "a Job without a deadline: {seconds:?}");
}
