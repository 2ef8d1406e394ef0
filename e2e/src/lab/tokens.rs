//! The issuer of tokens that a registry sends its clients to, as those of public registries: over HTTPS, for GET only, a token
//! for what may be read. The registry itself verifies what it signs.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::error::{Asked, LabError};
use super::tls::Identity;

/// Its name, as the registry is told.
pub const ISSUER: &str = "issuer.suites.example";
/// The registry's name, as the tokens are made out to.
pub const SERVICE: &str = "registry.suites.example";

/// How long a token is good for: longer than any pull.
const SECONDS: i64 = 300;

/// What everybody may read, without a login.
pub const PUBLIC: &str = "check";

/// An issuer at work; it ends when the value is dropped.
pub struct Issuer(#[allow(dead_code)] JoinSet<()>);

impl Issuer {
    /// Begins to answer at this address, in this server's name. `login` is the `user:password` that may read everything.
    pub async fn serve(address: (IpAddr, u16), identity: Arc<Identity>, login: &str) -> Result<Self, LabError> {
        let tls = identity.acceptor()?;
        let listener = TcpListener::bind(SocketAddr::from(address)).await;
        let listener = listener.asked(|| "listening as an issuer of tokens".to_owned())?;
        let proof: Arc<str> = format!("Basic {}", STANDARD.encode(login)).into();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, identity, proof) = (tls.clone(), Arc::clone(&identity), Arc::clone(&proof));
                connections.spawn(async move {
                    // A connection that fails is the client's to make again.
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let answer = answer(&request, &identity, &proof);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self(server))
    }
}

fn answer(request: &Request<Incoming>, identity: &Identity, proof: &str) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    let known = match request.headers().get(AUTHORIZATION) {
        _ if request.method() != Method::GET => Err(StatusCode::METHOD_NOT_ALLOWED),
        None => Ok(false),
        Some(shown) if shown.as_bytes() == proof.as_bytes() => Ok(true),
        Some(_) => Err(StatusCode::UNAUTHORIZED),
    };
    let repository = repository(request.uri().query().unwrap_or_default());
    let token = known.and_then(|known| {
        let may_read = repository.filter(|name| known || name == PUBLIC);
        token(may_read.as_deref(), identity).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    });
    match token {
        Ok(token) => *response.body_mut() = Full::from(json!({"token": token, "expires_in": SECONDS}).to_string()),
        Err(status) => *response.status_mut() = status,
    }
    response
}

/// The repository of `scope=repository:NAME:pull`, which may be escaped.
fn repository(query: &str) -> Option<String> {
    let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope="))?;
    let scope = scope.replace("%3A", ":").replace("%2F", "/");
    Some(scope.strip_prefix("repository:")?.split(':').next()?.to_owned())
}

/// A token as the distribution project describes it: whoever bears it may read this repository.
fn token(repository: Option<&str>, identity: &Identity) -> Result<String, LabError> {
    let now = Timestamp::now().as_second();
    let access: Vec<_> =
        repository.into_iter().map(|name| json!({"type": "repository", "name": name, "actions": ["pull"]})).collect();
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(identity.certificate())]});
    let claims = json!({
        "iss": ISSUER, "sub": "", "aud": SERVICE, "exp": now + SECONDS, "nbf": now - 10, "iat": now,
        "jti": now.to_string(), "access": access,
    });
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(identity.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_read_from_a_scope_as_clients_write_it() {
        assert_eq!(repository("service=s&scope=repository:shop/web:pull"), Some("shop/web".to_owned()));
        assert_eq!(repository("scope=repository%3Ashop%2Fweb%3Apull&service=s"), Some("shop/web".to_owned()));
        assert_eq!(repository("service=s"), None);
        assert_eq!(repository("scope=registry:catalog:*"), None);
    }
}
