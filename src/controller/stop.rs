//! The wish to stop: told once, heard everywhere.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Hears when the process is to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Tells everybody to stop; dropping it tells them too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A wish that has not been told.
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells everybody.
    pub fn tell(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// True once it was told.
    pub fn is_told(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves once it was told.
    pub async fn told(&self) {
        // An error means that the other end is gone, and with it the process's reason to go on.
        let _ = self.0.clone().wait_for(|told| *told).await;
    }
}

/// Begins to listen for SIGTERM and SIGINT; what it gives resolves on the first of them.
pub fn signalled() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_it_also_who_listens_late() {
        let (stopper, stop) = pair();
        assert!(!stop.is_told());
        stopper.tell();
        stop.told().await;
        assert!(stop.clone().is_told());
    }

    #[tokio::test]
    async fn a_stopper_that_is_gone_counts_as_told() {
        let (stopper, stop) = pair();
        drop(stopper);
        stop.told().await;
        assert!(stop.is_told());
    }
}
