//! Lists: consistent, paged and bounded.

use kube::Client;
use serde_json::Value;
use thiserror::Error;

use super::call::{Call, CallError, send};

/// Objects asked for at a time: what the API server's own clients ask for, and below its limit for one answer whatever
/// the objects' size.
const PAGE: usize = 500;

/// The most objects of one list. Twenty pages: more pods, Services or hotfixes than one namespace can reasonably hold,
/// and little enough memory (some 100 MB at 10 KB each) that one hostile namespace does not end the operator.
pub const LIST_MAX: usize = 10_000;

/// How often a list is begun anew. Compaction comes every five minutes: twice within one list is a sick server.
const RESTARTS_MAX: usize = 2;

/// Why there is no list.
#[derive(Debug, Error)]
pub enum ListError {
    /// The API server did not give it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// There are more objects than are read. A list is never cut: what was left out could be what matters.
    #[error("there are more than {LIST_MAX} objects, and none may be left unread")]
    TooMany,
}

/// Reads the whole collection at `call`, as of now: without a `resourceVersion` the API server must not answer from a
/// cache that lags behind. All pages are of one version.
pub async fn list(client: &Client, call: &Call) -> Result<Vec<Value>, ListError> {
    let mut items = Vec::new();
    let mut token = String::new();
    let mut restarts = 0;
    loop {
        let mut page = call.clone().with("limit", PAGE.to_string());
        if !token.is_empty() {
            page = page.with("continue", token.as_str());
        }
        let mut answer = match send(client, &page).await {
            Ok(answer) => answer,
            // The version of the first page was compacted away meanwhile: begin anew, from the first page.
            Err(error) if error.code() == 410 && restarts < RESTARTS_MAX => {
                restarts += 1;
                items.clear();
                token = String::new();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(Value::Array(more)) = answer.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        if items.len() > LIST_MAX {
            return Err(ListError::TooMany);
        }
        match answer.pointer("/metadata/continue").and_then(Value::as_str) {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return Ok(items),
        }
    }
}
