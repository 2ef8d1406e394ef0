//! One request to the API server as a value, in terms of path and body: for suites that try what typed clients cannot say.

use hyper::Method;
use hyper::http::Request;
use kube::Client;
use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub struct Deed {
    method: Method,
    path: String,
    content: &'static str,
    body: Value,
}

impl Deed {
    fn new(method: Method, path: impl Into<String>, content: &'static str, body: Value) -> Self {
        Self { method, path: path.into(), content, body }
    }

    /// Creates `body` in the collection at `path`.
    pub fn create(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, "application/json", body)
    }

    /// Reads what is at `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, "application/json", Value::Null)
    }

    /// Replaces what is at `path`.
    pub fn replace(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PUT, path, "application/json", body)
    }

    /// Deletes what is at `path`.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, "application/json", Value::Null)
    }

    /// Merges `body` into what is at `path`, lists by their keys.
    pub fn merge(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PATCH, path, "application/strategic-merge-patch+json", body)
    }

    /// The same for kinds of custom resources, which know no list keys.
    pub fn merge_custom(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PATCH, path, "application/merge-patch+json", body)
    }

    /// Applies a JSON patch to what is at `path`.
    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PATCH, path, "application/json-patch+json", body)
    }

    /// The same, judged by admission but not done.
    #[must_use]
    pub fn rehearsed(mut self) -> Self {
        self.path.push_str("?dryRun=All");
        self
    }

    /// Tries it; the error is what the API server answered.
    pub async fn attempt(&self, client: &Client) -> Result<Value, kube::Error> {
        let body = if self.body.is_null() { Vec::new() } else { self.body.to_string().into_bytes() };
        let request = Request::builder().method(&self.method).uri(&self.path).header("Content-Type", self.content);
        let request = request.body(body).map_err(kube::Error::HttpError)?;
        client.request(request).await
    }
}
