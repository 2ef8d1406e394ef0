//! Hostile bytes for everything of the operator that reads what others wrote.
//!
//! A target is one function of bytes that panics when something is not as it must be. The same function is played twice:
//! by `make unit` over the committed corpus and over drawn changes of it (`tests/play.rs`), and by `make fuzz` under a
//! fuzzer that looks for bytes which reach new code (`main.rs`). docs/fuzzing.md says what each target holds the operator
//! to, and how long each was run.

#[path = "../../tests/stories/order.rs"]
#[allow(missing_docs, dead_code, reason = "shared with the stories, which use all of it")]
mod order;
#[path = "../../tests/world/mod.rs"]
#[allow(missing_docs, clippy::pedantic, reason = "shared with the stories, where it is linted")]
mod world;

mod answer;
mod bytes;
mod changes;
mod images;
mod json;
mod log;
mod objects;
mod own;
mod people;
mod picture;
mod pictures;
mod registry;
mod reports;
mod schema;
mod specs;
mod tangles;

/// Something to try with bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is its folder's in `corpus/`.
    pub name: &'static str,
    /// Panics when the bytes make something be as it must not.
    pub play: fn(&[u8]),
}

/// All of them, in the order of docs/fuzzing.md.
pub const TARGETS: &[Target] = &[
    Target { name: "trivy", play: reports::trivy },
    Target { name: "osv", play: reports::osv },
    Target { name: "sarif", play: reports::sarif },
    Target { name: "junit", play: reports::junit },
    Target { name: "severity", play: reports::severity },
    Target { name: "log", play: log::log },
    Target { name: "image", play: images::image },
    Target { name: "manifest", play: registry::manifest },
    Target { name: "challenge", play: registry::challenge },
    Target { name: "login", play: registry::login },
    Target { name: "objects", play: objects::objects },
    Target { name: "lease", play: objects::lease },
    Target { name: "own", play: own::own },
    Target { name: "people", play: people::people },
    Target { name: "specs", play: specs::specs },
    Target { name: "decide", play: picture::decide },
    Target { name: "tangle", play: picture::tangle },
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
