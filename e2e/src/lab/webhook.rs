//! A mutating webhook of admission, served by the suite itself: what a mesh or a policy engine does to objects of other people.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::error::{Asked, LabError};
use super::tls::Identity;

/// The API server sends objects of at most 3 MiB, twice in an update.
const REVIEW_MAX: usize = 8 << 20;

/// What the webhook does to an object: JSON patch operations; none leave it as it is.
pub type Mutation = fn(&Value) -> Vec<Value>;

/// A webhook that is answering; it ends when the value is dropped.
pub struct Webhook {
    address: SocketAddr,
    /// Its authority, which the API server is told to trust.
    authority: String,
    _server: JoinSet<()>,
}

impl Webhook {
    /// Begins to answer at this address of the cluster's network, on a port of the machine's choice.
    pub async fn serve(ip: IpAddr, mutate: Mutation) -> Result<Self, LabError> {
        let identity = Identity::of(&[ip], "webhooks.suites.example")?;
        let tls = identity.acceptor()?;
        let listener = TcpListener::bind((ip, 0)).await.asked(|| "listening for reviews".to_owned())?;
        let address = listener.local_addr().asked(|| "listening for reviews".to_owned())?;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, tls.clone(), mutate));
            }
        });
        Ok(Self { address, authority: identity.authority().to_owned(), _server: server })
    }

    /// The configuration that has the API server ask it about Deployments and pods of one namespace, created or rehearsed.
    pub fn configuration(&self, namespace: &str) -> Value {
        let rule = |group: &str, resource: &str| json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]});
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [{
                "name": "webhook.suites.example",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [rule("apps", "deployments"), rule("", "pods")],
                "clientConfig": {"url": format!("https://{}/", self.address), "caBundle": base64(&self.authority)},
            }],
        })
    }
}

fn base64(text: &str) -> Value {
    // The API's byte strings know how to write themselves.
    json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))
}

async fn answer(stream: TcpStream, tls: TlsAcceptor, mutate: Mutation) {
    // A connection that fails is the API server's to make again.
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(move |request| review(request, mutate));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn review(request: Request<Incoming>, mutate: Mutation) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Limited::new(request.into_body(), REVIEW_MAX).collect().await;
    let review: Value = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or(Value::Null);
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    let patch = mutate(&review["request"]["object"]);
    if !patch.is_empty() {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = base64(&Value::Array(patch).to_string());
    }
    let reply = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    let mut response = Response::new(Full::from(reply.to_string()));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}
