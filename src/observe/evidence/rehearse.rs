//! The rehearsal: what admission makes of the candidate and of one pod of its template, without either being made.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use crate::api::names::MANAGER;
use crate::api::time::Moment;
use crate::cluster::{Call, CallError, Verb, send};
use crate::plan::observed::Rehearsal;

/// Tries while the API server, or a webhook it asks, gives no answer: nearly five minutes, more than a restart of
/// either takes. Silence after that is told as a refusal, so that a hotfix does not wait without a reason given.
const TRIES: u32 = 40;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// The most characters of a refusal that are kept; webhooks have been seen to answer with pages.
const REFUSAL_MAX: usize = 700;

/// Lets admission judge both objects.
pub(super) async fn rehearse(client: &Client, namespace: &str, slot: String, green: Value, pod: Value) -> Rehearsal {
    let green = dry_run(format!("/apis/apps/v1/namespaces/{namespace}/deployments"), green);
    let pod = dry_run(format!("/api/v1/namespaces/{namespace}/pods"), pod);
    let (green, pod) = tokio::join!(judged(client, &green), judged(client, &pod));
    let denied =
        [&green, &pod].into_iter().find_map(|judged| judged.as_ref().err().filter(|why| is_denied(why)).cloned());
    Rehearsal { slot, green, pod, denied, at: Moment::new(Timestamp::now()) }
}

/// A create that only admission sees.
fn dry_run(path: String, object: Value) -> Call {
    Call { verb: Verb::Create, path, query: Vec::new(), body: Some(object) }
        .with("dryRun", "All")
        .with("fieldManager", MANAGER)
        .with("fieldValidation", "Strict")
}

async fn judged(client: &Client, call: &Call) -> Result<Value, String> {
    let mut pauses = pauses();
    loop {
        let error = match send(client, call).await {
            Ok(admitted) => return Ok(admitted),
            Err(error) => error,
        };
        match pauses.next().filter(|_| passes(&error)) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(refusal(&error)),
        }
    }
}

/// The pauses between the tries: twice as long each time, up to the longest.
fn pauses() -> impl Iterator<Item = Duration> {
    (1..TRIES).map(|tried| Duration::from_millis(250).saturating_mul(1 << tried.min(16)).min(PAUSE_MAX))
}

/// True for trouble of the server or the way to it, which says nothing about the object.
fn passes(error: &CallError) -> bool {
    matches!(error.code(), 0 | 401 | 408 | 429 | 500..)
}

/// True where the operator lacks the right to ask, in the words of the API server's authorizer. Admission, which judges
/// the object, answers 403 too, and never in these words; should they change, the candidate is refused as by admission.
fn is_denied(why: &str) -> bool {
    why.contains(" is forbidden: User \"") && why.contains("\" cannot create resource \"")
}

fn refusal(error: &CallError) -> String {
    let said = error.to_string();
    match said.char_indices().nth(REFUSAL_MAX) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rehearsal_makes_nothing() {
        let call = dry_run("/api/v1/namespaces/shop/pods".into(), json!({"a": 1}));
        assert_eq!(
            call.to_string(),
            "POST /api/v1/namespaces/shop/pods?dryRun=All&fieldManager=securityhotfix-controller\
             &fieldValidation=Strict\napplication/json\n{\"a\":1}"
        );
    }

    #[test]
    fn an_outage_is_outlasted_and_then_told() {
        let pauses: Vec<Duration> = pauses().collect();
        assert_eq!(pauses[..3], [500, 1000, 2000].map(Duration::from_millis));
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(pauses.iter().sum::<Duration>() > Duration::from_secs(240));
    }

    #[test]
    fn a_missing_right_is_told_from_a_refusal_of_admission() {
        assert!(is_denied(
            "pods is forbidden: User \"system:serviceaccount:a:b\" cannot create resource \"pods\" in API group \"\" in the \
             namespace \"shop\" (403)"
        ));
        for admission in [
            "pods \"a\" is forbidden: exceeded quota: few, requested: pods=1 (403)",
            "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\" (403)",
            "admission webhook \"x.example\" denied the request: no (403)",
        ] {
            assert!(!is_denied(admission), "{admission}");
        }
    }

    #[test]
    fn only_the_servers_own_trouble_is_asked_again() {
        let answered = |code: u16| {
            CallError::Status(Box::new(serde_json::from_value(json!({"code": code, "message": "m"})).unwrap()))
        };
        assert!(passes(&CallError::TimedOut(Duration::from_secs(10))) && passes(&answered(503)));
        assert!(!passes(&answered(403)) && !passes(&answered(422)) && !passes(&answered(400)));
        assert_eq!(refusal(&answered(403)), "m (403)");
    }
}
