//! Registry credentials, as `docker login` writes them.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use serde::Deserialize;

/// A user with a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, ...)", self.user)
    }
}

/// Logins by registry host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, Login>);

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    /// `user:password` in base64.
    #[serde(default, rename = "auth")]
    both: Option<ByteString>,
}

impl Credentials {
    /// Reads a `config.json` of Docker; where it is none, the place, and never what stands there: it may be a secret.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let config: Config = serde_json::from_slice(json)
            .map_err(|error| format!("it is not understood at line {}, column {}", error.line(), error.column()))?;
        let logins = config.auths.into_iter().filter_map(|(host, auth)| Some((plain(&host), login(auth)?)));
        Ok(Self(logins.collect()))
    }

    /// The login for a registry.
    pub fn of(&self, host: &str) -> Option<&Login> {
        self.0.get(host)
    }
}

fn login(auth: Auth) -> Option<Login> {
    if let (Some(user), Some(password)) = (auth.username, auth.password)
        && !user.is_empty()
    {
        return Some(Login { user, password });
    }
    let text = String::from_utf8(auth.both?.0).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login { user: user.to_owned(), password: password.to_owned() })
}

/// The host of an entry, which may be written as an address: `https://index.docker.io/v1/`.
fn plain(entry: &str) -> String {
    let host = entry.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_in_both_spellings() {
        let read = Credentials::parse(
            br#"{"auths": {"r.example:5000": {"auth": "dXNlcjpwYTpzcw=="},
                "https://index.docker.io/v1/": {"username": "u", "password": "p"}, "empty.example": {}}}"#,
        )
        .unwrap();
        assert_eq!(read.of("r.example:5000").unwrap(), &Login { user: "user".into(), password: "pa:ss".into() });
        assert_eq!(read.of("docker.io").unwrap().user, "u");
        assert_eq!(read.of("empty.example"), None);
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", Login { user: "u".into(), password: "secret".into() }), "Login(u, ...)");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for odd in [
            r#"{"auths": {"r": "c2VjcmV0"}}"#,
            r#"{"auths": {"r": {"auth": "c2VjcmV0!"}}}"#,
            r#"{"auths": "c2VjcmV0"}"#,
        ] {
            let why = Credentials::parse(odd.as_bytes()).unwrap_err();
            assert!(why.starts_with("it is not understood at line 1, column ") && !why.contains("c2Vj"), "{why}");
        }
    }

    #[test]
    fn what_is_no_config_is_refused() {
        assert!(Credentials::parse(b"auths").is_err());
        assert!(Credentials::parse(br#"{"auths": {"r": {"auth": "not base64!"}}}"#).is_err());
    }
}
