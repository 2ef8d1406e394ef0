use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::*;
use crate::controller::ledger::Ledger;
use crate::controller::script::id;

/// An API server with one hotfix, whose status can be written while `open` says so.
async fn api_server(open: Arc<AtomicBool>) -> Client {
    crate::cluster::install_crypto();
    let HotfixId { namespace, name, uid, .. } = id();
    let hotfix = json!({"metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": "7"}});
    let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": "admission webhook \"guard.corp\" denied the request: not on Fridays"});
    let answer = move |method: Method| {
        let refused = method == Method::PATCH && !open.load(Ordering::SeqCst);
        let (status, body) = if refused { (StatusCode::FORBIDDEN, &refusal) } else { (StatusCode::OK, &hotfix) };
        let answer = (status, body.to_string());
        async move { answer }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Client::try_from(kube::Config::new(address.parse().unwrap())).unwrap()
}

fn complaint(why: &str) -> Complaint {
    Complaint::of(&Trouble::Refused(why.to_owned())).unwrap()
}

#[tokio::test]
async fn what_no_condition_can_tell_is_news_once() {
    let open = Arc::new(AtomicBool::new(false));
    let queue = Queue::new(Arc::new(Ledger::new(std::time::Instant::now())));
    let settings = Settings {
        checks_namespace: "checks".into(),
        runner_image: "r/operator:1".into(),
        api_request_max: Settings::API_REQUEST_MAX,
    };
    let world = World::new(api_server(open.clone()).await, settings, Registries::default(), queue);
    assert_eq!(world.complain(&id(), &complaint("not on Fridays")).await, News::Told);
    assert_eq!(world.complain(&id(), &complaint("not on Fridays")).await, News::None);
    assert_eq!(world.complain(&id(), &complaint("never")).await, News::Told, "it is another complaint");
    open.store(true, Ordering::SeqCst);
    assert_eq!(world.complain(&id(), &complaint("never")).await, News::Told, "it is in the conditions now");
    open.store(false, Ordering::SeqCst);
    assert!(world.settle(&id()));
    assert_eq!(world.complain(&id(), &complaint("never")).await, News::Told, "it begins anew");
}
