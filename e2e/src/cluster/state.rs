//! Which clusters there are on this machine, whose they are, and how one is removed.
//!
//! A cluster is its state folder; the record in it says which process owns it. A cluster whose owner has died is a leftover, and
//! whoever boots a cluster next removes it. Claiming and sweeping happen under one lock, so two processes never take the same name
//! or the same addresses.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use serde::{Deserialize, Serialize};

use super::Node;
use super::error::{ClusterError, Tried};
use super::layout::{ClusterName, Layout, Subnet, clusters_dir};
use super::process::{self, Alive, ProcessId};
use super::{cgroups, machine, network};

/// How long cgroups may stay busy after their last process has ended.
const EMPTY: Duration = Duration::from_secs(10);

/// The folder whose lock is the clusters'.
const LOCKED: &str = "/var/lib";

/// What is written down about a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: ClusterName,
    pub(super) subnet: Subnet,
    pub(super) node: Node,
    /// The process that removes it; none for a cluster that was left running.
    pub(super) owner: Option<ProcessId>,
}

impl Record {
    /// The record of a cluster, if there is one.
    pub(super) fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(file(layout)).ok()?).ok()
    }

    /// Writes the record whole or not at all.
    pub(super) fn write(&self, layout: &Layout) -> Result<(), ClusterError> {
        let text = serde_json::to_string(self).expect("names and numbers are JSON");
        let new = layout.at("cluster.json.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, file(layout)))
            .tried(|| format!("writing {}", file(layout).display()))
    }

    fn owner_alive(&self) -> Option<ProcessId> {
        self.owner.filter(|owner| owner.alive())
    }
}

fn file(layout: &Layout) -> PathBuf {
    layout.at("cluster.json")
}

/// Makes the name and a subnet this process's own: removes what died before, and what is there under the name unless a living
/// process owns it.
pub(super) fn claim(layout: &Layout, node: Node) -> Result<Record, ClusterError> {
    let _lock = lock()?;
    let mut taken = Vec::new();
    for other in layouts() {
        let record = Record::read(&other);
        let same = other.name() == layout.name();
        match record {
            Some(record) if same => match record.owner_alive() {
                Some(owner) => return Err(ClusterError::Busy { name: record.name, pid: owner.pid }),
                None => wipe(&other)?,
            },
            Some(record) if record.owner.is_none() || record.owner_alive().is_some() => taken.push(record.subnet.0),
            // Its owner has died, or it died before it was recorded: nobody else can be claiming it, we hold the lock.
            _ => {
                eprintln!("cluster {}: removing what an earlier run left", other.name());
                wipe(&other)?;
            }
        }
    }
    // Leftovers may outlive a folder that somebody removed by hand.
    wipe(layout)?;

    let subnet = (0..Subnet::COUNT).find(|number| !taken.contains(number)).ok_or(ClusterError::Full(Subnet::COUNT))?;
    for folder in ["log", "pki", "processes"] {
        fs::create_dir_all(layout.at(folder)).tried(|| format!("making {}", layout.at(folder).display()))?;
    }
    let record = Record { name: layout.name().clone(), subnet: Subnet(subnet), node, owner: Some(ProcessId::this()) };
    record.write(layout)?;
    Ok(record)
}

/// Every cluster that has a folder.
pub(super) fn layouts() -> Vec<Layout> {
    let entries = fs::read_dir(clusters_dir()).into_iter().flatten().flatten();
    let mut names: Vec<ClusterName> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    names.sort();
    names.iter().map(Layout::of).collect()
}

/// Whose a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A living process's, which removes it when it ends.
    Owned(ProcessId),
    /// Nobody's: it was left up for a look.
    Kept,
    /// Nobody's, and of no use any more: its owner has died, or nothing of it runs.
    Dead,
}

/// Whose a cluster that has a folder is. A boot that is only just claiming it looks dead, unless the lock is held.
pub(super) fn standing(layout: &Layout) -> Standing {
    let Some(record) = Record::read(layout) else { return Standing::Dead };
    let runs = || process::recorded(layout).iter().any(|(_, _, alive)| *alive == Alive::Yes);
    match record.owner {
        Some(owner) if owner.alive() => Standing::Owned(owner),
        None if runs() => Standing::Kept,
        _ => Standing::Dead,
    }
}

/// Removes this cluster and every dead one, but none of a living process; says which there were.
pub(super) fn remove_idle(layout: &Layout) -> Result<Vec<ClusterName>, ClusterError> {
    let _lock = lock()?;
    let (mut gone, mut in_use) = (Vec::new(), false);
    for other in layouts() {
        let this = other.name() == layout.name();
        match standing(&other) {
            Standing::Owned(_) => in_use |= this,
            Standing::Kept if !this => {}
            Standing::Kept | Standing::Dead => {
                wipe(&other)?;
                gone.push(other.name().clone());
            }
        }
    }
    if !in_use {
        // What outlived a folder that somebody removed by hand.
        wipe(layout)?;
    }
    sweep_machine();
    Ok(gone)
}

/// Removes a cluster, whoever owns it.
pub(super) fn remove(layout: &Layout) -> Result<(), ClusterError> {
    let _lock = lock()?;
    wipe(layout)?;
    sweep_machine();
    Ok(())
}

/// Removes a cluster of this owner, unless it was taken away meanwhile and its name is somebody else's now.
pub(super) fn remove_owned(layout: &Layout, owner: ProcessId) -> Result<(), ClusterError> {
    let _lock = lock()?;
    match Record::read(layout) {
        Some(record) if record.owner != Some(owner) => Ok(()),
        _ => {
            wipe(layout)?;
            sweep_machine();
            Ok(())
        }
    }
}

/// With the last cluster goes what was made for all.
fn sweep_machine() {
    if layouts().is_empty() {
        machine::remove_made();
    }
}

/// Removes every trace of a cluster, whatever state it is in. What is gone already is no error.
fn wipe(layout: &Layout) -> Result<(), ClusterError> {
    process::end_all(layout)?;
    network::remove(layout)?;
    let leftover = |left| ClusterError::Leftover { name: layout.name().clone(), left };

    let deadline = Instant::now() + EMPTY;
    loop {
        let busy = cgroups::remove(layout);
        if busy.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            return Err(leftover(format!("{} cgroups are busy, {} the first", busy.len(), busy[0].display())));
        }
        thread::sleep(Duration::from_millis(20));
    }

    // The node's mounts ended with its processes. One that is here all the same must not be deleted through.
    for mount in mounts(layout.folder())? {
        umount2(&mount, MntFlags::MNT_DETACH).tried(|| format!("unmounting {}", mount.display()))?;
    }
    match fs::remove_dir_all(layout.folder()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).tried(|| format!("removing {}", layout.folder().display()))
        }
        _ => Ok(()),
    }
}

/// What is mounted below a folder, the innermost first.
fn mounts(folder: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let table = fs::read_to_string("/proc/self/mountinfo").tried(|| "reading the mount table".to_owned())?;
    // Paths of ours hold none of the characters the table escapes.
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut below: Vec<_> = points.filter(|point| point.starts_with(folder)).collect();
    below.reverse();
    Ok(below)
}

/// One claim or removal at a time. The lock is on a folder that every machine has, so it leaves no file behind.
fn lock() -> Result<File, ClusterError> {
    let folder = File::open(LOCKED).tried(|| format!("opening {LOCKED}"))?;
    folder.lock().tried(|| format!("locking {LOCKED}"))?;
    Ok(folder)
}
