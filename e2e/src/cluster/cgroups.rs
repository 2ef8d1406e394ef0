//! The cgroup below which the kubelet of one cluster puts its pods: a folder of its own in every hierarchy. With a shared one,
//! each kubelet takes the other's pods for orphans and kills them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{ClusterError, Tried};
use super::layout::Layout;

const MOUNT: &str = "/sys/fs/cgroup";

/// Makes the folders.
pub(super) fn create(layout: &Layout) -> Result<(), ClusterError> {
    for hierarchy in hierarchies()? {
        let folder = hierarchy.join(layout.cgroup());
        fs::create_dir_all(&folder).tried(|| format!("making the cgroup {}", folder.display()))?;
    }
    if let Some(root) = unified() {
        // Version 2: a folder can limit only what every folder above hands down to it.
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        for folder in [root.clone(), root.join(layout.cgroup())] {
            for controller in controllers.split_whitespace() {
                // One that cannot be handed down may not be needed; the kubelet names the ones it misses.
                let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
    }
    Ok(())
}

/// The processes of every pod of the cluster.
pub(super) fn processes(layout: &Layout) -> Vec<i32> {
    members(folders(layout).iter())
}

/// The processes of one container.
pub(super) fn container(layout: &Layout, id: &str) -> Vec<i32> {
    members(folders(layout).iter().filter(|folder| folder.file_name().is_some_and(|name| name == id)))
}

fn members<'a>(folders: impl Iterator<Item = &'a PathBuf>) -> Vec<i32> {
    let mut found = Vec::new();
    for folder in folders {
        // Gone between listing and reading: nothing runs in it.
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Removes the folders, the innermost first. Those still busy stay; the caller tries again.
pub(super) fn remove(layout: &Layout) -> Vec<PathBuf> {
    folders(layout)
        .into_iter()
        .filter(|folder| matches!(fs::remove_dir(folder), Err(error) if error.kind() != io::ErrorKind::NotFound))
        .collect()
}

/// Every cgroup folder of the cluster, the innermost first.
fn folders(layout: &Layout) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for hierarchy in hierarchies().unwrap_or_default() {
        below(&hierarchy.join(layout.cgroup()), &mut all);
    }
    all
}

fn below(folder: &Path, all: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), all);
        }
    }
    all.push(folder.to_owned());
}

/// The root of the one hierarchy of cgroup version 2, where that is all there is.
fn unified() -> Option<PathBuf> {
    let root = Path::new(MOUNT);
    root.join("cgroup.controllers").exists().then(|| root.to_owned())
}

fn hierarchies() -> Result<Vec<PathBuf>, ClusterError> {
    if let Some(root) = unified() {
        return Ok(vec![root]);
    }
    let entries = fs::read_dir(MOUNT).tried(|| format!("listing {MOUNT}"))?;
    // Links such as cpu -> cpu,cpuacct name a hierarchy that is listed anyway.
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect())
}
