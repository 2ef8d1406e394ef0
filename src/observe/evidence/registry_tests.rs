use std::collections::HashMap;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn sha(text: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text.as_bytes()), 64))
}

fn image(config: &str) -> String {
    json!({"schemaVersion": 2, "config": {"digest": sha(config)}, "layers": []}).to_string()
}

fn index(children: &[&str]) -> String {
    let mut manifests: Vec<Value> = children.iter().map(|child| json!({"digest": sha(child)})).collect();
    manifests.push(json!({"digest": sha("proof"),
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}));
    json!({"schemaVersion": 2, "manifests": manifests}).to_string()
}

/// A registry on this machine: what it has at which path, and what it wants to be shown. Where that is a token, it gives
/// them out itself, to whoever knows `LOGIN`.
async fn registry(content: &[(&str, &str)], login: Option<&'static str>) -> (String, Registries) {
    let content: HashMap<String, String> = content
        .iter()
        .map(|(reference, body)| (format!("/v2/shop/web/manifests/{reference}"), (*body).to_owned()))
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let challenge = match login {
        Some(login) if login.starts_with("Bearer") => format!("Bearer realm=\"http://{host}/token\",service=\"r\""),
        _ => "Basic realm=\"r\"".to_owned(),
    };
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            let read = socket.read(&mut bytes).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let shows = |proof: &str| request.contains(&format!("uthorization: {proof}\r\n"));
            let (status, body) = match content.get(path) {
                _ if path == "/token?scope=repository%3Ashop%2Fweb%3Apull&service=r" && shows(LOGIN) => {
                    ("200 OK", r#"{"token": "t"}"#)
                }
                _ if login.is_some_and(|login| !shows(login)) => ("401 Unauthorized", ""),
                Some(body) => ("200 OK", body.as_str()),
                None => ("404 Not Found", ""),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nWWW-Authenticate: {challenge}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let mut registries = Registries::default();
    registries.callers.insert(host.clone(), Arc::new(Caller::plain()));
    (host, registries)
}

async fn outcome(registries: &Registries, image: String) -> Result<ResolvedImage, String> {
    let change = ImageChange { container: "web".into(), image };
    registries.resolve(&[change]).await.remove(0).outcome
}

#[tokio::test]
async fn a_tag_becomes_a_digest_and_its_configuration() {
    let manifest = image("config");
    let (host, registries) = registry(&[("2", &manifest)], None).await;
    let found = outcome(&registries, format!("{host}/shop/web:2")).await.unwrap();
    assert_eq!(found.image, format!("{host}/shop/web@{}", sha(&manifest)));
    assert_eq!(found.digests, [sha(&manifest), sha("config")]);
}

#[tokio::test]
async fn an_index_stands_for_its_images_and_a_missing_platform_does_not_matter() {
    let (amd, arm) = (image("amd"), image("arm"));
    let index = index(&[&amd, &arm]);
    let content = [("latest", index.as_str()), (&sha(&amd), amd.as_str())];
    let (host, registries) = registry(&content, None).await;
    let found = outcome(&registries, format!("{host}/shop/web")).await.unwrap();
    assert_eq!(found.digests, [sha(&index), sha(&amd), sha("amd"), sha(&arm)]);
}

#[tokio::test]
async fn an_image_that_is_not_what_its_digest_says_is_refused() {
    let other = image("other");
    let wanted = sha("wanted");
    let (host, registries) = registry(&[(&wanted, &other)], None).await;
    let why = outcome(&registries, format!("{host}/shop/web@{wanted}")).await.unwrap_err();
    assert!(why.contains("with something else"), "{why}");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_said_so() {
    let (host, registries) = registry(&[], None).await;
    let why = outcome(&registries, format!("{host}/shop/web@{}", sha("x"))).await.unwrap_err();
    assert!(why.contains("has no sha256:"), "{why}");
    let odd = outcome(&registries, "web@sha256:12".into()).await.unwrap_err();
    assert!(odd.contains("no image reference"), "{odd}");
}

const LOGIN: &str = "Basic dXNlcjpwYXNz";

/// A mounted Secret. The file goes when it is dropped.
struct Secret(PathBuf);

impl Secret {
    fn of(test: &str) -> Self {
        Self(std::env::temp_dir().join(format!("hotfix-credentials-{test}-{}", std::process::id())))
    }

    /// Writes the login in base64 for this host.
    fn write(&self, host: &str, login: &str) {
        std::fs::write(&self.0, json!({"auths": {host: {"auth": login}}}).to_string()).unwrap();
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn credentials_are_given_to_the_registry_that_asks_for_them() {
    let manifest = image("config");
    let (host, mut registries) = registry(&[("2", &manifest)], Some(LOGIN)).await;
    let image = format!("{host}/shop/web:2");
    let why = outcome(&registries, image.clone()).await.unwrap_err();
    assert!(why.contains("without credentials (401): check the chart's registryCredentials"), "{why}");
    let secret = Secret::of("basic");
    registries.credentials = Some(secret.0.clone());
    secret.write(&host, "dXNlcjpvbGQ=");
    let why = outcome(&registries, image.clone()).await.unwrap_err();
    assert!(why.contains("with its credentials (401): check the chart's registryCredentials"), "{why}");
    // The password was exchanged, and the kubelet has brought the new one.
    secret.write(&host, "dXNlcjpwYXNz");
    assert!(outcome(&registries, image.clone()).await.is_ok());
    std::fs::remove_file(&secret.0).unwrap();
    let why = outcome(&registries, image).await.unwrap_err();
    assert!(why.contains("cannot be read") && why.contains("correct the Secret"), "{why}");
}

#[tokio::test]
async fn a_token_is_asked_of_the_issuer_that_the_registry_names() {
    let manifest = image("config");
    let (host, mut registries) = registry(&[("2", &manifest)], Some("Bearer t")).await;
    let image = format!("{host}/shop/web:2");
    let refused = |how| {
        format!(
            "the issuer of tokens {host} of the registry {host} gives the operator none {how} credentials (401): {CHECK}"
        )
    };
    assert_eq!(outcome(&registries, image.clone()).await.unwrap_err(), refused("without"));
    let secret = Secret::of("bearer");
    registries.credentials = Some(secret.0.clone());
    secret.write(&host, "dXNlcjpvbGQ=");
    assert_eq!(outcome(&registries, image.clone()).await.unwrap_err(), refused("with its"));
    secret.write(&host, "dXNlcjpwYXNz");
    assert!(outcome(&registries, image).await.is_ok());
}

const CHECK: &str = "check the chart's registryCredentials";

#[tokio::test]
async fn a_registry_that_cannot_be_reached_is_said_so() {
    let mut registries = Registries::default();
    registries.callers.insert("127.0.0.1:1".into(), Arc::new(Caller::plain()));
    let why = outcome(&registries, "127.0.0.1:1/shop/web:2".into()).await.unwrap_err();
    assert!(why.starts_with("the registry 127.0.0.1:1 cannot be reached"), "{why}");
}

#[test]
fn what_could_be_read_in_two_ways_is_read_in_none() {
    let both = json!({"config": {"digest": sha("a")}, "manifests": [{"digest": sha("b")}]}).to_string();
    for odd in [both.as_str(), "{}", "[]", "", r#"{"manifests": []}"#, r#"{"config": {}}"#] {
        assert!(described(odd.as_bytes()).is_err(), "{odd}");
    }
    let many: Vec<String> = (0..=CHILDREN_MAX).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(described(index(&many).as_bytes()).unwrap_err().contains("32 images"));
}

#[test]
fn a_repository_without_a_host_is_docker_hubs() {
    for (written, host, path) in [
        ("web", "docker.io", "library/web"),
        ("shop/web", "docker.io", "shop/web"),
        ("docker.io/web", "docker.io", "library/web"),
        ("index.docker.io/shop/web", "docker.io", "shop/web"),
        ("localhost/web", "localhost", "web"),
        ("r.example:5000/a/b", "r.example:5000", "a/b"),
    ] {
        assert_eq!(located(written), (host.to_owned(), path.to_owned()), "{written}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_at_start() {
    let missing = Registries::load(Some(Path::new("/nonexistent.json")), None).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent.json cannot be read"), "{missing}");
    assert!(Registries::load(None, None).is_ok());
}
