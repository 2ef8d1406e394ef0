//! The network namespace of a cluster: a node address, a route for Services, and no way out.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};

use super::error::{ClusterError, Tried};
use super::layout::{Layout, NAMESPACES, SERVICE_CIDR, Subnet};
use super::machine;
use super::process::{net, run};

/// Makes the namespace with the node's address in it.
pub(super) fn create(layout: &Layout, subnet: Subnet) -> Result<(), ClusterError> {
    let namespace = layout.namespace();
    machine::make(Path::new(NAMESPACES))?;
    run(Command::new("ip").args(["netns", "add", &namespace]))?;
    let address = format!("{}/24", subnet.node());
    // Both ends stay inside: an interface that is up and carries an address is all that is wanted, and not every kernel has
    // `dummy`. The route for Services only has to exist: without one a packet is refused before kube-proxy's rules see it.
    let steps: &[&[&str]] = &[
        &["link", "set", "lo", "up"],
        &["link", "add", "node0", "type", "veth", "peer", "name", "node1"],
        &["link", "set", "node1", "up"],
        &["address", "add", &address, "dev", "node0"],
        &["link", "set", "node0", "up"],
        &["route", "add", SERVICE_CIDR, "dev", "node0"],
    ];
    let batch = steps.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("\n");
    let file = layout.at("network.batch");
    std::fs::write(&file, batch).tried(|| format!("writing {}", file.display()))?;
    run(Command::new("ip").args(["-n", &namespace, "-batch"]).arg(&file))?;
    let inside = |program: &str| {
        let mut command = Command::new("nsenter");
        command.arg(net(layout)).args(["--", program]);
        command
    };
    run(inside("sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]))?;
    // When a Service gets its first endpoint, kube-proxy takes its reject rule away some milliseconds before its redirection is
    // there. What is sent in between would leave towards the Service's address and be remembered so for two minutes, and later
    // connections from the same port would fail long after the Service is well. A rejected packet is not remembered.
    for chain in ["OUTPUT", "FORWARD"] {
        let rule = ["-A", chain, "-d", SERVICE_CIDR, "-m", "conntrack", "--ctstate", "NEW", "-j", "REJECT"];
        run(inside("iptables").args(["-w"]).args(rule))?;
    }
    Ok(())
}

/// Removes the namespace's name; it ends with the last process in it. Starts nothing, so it works while the program is ending.
pub(super) fn remove(layout: &Layout) -> Result<(), ClusterError> {
    let file = layout.namespace_file();
    if !file.exists() {
        return Ok(());
    }
    match umount2(&file, MntFlags::MNT_DETACH) {
        // Nothing is mounted there: making the namespace was interrupted.
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno).tried(|| format!("unmounting {}", file.display())),
    }
    std::fs::remove_file(&file).tried(|| format!("removing {}", file.display()))
}

/// Moves the calling thread, and every thread it starts from now on, into the namespace.
pub(super) fn enter(namespace_file: &Path) -> Result<(), ClusterError> {
    let file = File::open(namespace_file).tried(|| format!("opening {}", namespace_file.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).tried(|| format!("entering {}", namespace_file.display()))
}
