//! What everything is called in the pictures that the model shows the planner.

use std::sync::OnceLock;

use securityhotfix::api::names as api;
use securityhotfix::plan::observed::Map;

use crate::state::{SIDES, Svc, coded};

/// The workload.
pub const BLUE: &str = "web";
/// Its uid.
pub const BLUE_UID: &str = "blue-uid";
/// Its namespace.
pub const NAMESPACE: &str = "shop";
/// Its Services.
pub const SERVICES: [&str; 2] = ["web", "web-internal"];
/// The hotfixes.
pub const HOTFIXES: [&str; SIDES] = ["fix-a", "fix-b"];
/// Their uids.
pub const UIDS: [&str; SIDES] = ["aaaaaaaa-fix", "bbbbbbbb-fix"];

/// The image of a version.
pub fn image(version: u8) -> String {
    let digit = char::from(b'0' + version);
    format!("registry.example/web@sha256:{}", String::from(digit).repeat(64))
}

/// The version of an image.
pub fn version(image: &str) -> u8 {
    let digit = image.bytes().last().expect("an image has a name");
    let version = digit.wrapping_sub(b'0');
    assert!((1..=3).contains(&version), "image {image} cannot be represented");
    version
}

/// The version a hotfix asks for.
pub fn wanted(side: usize) -> u8 {
    [2, 3][side]
}

/// The slot of an attempt.
pub fn slot(side: usize, attempt: u8) -> &'static str {
    static SLOTS: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    let slots = SLOTS.get_or_init(|| UIDS.iter().map(|uid| (0..=3).map(|n| api::slot(uid, n)).collect()).collect());
    &slots[side][usize::from(attempt)]
}

/// The hotfix of a uid.
pub fn side_of(uid: &str) -> usize {
    UIDS.iter().position(|known| *known == uid).unwrap_or_else(|| panic!("hotfix {uid} cannot be represented"))
}

/// `pod-template-hash` of blue's ReplicaSet of a version.
pub fn blue_hash(version: u8) -> String {
    format!("blue{version}")
}

/// Uid of blue's ReplicaSet of a version.
pub fn blue_set(version: u8) -> String {
    format!("set-blue-{version}")
}

/// `pod-template-hash` of a candidate's ReplicaSet.
pub fn green_hash(side: usize, attempt: u8) -> String {
    format!("green{side}{attempt}")
}

/// Uid of a candidate's ReplicaSet.
pub fn green_set(side: usize, inc: u8) -> String {
    format!("set-green-{side}-{inc}")
}

/// Uid of a candidate.
pub fn green_uid(side: usize, inc: u8) -> String {
    format!("green-{side}-{inc}")
}

/// The owner's selector of a Service.
pub fn owners(variant: u8) -> Map {
    let mut selector: Map = [("app".to_owned(), "web".to_owned())].into();
    if variant == 1 {
        selector.insert("tier".into(), "front".into());
    }
    selector
}

/// The selector of a Service.
pub fn selector(svc: Svc) -> Map {
    let mut selector = owners(svc.variant());
    if svc.slot() != 0 {
        let (side, attempt) = coded(svc.slot());
        selector.insert(api::SLOT.into(), slot(side, attempt).into());
    }
    if svc.pin() != 0 {
        selector.insert(api::POD_TEMPLATE_HASH.into(), blue_hash(svc.pin()));
    }
    selector
}

/// A Service with this selector instead of its own.
pub fn with_selector(mut svc: Svc, selector: &Map) -> Svc {
    let known = ["app", "tier", api::SLOT, api::POD_TEMPLATE_HASH];
    let odd = selector.keys().find(|key| !known.contains(&key.as_str()));
    assert!(odd.is_none() && selector.contains_key("app"), "selector {selector:?} cannot be represented");
    svc.set_variant(u8::from(selector.contains_key("tier")));
    let slot = selector.get(api::SLOT).map_or(0, |found| {
        (1..=6)
            .find(|code| {
                let (side, attempt) = coded(*code);
                slot(side, attempt) == found
            })
            .unwrap_or_else(|| panic!("slot {found} cannot be represented"))
    });
    svc.set_slot(slot);
    let pin = selector.get(api::POD_TEMPLATE_HASH).map_or(0, |hash| {
        let digit = hash.strip_prefix("blue").and_then(|digit| digit.parse().ok());
        digit.unwrap_or_else(|| panic!("pin {hash} cannot be represented"))
    });
    svc.set_pin(pin);
    svc
}

/// A mark as it is written.
pub fn mark(mark: u8) -> Option<String> {
    let (seals, code) = crate::state::marked(mark)?;
    let (side, attempt) = coded(code);
    let write = if seals { api::sealed } else { api::hold };
    Some(write(UIDS[side], i64::from(attempt)))
}

/// A written mark.
pub fn read_mark(text: &str) -> u8 {
    let found = match api::Mark::parse(text) {
        api::Mark::Hold(owner) => (crate::state::hold as fn(u8) -> u8, owner),
        api::Mark::Sealed(owner) => (crate::state::sealed as fn(u8) -> u8, owner),
        api::Mark::Foreign(value) => panic!("mark {value} cannot be represented"),
    };
    // A slot without a mark is sealed in the name of attempt 0, which nobody has; nobody has the third here either.
    let attempt = u8::try_from(found.1.attempt).map_or(3, |attempt| if attempt == 0 { 3 } else { attempt });
    found.0(crate::state::code(side_of(&found.1.uid), attempt))
}
