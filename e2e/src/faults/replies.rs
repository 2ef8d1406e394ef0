//! What comes from outside the cluster: a registry's manifests, and what the scanners and tests of check Jobs print. Pods on
//! simulated nodes print nothing, so the proxy answers the reading of their logs with what is made here.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use securityhotfix::check::frame::{self, Captured, Exit};
use serde_json::json;
use tokio::net::TcpListener;

use super::fault::Fault;
use super::name::Job;
use crate::digest::sha256;

/// Where the registry is, inside the cluster's network: the first part of every image's name.
pub const REGISTRY: &str = "127.0.0.1:5000";

/// The word in a check's command that makes it fail.
pub const REFUSES: &str = "refuse";

/// Every version of the application there is.
pub const VERSIONS: [&str; 4] = ["v1", "v1b", "v2", "v3"];

/// The manifest of a version: an image of no layers.
fn manifest(version: &str) -> String {
    let config = sha256(version.as_bytes());
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config},
        "layers": [],
    })
    .to_string()
}

/// The image of a version, by digest.
pub fn image(version: &str) -> String {
    format!("{REGISTRY}/web@{}", sha256(manifest(version).as_bytes()))
}

/// The version an image is.
pub fn version(image: &str) -> Option<&'static str> {
    VERSIONS.into_iter().find(|version| self::image(version) == image)
}

/// Serves the manifests until the runtime ends.
pub async fn registry() -> std::io::Result<()> {
    let address: SocketAddr = REGISTRY.parse().map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(())
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let wanted = request.uri().path().rsplit('/').next().unwrap_or_default();
    let found = VERSIONS.into_iter().map(manifest).find(|manifest| sha256(manifest.as_bytes()) == wanted);
    let mut answer = Response::new(Full::from(found.clone().unwrap_or_default()));
    if found.is_none() {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    answer
}

/// What a check's pod has printed: a scan sees the advisory in whatever runs, and in the candidates that are `vulnerable`; a test
/// prints nothing.
pub fn log(job: &Job, vulnerable: &[&str]) -> Vec<u8> {
    let refuses = job.command.iter().any(|word| word == REFUSES);
    let seen =
        job.told.contains(" baseline") || version(&job.image).is_some_and(|version| vulnerable.contains(&version));
    let report = if job.image.is_empty() { String::new() } else { scan(&job.image, seen) };
    let mut log = Vec::new();
    let exit = Exit::Code(i32::from(refuses));
    frame::write(&mut log, exit, &Captured::Whole(report.into_bytes()), b"")
        .expect("writing into memory does not fail");
    log
}

/// What arrives of a log when it goes wrong on its way.
pub fn spoiled(log: Vec<u8>, fault: Option<Fault>) -> Vec<u8> {
    match fault {
        Some(Fault::LogTwice) => log.repeat(2),
        Some(Fault::LogCut) => log[..log.len() / 2].to_vec(),
        Some(Fault::LogGarbled) => b"{\"Results\": [], \"exitCode\": 0}\n".to_vec(),
        _ => log,
    }
}

/// A report as Trivy writes it.
fn scan(image: &str, vulnerable: bool) -> String {
    let version = if vulnerable { "3.1.0" } else { "3.1.6" };
    let found = json!([{
        "VulnerabilityID": "CVE-2024-22195", "VendorIDs": ["GHSA-h5c8-rqwp-cp95"], "PkgName": "Jinja2",
        "InstalledVersion": version, "FixedVersion": "3.1.3", "Status": "fixed", "Severity": "MEDIUM",
    }]);
    json!({
        "SchemaVersion": 2,
        "Trivy": {"Version": "0.72.0"},
        "ArtifactName": image,
        "Metadata": {"RepoDigests": [image]},
        "Results": [{
            "Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg",
            "Packages": [{"Name": "Jinja2", "Version": version}],
            "Vulnerabilities": if vulnerable { found } else { json!([]) },
        }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_about_the_image_its_job_was_made_for() {
        let job = Job { told: "scan trivy baseline".into(), image: image("v1"), command: vec!["trivy".into()] };
        let read = frame::parse(&log(&job, &[])).unwrap();
        let report = String::from_utf8(read.report).unwrap();
        assert!(report.contains("CVE-2024-22195") && report.contains(&image("v1")), "{report}");
        assert_eq!(read.exit, Exit::Code(0));
    }

    #[test]
    fn a_test_that_refuses_ends_with_one() {
        let job = Job { told: String::new(), image: String::new(), command: vec!["check".into(), REFUSES.into()] };
        assert_eq!(frame::parse(&log(&job, &[])).unwrap().exit, Exit::Code(1));
    }

    #[test]
    fn a_log_that_is_doubled_cut_or_garbled_is_not_one_frame() {
        let job = Job { told: "scan trivy baseline".into(), image: image("v1"), command: vec!["trivy".into()] };
        for fault in [Fault::LogTwice, Fault::LogCut, Fault::LogGarbled] {
            assert!(frame::parse(&spoiled(log(&job, &[]), Some(fault))).is_err(), "{fault}");
        }
        assert!(frame::parse(&spoiled(log(&job, &[]), Some(Fault::LogLate))).is_ok());
    }

    #[test]
    fn the_registry_has_every_version_by_its_digest_and_nothing_else() {
        let get = |path: String| answer(&Request::get(path).body(()).unwrap()).status();
        for version in VERSIONS {
            let image = image(version);
            let digest = image.split_once('@').unwrap().1;
            assert_eq!(get(format!("/v2/web/manifests/{digest}")), StatusCode::OK);
            assert_eq!(self::version(&image), Some(version));
        }
        assert_eq!(get("/v2/web/manifests/latest".to_owned()), StatusCode::NOT_FOUND);
    }
}
