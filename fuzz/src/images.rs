//! Image references and digests.

use securityhotfix::api::image::{Digest, ImageRef, allowed, image_id_digest};
use securityhotfix::observe::untrusted::located;

/// One reference in a line, then a repository of an allow-list.
pub fn image(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (reference, entry) = text.split_once('\n').unwrap_or((&text, "registry.example/*"));
    if let Some(digest) = Digest::parse(reference) {
        assert_eq!((digest.as_str(), reference.len()), (reference, 71));
    }
    if let Some(digest) = image_id_digest(reference) {
        assert!(reference.ends_with(digest.as_str()), "{digest} is not in {reference}");
    }
    let Some(image) = ImageRef::parse(reference) else { return };
    let tag = image.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
    assert_eq!(format!("{}{tag}{digest}", image.repository), reference, "written again it is another");
    if let Some(pinned) = image.pinned() {
        let again = ImageRef::parse(&pinned).expect("a pinned reference is one");
        assert_eq!((&again.repository, &again.digest, again.tag), (&image.repository, &image.digest, None));
        assert_eq!(image_id_digest(&pinned), image.digest);
        assert_eq!(image_id_digest(&format!("docker-pullable://{pinned}")), image.digest);
    }
    placed(&image);
    let list = [entry.to_owned()];
    if allowed(&list, &image.repository) && entry.ends_with("/*") {
        let (host, _) = located(&image.repository);
        let of_entry = entry.split('/').next().unwrap_or_default();
        let hub = ["docker.io", "index.docker.io"];
        assert!(
            host == of_entry || hub.contains(&host.as_str()),
            "{entry} allows {}, which is at {host}",
            image.repository
        );
    }
}

/// Asked for at the host it names, and nowhere else there.
fn placed(image: &ImageRef) {
    let (host, path) = located(&image.repository);
    assert!(!host.is_empty() && !path.is_empty(), "{image:?} is nowhere");
    assert!(!host.contains(['/', '@']), "{host} is no host");
    let leaves = path.split('/').any(|part| matches!(part, "." | ".." | ""));
    assert!(!leaves, "{path} leads out of its registry's repositories");
}
