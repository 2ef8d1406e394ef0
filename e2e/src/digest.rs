//! Digests as registries write them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The digest of these bytes: `sha256:` and 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    finish(Sha256::new_with_prefix(bytes))
}

/// The digest of all a hasher was given.
pub fn finish(hasher: Sha256) -> String {
    let mut digest = "sha256:".to_owned();
    for byte in hasher.finalize() {
        write!(digest, "{byte:02x}").expect("a string takes what is written");
    }
    digest
}
