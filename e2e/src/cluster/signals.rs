//! Ctrl-C and its like: the clusters this process owns are removed before it ends.

use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::layout::Layout;
use super::process::ProcessId;
use super::{process, state};

static OWNED: Mutex<Vec<Layout>> = Mutex::new(Vec::new());
static LISTENING: Once = Once::new();

/// From now on the cluster is removed when this process is interrupted.
pub(super) fn guard(layout: &Layout) {
    LISTENING.call_once(|| {
        // Without this thread an interrupted run leaves its clusters to the next one; that is not worth failing for.
        let _ = thread::Builder::new().name("signals".to_owned()).spawn(listen);
    });
    owned(|all| all.push(layout.clone()));
}

/// The cluster is gone, or somebody else's now.
pub(super) fn release(layout: &Layout) {
    owned(|all| all.retain(|other| other.name() != layout.name()));
}

fn owned<T>(change: impl FnOnce(&mut Vec<Layout>) -> T) -> T {
    change(&mut OWNED.lock().unwrap_or_else(PoisonError::into_inner))
}

fn listen() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let Ok(number) = runtime.block_on(first()) else { return };
    let all = owned(|all| all.clone());
    if !all.is_empty() {
        eprintln!("interrupted: removing {} cluster(s)", all.len());
    }
    process::stop_starting();
    for layout in all {
        if let Err(error) = state::remove_owned(&layout, ProcessId::this()) {
            eprintln!("{error}");
        }
    }
    // What a shell reports of a program that a signal ended.
    std::process::exit(128 + number);
}

async fn first() -> std::io::Result<i32> {
    let (interrupt, terminate, hangup) = (SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup());
    let (mut interrupts, mut terminates, mut hangups) = (signal(interrupt)?, signal(terminate)?, signal(hangup)?);
    let kind = tokio::select! {
        _ = interrupts.recv() => interrupt,
        _ = terminates.recv() => terminate,
        _ = hangups.recv() => hangup,
    };
    Ok(kind.as_raw_value())
}
