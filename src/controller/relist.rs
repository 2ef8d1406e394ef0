//! A watch that says when it works again.
//!
//! kube's own resumes after a break without a word, which is right for whoever waits for objects. Here somebody waits for the
//! watch: a quiet kind whose watch could not be opened once, as happens in the first second of a definition, would leave
//! the operator not ready until somebody touches an object of it. So every break begins with a list, and the end of a list
//! is told.
//!
//! Nor does kube's know of events that never come, as behind a server whose own watch hangs: it watches on from where it was. A
//! hotfix that nobody tells of would wait for ever, so what there is is listed anew from time to time.

use std::fmt::Debug;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// After so long everything is listed anew, though nothing broke. A hotfix that no event told of waits no longer than that; three lists in
/// five minutes cost next to nothing, and what has not changed is not looked at.
const ANEW: Duration = Duration::from_secs(300);

/// Watches, and lists anew after every break and every five minutes; the pauses between two tries are those of kube's default back-off, from
/// 0.8 s to 30 s.
pub fn relisted<K>(api: Api<K>) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    anew(ANEW, move || until_broken(watcher(api.clone(), watcher::Config::default()))).default_backoff()
}

/// One stream after another, each for as long as it lasts, and no `longer`.
fn anew<S: Stream>(longer: Duration, begin: impl FnMut() -> S) -> impl Stream<Item = S::Item> {
    stream::repeat_with(begin).map(move |stream| stream.take_until(tokio::time::sleep(longer))).flatten()
}

/// What a watch tells, up to its first error and with it. That a list begins is told with what it holds: whatever is told ends
/// a back-off, and a list that is refused would be asked for again every second.
fn until_broken<K>(
    watch: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Send + 'static,
{
    let told = stream::unfold((Some(Box::pin(watch)), None), async |(watch, begun)| {
        let mut watch = watch?;
        let next = match watch.next().await? {
            Ok(Event::Init) => (Vec::new(), (Some(watch), Some(Event::Init))),
            Ok(event) => (begun.into_iter().chain([event]).map(Ok).collect(), (Some(watch), None)),
            Err(error) => (vec![Err(error)], (None, None)),
        };
        Some(next)
    });
    told.flat_map(stream::iter)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::State;
    use axum::http::{StatusCode, Uri};
    use axum::response::{IntoResponse, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use serde_json::json;

    use super::*;

    /// A server whose first watch is refused, as that of a definition which was just made; later ones stay silent.
    async fn answer(State(watches): State<Arc<AtomicUsize>>, uri: Uri) -> Response {
        if !uri.query().is_some_and(|query| query.contains("watch=")) {
            let list = json!({
                "apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": [],
            });
            return list.to_string().into_response();
        }
        if watches.fetch_add(1, Ordering::SeqCst) == 0 {
            let refusal = json!({
                "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 429,
                "reason": "TooManyRequests", "message": "storage is (re)initializing",
            });
            return (StatusCode::TOO_MANY_REQUESTS, refusal.to_string()).into_response();
        }
        std::future::pending().await
    }

    #[tokio::test]
    async fn a_list_that_is_refused_tells_nothing_that_would_end_a_back_off() {
        let tell = async |events: Vec<Result<Event<ConfigMap>, watcher::Error>>| -> Vec<bool> {
            until_broken(stream::iter(events)).map(|event| event.is_ok()).collect().await
        };
        assert_eq!(tell(vec![Ok(Event::Init), Err(watcher::Error::NoResourceVersion)]).await, [false]);
        assert_eq!(tell(vec![Ok(Event::Init), Ok(Event::InitDone)]).await, [true, true]);
    }

    #[tokio::test]
    async fn a_watch_that_never_tells_anything_is_begun_anew() {
        let silent = anew(Duration::from_millis(5), || stream::iter(["listed"]).chain(stream::pending()));
        assert_eq!(silent.take(3).collect::<Vec<_>>().await, ["listed"; 3]);
    }

    #[tokio::test]
    async fn a_watch_that_was_refused_once_tells_that_it_works_though_nothing_happens() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Router::new().fallback(answer).with_state(Arc::default());
        tokio::spawn(async move { axum::serve(listener, server).await });
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        config.default_retry = false;
        let api = Api::<ConfigMap>::namespaced(Client::try_from(config).unwrap(), "shop");

        let told: Vec<_> = relisted(api).take(5).collect().await;
        let words: Vec<_> = told
            .iter()
            .map(|event| match event {
                Ok(Event::Init) => "listing",
                Ok(Event::InitDone) => "listed",
                Ok(_) => "an object",
                Err(watcher::Error::WatchStartFailed(_)) => "refused",
                Err(_) => "another error",
            })
            .collect();
        assert_eq!(words, ["listing", "listed", "refused", "listing", "listed"]);
    }
}
