use std::{net::SocketAddr, time::Duration};

use hyper::StatusCode;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, spawn},
};

use super::{
    End, Settings,
    faults::{Fault, Onset, Scheduled},
    serve,
};
use crate::http::{self, Connection, FailureKind, GetError, Keep};

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    end: JoinHandle<std::io::Result<End>>,
}

impl Running {
    async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let end = spawn(serve(listener, settings, async move { drop(stopped.await) }));
        Self { address, stop, end }
    }

    async fn status(&self, path: &str) -> StatusCode {
        http::get(self.address, "web", path).await.expect("it answers").status
    }

    async fn stop(self) -> End {
        drop(self.stop);
        self.end.await.expect("it does not panic").expect("it could accept")
    }
}

fn healthy() -> Settings {
    Settings {
        drain: Duration::from_millis(200),
        grace: Duration::from_millis(200),
        ..Settings::healthy("v1", "web-1")
    }
}

fn with(faults: &str) -> Settings {
    Settings { faults: Scheduled::list(faults).expect("they are written right"), ..healthy() }
}

async fn ask(connection: &mut Connection) -> Result<http::Reply, GetError> {
    connection.get("web", "/", Keep::Open).await
}

#[tokio::test]
async fn it_answers_with_its_version_and_its_host() {
    let web = Running::start(healthy()).await;
    let reply = http::get(web.address, "web", "/").await.expect("it answers");
    assert_eq!((reply.status, reply.text().as_ref()), (StatusCode::OK, "v1 web-1\n"));
}

#[tokio::test]
async fn a_keep_alive_connection_is_told_to_close_while_it_drains_and_no_request_is_lost() {
    let web = Running::start(healthy()).await;
    let mut kept = Connection::open(web.address).await.expect("it listens");
    assert_eq!(ask(&mut kept).await.expect("it answers").keep, Keep::Open);

    drop(web.stop);
    // Draining begins when the instance hears of it; every answer until then and after is a good one.
    let last = loop {
        let reply = ask(&mut kept).await.expect("it answers until it has said that it closes");
        assert_eq!(reply.status, StatusCode::OK);
        if reply.keep == Keep::Close {
            break reply;
        }
    };
    assert_eq!(last.text(), "v1 web-1\n");
    assert_eq!(web.end.await.expect("it does not panic").expect("it could accept"), End::Drained);
}

#[tokio::test]
async fn new_connections_are_served_while_it_drains_but_it_is_no_longer_ready() {
    let web = Running::start(healthy()).await;
    drop(web.stop);
    while http::get(web.address, "web", "/ready").await.expect("it answers").status == StatusCode::OK {}
    let reply = http::get(web.address, "web", "/").await.expect("it answers while it drains");
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_it_from_stopping() {
    let web = Running::start(healthy()).await;
    let mut idle = Connection::open(web.address).await.expect("it listens");
    ask(&mut idle).await.expect("it answers");
    assert_eq!(web.stop().await, End::Drained);
    while !idle.is_closed() {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&mut idle).await, Err(GetError::NotSent), "closed while idle: nothing of the request was lost");
}

#[tokio::test]
async fn a_request_it_never_answers_is_cut_off_when_the_grace_has_passed() {
    let web = Running::start(with("hang")).await;
    let address = web.address;
    let asked = spawn(async move { http::get(address, "web", "/").await });
    while http::get(address, "web", "/_fault/hang").await.expect("orders are always heard").status != StatusCode::OK {}
    let end = web.stop().await;
    // Whether the request came in before the stop decides how it ended, never that it was answered.
    assert!(matches!(end, End::CutOff | End::Drained), "{end:?}");
    asked.await.expect("it does not panic").expect_err("a hanging instance answers nothing");
}

#[tokio::test]
async fn the_deep_check_fails_some_time_after_traffic_came_and_clients_are_still_served() {
    let web = Running::start(with("deep@0.05")).await;
    assert_eq!(web.status("/deep").await, StatusCode::OK, "no traffic yet");
    assert_eq!(web.status("/").await, StatusCode::OK);
    while web.status("/deep").await == StatusCode::OK {}
    assert_eq!(web.status("/").await, StatusCode::OK);
    assert_eq!(web.status("/ready").await, StatusCode::OK);
}

#[tokio::test]
async fn a_fault_is_raised_by_order_and_cleared_by_order() {
    let web = Running::start(healthy()).await;
    for (fault, path) in [("sick", "/"), ("deep", "/deep"), ("unready", "/ready")] {
        assert_eq!(web.status(path).await, StatusCode::OK);
        web.status(&format!("/_fault/{fault}")).await;
        assert!(web.status(path).await.is_server_error(), "{fault} shows on {path}");
        web.status("/_fault/none").await;
        assert_eq!(web.status(path).await, StatusCode::OK);
    }
    assert_eq!(web.status("/_fault/nonsense").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_deaf_instance_refuses_connections_and_stays() {
    let web = Running::start(healthy()).await;
    // Whether the order is answered before the connections go is open.
    let _ = http::get(web.address, "web", "/_fault/deaf").await;
    let refused = loop {
        if let Err(failure) = http::get(web.address, "web", "/").await
            && failure.kind == FailureKind::Connect
        {
            break failure;
        }
    };
    assert_eq!(refused.kind, FailureKind::Connect);
    assert!(!web.end.is_finished());
    assert_eq!(web.stop().await, End::Drained);
}

#[tokio::test]
async fn it_dies_at_once_when_ordered() {
    let web = Running::start(with("die@0")).await;
    let _ = http::get(web.address, "web", "/").await;
    assert_eq!(web.end.await.expect("it does not panic").expect("it could accept"), End::Died);
}

#[test]
fn a_schedule_reads_as_it_is_written() {
    let schedule = Scheduled::list("unready, deep@8,die@0.5").expect("it is written right");
    assert_eq!(schedule[0], Scheduled { fault: Fault::Unready, onset: Onset::AtStart });
    assert_eq!(schedule[1], Scheduled::after_traffic(Fault::Deep, Duration::from_secs(8)));
    assert_eq!(schedule.iter().map(ToString::to_string).collect::<Vec<_>>(), ["unready", "deep@8", "die@0.5"]);
    assert!(Scheduled::list("explode").unwrap_err().to_string().contains("die, deaf, hang"));
    assert!(Scheduled::list("die@soon").unwrap_err().to_string().contains("seconds"));
    assert_eq!(Scheduled::list(""), Ok(Vec::new()));
}
