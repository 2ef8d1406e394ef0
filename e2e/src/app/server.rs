//! The life of one instance: accept, drain, close.

use std::{convert::Infallible, io, pin::pin, sync::Arc};

use futures::FutureExt;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};

use super::{
    Settings,
    faults::{Active, Fault},
    routes::{self, Phase},
};

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, drained, and every connection ended well.
    Drained,
    /// Connections were still busy when the grace had passed; they were cut off.
    CutOff,
    /// It was ordered to die.
    Died,
}

struct Instance {
    settings: Settings,
    faults: Active,
    phase: watch::Sender<Phase>,
}

/// Serves on the listener until `stop` comes, then drains and closes; or until a fault ends it.
///
/// # Errors
/// When the listener cannot accept any more.
pub async fn serve(listener: TcpListener, settings: Settings, stop: impl Future<Output = ()>) -> io::Result<End> {
    let faults = Active::new(&settings.faults);
    let instance = Arc::new(Instance { settings, faults, phase: watch::Sender::new(Phase::Serving) });
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);

    tokio::select! {
        ended = accept(&listener, &mut connections, &instance) => return ended,
        () = instance.faults.until(Fault::Die) => return Ok(End::Died),
        () = instance.faults.until(Fault::Deaf) => {
            drop(listener);
            connections.shutdown().await;
            stop.await;
            return Ok(End::Drained);
        }
        () = &mut stop => {}
    }

    instance.phase.send_replace(Phase::Draining);
    let _elapsed = time::timeout(instance.settings.drain, accept(&listener, &mut connections, &instance)).await;
    // A client whose handshake the kernel has already done would be reset with the listener.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        connections.spawn(connection(stream, Arc::clone(&instance)));
    }
    drop(listener);

    instance.phase.send_replace(Phase::Closing);
    let closed = async { while connections.join_next().await.is_some() {} };
    Ok(match time::timeout(instance.settings.grace, closed).await {
        Ok(()) => End::Drained,
        Err(_elapsed) => End::CutOff,
    })
}

/// Accepts for as long as it is polled; what has ended is cleared away on the way.
async fn accept(listener: &TcpListener, connections: &mut JoinSet<()>, instance: &Arc<Instance>) -> io::Result<End> {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(connection(accepted?.0, Arc::clone(instance)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. When the instance closes, an idle connection ends at once and a busy one with its answer.
async fn connection(stream: TcpStream, instance: Arc<Instance>) {
    // A connection without it only answers later; nothing to give up for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let instance = Arc::clone(&instance);
        async move {
            let phase = *instance.phase.borrow();
            let path = request.uri().path();
            Ok::<_, Infallible>(routes::answer(path, &instance.settings, &instance.faults, phase).await)
        }
    });
    let mut serving = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let mut phase = instance.phase.subscribe();
    tokio::select! {
        // The client's errors are the client's to count.
        _ = &mut serving => return,
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}
