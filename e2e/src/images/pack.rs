//! Writes an image as an OCI image layout: a folder of blobs named by their digests, and an index.
//!
//! Layers are stored as they are: the registry is on the same machine, and compressing a scanner of 160 MB would
//! take longer than everything else about it. Nothing of the place or the time enters the image.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Layer;
use crate::digest;

/// The unprivileged user of every image here; a number, so that a kubelet can see that it is not root.
pub const USER: &str = "65532:65532";

/// How the image is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Environment, by name.
    pub env: BTreeMap<String, String>,
}

/// Why an image could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file could not be read or written.
    #[error("cannot pack the image: {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program would not start in an image that has no loader.
    #[error(
        "{0} is linked dynamically and would not start in an image that holds nothing else; \
         build it with `-C target-feature=+crt-static`, or with CGO_ENABLED=0"
    )]
    NotStatic(PathBuf),
}

/// An image on disk, ready to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The folder with the layout.
    pub layout: PathBuf,
    /// The manifest's digest, `sha256:...`.
    pub digest: String,
}

/// Writes the image into a folder, which is made if need be; blobs that are there already are kept.
///
/// # Errors
/// When a file cannot be read or written, or a program is not static.
pub fn pack(config: &Config, layers: &[Layer], into: &Path) -> Result<Packed, PackError> {
    let blobs = into.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(at(&blobs))?;

    let mut described = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in layers {
        for (program, _) in layer.copied().filter(|(_, mode)| mode & 0o111 != 0) {
            if !is_static(program).map_err(at(program))? {
                return Err(PackError::NotStatic(program.to_path_buf()));
            }
        }
        let blob = store(&blobs, |file| layer.write(file))?;
        described.push(blob.describe("application/vnd.oci.image.layer.v1.tar"));
        diff_ids.push(Value::String(blob.digest));
    }

    let env: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let config = store_json(
        &blobs,
        &json!({
            "architecture": "amd64",
            "os": "linux",
            "created": EPOCH,
            "config": {"Entrypoint": config.entrypoint, "Env": env, "User": USER, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": vec![json!({"created": EPOCH}); layers.len()],
        }),
    )?;
    let manifest = store_json(
        &blobs,
        &json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.describe("application/vnd.oci.image.config.v1+json"),
            "layers": described,
        }),
    )?;

    write(&into.join("oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}))?;
    write(&into.join("index.json"), &json!({"schemaVersion": 2, "manifests": [manifest.describe(MANIFEST)]}))?;
    Ok(Packed { layout: into.to_path_buf(), digest: manifest.digest })
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EPOCH: &str = "1970-01-01T00:00:00Z";

struct Blob {
    digest: String,
    length: u64,
}

impl Blob {
    fn describe(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.length})
    }
}

fn store_json(blobs: &Path, value: &Value) -> Result<Blob, PackError> {
    store(blobs, |file| file.write_all(value.to_string().as_bytes()))
}

/// Writes a blob under a passing name, then gives it the name of its digest.
fn store(blobs: &Path, write: impl FnOnce(&mut Hashing<BufWriter<File>>) -> io::Result<()>) -> Result<Blob, PackError> {
    let passing = blobs.join(format!(".{}", std::process::id()));
    let file = File::create(&passing).map_err(at(&passing))?;
    let mut blob = Hashing { into: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new(), length: 0 };
    write(&mut blob).and_then(|()| blob.flush()).map_err(at(&passing))?;
    let digest = digest::finish(blob.hash);
    let named = blobs.join(digest.trim_start_matches("sha256:"));
    fs::rename(&passing, &named).map_err(at(&named))?;
    Ok(Blob { digest, length: blob.length })
}

fn write(path: &Path, value: &Value) -> Result<(), PackError> {
    fs::write(path, value.to_string()).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PackError {
    move |source| PackError::Io { path: path.to_path_buf(), source }
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    into: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Whether a 64-bit little-endian ELF program asks for no interpreter. Anything else (a script) passes for
/// dynamic: an image made from nothing has nothing to run it.
fn is_static(program: &Path) -> io::Result<bool> {
    const ELF64_LITTLE: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    const PT_INTERP: u32 = 3;
    // The header and its program headers are in the first page of every program a linker makes.
    let mut head = Vec::new();
    File::open(program)?.take(4096).read_to_end(&mut head)?;
    let field = |at: usize, length: usize| {
        let bytes = head.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0usize, |value, byte| value << 8 | usize::from(*byte)))
    };
    let headers = || Some((field(32, 8)?, field(54, 2)?, field(56, 2)?));
    let Some((first, size, count)) = head.starts_with(&ELF64_LITTLE).then(headers).flatten() else {
        return Ok(false);
    };
    Ok((0..count).all(|index| field(first + index * size, 4).is_some_and(|kind| kind != PT_INTERP as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(version: &str) -> (Config, Vec<Layer>) {
        let env = BTreeMap::from([("VERSION".to_owned(), version.to_owned())]);
        let config = Config { entrypoint: vec!["/web".to_owned()], env };
        (config, vec![Layer::new().text("/etc/os-release", "ID=debian\n"), Layer::new().text("/web", "a program")])
    }

    fn digest(version: &str) -> String {
        let folder = tempfile::tempdir().expect("there is room");
        let (config, layers) = web(version);
        pack(&config, &layers, folder.path()).expect("it packs").digest
    }

    #[test]
    fn the_same_contents_give_the_same_digest_in_any_place_at_any_time() {
        assert_eq!(digest("v1"), digest("v1"));
        assert_eq!(digest("v1"), "sha256:b29ae1d99165014809f4af595df70eef85e05af158f0183c8ffcc0a4abe04b56");
        assert_ne!(digest("v1"), digest("v2"));
    }

    #[test]
    fn every_blob_has_the_name_of_its_digest_and_the_index_names_the_manifest() {
        let folder = tempfile::tempdir().expect("there is room");
        let (config, layers) = web("v1");
        let packed = pack(&config, &layers, folder.path()).expect("it packs");
        let mut names = Vec::new();
        for blob in fs::read_dir(packed.layout.join("blobs/sha256")).expect("it is a folder") {
            let blob = blob.expect("it can be read");
            let bytes = fs::read(blob.path()).expect("it can be read");
            let digest = digest::sha256(&bytes);
            assert_eq!(blob.file_name().to_str(), digest.strip_prefix("sha256:"));
            names.push(digest);
        }
        assert_eq!(names.len(), 4, "two layers, a config and a manifest");
        let index = fs::read_to_string(packed.layout.join("index.json")).expect("it is there");
        assert!(index.contains(&packed.digest) && names.contains(&packed.digest));
    }

    #[test]
    fn a_layer_has_its_folders_before_its_files_and_nothing_of_this_machine() {
        let mut bytes = Vec::new();
        let layer = Layer::new().text("/usr/lib/b", "2").text("usr/lib/a", "1");
        layer.write(&mut bytes).expect("memory has room");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().expect("it is an archive").map(|entry| {
            let header = entry.expect("it is whole").header().clone();
            let path = header.path().expect("it is UTF-8").display().to_string();
            (path, header.mode().ok(), header.mtime().ok(), header.uid().ok())
        });
        let file = |path: &str| (path.to_owned(), Some(0o644), Some(0), Some(0));
        let folder = |path: &str| (path.to_owned(), Some(0o755), Some(0), Some(0));
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [folder("usr"), folder("usr/lib"), file("usr/lib/a"), file("usr/lib/b")]
        );
    }

    #[test]
    fn a_program_that_needs_a_loader_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("there is room");
        let layers = [Layer::new().program("/sh", "/bin/sh")];
        let refused = pack(&Config::default(), &layers, folder.path()).expect_err("a distribution's shell is dynamic");
        assert!(matches!(&refused, PackError::NotStatic(_)), "{refused}");
        assert!(refused.to_string().contains("crt-static"));
    }
}
