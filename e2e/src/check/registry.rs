//! Fetches an image from a plain-HTTP registry into an archive as `docker save` writes it, every blob checked against
//! its digest.
//!
//! Only what the local cluster's registry needs: no credentials, no HTTPS, no index of several platforms.

use std::{fs::File, io, path::Path};

use serde::Deserialize;
use serde_json::json;

use super::smoke::resolve;
use crate::{digest::sha256, http::Connection};

/// The largest blob that is fetched; the images under test have a few megabytes.
const MAX_BLOB: usize = 256 << 20;

/// A registry shows a manifest only to those who say that they know its kind.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, */*";

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The reference is not `host:port/name@sha256:...`.
    #[error("{0:?} is not an image by digest, host:port/name@sha256:...")]
    Reference(String),
    /// The registry did not give a blob.
    #[error("cannot fetch {path}: {seen}")]
    Registry {
        /// What was asked for.
        path: String,
        /// What came instead.
        seen: String,
    },
    /// The manifest is not one of a single image.
    #[error("the manifest is not of one image: {0}")]
    Manifest(#[from] serde_json::Error),
    /// The archive could not be written.
    #[error("cannot write the archive: {0}")]
    Write(#[from] io::Error),
}

#[derive(Deserialize)]
struct Manifest {
    config: Described,
    layers: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    digest: String,
}

/// Fetches `image` into the archive `into`.
pub async fn fetch(image: &str, into: &Path) -> Result<(), FetchError> {
    let parts = image.split_once('@').and_then(|(name, digest)| Some((name.split_once('/')?, digest)));
    let ((registry, name), digest) = parts.ok_or_else(|| FetchError::Reference(image.to_owned()))?;

    let manifest = blob(registry, &format!("/v2/{name}/manifests/{digest}"), digest).await?;
    let manifest: Manifest = serde_json::from_slice(&manifest)?;
    let mut archive = tar::Builder::new(File::create(into)?);
    let mut named = Vec::new();
    for Described { digest } in std::iter::once(&manifest.config).chain(&manifest.layers) {
        let bytes = blob(registry, &format!("/v2/{name}/blobs/{digest}"), digest).await?;
        let file = digest.replace(':', "-");
        append(&mut archive, &file, &bytes)?;
        named.push(file);
    }
    let tag = format!("{registry}/{name}:scanned");
    let contents = json!([{"Config": named[0], "RepoTags": [tag], "Layers": named[1..]}]);
    append(&mut archive, "manifest.json", contents.to_string().as_bytes())?;
    archive.into_inner()?.sync_all()?;
    Ok(())
}

async fn blob(registry: &str, path: &str, digest: &str) -> Result<Vec<u8>, FetchError> {
    let failed = |seen: String| FetchError::Registry { path: path.to_owned(), seen };
    let address = resolve(registry).await.map_err(failed)?;
    let mut connection = Connection::open(address).await.map_err(|failure| failed(failure.to_string()))?;
    let reply = connection.fetch(registry, path, ACCEPT, MAX_BLOB).await;
    let reply = reply.map_err(|error| failed(error.to_string()))?;
    if !reply.status.is_success() {
        return Err(failed(format!("status {}", reply.status.as_u16())));
    }
    let seen = sha256(&reply.body);
    if seen != digest {
        return Err(failed(format!("what came has the digest {seen}")));
    }
    Ok(reply.body.into())
}

fn append(archive: &mut tar::Builder<File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes)
}
