//! A registry and the way to it: what packs an image and publishes it in one step.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{PackError, Packed, Published, PushError, Transport, push};

/// A registry the project's images go to.
pub struct Registry {
    host: String,
    transport: Transport,
    skopeo: Box<dyn Fn() -> Command + Send + Sync>,
    work: PathBuf,
}

/// Why an image was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It could not be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It could not be pushed.
    #[error(transparent)]
    Push(#[from] PushError),
}

impl Registry {
    /// A registry at `host:port`, with a path below it if need be. `skopeo` gives a command that runs skopeo where
    /// the registry can be reached; layouts are written below `work`.
    pub fn new(
        host: impl Into<String>,
        transport: Transport,
        skopeo: impl Fn() -> Command + Send + Sync + 'static,
        work: impl Into<PathBuf>,
    ) -> Self {
        Self { host: host.into(), transport, skopeo: Box::new(skopeo), work: work.into() }
    }

    /// Packs an image and pushes it as `name:tag`.
    pub async fn publish(
        &self,
        name: &str,
        tag: &str,
        pack: impl FnOnce(&Path) -> Result<Packed, PackError>,
    ) -> Result<Published, PublishError> {
        let packed = pack(&self.work.join(name).join(tag))?;
        let repository = format!("{}/{name}", self.host);
        Ok(push((self.skopeo)(), &packed, &repository, tag, self.transport).await?)
    }
}

/// The project's program of this name, built together with the one that runs: beside it, or, for a test, one folder
/// up.
///
/// # Errors
/// When it is not there; the message says how to build it.
pub fn program(name: &str) -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folders = this.ancestors().skip(1).take(2);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        let text = format!("{name} is not beside {}; `cargo build --workspace --bins` makes it", this.display());
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}
