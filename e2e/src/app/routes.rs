//! What the application answers on each path.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue},
};

use super::{
    Settings,
    faults::{Active, Fault},
};
use crate::load::Micros;

/// What an instance writes to its log, after the time, when its deep health check answers that something is wrong.
pub const RED: &str = "the deep check is red";

pub(super) type Answer = Response<Full<Bytes>>;

/// Whether the instance was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining,
    Closing,
}

/// Answers one request; while the instance drains, the answer closes its connection.
pub(super) async fn answer(path: &str, settings: &Settings, faults: &Active, phase: Phase) -> Answer {
    let mut answer = if let Some(name) = path.strip_prefix("/_fault/") {
        order(name, faults)
    } else {
        faults.without(Fault::Hang).await;
        serve(path, settings, faults, phase)
    };
    if phase != Phase::Serving {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn serve(path: &str, settings: &Settings, faults: &Active, phase: Phase) -> Answer {
    match path {
        "/" => {
            faults.took_traffic();
            if faults.has(Fault::Sick) {
                return text(StatusCode::INTERNAL_SERVER_ERROR, "sick, as ordered\n");
            }
            text(StatusCode::OK, format!("{} {}\n", settings.version, settings.host))
        }
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/deep" if faults.has(Fault::Deep) => {
            // For whoever measures what follows from it: the log of the instance says when it was.
            println!("{} {RED}", Micros::now());
            text(StatusCode::INTERNAL_SERVER_ERROR, "the deep check found a fault\n")
        }
        "/deep" => text(StatusCode::OK, "ok, all the way down\n"),
        "/ready" if phase != Phase::Serving => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/ready" if faults.has(Fault::Unready) => text(StatusCode::SERVICE_UNAVAILABLE, "unready, as ordered\n"),
        "/ready" => text(StatusCode::OK, "ready\n"),
        _ => text(StatusCode::NOT_FOUND, "there is /, /healthz, /ready, /deep and /_fault/<name>\n"),
    }
}

fn order(name: &str, faults: &Active) -> Answer {
    if name == "none" {
        faults.clear();
        return text(StatusCode::OK, "well again\n");
    }
    match name.parse::<Fault>() {
        Ok(fault) => {
            faults.raise(fault);
            text(StatusCode::OK, format!("{fault}\n"))
        }
        Err(unknown) => text(StatusCode::NOT_FOUND, format!("{unknown}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}
