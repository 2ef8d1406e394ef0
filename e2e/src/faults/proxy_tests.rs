//! The proxy between a client and a small server that stands for the API server.

use std::convert::Infallible;
use std::process::Command;

use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::Config;

use super::*;

/// A server that remembers which writes reached it, and tells three events to whoever watches.
async fn server() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reached: Arc<Mutex<Vec<String>>> = Arc::default();
    let remembered = Arc::clone(&reached);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let remembered = Arc::clone(&remembered);
            let service = service_fn(move |request: Request<Incoming>| {
                if request.method() != Method::GET {
                    remembered.lock().unwrap().push(request.uri().path().to_owned());
                }
                // A list holds how many writes there were.
                let list = serde_json::json!({"metadata": {}, "items": [remembered.lock().unwrap().len()]}).to_string();
                let watching = request.uri().query().is_some_and(|query| query.contains("watch=true"));
                async move {
                    Ok::<_, Infallible>(Response::new(if watching {
                        events()
                    } else {
                        Full::from(list).boxed_unsync()
                    }))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, reached)
}

fn events() -> UnsyncBoxBody<Bytes, Infallible> {
    let line = |uid: u8| {
        format!("{}\n", serde_json::json!({"type": "ADDED", "object": {"metadata": {"uid": uid.to_string()}}}))
    };
    let frames = [1, 1, 2].map(|uid| Ok(Frame::data(Bytes::from(line(uid)))));
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

fn client(address: SocketAddr) -> Client {
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

struct Stage {
    proxy: Proxy,
    operators: Arc<Operators>,
    client: Client,
    reached: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

async fn stage(plan: &str) -> Stage {
    securityhotfix::cluster::install_crypto();
    let (address, reached) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sleep");
    command.arg("60");
    let operators = Arc::new(Operators::new(command, &folder.path().join("log")).unwrap());
    operators.start().await;
    let script = Script { plans: plan.parse().into_iter().collect(), ..Script::default() };
    let proxy = Proxy::start(client(address), Arc::clone(&operators), script).await.unwrap();
    let client = client(proxy.address());
    Stage { proxy, operators, client, reached, _folder: folder }
}

impl Stage {
    /// Deletes the preview, as a write that is easily made.
    async fn write(&self) -> Result<StatusCode, kube::Error> {
        let request =
            Request::delete("/api/v1/namespaces/l/services/web-hotfix-1").body(Body::from(Vec::new())).unwrap();
        self.client.send(request).await.map(|answer| answer.status())
    }

    async fn list(&self) -> String {
        let request = Request::get("/api/v1/namespaces/l/pods").body(Body::from(Vec::new())).unwrap();
        let answer = self.client.send(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    async fn watched(&self) -> String {
        let request = Request::get("/api/v1/namespaces/l/pods?watch=true").body(Body::from(Vec::new())).unwrap();
        // What is cut at once may be cut before its head is written.
        let Ok(answer) = self.client.send(request).await else { return "cut".to_owned() };
        let read = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        read.map_or_else(|_| "cut".to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// A watch is disturbed only once an attempt has begun.
    fn begun(&self) {
        let begun = super::super::name::Name { class: Class::Write, text: "record begun".to_owned() };
        let mut state = self.proxy.shared.state();
        let (place, _) = state.ledger.arrive(begun, &[]);
        state.ledger.answered(place, 200);
    }

    fn writes(&self) -> usize {
        self.reached.lock().unwrap().len()
    }
}

#[tokio::test]
async fn without_a_fault_everything_is_passed_on_and_recorded() {
    let stage = stage("").await;
    assert_eq!(stage.write().await.unwrap(), StatusCode::OK);
    assert_eq!((stage.writes(), stage.proxy.ledger(|ledger| ledger.committed("delete preview"))), (1, 1));
    assert_eq!(stage.watched().await.lines().count(), 3);
}

#[tokio::test]
async fn a_lost_reply_is_of_a_write_that_was_made() {
    let stage = stage("x/delete preview#1/commit-and-drop").await;
    assert!(stage.write().await.is_err());
    assert_eq!(stage.writes(), 1);
    assert_eq!(stage.write().await.unwrap(), StatusCode::OK, "only the first meets the fault");
}

#[tokio::test]
async fn an_answer_a_reset_and_a_death_before_the_write_keep_it_from_being_made() {
    let refused = stage("x/delete preview#1/429").await;
    assert_eq!(refused.write().await.unwrap(), StatusCode::TOO_MANY_REQUESTS);
    let reset = stage("x/delete preview#1/reset").await;
    assert!(reset.write().await.is_err());
    let killed = stage("x/delete preview#1/kill-before").await;
    assert!(killed.write().await.is_err());
    assert_eq!((refused.writes(), reset.writes(), killed.writes()), (0, 0, 0));
    assert!(killed.operators.complaints().await.is_empty(), "being killed is no fault of the operator's");
}

#[tokio::test]
async fn a_right_that_is_missing_is_missing_for_a_while_and_for_that_alone() {
    let stage = stage("x/delete preview#1/403").await;
    for _ in 0..2 {
        assert_eq!(stage.write().await.unwrap(), StatusCode::FORBIDDEN);
    }
    assert!(stage.list().await.contains("[0]"));
    stage.proxy.shared.state().forbidden.as_mut().unwrap().1 = Instant::now();
    assert_eq!(stage.write().await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn a_stale_list_is_what_was_answered_before_and_a_site_only_where_that_differs() {
    let stage = stage("x/list pods after delete preview#1/stale").await;
    for (wanted, write) in [("[0]", true), ("[0]", false), ("[1]", false)] {
        assert!(stage.list().await.contains(wanted), "{wanted}");
        if write {
            stage.write().await.unwrap();
        }
    }
    let without = self::stage("").await;
    without.list().await;
    without.write().await.unwrap();
    without.list().await;
    without.list().await;
    assert_eq!(without.proxy.ledger(Ledger::sites).changed, ["list pods after delete preview"]);
}

#[tokio::test]
async fn a_held_write_is_made_after_its_maker_is_dead() {
    let stage = stage("x/delete preview#1/hold-past-successor").await;
    let ((), ()) = tokio::join!(async { assert!(stage.write().await.is_err()) }, async {
        while !stage.proxy.is_holding() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(stage.writes(), 0);
        assert_eq!(
            stage
                .client
                .send(
                    Request::delete("/api/v1/namespaces/l/services/web-hotfix-1").body(Body::from(Vec::new())).unwrap()
                )
                .await
                .unwrap()
                .status(),
            StatusCode::OK
        );
        assert_eq!(stage.writes(), 1, "the successor's own write goes through");
        stage.proxy.release().await;
        assert_eq!(stage.writes(), 2);
    });
    assert_eq!(stage.proxy.ledger(|ledger| ledger.committed("delete preview")), 2);
}

#[tokio::test]
async fn a_watch_is_doubled_thinned_cut_or_ended() {
    let doubled = stage("x/watch pods/duplicate").await;
    assert_eq!(doubled.watched().await.lines().count(), 6);
    let thinned = stage("x/watch pods/coalesce").await;
    assert_eq!(thinned.watched().await.lines().count(), 2);
    let cut = stage("x/watch all/drop").await;
    cut.begun();
    assert_eq!(cut.watched().await, "cut");
    let ended = stage("x/watch pods/410").await;
    ended.begun();
    assert!(ended.watched().await.contains("\"code\":410"));
    let others = stage("x/watch services/duplicate").await;
    assert_eq!(others.watched().await.lines().count(), 3);
}

#[tokio::test]
async fn a_frozen_watch_neither_tells_nor_ends() {
    let frozen = stage("x/watch pods/freeze").await;
    frozen.begun();
    assert!(tokio::time::timeout(Duration::from_millis(500), frozen.watched()).await.is_err());
    assert!(frozen.proxy.ledger(|ledger| ledger.missed(&frozen.proxy.shared.script.plans)).is_empty());
}
