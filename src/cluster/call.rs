//! One call to the API server: as a value that can be compared byte for byte, and the sending of it.

use std::fmt;
use std::time::Duration;

use futures::AsyncBufRead;
use kube::Client;
use kube::core::Status;
use serde_json::Value;
use thiserror::Error;

/// How long one call may take. The API server answers in milliseconds; a call that admission webhooks sit in may take
/// as long as their time-outs, whose default is ten seconds.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What is done to the object at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read it.
    Get,
    /// Create it, in the collection at the path.
    Create,
    /// Change it by a list of operations, all or none, some of which are tests.
    JsonPatch,
    /// Change it by a patch that merges lists by their keys.
    StrategicPatch,
    /// Delete it.
    Delete,
}

impl Verb {
    fn method(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Create => http::Method::POST,
            Self::JsonPatch | Self::StrategicPatch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::JsonPatch => "application/json-patch+json",
            Self::StrategicPatch => "application/strategic-merge-patch+json",
            Self::Get | Self::Create | Self::Delete => "application/json",
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is done.
    pub verb: Verb,
    /// Path of the object or collection, percent-encoded where it has to be.
    pub path: String,
    /// Query parameters in order; values are encoded when the call is sent.
    pub query: Vec<(&'static str, String)>,
    /// Body, where there is one.
    pub body: Option<Value>,
}

impl Call {
    /// A read of the object or collection at `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self { verb: Verb::Get, path: path.into(), query: Vec::new(), body: None }
    }

    /// The same call with one more query parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Path and query as they are sent.
    pub fn target(&self) -> String {
        let mut target = self.path.clone();
        for (i, (name, value)) in self.query.iter().enumerate() {
            target.push(if i == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            encode(value, &mut target);
        }
        target
    }

    fn request(&self) -> Result<http::Request<Vec<u8>>, http::Error> {
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default();
        http::Request::builder()
            .method(self.verb.method())
            .uri(self.target())
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, self.verb.content_type())
            .body(body)
    }
}

impl fmt::Display for Call {
    /// Everything that is sent, as a test compares it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.method(), self.target())?;
        if let Some(body) = &self.body {
            write!(f, "\n{}\n{body}", self.verb.content_type())?;
        }
        Ok(())
    }
}

/// Appends `value` with everything but unreserved characters as `%XX`.
fn encode(value: &str, target: &mut String) {
    use fmt::Write;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            target.push(char::from(byte));
        } else {
            write!(target, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
}

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, Error)]
pub enum CallError {
    /// The API server answered, and refused.
    #[error("{}", said(.0))]
    Status(Box<Status>),
    /// Nothing came in time. A write may have been made all the same.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection failed, or the answer was no answer. A write may have been made all the same.
    #[error("the API server cannot be spoken to: {}", with_its_cause(&**.0))]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl CallError {
    /// The HTTP status of a refusal; 0 where there was no answer.
    pub fn code(&self) -> u16 {
        match self {
            Self::Status(status) => status.code,
            Self::TimedOut(_) | Self::Broken(_) => 0,
        }
    }
}

/// The deepest cause of an error: why it failed, where the error itself says what was tried.
pub fn root_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

fn with_its_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let (error, cause) = (error.to_string(), root_cause(error).to_string());
    if error.contains(&cause) { error } else { format!("{error}: {cause}") }
}

fn said(status: &Status) -> String {
    if status.message.is_empty() {
        format!("the API server answered {} {}", status.code, status.reason)
    } else {
        format!("{} ({})", status.message, status.code)
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            other => Self::Broken(Box::new(other)),
        }
    }
}

/// Sends a call once and waits for its answer, at most [`TIMEOUT`].
pub async fn send(client: &Client, call: &Call) -> Result<Value, CallError> {
    send_within(client, call, TIMEOUT).await
}

/// Sends a call once and waits for its answer, at most `limit`.
pub async fn send_within(client: &Client, call: &Call, limit: Duration) -> Result<Value, CallError> {
    let request = call.request().map_err(|error| CallError::Broken(Box::new(error)))?;
    match tokio::time::timeout(limit, client.request::<Value>(request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::TimedOut(limit)),
    }
}

/// Sends a call once and returns the bytes of its answer as they come; for logs, which are no JSON. Only the beginning
/// of the answer is waited for here, at most [`TIMEOUT`]: the rest is the reader's to limit.
pub async fn stream(client: &Client, call: &Call) -> Result<impl AsyncBufRead + use<>, CallError> {
    let request = call.request().map_err(|error| CallError::Broken(Box::new(error)))?;
    match tokio::time::timeout(TIMEOUT, client.request_stream(request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::TimedOut(TIMEOUT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded() {
        let call = Call::get("/api/v1/pods").with("labelSelector", "app in (a,b)").with("limit", "500");
        assert_eq!(call.target(), "/api/v1/pods?labelSelector=app%20in%20%28a%2Cb%29&limit=500");
    }

    #[test]
    fn a_connection_that_failed_is_told_with_why() {
        #[derive(Debug, Error)]
        #[error("connect")]
        struct Connect(#[source] std::io::Error);
        let told = |text: &str| CallError::Broken(Box::new(Connect(std::io::Error::other(text)))).to_string();
        assert_eq!(told("refused"), "the API server cannot be spoken to: connect: refused");
        assert_eq!(told("connect"), "the API server cannot be spoken to: connect");
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "status": "Failure", "message": "pods is forbidden", "reason": "Forbidden", "code": 403
        }))
        .unwrap();
        let error = CallError::Status(Box::new(status));
        assert_eq!((error.to_string().as_str(), error.code()), ("pods is forbidden (403)", 403));
    }
}
