//! One HTTP/1.1 connection of a client, whose failures have names.
//!
//! The load generator counts what happens to connections, so it needs more than a pooling client tells: whether
//! a request was written before the connection ended, whether the server had announced the end, and what kind
//! of failure it was. The smoke check and the tests use the same. It never retries and never follows redirects.

use std::{borrow::Cow, error::Error as _, fmt, io, net::SocketAddr};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONNECTION, HOST},
    http::request::Builder,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    task::{AbortHandle, spawn},
};

/// The longest body that is read. Most answers here are a line; what is longer is not one of ours.
const MAX_BODY: usize = 64 * 1024;

/// What went wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// No connection: refused, unreachable.
    Connect,
    /// The connection was reset or broke while the request was under way.
    Reset,
    /// The connection was closed in order, without the answer.
    Closed,
    /// No answer in time.
    Timeout,
    /// An answer that is not a success.
    Status,
    /// The answer ended before its announced length.
    ShortBody,
    /// What came is not HTTP, or not what the application says.
    Garbled,
}

/// A failed request: the kind, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?}: {seen}")]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What was seen, in the words of the layer that saw it.
    pub seen: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, seen: impl fmt::Display) -> Self {
        Self { kind, seen: seen.to_string() }
    }
}

/// Why a request on an open connection brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Not one byte was written: the server had closed the connection while it was idle. The request can be
    /// made again without harm.
    #[error("the connection was closed while it was idle")]
    NotSent,
    /// The request was on its way.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Whether the server will keep the connection after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Another request may follow.
    Open,
    /// The end of the connection was asked for or announced.
    Close,
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its body, complete.
    pub body: Bytes,
    /// What becomes of the connection.
    pub keep: Keep,
}

impl Reply {
    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// An open connection; it is closed when dropped.
#[derive(Debug)]
pub struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`FailureKind::Connect`], or [`FailureKind::Reset`] when the handshake was answered with a reset.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await.map_err(|error| Failure::new(FailureKind::Connect, error))?;
        // Without it a request may only go out later; nothing to give up for.
        let _ = stream.set_nodelay(true);
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (requests, connection) = shaken.map_err(|error| from_hyper(&error, FailureKind::Closed))?;
        // Its errors reach the request they concern.
        let driver = spawn(async { drop(connection.await) }).abort_handle();
        Ok(Self { requests, driver })
    }

    /// Whether the connection is known to have ended.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Gets one path and reads the whole answer, whatever its status. `host` is the Host header.
    pub async fn get(&mut self, host: &str, path: &str, keep: Keep) -> Result<Reply, GetError> {
        let mut request = Request::get(path).header(HOST, host);
        if keep == Keep::Close {
            request = request.header(CONNECTION, "close");
        }
        self.send(request, keep).await
    }

    async fn send(&mut self, request: Builder, keep: Keep) -> Result<Reply, GetError> {
        let request = request.body(Empty::new()).map_err(|error| {
            Failure::new(FailureKind::Garbled, format_args!("no request can be made of it: {error}"))
        })?;
        if self.requests.ready().await.is_err() {
            return Err(GetError::NotSent);
        }
        match self.requests.try_send_request(request).await {
            Ok(answer) => Ok(read(answer, keep).await?),
            Err(mut error) => Err(match error.take_message() {
                Some(_unsent) => GetError::NotSent,
                None => from_hyper(&error.into_error(), FailureKind::Closed).into(),
            }),
        }
    }
}

async fn read(answer: Response<Incoming>, asked: Keep) -> Result<Reply, Failure> {
    let status = answer.status();
    let announced =
        answer.headers().get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let keep = if announced { Keep::Close } else { asked };
    let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => from_hyper(error, FailureKind::ShortBody),
        None => Failure::new(FailureKind::Garbled, error),
    })?;
    Ok(Reply { status, body: body.to_bytes(), keep })
}

/// `ended` is what an end of the connection at this point means.
fn from_hyper(error: &hyper::Error, ended: FailureKind) -> Failure {
    let mut cause = error.source();
    let kind = loop {
        match cause.map(|cause| (cause.downcast_ref::<io::Error>().map(io::Error::kind), cause.source())) {
            Some((Some(io::ErrorKind::UnexpectedEof), _)) => break ended,
            Some((Some(_), _)) => break FailureKind::Reset,
            Some((None, deeper)) => cause = deeper,
            None if error.is_parse() => break FailureKind::Garbled,
            None => break ended,
        }
    };
    Failure::new(kind, error)
}

/// One request on a connection of its own.
///
/// # Errors
/// As the connection's and the request's; a connection closed before the request was written is
/// [`FailureKind::Closed`].
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<Reply, Failure> {
    let mut connection = Connection::open(address).await?;
    connection.get(host, path, Keep::Close).await.map_err(|error| match error {
        GetError::NotSent => Failure::new(FailureKind::Closed, error),
        GetError::Failed(failure) => failure,
    })
}
