//! One layer: files with their modes, written as a tar archive that depends on nothing else.
//!
//! Entries are sorted, owned by root and dated to the epoch; folders are made for every file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Text(String),
    /// Copied from this file when the layer is written.
    Copy(PathBuf),
}

/// The files of one layer, by their absolute path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    files: BTreeMap<PathBuf, (u32, Content)>,
    folders: BTreeSet<PathBuf>,
}

impl Layer {
    /// A layer without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that everybody may read.
    #[must_use]
    pub fn text(mut self, path: impl AsRef<Path>, text: impl Into<String>) -> Self {
        self.insert(path.as_ref(), 0o644, Content::Text(text.into()));
        self
    }

    /// Adds a copy of a file that everybody may read.
    #[must_use]
    pub fn copy(mut self, path: impl AsRef<Path>, from: impl Into<PathBuf>) -> Self {
        self.insert(path.as_ref(), 0o644, Content::Copy(from.into()));
        self
    }

    /// Adds a copy of a program that everybody may run.
    #[must_use]
    pub fn program(mut self, path: impl AsRef<Path>, from: impl Into<PathBuf>) -> Self {
        self.insert(path.as_ref(), 0o755, Content::Copy(from.into()));
        self
    }

    /// The programs and files that are copied from this machine.
    pub(super) fn copied(&self) -> impl Iterator<Item = (&Path, u32)> {
        self.files.values().filter_map(|(mode, content)| match content {
            Content::Copy(from) => Some((from.as_path(), *mode)),
            Content::Text(_) => None,
        })
    }

    fn insert(&mut self, path: &Path, mode: u32, content: Content) {
        let path = path.strip_prefix("/").unwrap_or(path);
        let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        self.folders.extend(folders.map(Path::to_path_buf));
        self.files.insert(path.to_path_buf(), (mode, content));
    }

    /// Writes the archive.
    pub(super) fn write(&self, into: impl Write) -> io::Result<()> {
        let mut archive = Builder::new(into);
        for folder in &self.folders {
            let mut header = header(0o755, 0);
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, folder, io::empty())?;
        }
        for (path, (mode, content)) in &self.files {
            match content {
                Content::Text(text) => {
                    archive.append_data(&mut header(*mode, text.len() as u64), path, text.as_bytes())?;
                }
                Content::Copy(from) => {
                    let file = File::open(from)?;
                    let length = file.metadata()?.len();
                    archive.append_data(&mut header(*mode, length), path, file)?;
                }
            }
        }
        archive.into_inner()?.flush()
    }
}

fn header(mode: u32, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_size(length);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}
