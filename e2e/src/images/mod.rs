//! Container images made from static binaries and a few files, without a container engine.
//!
//! [`layer`] describes a file system, [`pack`](pack()) writes it as an OCI image layout of which every byte, and so the
//! digest, follows from its contents; [`push`](push()) copies it into a registry with `skopeo`, digest kept, and
//! [`Registry`] does both. What is in the images of this project is said in [`catalogue`], and what the scanners in
//! them know in [`advisories`].

pub mod advisories;
pub mod catalogue;
mod layer;
mod pack;
mod push;
mod registry;

pub use layer::Layer;
pub use pack::{Config, PackError, Packed, pack};
pub use push::{Published, PushError, Transport, push};
pub use registry::{PublishError, Registry, program};
