//! Folders outside any cluster's own that had to be made for the clusters: remembered, and removed with the last of them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use super::error::{ClusterError, Tried};
use super::layout::clusters_dir;

/// Makes a folder of the machine if it is not there, and remembers that it was us.
pub(super) fn make(folder: &Path) -> Result<(), ClusterError> {
    match fs::create_dir(folder) {
        Ok(()) => remember(folder).tried(|| format!("noting {}", folder.display())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).tried(|| format!("making {}", folder.display())),
    }
}

/// Removes what was made, if it is empty; to be called when no cluster is left, under the lock of all clusters.
pub(super) fn remove_made() {
    let noted = fs::read_to_string(notes()).unwrap_or_default();
    for folder in noted.lines().map(Path::new) {
        let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if empty {
            // `ip netns` mounts its folder on itself; the others are no mounts. What cannot be removed is in use: then it stays.
            let _ = umount2(folder, MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(folder);
        }
    }
    let _ = fs::remove_file(notes());
    // Fails where somebody keeps something else there.
    let _ = fs::remove_dir(clusters_dir());
    let _ = clusters_dir().parent().map(fs::remove_dir);
}

fn remember(folder: &Path) -> std::io::Result<()> {
    // One short line, appended at once: two boots at the same time do not mix theirs.
    let mut notes = File::options().create(true).append(true).open(notes())?;
    notes.write_all(format!("{}\n", folder.display()).as_bytes())
}

fn notes() -> PathBuf {
    clusters_dir().join(".made")
}
