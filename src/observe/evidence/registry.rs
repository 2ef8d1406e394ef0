//! Registries: which digests stand for an image.
//!
//! A kubelet may report for one image the digest it was asked for, a child manifest's, or the configuration's. All of
//! them are found by content: every manifest is hashed here, and one whose hash is not the digest it was asked by is
//! refused, so neither registry nor network can put another image in its place.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::credentials::Credentials;
use super::registry_call::{Caller, Manifest};
use crate::api::image::{Digest, ImageRef};
use crate::api::names::hex;
use crate::api::time::Moment;
use crate::api::{ImageChange, ResolvedImage};
use crate::plan::observed::Resolution;

/// How long finding the digests of one image may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Children of an index that are looked at: with two digests each and the index's own they fit the 64 a status keeps.
/// Images for every platform there is have about a dozen.
const CHILDREN_MAX: usize = 31;

/// Registries that need more than HTTPS with a certificate everybody knows, as the chart writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    host: String,
    #[serde(default)]
    plain_http: bool,
    #[serde(default)]
    ca_file: Option<PathBuf>,
}

/// Why the registries' configuration cannot be used. The operator should not start with it.
#[derive(Debug, Error)]
pub enum RegistriesError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path} is no {what}: {why}")]
    Malformed {
        /// Which one.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        why: String,
    },
}

/// The registries the operator may ask.
#[derive(Debug, Default)]
pub struct Registries {
    callers: HashMap<String, Arc<Caller>>,
    /// Read anew for each question: passwords of many registries are exchanged every few hours.
    credentials: Option<PathBuf>,
}

impl Registries {
    /// Reads the list of registries and the credentials, where there are files of them.
    pub fn load(list: Option<&Path>, credentials: Option<&Path>) -> Result<Self, RegistriesError> {
        let mut registries = Self::default();
        if let Some(path) = credentials {
            logins(path)?;
            registries.credentials = Some(path.to_owned());
        }
        if let Some(path) = list {
            let entries: Vec<Entry> =
                serde_json::from_slice(&read(path)?).map_err(|error| malformed(path, "list of registries", &error))?;
            for entry in entries {
                let caller = match (entry.plain_http, &entry.ca_file) {
                    (true, _) => Caller::plain(),
                    (false, Some(ca)) => Caller::with_authority(&read(ca)?)
                        .map_err(|why| malformed(ca, "PEM file with certificates", &why))?,
                    (false, None) => Caller::public(),
                };
                registries.callers.insert(entry.host, Arc::new(caller));
            }
        }
        Ok(registries)
    }

    /// Finds the digests of every image.
    pub(super) async fn resolve(&self, images: &[ImageChange]) -> Vec<Resolution> {
        join_all(images.iter().map(|change| async {
            let outcome = match tokio::time::timeout(TIMEOUT, self.digests(change)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("the registry did not answer within {} s", TIMEOUT.as_secs())),
            };
            let at = Moment::new(Timestamp::now());
            Resolution { container: change.container.clone(), image: change.image.clone(), outcome, at }
        }))
        .await
    }

    async fn digests(&self, change: &ImageChange) -> Result<ResolvedImage, String> {
        let image = ImageRef::parse(&change.image).ok_or("it is no image reference with a SHA-256 digest or a tag")?;
        let (host, path) = located(&image.repository);
        let caller = self.callers.get(&host).cloned().unwrap_or_else(|| Arc::new(Caller::public()));
        let credentials = self.credentials.as_deref().map(logins).transpose();
        let credentials = credentials
            .map_err(|error| format!("{error}; correct the Secret of the chart's registryCredentials"))?
            .unwrap_or_default();
        let session = caller.session(&host, &path, credentials.of(&host, &path));
        let reference = image.digest.as_ref().map(Digest::as_str).or(image.tag.as_deref()).unwrap_or("latest");
        let manifest = session.manifest(reference).await?.ok_or_else(|| {
            format!("the registry {host} has no {reference} of {path}, or does not show it to the operator")
        })?;
        let digest = verified(&manifest, image.digest.as_ref())?;
        let children = match described(&manifest.body)? {
            Described::Image { config } => {
                return Ok(resolved(change, &image.repository, &digest, vec![config]));
            }
            Described::Index { children } => children,
        };
        let mut others = Vec::new();
        for child in children {
            others.push(child.clone());
            // Mirrors may hold some platforms only; the kubelet cannot run what is not there either.
            if let Some(manifest) = session.manifest(child.as_str()).await? {
                verified(&manifest, Some(&child))?;
                if let Described::Image { config } = described(&manifest.body)? {
                    others.push(config);
                }
            }
        }
        Ok(resolved(change, &image.repository, &digest, others))
    }
}

fn logins(path: &Path) -> Result<Credentials, RegistriesError> {
    Credentials::parse(&read(path)?).map_err(|error| malformed(path, "Docker configuration with credentials", &error))
}

fn read(path: &Path) -> Result<Vec<u8>, RegistriesError> {
    std::fs::read(path).map_err(|source| RegistriesError::Unreadable { path: path.to_owned(), source })
}

fn malformed(path: &Path, what: &'static str, why: &dyn Display) -> RegistriesError {
    RegistriesError::Malformed { path: path.to_owned(), what, why: why.to_string() }
}

/// Host and path of a repository as it was written: without a host it is Docker Hub's, as for every container runtime.
pub fn located(repository: &str) -> (String, String) {
    const HUB: &str = "docker.io";
    match repository.split_once('/') {
        Some((HUB | "index.docker.io", name)) if !name.contains('/') => (HUB.to_owned(), format!("library/{name}")),
        Some(("index.docker.io", path)) => (HUB.to_owned(), path.to_owned()),
        Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (host.to_owned(), path.to_owned()),
        Some(_) => (HUB.to_owned(), repository.to_owned()),
        None => (HUB.to_owned(), format!("library/{repository}")),
    }
}

/// The digest of a manifest, by its content.
pub fn verified(manifest: &Manifest, asked: Option<&Digest>) -> Result<Digest, String> {
    let text = format!("sha256:{}", hex(&Sha256::digest(&manifest.body), 64));
    let digest = Digest::parse(&text).expect("64 hex digits are a digest");
    let claimed = asked.map(Digest::as_str).or(manifest.digest.as_deref().filter(|it| it.starts_with("sha256:")));
    match claimed {
        Some(claimed) if claimed != digest.as_str() => {
            Err(format!("the registry answered for {claimed} with something else, {digest}"))
        }
        _ => Ok(digest),
    }
}

/// What a manifest describes.
#[derive(Debug, PartialEq, Eq)]
pub enum Described {
    /// One image.
    Image {
        /// The digest of its configuration.
        config: Digest,
    },
    /// Images of several platforms.
    Index {
        /// The digests of their manifests.
        children: Vec<Digest>,
    },
}

/// Reads a manifest or an index; why it cannot be used, as a clause.
pub fn described(body: &[u8]) -> Result<Described, String> {
    let manifest: Value = serde_json::from_slice(body).map_err(|_| "the registry's manifest is no JSON".to_owned())?;
    let digest = |of: &Value| of.get("digest").and_then(Value::as_str).and_then(Digest::parse);
    // What has both could be read as either, and a runtime could choose the other.
    match (manifest.get("config"), manifest.get("manifests").and_then(Value::as_array)) {
        (Some(config), None) => {
            digest(config).map(|config| Described::Image { config }).ok_or("the manifest names no configuration".into())
        }
        (None, Some(entries)) => {
            let platforms: Vec<&Value> = entries.iter().filter(|entry| !is_attestation(entry)).collect();
            if platforms.is_empty() || platforms.len() > CHILDREN_MAX {
                return Err(format!(
                    "the index has {} images, and between 1 and {CHILDREN_MAX} are understood",
                    platforms.len()
                ));
            }
            let children: Option<Vec<Digest>> = platforms.into_iter().map(digest).collect();
            children.map(|children| Described::Index { children }).ok_or("the index has an entry without digest".into())
        }
        _ => Err("the registry's answer is neither an image manifest nor an index".to_owned()),
    }
}

/// Attestations lie in an index beside the images; no kubelet runs one.
fn is_attestation(entry: &Value) -> bool {
    entry.pointer("/annotations/vnd.docker.reference.type").and_then(Value::as_str) == Some("attestation-manifest")
}

/// The image with every digest that stands for it, each once.
pub fn resolved(change: &ImageChange, repository: &str, digest: &Digest, others: Vec<Digest>) -> ResolvedImage {
    let mut digests = vec![digest.as_str().to_owned()];
    for other in others {
        if !digests.iter().any(|known| known == other.as_str()) {
            digests.push(other.as_str().to_owned());
        }
    }
    ResolvedImage { container: change.container.clone(), image: format!("{repository}@{digest}"), digests }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
