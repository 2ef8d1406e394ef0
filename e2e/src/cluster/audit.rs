//! What the API server was asked, by whom, and what it answered: its audit log as typed records.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::error::{ClusterError, Tried};

/// The audit log of one cluster.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log: what lies behind it is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditMark(u64);

impl AuditLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as it is now. A request answered a moment ago may still be on its way into it.
    pub fn mark(&self) -> Result<AuditMark, ClusterError> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) => Ok(AuditMark(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(AuditMark(0)),
            Err(error) => Err(error).tried(|| format!("reading {}", self.path.display())),
        }
    }

    /// Everything that was answered since the mark, in the order it was written.
    pub fn since(&self, mark: AuditMark) -> Result<Vec<AuditRecord>, ClusterError> {
        let mut text = String::new();
        let mut file = File::open(&self.path).tried(|| format!("opening {}", self.path.display()))?;
        file.seek(SeekFrom::Start(mark.0)).tried(|| format!("reading {}", self.path.display()))?;
        file.read_to_string(&mut text).tried(|| format!("reading {}", self.path.display()))?;
        // Half a line at the end is still being written; it is read next time.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        // A mark taken while a line was being written points into it: the rest of that line is no record.
        whole
            .lines()
            .enumerate()
            .filter_map(|(number, line)| match serde_json::from_str::<AuditRecord>(line) {
                Err(_) if number == 0 && mark.0 > 0 => None,
                other => Some(other),
            })
            .collect::<Result<_, _>>()
            .map_err(std::io::Error::from)
            .tried(|| format!("understanding {}", self.path.display()))
    }

    /// Everything that was answered since the cluster came up.
    pub fn all(&self) -> Result<Vec<AuditRecord>, ClusterError> {
        self.since(AuditMark::default())
    }
}

/// One request that was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// The API server's own id of the request.
    #[serde(rename = "auditID")]
    pub id: String,
    /// get, list, watch, create, update, patch, delete, deletecollection, or a non-resource verb.
    pub verb: String,
    /// The path and query that were asked for.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// Who asked.
    pub user: AuditUser,
    /// What the client called itself.
    #[serde(default)]
    pub user_agent: String,
    /// The object, if the request was about one.
    pub object_ref: Option<AuditObject>,
    /// What was answered. Absent when the server panicked.
    pub response_status: Option<AuditStatus>,
    /// What was sent, of writes to the status of pods and Jobs: there it tells what became known, and when.
    pub request_object: Option<Value>,
    /// When the request came in.
    pub request_received_timestamp: Timestamp,
    /// When its answer was complete; for a watch, when it ended.
    pub stage_timestamp: Timestamp,
}

/// Who asked.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditUser {
    /// The user's name, e.g. `system:serviceaccount:NAMESPACE:NAME`.
    #[serde(default)]
    pub username: String,
    /// What else the API server knows of the user; of a pod's token, which pod's.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Which object a request was about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditObject {
    /// The API group, empty for core.
    pub api_group: String,
    /// The group's version.
    pub api_version: String,
    /// The plural, e.g. `services`.
    pub resource: String,
    /// E.g. `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-scoped objects and lists over all namespaces.
    pub namespace: String,
    /// Empty for lists, and for creations by generated name.
    pub name: String,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct AuditStatus {
    /// The HTTP status.
    pub code: u16,
}

impl AuditRecord {
    /// Whether it could change something: a write that was not a dry run, whatever its answer.
    pub fn is_write(&self) -> bool {
        let verb = matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        verb && self.object_ref.is_some() && !self.is_dry_run()
    }

    /// Whether the client asked that nothing be persisted.
    pub fn is_dry_run(&self) -> bool {
        let query = self.request_uri.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|parameter| parameter.starts_with("dryRun="))
    }

    /// The pod whose token was used, if it was one.
    pub fn pod(&self) -> Option<&str> {
        self.user.extra.get("authentication.kubernetes.io/pod-name")?.first().map(String::as_str)
    }

    /// The HTTP status of the answer, 0 if there was none.
    pub fn code(&self) -> u16 {
        self.response_status.map_or(0, |status| status.code)
    }

    /// `resource` or `resource/subresource`; empty for what is no resource.
    pub fn resource(&self) -> String {
        match &self.object_ref {
            None => String::new(),
            Some(object) if object.subresource.is_empty() => object.resource.clone(),
            Some(object) => format!("{}/{}", object.resource, object.subresource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(verb: &str, uri: &str) -> String {
        serde_json::json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "a", "stage": "ResponseComplete",
            "requestURI": uri, "verb": verb, "user": {"username": "admin", "groups": ["system:masters"]},
            "sourceIPs": ["10.250.0.1"], "userAgent": "kubectl", "responseStatus": {"metadata": {}, "code": 200},
            "objectRef": {"resource": "pods", "namespace": "shop", "name": "web", "apiVersion": "v1", "subresource": "status"},
            "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.250001Z",
        })
        .to_string()
    }

    fn log(name: &str, text: &str) -> AuditLog {
        let path = std::env::temp_dir().join(format!("audit-{name}-{}", std::process::id()));
        std::fs::write(&path, text).expect("the log is written");
        AuditLog::new(path)
    }

    #[test]
    fn a_record_says_who_did_what_to_which_object() {
        let log = log("one", &(line("patch", "/api/v1/namespaces/shop/pods/web/status?fieldManager=x") + "\n"));
        let records = log.all().expect("the log is read");
        std::fs::remove_file(&log.path).expect("the log is removed");
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].resource().as_str(), records[0].code(), records[0].is_write()),
            ("pods/status", 200, true)
        );
        let spent = records[0].request_received_timestamp.duration_until(records[0].stage_timestamp);
        assert_eq!(spent.as_millis(), 250);
    }

    #[test]
    fn a_dry_run_and_a_read_are_no_writes() {
        let text = [
            line("create", "/api/v1/pods?fieldManager=x&dryRun=All"),
            line("watch", "/api/v1/pods?watch=1"),
            String::new(),
        ];
        let log = log("reads", &text.join("\n"));
        let records = log.all().expect("the log is read");
        std::fs::remove_file(&log.path).expect("the log is removed");
        assert_eq!(records.iter().map(AuditRecord::is_write).collect::<Vec<_>>(), [false, false]);
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_for_the_next_read() {
        let whole = line("get", "/api/v1/pods") + "\n";
        let log = log("half", &(whole.clone() + &whole[..20]));
        let records = log.since(AuditMark(7)).expect("the log is read");
        assert!(records.is_empty(), "the mark lies in the first line, the second has no end");
        assert_eq!(log.all().expect("the log is read").len(), 1);
        std::fs::remove_file(&log.path).expect("the log is removed");
    }
}
