//! Check Jobs whose hotfix is gone.
//!
//! A Job whose creation was on its way when the operator died can be made after its hotfix was deleted. Candidate and preview
//! of such a hotfix go by their ownerReference; a Job lives in another namespace, where it can have none.

use std::collections::BTreeSet;

use kube::Client;
use serde_json::Value;

use super::HotfixId;
use super::error::ObserveError;
use super::json::{map, text};
use super::reads::{self, Reads, Which};
use crate::api::names::{HOTFIX_NAME, HOTFIX_NAMESPACE, HOTFIX_UID};
use crate::plan::action::Target;

/// A check Job that nobody will look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The Job.
    pub job: Target,
    /// The hotfix it was made for.
    pub hotfix: HotfixId,
}

/// The check Jobs of hotfixes that do not exist, of one namespace (`within`) or of all.
///
/// The hotfixes are listed after the Jobs, and a hotfix is older than its Jobs: one that is not listed is gone, and uids
/// are not used again. Those `known` to exist, by uid, are not asked for; where they are all, one list is all there is to read.
pub async fn orphans(
    client: &Client,
    checks_namespace: &str,
    within: Option<&str>,
    known: &BTreeSet<String>,
) -> Result<Vec<Orphan>, ObserveError> {
    let checks = Reads { client, namespace: checks_namespace };
    let jobs = checks.all(reads::JOBS, Which::Labels(HOTFIX_UID.to_owned())).await?;
    let mut suspects: Vec<Orphan> = jobs.iter().filter_map(suspect).collect();
    suspects.retain(|orphan| {
        within.is_none_or(|namespace| orphan.hotfix.namespace == namespace) && !known.contains(&orphan.hotfix.uid)
    });
    let namespaces: BTreeSet<String> = suspects.iter().map(|orphan| orphan.hotfix.namespace.clone()).collect();
    for namespace in &namespaces {
        let hotfixes = Reads { client, namespace }.all(reads::HOTFIXES, Which::All).await?;
        let there: BTreeSet<&str> = hotfixes.iter().filter_map(|hotfix| text(hotfix, "/metadata/uid")).collect();
        suspects.retain(|orphan| orphan.hotfix.namespace != *namespace || !there.contains(orphan.hotfix.uid.as_str()));
    }
    Ok(suspects)
}

/// A Job of ours that is not on its way out, and the hotfix it says it is of. One that does not say is left alone.
fn suspect(job: &Value) -> Option<Orphan> {
    let mut labels = map(job, "/metadata/labels");
    let job = text(job, "/metadata/deletionTimestamp").is_none().then_some(job)?;
    Some(Orphan {
        job: Target { name: text(job, "/metadata/name")?.to_owned(), uid: text(job, "/metadata/uid")?.to_owned() },
        hotfix: HotfixId {
            namespace: labels.remove(HOTFIX_NAMESPACE)?,
            // A long one is cut, and neither is asked for.
            name: labels.remove(HOTFIX_NAME).unwrap_or_default(),
            uid: labels.remove(HOTFIX_UID)?,
            target: String::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::http::Uri;
    use axum::response::{IntoResponse, Response};
    use serde_json::json;

    use super::*;

    fn job(name: &str, namespace: &str, hotfix: &str) -> Value {
        let labels = json!({HOTFIX_NAMESPACE: namespace, HOTFIX_UID: hotfix});
        json!({"metadata": {"name": name, "uid": format!("uid of {name}"), "labels": labels}})
    }

    type Asked = Arc<Mutex<Vec<String>>>;

    /// A server that has three Jobs of two namespaces, and in the first of these the hotfix `late`.
    async fn answer(State(asked): State<Asked>, uri: Uri) -> Response {
        asked.lock().unwrap().push(uri.path().rsplit_once("/namespaces/").unwrap().1.to_owned());
        let items = match uri.path() {
            path if path.ends_with("/jobs") => {
                json!([job("a", "shop", "gone"), job("b", "shop", "late"), job("c", "bank", "known")])
            }
            path if path.contains("/shop/") => json!([{"metadata": {"name": "x", "uid": "late"}}]),
            _ => json!([]),
        };
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "7"}, "items": items})
            .to_string()
            .into_response()
    }

    async fn found(within: Option<&str>, known: &[&str]) -> (Vec<String>, Vec<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let server = Router::new().fallback(answer).with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, server).await });
        let client = Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap();
        let known = known.iter().map(|uid| (*uid).to_owned()).collect();
        let orphans = orphans(&client, "checks", within, &known).await.unwrap();
        let asked = asked.lock().unwrap().clone();
        (orphans.into_iter().map(|orphan| orphan.job.name).collect(), asked)
    }

    const JOBS: &str = "checks/jobs";

    #[tokio::test]
    async fn only_what_is_listed_after_the_jobs_proves_that_a_hotfix_is_there() {
        let (orphans, asked) = found(None, &["known"]).await;
        assert_eq!((orphans, asked), (vec!["a".into()], vec![JOBS.into(), "shop/securityhotfixes".into()]));
    }

    #[tokio::test]
    async fn where_all_are_known_the_jobs_are_all_that_is_read() {
        assert_eq!(found(None, &["known", "late", "gone"]).await, (vec![], vec![JOBS.into()]));
    }

    #[tokio::test]
    async fn jobs_of_other_namespaces_are_left_to_their_operators() {
        let bank = found(Some("bank"), &[]).await;
        assert_eq!(bank, (vec!["c".into()], vec![JOBS.into(), "bank/securityhotfixes".into()]));
    }

    #[test]
    fn a_job_that_goes_or_does_not_say_whose_it_is_is_left_alone() {
        let mut going = job("a", "shop", "gone");
        assert!(suspect(&going).is_some());
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(suspect(&going), None);
        for label in [HOTFIX_NAMESPACE, HOTFIX_UID] {
            let mut silent = job("a", "shop", "gone");
            silent["metadata"]["labels"].as_object_mut().unwrap().remove(label);
            assert_eq!(suspect(&silent), None);
        }
    }
}
