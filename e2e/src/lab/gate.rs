//! A door in front of the API server: everything passes, but one request is held until it is let through.
//!
//! What is held goes through even when the one who sent it has gone: a write that is on its way arrives.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::error::{Asked, LabError};

/// The one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
    /// Its content type.
    pub content_type: String,
    /// What is in it.
    pub body: Bytes,
}

/// What was answered to it in the end, to be read by nobody perhaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// What was said.
    pub body: String,
}

type Chooses = dyn Fn(&Held) -> bool + Send + Sync;

/// A door at work; it closes with the runtime it was opened on.
#[derive(Clone)]
pub struct Gate {
    address: SocketAddr,
    held: Arc<watch::Sender<Option<Held>>>,
    release: Arc<watch::Sender<bool>>,
    reply: Arc<watch::Sender<Option<Reply>>>,
}

struct Door {
    client: Client,
    /// Chooses the request; taken away when it has.
    chooses: Mutex<Option<Box<Chooses>>>,
    gate: Gate,
}

impl Gate {
    /// Opens a door that speaks plain HTTP to whoever comes, and to the API server as `client` does. To be called where the
    /// API server can be reached.
    pub async fn open(
        client: Client,
        chooses: impl Fn(&Held) -> bool + Send + Sync + 'static,
    ) -> Result<Self, LabError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.asked(|| "opening a door".to_owned())?;
        let address = listener.local_addr().asked(|| "opening a door".to_owned())?;
        let (held, release, reply) = (watch::Sender::new(None), watch::Sender::new(false), watch::Sender::new(None));
        let gate = Self { address, held: Arc::new(held), release: Arc::new(release), reply: Arc::new(reply) };
        let chooses: Box<Chooses> = Box::new(chooses);
        let door = Arc::new(Door { client, chooses: Mutex::new(Some(chooses)), gate: gate.clone() });
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let door = Arc::clone(&door);
                let serves = service_fn(move |request| Arc::clone(&door).pass(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), serves));
            }
        });
        Ok(gate)
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the request has come that is held.
    pub async fn held(&self) -> Held {
        wait_for(&self.held).await
    }

    /// Lets it through, and waits for what is answered.
    pub async fn let_through(&self) -> Reply {
        self.release.send_replace(true);
        wait_for(&self.reply).await
    }
}

async fn wait_for<T: Clone>(told: &watch::Sender<Option<T>>) -> T {
    let mut told = told.subscribe();
    loop {
        if let Some(it) = told.borrow_and_update().clone() {
            return it;
        }
        // The other end is in our hands.
        let _ = told.changed().await;
    }
}

impl Door {
    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return Ok(said(StatusCode::BAD_REQUEST, "half a request"));
        };
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let header =
            |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let content_type = header(hyper::header::CONTENT_TYPE);
        let seen = Held { method: parts.method.clone(), target: target.clone(), content_type, body: body.clone() };
        let mut forward = Request::builder().method(parts.method).uri(target);
        for name in [hyper::header::ACCEPT, hyper::header::CONTENT_TYPE] {
            if let Some(value) = parts.headers.get(&name) {
                forward = forward.header(name, value);
            }
        }
        let Ok(forward) = forward.body(Body::from(body.to_vec())) else {
            return Ok(said(StatusCode::BAD_REQUEST, "no request"));
        };
        if self.is_the_one(&seen) { Ok(self.hold(seen, forward).await) } else { Ok(self.forward(forward).await) }
    }

    fn is_the_one(&self, seen: &Held) -> bool {
        let mut chooses = self.chooses.lock().unwrap_or_else(PoisonError::into_inner);
        let it_is = chooses.as_ref().is_some_and(|chooses| chooses(seen));
        if it_is {
            *chooses = None;
        }
        it_is
    }

    async fn hold(self: Arc<Self>, seen: Held, forward: Request<Body>) -> Response<Body> {
        self.gate.held.send_replace(Some(seen));
        let (told, answer) = oneshot::channel();
        // A task of its own: this one ends with the connection it came on.
        tokio::spawn(async move {
            let _ = self.gate.release.subscribe().wait_for(|released| *released).await;
            let (parts, body) = self.forward(forward).await.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let reply = Reply { status: parts.status, body: String::from_utf8_lossy(&body).into_owned() };
            self.gate.reply.send_replace(Some(reply));
            let _ = told.send(Response::from_parts(parts, Body::from(body.to_vec())));
        });
        answer.await.unwrap_or_else(|_| said(StatusCode::BAD_GATEWAY, "the door is closed"))
    }

    async fn forward(&self, request: Request<Body>) -> Response<Body> {
        match self.client.send(request).await {
            Ok(mut response) => {
                // About the connection behind, which is another than the one in front.
                response.headers_mut().remove(hyper::header::TRANSFER_ENCODING);
                response.headers_mut().remove(hyper::header::CONNECTION);
                response
            }
            Err(error) => said(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }
}

fn said(status: StatusCode, what: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(what.as_bytes().to_vec()));
    *response.status_mut() = status;
    response
}
