//! The rooms of the house import only downward, and the pure ones touch nothing outside.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the floors below it that it may import. `bin` may import everything.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("api", &[]),
    ("cluster", &["api"]),
    ("findings", &["api"]),
    ("check", &["api", "findings"]),
    ("gates", &["api", "findings", "check"]),
    ("report", &["api", "findings"]),
    ("plan", &["api", "findings", "check", "gates", "report"]),
    ("observe", &["api", "cluster", "findings", "check", "gates", "report", "plan"]),
    ("effect", &["api", "cluster", "findings", "check", "gates", "report", "plan"]),
    ("controller", &["api", "cluster", "findings", "check", "gates", "report", "plan", "observe", "effect"]),
];

/// What decides may not do: speak to anything, wait, look at a clock, roll dice.
const PURE: [&str; 4] = ["plan", "gates", "findings", "report"];
/// Files that decide in rooms that also act.
const PURE_FILES: [&str; 1] = ["cluster/lease/candidate.rs"];
const FORBIDDEN: [&str; 16] = [
    "kube::",
    "kube_runtime",
    "tokio",
    "futures",
    "reqwest",
    "axum",
    "async fn",
    ".await",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rust = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() && name != "snapshots" {
            found.extend(sources(&path));
        } else if rust && !name.ends_with("tests.rs") && name != "fuzz.rs" {
            found.push(path);
        }
    }
    found
}

/// The lines of code of a room, without comments and without its tests, each with where it stands.
fn code(room: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let lines: Vec<_> = sources(&root).into_iter().flat_map(|path| code_of(&path)).collect();
    assert!(!lines.is_empty() || room == "observe" || room == "controller", "{room} has no code");
    lines
}

fn code_of(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = product.lines().map(|line| line.split("//").next().unwrap_or_default());
    let lines = code.enumerate().filter(|(_, code)| !code.trim().is_empty());
    lines.map(|(at, code)| (format!("{}:{}", path.display(), at + 1), code.to_owned())).collect()
}

#[test]
fn every_room_imports_only_downward() {
    for (room, allowed) in MAY_IMPORT {
        for (at, line) in code(room) {
            for (other, _) in MAY_IMPORT {
                let imports = line.contains(&format!("crate::{other}::")) || line.contains(&format!("crate::{other};"));
                assert!(
                    !imports || other == room || allowed.contains(&other),
                    "{at}: {room} imports {other}, which is not below it"
                );
            }
        }
    }
}

#[test]
fn what_decides_touches_nothing_outside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = PURE_FILES.iter().flat_map(|file| code_of(&root.join(file)));
    for (at, line) in PURE.iter().flat_map(|room| code(room)).chain(files) {
        for forbidden in FORBIDDEN {
            assert!(!line.contains(forbidden), "{at} is pure and may not use {forbidden}");
        }
    }
}

#[test]
fn every_room_of_the_library_is_on_a_floor() {
    let rooms: Vec<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && name != "bin" {
            assert!(rooms.contains(&name.as_str()), "src/{name} is on no floor: say here what it may import");
        }
    }
}
