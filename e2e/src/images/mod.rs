//! Container images made from static binaries and a few files, without a container engine.
//!
//! [`layer`] describes a file system, [`pack`] writes it as an OCI image layout of which every byte, and so the
//! digest, follows from its contents; [`push`] copies it into a registry with `skopeo`, digest kept. What is in the
//! images of this project is said in [`catalogue`].

pub mod catalogue;
pub mod layer;
pub mod pack;
pub mod push;

pub use layer::Layer;
pub use pack::{Config, PackError, Packed, pack};
pub use push::{Published, PushError, Transport, push};
