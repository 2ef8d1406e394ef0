//! What registries answer, and the file with their logins.

use securityhotfix::api::image::Digest;
use securityhotfix::api::{ImageChange, ResolvedImage};
use securityhotfix::observe::untrusted::{Bearer, Credentials, Described, Manifest, described, resolved, verified};
use serde_json::Value;

use crate::bytes::cuts;
use crate::json::texts;
use crate::reports::refused;
use crate::schema;

/// A manifest, or an index of them.
pub fn manifest(bytes: &[u8]) {
    let body = Manifest { body: bytes.to_vec(), digest: None };
    let digest = verified(&body, None).expect("a digest that nobody claims is found");
    assert_eq!(verified(&body, Some(&digest)).as_ref(), Ok(&digest));
    let other = Digest::parse(&format!("sha256:{}", "0".repeat(64))).expect("it is one");
    assert!(verified(&body, Some(&other)).is_err(), "another manifest was taken for the one asked for");
    let claims = Manifest { body: bytes.to_vec(), digest: Some(other.to_string()) };
    assert!(verified(&claims, None).is_err(), "a manifest that is not what it claims to be was taken");
    let read = match described(bytes) {
        Ok(read) => read,
        Err(why) => return refused(&why),
    };
    assert_eq!(described(bytes).as_ref(), Ok(&read));
    for cut in cuts(bytes) {
        assert!(described(cut).is_err(), "a manifest that was cut off is taken for a whole one");
    }
    let children = match read {
        Described::Image { config } => vec![config],
        // Each with a configuration of its own, as large as it gets.
        Described::Index { children } => children.iter().flat_map(|child| [child.clone(), turned(child)]).collect(),
    };
    let change: ImageChange = ImageChange { container: "web".into(), image: "r.example/web:1".into() };
    let image = resolved(&change, "r.example/web", &digest, children);
    fits(&image);
}

fn turned(digest: &Digest) -> Digest {
    let hex: String = digest.as_str().trim_start_matches("sha256:").chars().rev().collect();
    Digest::parse(&format!("sha256:{hex}")).expect("turned round it is one still")
}

fn fits(image: &ResolvedImage) {
    let written = serde_json::to_value(image).expect("it can be written");
    let at = "/properties/attempt/properties/images/items";
    let wrong = schema::STATUS.faults(at, &written);
    assert!(wrong.is_empty(), "the API server would refuse it: {}", wrong.join(", "));
}

/// The header by which a registry asks for a token.
pub fn challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(bearer) = Bearer::parse(&text) else { return };
    assert_eq!(Bearer::parse(&text).as_ref(), Some(&bearer));
    assert!(text.contains(&bearer.realm), "the realm was made up: {bearer:?}");
    let plain = |part: &str| !part.contains('"');
    if plain(&bearer.realm) && bearer.service.as_deref().is_none_or(plain) {
        let service = bearer.service.as_ref().map(|service| format!(",service=\"{service}\"")).unwrap_or_default();
        let again = format!("Bearer realm=\"{}\"{service}", bearer.realm);
        assert_eq!(Bearer::parse(&again), Some(bearer), "written again it is another");
    }
}

/// Docker's file of logins. What is wrong with it goes into a log: no secret may.
pub fn login(bytes: &[u8]) {
    let logins = match Credentials::parse(bytes) {
        Ok(logins) => format!("{logins:?}"),
        Err(error) => return discreet(bytes, &error),
    };
    assert!(!logins.contains("password"), "{logins}");
}

fn discreet(bytes: &[u8], why: &str) {
    refused(why);
    let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let told = texts(&document).into_iter().find(|text| text.len() > 8 && why.contains(*text));
    assert_eq!(told, None, "it tells what is in the file: {why}");
}
