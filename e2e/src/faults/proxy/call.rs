//! One call of the operator, as it is named, changed and passed on.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::faults::name::Asked;

/// A request with its body read.
#[derive(Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body as JSON, null where it is none.
    pub json: Value,
}

impl Call {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { method: self.method.as_str(), path: &self.path, query: &self.query, body: &self.json }
    }

    /// What is asked, and in which form the answer is wanted: two of the same have the same kind of answer.
    pub(super) fn question(&self) -> String {
        format!("{}?{} {:?}", self.path, self.query, self.headers.get(ACCEPT))
    }

    /// Replaces the body.
    pub fn set(&mut self, json: Value) {
        self.body = json.to_string().into();
        self.json = json;
    }

    /// The last part of the path but a subresource: the object's name.
    pub fn object(&self) -> &str {
        self.path.trim_end_matches("/status").rsplit('/').next().unwrap_or_default()
    }

    /// The path of the object.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same caller asks something else.
    #[must_use]
    pub fn aside(&self, method: Method, path: String, media: &'static str, json: Value) -> Self {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        let mut call = Self { method, path, query: self.query.clone(), headers, body: Bytes::new(), json: Value::Null };
        call.set(json);
        call
    }
}
