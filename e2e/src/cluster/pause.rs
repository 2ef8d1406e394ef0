//! The image of the sandbox container: a program that does nothing, in an image with nothing else in it.
//!
//! The program is small enough to be written out here, so booting a cluster needs neither a C compiler nor a download. It does
//! not reap orphans: no pod of ours shares its process namespace. It need not handle signals: containerd ends it with SIGKILL.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{ClusterError, Tried};

/// The image every node has from the start: a program that does nothing. The kubelet must not try to pull it.
pub const IMAGE: &str = "hotfix.local/pause:1";

/// The file of the image in the state folder.
pub(super) const ARCHIVE: &str = "pause.tar";

/// Where the program is loaded.
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// `again: eax = 34 (pause); syscall; jump again`
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
#[cfg(target_arch = "x86_64")]
const MACHINE: (u16, &str) = (62, "amd64");

/// `again: x0..x4 = 0; x8 = 73 (ppoll of nothing, without end); svc; jump again`
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2, 0x04, 0x00, 0x80,
    0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xf9, 0xff, 0xff, 0x17,
];
#[cfg(target_arch = "aarch64")]
const MACHINE: (u16, &str) = (183, "arm64");

/// Writes the image as an archive that `ctr image import` takes.
pub(super) fn write(path: &Path) -> Result<(), ClusterError> {
    archive(path).tried(|| format!("writing {}", path.display()))
}

fn archive(path: &Path) -> std::io::Result<()> {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "pause", 0o755, &program())?;
    let layer = layer.into_inner()?;
    let digest = hex(&layer);
    let config = serde_json::json!({
        "architecture": MACHINE.1,
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    })
    .to_string();
    let config_name = format!("{}.json", hex(config.as_bytes()));
    let layer_name = format!("{digest}.tar");
    let manifest =
        serde_json::json!([{"Config": config_name, "RepoTags": [IMAGE], "Layers": [layer_name]}]).to_string();

    let mut image = tar::Builder::new(File::create(path)?);
    append(&mut image, &config_name, 0o644, config.as_bytes())?;
    append(&mut image, &layer_name, 0o644, &layer)?;
    append(&mut image, "manifest.json", 0o644, manifest.as_bytes())?;
    image.into_inner()?.flush()
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, content)
}

/// A static executable: the ELF header, one segment that is read and run, the code.
fn program() -> Vec<u8> {
    let size = HEADERS + CODE.len() as u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01");
    file.resize(16, 0);
    for half in [2, MACHINE.0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes());
    // Entry point; offset of the segment table; no sections.
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // The segment: loaded, readable and executable; offset, addresses, sizes, alignment.
    file.extend(1u32.to_le_bytes());
    file.extend(5u32.to_le_bytes());
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(CODE);
    file
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_program_runs_and_waits() {
        let path = std::env::temp_dir().join(format!("pause-{}", std::process::id()));
        std::fs::write(&path, program()).expect("the program is written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is made executable");
        // `timeout` says 124 when it had to end the program; a broken one would have ended by itself.
        let status = Command::new("timeout").arg("0.2").arg(&path).status().expect("timeout runs");
        std::fs::remove_file(&path).expect("it is removed");
        assert_eq!(status.code(), Some(124));
    }
}
