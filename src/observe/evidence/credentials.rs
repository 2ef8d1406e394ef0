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

/// Logins by registry host, or by host and the beginning of a path.
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

    /// The login for a repository of a registry: the entry with the longest path counts, as for a kubelet.
    pub fn of(&self, host: &str, repository: &str) -> Option<&Login> {
        let whole = format!("{host}/{repository}");
        let ends = whole.match_indices('/').map(|(end, _)| end).chain([whole.len()]);
        ends.rev().find_map(|end| self.0.get(&whole[..end]))
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

/// Host and path of an entry, which may be written as an address: `https://index.docker.io/v1/`.
fn plain(entry: &str) -> String {
    let entry = entry.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (host, path) = entry.split_once('/').unwrap_or((entry, ""));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    // The version of the API it was logged in to is no part of a repository's name.
    let path = match path.split_once('/').unwrap_or((path, "")) {
        ("v1" | "v2", rest) => rest,
        _ => path,
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
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
        let login = Login { user: "user".into(), password: "pa:ss".into() };
        assert_eq!(read.of("r.example:5000", "shop/web").unwrap(), &login);
        assert_eq!(read.of("docker.io", "library/web").unwrap().user, "u");
        assert_eq!(read.of("empty.example", "web"), None);
    }

    #[test]
    fn of_several_logins_for_one_host_the_one_with_the_longest_path_counts() {
        let read = Credentials::parse(
            br#"{"auths": {"r.example": {"username": "all", "password": "p"},
                "https://r.example/v2/shop/": {"username": "shop", "password": "p"},
                "r.example/shop/web": {"username": "web", "password": "p"},
                "other.example/shop": {"username": "other", "password": "p"}}}"#,
        )
        .unwrap();
        let user = |host, repository| read.of(host, repository).map(|login| login.user.as_str());
        assert_eq!(user("r.example", "shop/web"), Some("web"));
        assert_eq!(user("r.example", "shop/web/debug"), Some("web"));
        assert_eq!(user("r.example", "shop/website"), Some("shop"));
        assert_eq!(user("r.example", "shopping/web"), Some("all"));
        assert_eq!(user("other.example", "web"), None);
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
