//! Which watches are open for whom. The client leads nowhere: whether a watch works is tried on a real cluster.

use std::time::Instant;

use futures::StreamExt;

use super::*;
use crate::controller::interest::tests::interest;
use crate::controller::ledger::Ledger;

fn key(name: &str) -> Key {
    Key { namespace: "shop".into(), name: name.into() }
}

fn watches() -> Watches {
    crate::cluster::install_crypto();
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let queue = Queue::new(Arc::new(Ledger::new(Instant::now())));
    Watches::new(Client::try_from(nowhere).unwrap(), "checks".into(), queue, Arc::default())
}

#[tokio::test]
async fn hotfixes_of_one_namespace_share_their_watches() {
    let watches = watches();
    watches.follow(&key("web"), interest("u1", "app=web"));
    assert_eq!(watches.open.load(Ordering::Relaxed), 6);
    watches.follow(&key("api"), interest("u2", "app=api"));
    assert_eq!(watches.open.load(Ordering::Relaxed), 7);
    watches.unfollow(&key("web"));
    assert_eq!(watches.open.load(Ordering::Relaxed), 6);
    watches.unfollow(&key("api"));
    watches.unfollow(&key("api"));
    assert_eq!(watches.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_new_interest_triggers_and_the_same_one_does_not() {
    let watches = watches();
    let mut triggered = Box::pin(watches.queue.stream());
    watches.follow(&key("web"), interest("u1", "app=web"));
    assert_eq!(triggered.next().await, Some(key("web")));
    watches.follow(&key("web"), interest("u1", "app=web"));
    assert!(futures::poll!(triggered.next()).is_pending());
    watches.follow(&key("web"), interest("u1", "app=web,tier=front"));
    assert_eq!(triggered.next().await, Some(key("web")));
    assert_eq!(watches.open.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn an_event_wakes_only_those_it_touches() {
    let watches = watches();
    watches.follow(&key("web"), interest("u1", "app=web"));
    watches.follow(&key("api"), interest("u2", "app=api"));
    let mut triggered = Box::pin(watches.queue.stream());
    assert_eq!(triggered.next().await, Some(key("api")));
    assert_eq!(triggered.next().await, Some(key("web")));
    let labels = [(names::HOTFIX_UID.to_owned(), "u2".to_owned())].into();
    let job = ObjectMeta { labels: Some(labels), ..ObjectMeta::default() };
    watches.wake(&Scope::Jobs, |interest| interest.touches(&Scope::Jobs, &job));
    assert_eq!(triggered.next().await, Some(key("api")));
    assert!(futures::poll!(triggered.next()).is_pending());
}
