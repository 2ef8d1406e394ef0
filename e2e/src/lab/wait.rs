//! Waiting for objects through watches, with a deadline and a last word.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;

use super::error::LabError;

/// Waits until the object, or its absence, satisfies the condition, and gives what did. `what` names it for the error.
pub async fn until<K>(
    api: Api<K>,
    name: &str,
    what: &str,
    patience: Duration,
    told: impl Fn(&K) -> String,
    mut holds: impl FnMut(Option<&K>) -> bool,
) -> Result<Option<K>, LabError>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let mut seen = "nothing yet".to_owned();
    let search = async {
        let mut stream = pin!(watcher::watch_object(api, name).default_backoff());
        while let Some(next) = stream.next().await {
            match next {
                Ok(object) if holds(object.as_ref()) => return Some(object),
                Ok(object) => seen = object.as_ref().map_or_else(|| "it is not there".to_owned(), &told),
                Err(error) => seen = format!("the watch failed: {error}"),
            }
        }
        None
    };
    match tokio::time::timeout(patience, search).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) | Err(_) => Err(LabError::TimedOut { what: what.to_owned(), waited: patience, seen }),
    }
}

/// Asks again every quarter of a second until nothing is left to complain of: for what no single watch tells.
pub async fn until_clear(
    what: &str,
    patience: Duration,
    mut complaints: impl AsyncFnMut() -> Result<Vec<String>, LabError>,
) -> Result<(), LabError> {
    let begun = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tick.tick().await;
        let left = complaints().await?;
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= patience {
            return Err(LabError::TimedOut { what: what.to_owned(), waited: patience, seen: left.join("; ") });
        }
    }
}
