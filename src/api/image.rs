//! Image references: `host/repository:tag@digest` taken apart, and compared without being fetched.

use std::fmt;

/// A content digest, `sha256:` and 64 hex digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// Accepts exactly `sha256:` and 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let valid = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| Self(text.to_owned()))
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image reference taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef {
    /// Host and path, without tag and digest, as it was written.
    pub repository: String,
    /// Tag, where one was written.
    pub tag: Option<String>,
    /// Digest, where one was written.
    pub digest: Option<Digest>,
}

impl ImageRef {
    /// Takes a reference apart; `None` where it is none, or carries a digest that is not SHA-256.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest[name_start..].split_once(':') {
            Some((name, tag)) => (&rest[..name_start + name.len()], Some(tag.to_owned())),
            None => (rest, None),
        };
        // A part that is empty, or that leads elsewhere in a URL, is in no registry's name.
        let named = repository.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let valid = named
            && tag.as_ref().is_none_or(|tag| !tag.is_empty())
            && text.len() <= 512
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@-".contains(&b));
        valid.then(|| Self { repository: repository.to_owned(), tag, digest })
    }

    /// `repository@digest`, where the digest is known.
    pub fn pinned(&self) -> Option<String> {
        self.digest.as_ref().map(|digest| format!("{}@{digest}", self.repository))
    }
}

/// The digest in what a kubelet reports as `imageID`: `repository@sha256:…`, with or without a scheme before it, or the
/// digest alone.
pub fn image_id_digest(image_id: &str) -> Option<Digest> {
    let text = image_id.rsplit_once("://").map_or(image_id, |(_, rest)| rest);
    Digest::parse(text.rsplit_once('@').map_or(text, |(_, digest)| digest))
}

/// True when the allow-list has an entry for `repository`: equal, or equal up to a trailing `*`.
///
/// An entry `host/*` does not allow `hostile/...`: the star stands after a slash, and everything before it must be equal.
pub fn allowed(allow: &[String], repository: &str) -> bool {
    allow.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => repository.starts_with(prefix),
        None => repository == entry,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

    #[test]
    fn a_reference_is_taken_apart() {
        let image = ImageRef::parse(&format!("host.example:5000/shop/web:1.2@{HEX}")).unwrap();
        assert_eq!(image.repository, "host.example:5000/shop/web");
        assert_eq!(image.tag.as_deref(), Some("1.2"));
        assert_eq!(image.pinned().unwrap(), format!("host.example:5000/shop/web@{HEX}"));
        let plain = ImageRef::parse("host:5000/web").unwrap();
        assert_eq!((plain.repository.as_str(), plain.tag, plain.digest), ("host:5000/web", None, None));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for odd in [
            "",
            "/",
            "a/",
            "a:",
            "a@sha256:12",
            "a@sha512:00",
            "a b",
            "a\nb",
            "r.example/../a",
            "./a",
            "/a",
            "a//b",
            &"a".repeat(600),
        ] {
            assert_eq!(ImageRef::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn an_image_id_tells_its_digest_in_every_spelling() {
        for id in [HEX.to_owned(), format!("h/w@{HEX}"), format!("docker-pullable://h/w@{HEX}")] {
            assert_eq!(image_id_digest(&id).unwrap().as_str(), HEX);
        }
        assert_eq!(image_id_digest("h/w:tag"), None);
    }

    #[test]
    fn the_allow_list_ends_at_its_star() {
        let allow = vec!["registry.example/shop/*".to_owned(), "registry.example/base".to_owned()];
        assert!(allowed(&allow, "registry.example/shop/web"));
        assert!(allowed(&allow, "registry.example/base"));
        assert!(!allowed(&allow, "registry.example/base2"));
        assert!(!allowed(&allow, "registry.example/shopping"));
    }
}
