//! Campaigns against a server that keeps one Lease, as the API server does: versions compared, changes shown by a watch.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::cluster::lease::{Leadership, Times};

/// How long anything may take on a machine that does other things; well below what it would take without the watch.
const SOON: Duration = Duration::from_secs(3);

#[derive(Clone)]
struct Server {
    lease: Arc<watch::Sender<Option<Value>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Answers no call while it is so.
    deaf: Arc<watch::Sender<bool>>,
}

impl Server {
    async fn start() -> (Self, Client) {
        crate::cluster::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            lease: Arc::new(watch::Sender::new(None)),
            asked: Arc::default(),
            deaf: Arc::new(watch::Sender::new(false)),
        };
        let collection = "/apis/coordination.k8s.io/v1/namespaces/op/leases";
        let pages = Router::new()
            .route(collection, get(show).post(create))
            .route(&format!("{collection}/operator"), get(read).patch(change))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, pages).await });
        let client = Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap();
        (server, client)
    }

    async fn heard(&self, what: &str) {
        let _ = self.deaf.subscribe().wait_for(|deaf| !deaf).await;
        self.asked.lock().unwrap().push(what.to_owned());
    }

    fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == what).count()
    }

    /// Changes it as somebody would, over whatever is there.
    fn set(&self, spec: &Value) {
        self.lease.send_modify(|lease| *lease = Some(next(lease.as_ref(), spec)));
    }

    fn holder(&self) -> Option<String> {
        Some(self.lease.borrow().as_ref()?["spec"]["holderIdentity"].as_str()?.to_owned())
    }
}

/// The Lease with one more version and what the patch says.
fn next(lease: Option<&Value>, patch: &Value) -> Value {
    let mut next = lease.cloned().unwrap_or_else(|| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "operator", "namespace": "op", "resourceVersion": "0"}, "spec": {}})
    });
    let version: u64 = next["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    next["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    for (key, value) in patch.as_object().unwrap() {
        next["spec"][key] = value.clone();
    }
    next
}

fn refused(code: StatusCode) -> Response {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code.as_u16()});
    (code, status.to_string()).into_response()
}

async fn read(State(server): State<Server>) -> Response {
    server.heard("read").await;
    let lease = server.lease.borrow().clone();
    lease.map_or_else(|| refused(StatusCode::NOT_FOUND), |lease| lease.to_string().into_response())
}

async fn create(State(server): State<Server>, body: Bytes) -> Response {
    server.heard("create").await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut answer = refused(StatusCode::CONFLICT);
    server.lease.send_if_modified(|lease| {
        let free = lease.is_none();
        if free {
            let made = next(None, &body["spec"]);
            answer = made.to_string().into_response();
            *lease = Some(made);
        }
        free
    });
    answer
}

async fn change(State(server): State<Server>, body: Bytes) -> Response {
    server.heard("change").await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut answer = refused(StatusCode::CONFLICT);
    server.lease.send_if_modified(|lease| {
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        let same = lease.as_ref().is_some_and(|lease| version(lease) == version(&body));
        if same {
            let changed = next(lease.as_ref(), &body["spec"]);
            answer = changed.to_string().into_response();
            *lease = Some(changed);
        }
        same
    });
    answer
}

async fn show(State(server): State<Server>, RawQuery(query): RawQuery) -> Response {
    // Without it a role that names one Lease grants nothing.
    assert!(query.unwrap_or_default().contains("fieldSelector=metadata.name%3Doperator"));
    server.heard("watch").await;
    let changes = futures::stream::unfold((server.lease.subscribe(), true), |(mut lease, first)| async move {
        loop {
            if !first || lease.borrow().is_none() {
                lease.changed().await.ok()?;
            }
            let shown = lease.borrow_and_update().clone();
            if let Some(shown) = shown {
                let line = format!("{}\n", json!({"type": "MODIFIED", "object": shown}));
                return Some((Ok::<_, Infallible>(line), (lease, false)));
            }
        }
    });
    Body::from_stream(changes).into_response()
}

struct Running {
    lead: Leadership,
    leave: oneshot::Sender<()>,
    end: JoinHandle<End>,
}

fn run(client: &Client, me: &str) -> Running {
    let (announcer, lead) = Leadership::elected();
    let (leave, left) = oneshot::channel();
    let place = Place { namespace: "op".into(), name: "operator".into() };
    let candidate = Candidate::new(me, Times::OURS);
    let end = campaign(client.clone(), client.clone(), place, candidate, announcer, left.map(drop));
    Running { lead, leave, end: tokio::spawn(end) }
}

async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, it).await.unwrap_or_else(|_| panic!("not soon: {what}"))
}

#[tokio::test]
async fn who_leaves_is_followed_at_once_by_who_waits() {
    let (server, client) = Server::start().await;
    let first = run(&client, "first");
    soon("the first leads", first.lead.gained()).await;
    let second = run(&client, "second");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(first.lead.holds() && !second.lead.holds());
    assert_eq!(second.lead.view().unwrap().holder.as_deref(), Some("first"));
    first.leave.send(()).unwrap();
    assert_eq!(soon("the first leaves", first.end).await.unwrap(), End::Released);
    soon("the second leads", second.lead.gained()).await;
    assert!(!first.lead.holds() && second.lead.holds());
    assert_eq!(server.holder().as_deref(), Some("second"));
    assert_eq!(server.asked("create"), 1);
    assert!(server.lease.borrow().as_ref().unwrap()["spec"]["leaseTransitions"] == 1);
}

#[tokio::test]
async fn who_waits_and_is_told_to_end_leaves_the_lease_alone() {
    let (server, client) = Server::start().await;
    server.set(&json!({"holderIdentity": "other", "renewTime": "t", "leaseDurationSeconds": 5}));
    let waits = run(&client, "waits");
    tokio::time::sleep(Duration::from_millis(200)).await;
    waits.leave.send(()).unwrap();
    assert_eq!(soon("it ends", waits.end).await.unwrap(), End::Released);
    assert_eq!((server.holder().as_deref(), server.asked("change")), (Some("other"), 0));
}

#[tokio::test]
async fn a_lease_taken_by_somebodys_hand_ends_the_leader() {
    let (server, client) = Server::start().await;
    let leads = run(&client, "leads");
    soon("it leads", leads.lead.gained()).await;
    server.set(&json!({"holderIdentity": "thief"}));
    assert_eq!(soon("it ends", leads.end).await.unwrap(), End::Lost(Lost::Taken("thief".into())));
    assert!(!leads.lead.holds());
}

#[tokio::test]
async fn a_server_that_does_not_answer_ends_the_leader_in_time() {
    let (server, client) = Server::start().await;
    let leads = run(&client, "leads");
    soon("it leads", leads.lead.gained()).await;
    server.deaf.send_replace(true);
    let until = leads.lead.view().unwrap().until.unwrap();
    let end = tokio::time::timeout(Times::OURS.stop + SOON, leads.end).await.expect("it ends").unwrap();
    assert_eq!(end, End::Lost(Lost::Late(Times::OURS.stop)));
    assert!(Instant::now() >= until, "not before it had to");
    assert!(!leads.lead.holds());
}

#[tokio::test]
async fn who_may_not_read_the_lease_says_so_and_does_not_lead() {
    crate::cluster::install_crypto();
    let nowhere = Client::try_from(kube::Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
    let waits = run(&nowhere, "waits");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(waits.lead.view().unwrap().trouble.is_some());
    assert!(!waits.lead.holds() && !waits.end.is_finished());
}

#[test]
fn a_container_started_anew_in_the_same_pod_has_another_name() {
    let (one, other) = (identity("operator-abc"), identity("operator-abc"));
    assert_ne!(one, other);
    assert!(one.starts_with("operator-abc_"));
}
