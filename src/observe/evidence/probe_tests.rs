use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn check(port: u16, more: &serde_json::Value) -> HttpCheck {
    let mut check = json!({"path": "/healthz", "port": port, "interval": "200ms", "timeout": "2s"});
    for (key, value) in more.as_object().unwrap() {
        check[key] = value.clone();
    }
    serde_json::from_value(check).unwrap()
}

fn streak(successes: i32, failures: i32) -> Streak {
    Streak { successes, failures, unsettled: 0, last: String::new() }
}

#[test]
fn a_pod_is_asked_at_its_own_address_and_nowhere_else() {
    let at = |address: &str, path: &str| url(address, &check(8080, &json!({"path": path}))).map(|url| url.to_string());
    assert_eq!(at("10.0.0.7", "/a?b=c").unwrap(), "http://10.0.0.7:8080/a?b=c");
    assert_eq!(at("fd00::7", "/").unwrap(), "http://[fd00::7]:8080/");
    for elsewhere in ["@evil.example/", "evil", ""] {
        assert_eq!(at("10.0.0.7", elsewhere), None, "{elsewhere}");
    }
    for nobody in ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "fe80::1", "web.example", ""] {
        assert_eq!(at(nobody, "/"), None, "{nobody}");
    }
}

#[test]
fn only_an_answer_that_can_matter_wakes_the_hotfix() {
    let http = check(80, &json!({"successes": 3, "failures": 3}));
    assert!(!matters(&http, &streak(0, 0), &streak(1, 0)));
    assert!(matters(&http, &streak(2, 0), &streak(3, 0)), "the last success that is needed");
    assert!(!matters(&http, &streak(3, 0), &streak(4, 0)));
    assert!(matters(&http, &streak(9, 0), &streak(0, 1)), "the first failure");
    assert!(matters(&http, &streak(0, 2), &streak(0, 3)), "the last failure that is borne");
    assert!(!matters(&http, &streak(0, 3), &streak(0, 4)));
    assert!(matters(&http, &streak(0, 1), &streak(1, 0)), "a recovery");
    let wavers = |unsettled| Streak { unsettled, ..streak(2, 0) };
    assert!(matters(&http, &wavers(59), &wavers(60)), "the last answer without a verdict that is borne");
    assert!(!matters(&http, &wavers(58), &wavers(59)));
}

#[test]
fn counts_go_on_for_a_pod_that_stays_where_it_is() {
    let named = |uid: &str, address: &str| (uid.to_owned(), address.to_owned());
    let mut asked = BTreeMap::new();
    retain(&mut asked, &[named("a", "10.0.0.1"), named("b", "10.0.0.2")]);
    for asked in asked.values_mut() {
        asked.streak = streak(5, 0);
    }
    retain(&mut asked, &[named("a", "10.0.0.1"), named("b", "10.0.0.9"), named("c", "10.0.0.3")]);
    let counts: Vec<_> = asked.iter().map(|(uid, asked)| (uid.as_str(), asked.streak.successes)).collect();
    assert_eq!(counts, [("a", 5), ("b", 0), ("c", 0)]);
    retain(&mut asked, &[]);
    assert!(asked.is_empty());
}

/// Answers every connection with `response`.
async fn server(response: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(response.as_bytes()).await;
        }
    });
    port
}

async fn asked(response: impl Into<String>) -> Reply {
    let port = server(response.into()).await;
    let client = Probes::new(Arc::new(|_| {})).prober.unwrap().client;
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    ask(&client, url, Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let reply = asked("HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(reply, Reply::Response { status: 302, .. }));
}

#[tokio::test]
async fn a_body_is_read_no_further_than_it_is_judged() {
    let Reply::Response { status: 200, body } =
        asked(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MAX_BODY_BYTES * 2))).await
    else {
        panic!("no answer")
    };
    assert_eq!(body.len(), MAX_BODY_BYTES);
}

#[tokio::test]
async fn what_is_no_answer_is_unreachable() {
    assert!(matches!(asked("hello\r\n\r\n").await, Reply::Unreachable));
}

#[tokio::test]
async fn pods_are_asked_while_they_are_wanted_and_wake_their_hotfix() {
    let port = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into()).await;
    let (send, mut woken) = tokio::sync::mpsc::unbounded_channel();
    // Loopback is refused as an address of a pod, and a test has no other.
    let here: Locate = |_, http| Url::parse(&format!("http://127.0.0.1:{}{}", http.port, http.path)).ok();
    let probes = Probes::asking_at(here, Arc::new(move |id: &HotfixId| send.send(id.uid.clone()).unwrap()));
    let id = HotfixId { namespace: "shop".into(), name: "h".into(), uid: "u".into(), target: "web".into() };
    let want = Want::Probe {
        attempt: 1,
        gate: Gate::Analyze,
        check: ("smoke".into(), 1),
        http: check(port, &json!({"successes": 1})),
        pods: vec![("p".into(), "10.0.0.7".into())],
    };
    probes.ask(&id, &[want]);
    assert_eq!(woken.recv().await.as_deref(), Some("u"));
    let answers = probes.answers("u");
    let [probe] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((probe.pod.as_str(), probe.successes, probe.failures), ("p", 1, 0));
    probes.ask(&id, &[]);
    assert_eq!(probes.answers("u").len(), 1, "a decision that only acts does not lose the count");
    probes.forget("u");
    assert_eq!(probes.answers("u"), []);
}

#[test]
fn what_nobody_wants_is_over_after_a_moment() {
    let now = Instant::now();
    let asked = |since| AskedOf { unwanted_since: since, ..AskedOf::default() };
    assert!(!asked(None).is_over(now));
    assert!(!asked(Some(now)).is_over(now + Duration::from_secs(1)));
    assert!(asked(Some(now)).is_over(now + GRACE));
}
