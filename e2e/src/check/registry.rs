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

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, fs, io::Read, path::PathBuf};

    use http_body_util::Full;
    use hyper::{
        Request, Response, StatusCode,
        body::{Bytes, Incoming},
        server::conn::http1,
        service::service_fn,
    };
    use hyper_util::rt::TokioIo;
    use serde_json::Value;
    use tempfile::TempDir;
    use tokio::{net::TcpListener, task::spawn};

    use super::*;
    use crate::images::{Config, Layer, Packed, pack};

    fn packed(folder: &TempDir) -> Packed {
        let layers = [Layer::new().text("/etc/os-release", "ID=debian\n"), Layer::new().text("/data", "x")];
        pack(&Config::default(), &layers, &folder.path().join("layout")).expect("it packs")
    }

    /// Serves the blobs of a layout as a registry does, manifests too, and gives the image's reference.
    async fn serve(packed: &Packed) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let blobs = packed.layout.join("blobs/sha256");
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let blobs = blobs.clone();
                let service = service_fn(move |request| {
                    let answer = answer(&blobs, &request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        format!("{address}/web@{}", packed.digest)
    }

    fn answer(blobs: &Path, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let kinds = request.headers().get("accept").and_then(|kinds| kinds.to_str().ok()).unwrap_or_default();
        let path = request.uri().path();
        let hidden = path.contains("/manifests/") && !kinds.contains("vnd.oci.image.manifest");
        let named = path.rsplit_once("sha256:").map(|(_, hash)| blobs.join(hash));
        let (status, body) = match named.map(fs::read) {
            Some(Ok(bytes)) if !hidden => (StatusCode::OK, bytes),
            _ => (StatusCode::NOT_FOUND, Vec::new()),
        };
        let mut answer = Response::new(Full::new(body.into()));
        *answer.status_mut() = status;
        answer
    }

    fn contents(archive: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut archive = tar::Archive::new(File::open(archive).expect("it was written"));
        let entries = archive.entries().expect("it is an archive").map(|entry| {
            let mut entry = entry.expect("it is whole");
            let path = entry.path().expect("it has a path").into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("it can be read");
            (path, bytes)
        });
        entries.collect()
    }

    #[tokio::test]
    async fn the_archive_names_the_config_and_every_layer_it_holds() {
        let folder = tempfile::tempdir().expect("there is room");
        let archive = folder.path().join("image.tar");
        fetch(&serve(&packed(&folder)).await, &archive).await.expect("the registry has it");
        let held = contents(&archive);
        let (_, manifest) = held.last().expect("it is not empty");
        let manifest: Value = serde_json::from_slice(manifest).expect("it is JSON");
        let layers = manifest[0]["Layers"].as_array().expect("it has layers").iter();
        let named: Vec<_> = std::iter::once(&manifest[0]["Config"]).chain(layers).filter_map(Value::as_str).collect();
        let files: Vec<_> = held.iter().filter_map(|(path, _)| path.to_str()).collect();
        assert_eq!(named.len(), 3, "a config and two layers");
        assert_eq!([named, vec!["manifest.json"]].concat(), files);
    }

    #[tokio::test]
    async fn a_blob_that_is_not_what_its_digest_says_is_refused() {
        let folder = tempfile::tempdir().expect("there is room");
        let packed = packed(&folder);
        let image = serve(&packed).await;
        for blob in fs::read_dir(packed.layout.join("blobs/sha256")).expect("it is a folder") {
            let blob = blob.expect("it can be read").path();
            if !packed.digest.ends_with(blob.file_name().and_then(|name| name.to_str()).expect("it has a name")) {
                fs::write(blob, "something else").expect("it can be written");
            }
        }
        let refused = fetch(&image, &folder.path().join("image.tar")).await.expect_err("the blobs were exchanged");
        assert!(refused.to_string().contains("what came has the digest"), "{refused}");
    }

    #[tokio::test]
    async fn an_image_without_a_digest_is_refused() {
        let refused = fetch("127.0.0.1:5000/web:v1", Path::new("/nowhere")).await;
        assert!(matches!(refused, Err(FetchError::Reference(_))), "{refused:?}");
    }
}
