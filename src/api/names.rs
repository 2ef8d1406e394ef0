//! Names, labels and annotations: the part of the API that other programs match on.

use sha2::{Digest, Sha256};

/// Label of the candidate's objects and pods, and the key our switch adds to a Service's selector.
pub const SLOT: &str = "securityhotfix.dev/slot";
/// Readiness gate of the candidate's pods: while it is not True no Service sends them traffic.
pub const OPEN: &str = "securityhotfix.dev/open";
/// Finalizer of a hotfix, from claim to done.
pub const FINALIZER: &str = "securityhotfix.dev/close";
/// Annotation on a Service, the fence of the cut-over.
pub const MARK: &str = "securityhotfix.dev/mark";
/// Field manager of every write of the operator.
pub const MANAGER: &str = "securityhotfix-controller";
/// Command: end this attempt. The value is `<attempt>/<reason>`.
pub const ABORT: &str = "securityhotfix.dev/abort";
/// Command: begin another attempt. The value is any token but the last one.
pub const RETRY: &str = "securityhotfix.dev/retry";
/// Command: write the seal although blue has nothing ready. The value is `<attempt>/<reason>`.
pub const RELEASE: &str = "securityhotfix.dev/release";
/// Label of a namespace that chooses its policy.
pub const POLICY: &str = "securityhotfix.dev/policy";
/// Label of everything made for a hotfix: its uid.
pub const HOTFIX_UID: &str = "securityhotfix.dev/hotfix-uid";
/// Label of everything made for a hotfix: its name.
pub const HOTFIX_NAME: &str = "securityhotfix.dev/hotfix-name";
/// Label of everything made for a hotfix: its namespace.
pub const HOTFIX_NAMESPACE: &str = "securityhotfix.dev/hotfix-namespace";
/// Label of everything made for an attempt: its number.
pub const ATTEMPT: &str = "securityhotfix.dev/attempt";
/// Label Deployments put on their ReplicaSets and pods.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";
/// The policy of a namespace that names none.
pub const DEFAULT_POLICY: &str = "default";

/// The slot of an attempt: ten hex digits of SHA-256 over hotfix uid and attempt.
pub fn slot(hotfix_uid: &str, attempt: i64) -> String {
    hex(&Sha256::digest(format!("{hotfix_uid}/{attempt}")), 10)
}

/// Name of the candidate Deployment and of the preview Service: the target's name cut to 40 characters, `-hotfix-`,
/// and the first 8 characters of the hotfix's uid. At most 56 characters, so a Service may have it.
pub fn green(target: &str, hotfix_uid: &str) -> String {
    let cut: String = target.chars().take(40).map(|c| if c == '.' { '-' } else { c }).collect();
    let uid: String = hotfix_uid.chars().take(8).collect();
    format!("{}-hotfix-{uid}", cut.trim_end_matches('-'))
}

/// Name of the Lease that claims a workload.
pub fn claim(deployment_uid: &str) -> String {
    format!("hotfix-{deployment_uid}")
}

/// Name of the record of a hotfix: its own name cut to 40 characters and the first 8 of its uid, so that a hotfix made
/// again under the same name has a record of its own.
pub fn report(hotfix: &str, hotfix_uid: &str) -> String {
    let cut: String = hotfix.chars().take(40).collect();
    let uid: String = hotfix_uid.chars().take(8).collect();
    format!("{}-{uid}", cut.trim_end_matches(['-', '.']))
}

/// A mark: what an attempt has done with a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The attempt holds the Service and may switch it.
    Hold(Owner),
    /// The attempt is over on this Service: whatever of it was in flight cannot commit any more.
    Sealed(Owner),
    /// Something we did not write.
    Foreign(String),
}

/// Whose mark it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// UID of the hotfix.
    pub uid: String,
    /// Number of the attempt.
    pub attempt: i64,
}

impl Mark {
    /// Reads an annotation's value.
    pub fn parse(value: &str) -> Self {
        let mut parts = value.splitn(3, '/');
        let (word, uid, attempt) = (parts.next(), parts.next(), parts.next());
        match (word, uid, attempt.and_then(|a| a.parse().ok())) {
            (Some("hold"), Some(uid), Some(attempt)) => Self::Hold(Owner { uid: uid.to_owned(), attempt }),
            (Some("sealed"), Some(uid), Some(attempt)) => Self::Sealed(Owner { uid: uid.to_owned(), attempt }),
            _ => Self::Foreign(value.to_owned()),
        }
    }

    /// Whose it is, where it is one of ours.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Hold(owner) | Self::Sealed(owner) => Some(owner),
            Self::Foreign(_) => None,
        }
    }
}

/// The value of the mark of an attempt that holds a Service.
pub fn hold(uid: &str, attempt: i64) -> String {
    format!("hold/{uid}/{attempt}")
}

/// The value of the mark of an attempt that is over on a Service.
pub fn sealed(uid: &str, attempt: i64) -> String {
    format!("sealed/{uid}/{attempt}")
}

/// The first `digits` hex digits of `bytes`.
pub fn hex(bytes: &[u8], digits: usize) -> String {
    use std::fmt::Write;
    let mut text = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    });
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_ten_hex_digits_and_differs_by_attempt() {
        let first = slot("0b5f7c1e-0000-4000-8000-000000000001", 1);
        assert_eq!(first.len(), 10);
        assert_ne!(first, slot("0b5f7c1e-0000-4000-8000-000000000001", 2));
    }

    #[test]
    fn a_name_fits_a_service_whatever_the_target_is_called() {
        let name = green(&"a.".repeat(100), "0b5f7c1e-0000-4000-8000-000000000001");
        assert!(name.len() <= 63, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        assert_eq!(green("web", "0b5f7c1e-0000"), "web-hotfix-0b5f7c1e");
    }

    #[test]
    fn a_mark_reads_back() {
        let owner = Owner { uid: "u".into(), attempt: 3 };
        assert_eq!(Mark::parse(&hold("u", 3)), Mark::Hold(owner.clone()));
        assert_eq!(Mark::parse(&sealed("u", 3)), Mark::Sealed(owner));
        for odd in ["", "hold", "hold/u", "hold/u/x", "held/u/3"] {
            assert_eq!(Mark::parse(odd), Mark::Foreign(odd.into()));
        }
    }
}
