//! How the cluster is spoken to: clients with time-outs, one call at a time; and the Lease by which one of several replicas
//! leads.
//!
//! This module decides how long an answer may take and what a refusal looks like to its callers. It never decides what
//! to read or write, never retries, and never interprets an object; but for the [`lease`], which is its own.

mod call;
mod clients;
pub mod lease;
mod list;

pub use call::{Call, CallError, Verb, root_cause, send, send_within, stream};
pub use clients::{ClientError, api_client, install_crypto, watch_client};
pub use list::{LIST_MAX, ListError, list};
