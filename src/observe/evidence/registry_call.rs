//! Asking a registry for a manifest, as the OCI distribution specification says: bounded, with credentials where they
//! are asked for and never to a host that has not.

use std::error::Error;
use std::io;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use rustls::CertificateError;
use serde_json::Value;

use super::credentials::Login;
use super::lock;
use crate::cluster::{install_crypto, root_cause};

/// The most of a manifest that is read: what the specification asks registries to accept.
const MANIFEST_MAX: usize = 4 * 1024 * 1024;

/// The most of a token that is read; real ones have a few kilobytes.
const TOKEN_MAX: usize = 64 * 1024;

/// Redirects that are followed. Registries behind a content network use one.
const REDIRECTS_MAX: usize = 3;

const CONNECT: Duration = Duration::from_secs(5);

const KINDS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.docker.distribution.manifest.v2+json";

/// How one registry is spoken to.
#[derive(Debug)]
pub(super) struct Caller {
    scheme: &'static str,
    client: Result<Client, String>,
}

/// A manifest as it came.
#[derive(Debug)]
pub struct Manifest {
    /// Its bytes.
    pub body: Vec<u8>,
    /// What the registry says its digest is.
    pub digest: Option<String>,
}

impl Caller {
    /// HTTPS, with the certificate authorities everybody trusts.
    pub(super) fn public() -> Self {
        static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(|| {
            let client = builder().https_only(true).build();
            client.map_err(|error| {
                format!("no certificate authority is known to check registries by ({error}); give one in the chart's registries")
            })
        });
        Self { scheme: "https", client: CLIENT.clone() }
    }

    /// HTTPS, with these certificate authorities and no other.
    pub(super) fn with_authority(pem: &[u8]) -> Result<Self, String> {
        install_crypto();
        let authorities = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
        if authorities.is_empty() {
            return Err("it holds no certificate".to_owned());
        }
        let client = builder().https_only(true).tls_certs_only(authorities).build();
        Ok(Self { scheme: "https", client: Ok(client.map_err(|error| error.to_string())?) })
    }

    /// No TLS at all.
    pub(super) fn plain() -> Self {
        Self { scheme: "http", client: builder().tls_certs_only([]).build().map_err(|error| error.to_string()) }
    }

    /// A session with one repository.
    pub(super) fn session<'a>(&'a self, host: &str, path: &str, login: Option<&'a Login>) -> Session<'a> {
        let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
        Session {
            caller: self,
            base: format!("{}://{host}/v2/{path}/manifests", self.scheme),
            host: host.to_owned(),
            scope: format!("repository:{path}:pull"),
            login,
            proof: Mutex::default(),
        }
    }
}

fn builder() -> ClientBuilder {
    install_crypto();
    Client::builder().redirect(Policy::limited(REDIRECTS_MAX)).connect_timeout(CONNECT).user_agent("securityhotfix")
}

/// What is shown to a registry that asks who is there.
#[derive(Clone, Debug, Default)]
enum Proof {
    #[default]
    None,
    Token(String),
    Login,
}

/// A session with one repository.
pub(super) struct Session<'a> {
    caller: &'a Caller,
    base: String,
    host: String,
    scope: String,
    login: Option<&'a Login>,
    proof: Mutex<Proof>,
}

impl Session<'_> {
    /// The manifest of a tag or digest; `None` where there is none.
    pub(super) async fn manifest(&self, reference: &str) -> Result<Option<Manifest>, String> {
        let client = self.caller.client.as_ref().map_err(Clone::clone)?;
        let url = format!("{}/{reference}", self.base);
        let ask = || {
            let request = client.get(&url).header(ACCEPT, KINDS);
            self.proven(request)
        };
        let mut response = ask().send().await.map_err(|error| unreachable(&self.registry(), &error))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            let proof = self.prove(client, challenge.unwrap_or_default()).await?;
            *lock(&self.proof) = proof;
            response = ask().send().await.map_err(|error| unreachable(&self.registry(), &error))?;
        }
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(format!(
                    "{} does not let the operator read it {} ({}): {CHECK_CREDENTIALS}",
                    self.registry(),
                    self.how(),
                    status.as_u16()
                ));
            }
            status => return Err(format!("{} answered {}", self.registry(), status.as_u16())),
        }
        let digest = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        let digest = digest.map(str::to_owned);
        let body = bounded(response, MANIFEST_MAX).await.map_err(|why| format!("the manifest {why}"))?;
        Ok(Some(Manifest { body, digest }))
    }

    fn proven(&self, request: RequestBuilder) -> RequestBuilder {
        match (&*lock(&self.proof), self.login) {
            (Proof::Token(token), _) => request.bearer_auth(token),
            (Proof::Login, Some(login)) => request.basic_auth(&login.user, Some(&login.password)),
            (Proof::Login, None) | (Proof::None, _) => request,
        }
    }

    /// What the registry asks for: the login itself, or a token of the issuer it names.
    async fn prove(&self, client: &Client, challenge: &str) -> Result<Proof, String> {
        let Some(bearer) = Bearer::parse(challenge) else { return Ok(Proof::Login) };
        let mut issuer = Url::parse(&bearer.realm)
            .ok()
            .filter(|issuer| issuer.scheme() == "https" || issuer.scheme() == self.caller.scheme)
            .ok_or_else(|| format!("{} names no usable issuer of tokens", self.registry()))?;
        let name = format!("the issuer of tokens {} of {}", issuer.authority(), self.registry());
        issuer.query_pairs_mut().append_pair("scope", &self.scope);
        if let Some(service) = &bearer.service {
            issuer.query_pairs_mut().append_pair("service", service);
        }
        let request = client.get(issuer);
        let request = match self.login {
            Some(login) => request.basic_auth(&login.user, Some(&login.password)),
            None => request,
        };
        let response = request.send().await.map_err(|error| unreachable(&name, &error))?;
        match response.status() {
            status if status.is_success() => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let (how, status) = (self.how(), status.as_u16());
                return Err(format!("{name} gives the operator none {how} ({status}): {CHECK_CREDENTIALS}"));
            }
            status => return Err(format!("{name} answered {}", status.as_u16())),
        }
        let body = bounded(response, TOKEN_MAX).await.map_err(|why| format!("what {name} answered {why}"))?;
        let token: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let token = token.get("token").or_else(|| token.get("access_token")).and_then(Value::as_str);
        token.map(|token| Proof::Token(token.to_owned())).ok_or(format!("{name} answered without a token"))
    }

    fn registry(&self) -> String {
        format!("the registry {}", self.host)
    }

    fn how(&self) -> &'static str {
        if self.login.is_some() { "with its credentials" } else { "without credentials" }
    }
}

/// What to do about a refusal.
const CHECK_CREDENTIALS: &str = "check the chart's registryCredentials";

/// Why `whom` cannot be reached, with what to do where the reason is its certificate.
fn unreachable(whom: &str, error: &(dyn Error + 'static)) -> String {
    // The latter: an authority of the same name with another key.
    let unknown =
        matches!(refused_certificate(error), Some(CertificateError::UnknownIssuer | CertificateError::BadSignature));
    let what = if unknown { ". Give its certificate authority as ca in the chart's registries" } else { "" };
    format!("{whom} cannot be reached: {}{what}", root_cause(error))
}

/// What is wrong with the certificate, where that is the reason of an error.
fn refused_certificate<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    loop {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(why);
        }
        // An error of the system hides the one it wraps: it gives that one's source as its own.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error = match wrapped {
            Some(wrapped) => wrapped,
            None => error.source()?,
        };
    }
}

/// The body of a response, if it is not larger than `max`.
async fn bounded(mut response: Response, max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max => return Err(format!("has more than {max} bytes")),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err("broke off".to_owned()),
        }
    }
}

/// A registry's demand for a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Bearer {
    /// Who issues it.
    pub realm: String,
    /// What it is for, in the issuer's words.
    pub service: Option<String>,
}

impl Bearer {
    /// Reads `Bearer realm="...",service="...",scope="..."`.
    pub fn parse(challenge: &str) -> Option<Self> {
        let (scheme, mut rest) = challenge.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').map_or((after, ""), |(value, _)| (value, &after[value.len()..])),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Self { realm: realm?, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_nobody_knows_is_told_with_what_to_do() {
        // As the client wraps it.
        let of = |error| unreachable("the registry r", &io::Error::other(io::Error::other(error)));
        let unknown = of(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(
            unknown,
            "the registry r cannot be reached: invalid peer certificate: UnknownIssuer. Give its certificate authority as ca in the chart's registries"
        );
        let expired = of(rustls::Error::InvalidCertificate(CertificateError::Expired));
        assert_eq!(expired, "the registry r cannot be reached: invalid peer certificate: Expired");
    }

    #[test]
    fn a_demand_for_a_token_is_read() {
        let read = |challenge| Bearer::parse(challenge);
        let of =
            |realm: &str, service: Option<&str>| Some(Bearer { realm: realm.into(), service: service.map(Into::into) });
        assert_eq!(
            read(r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:a:pull,push""#),
            of("https://a.example/token", Some("r.example"))
        );
        assert_eq!(read(r#"bearer service=r, realm="https://a.example""#), of("https://a.example", Some("r")));
        assert_eq!(read(r#"Basic realm="r""#), None);
        assert_eq!(read("Bearer service=r"), None);
        assert_eq!(read(r#"Bearer realm="unclosed"#), None);
        assert_eq!(read(""), None);
    }
}
