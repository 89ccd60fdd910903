//! Counters, sets and lists.

use keep_testing::RedisServer;
use tokio::task::JoinSet;
use tower_keep::kv::{Counters, KvConfigError, KvError, Lists, Members, Ttl};
use tower_keep::store::Store;

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_additions_at_once_are_a_thousand() {
    on_both(async |store| {
        let counters = Counters::new(store, "views").unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..1000 {
            let counters = counters.clone();
            tasks.spawn(async move { counters.add("a", 1, HOUR).await.unwrap() });
        }
        let mut sums = tasks.join_all().await;
        sums.sort_unstable();
        assert_eq!(sums, (1..=1000).collect::<Vec<i64>>());
        assert_eq!(counters.get("a").await.unwrap(), 1000);
        assert!(counters.remove("a").await.unwrap());
        assert_eq!(counters.get("a").await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn counters_that_cannot_count_say_so() {
    on_both(async |store| {
        let counters = Counters::new(store, "views").unwrap();
        assert!(matches!(counters.add("a", 1, Ttl::KeepRemaining).await, Err(KvError::Ttl)));
        assert_eq!(counters.add("a", i64::MIN, Ttl::Never).await.unwrap(), i64::MIN);
        assert!(matches!(counters.add("a", -1, Ttl::Never).await, Err(KvError::NotAnInteger)));
        assert_eq!(counters.get("a").await.unwrap(), i64::MIN);
    })
    .await;
}

#[tokio::test]
async fn sets_are_bounded_and_know_their_members() {
    on_both(async |store| {
        let members = Members::new(store, "followers", 2).unwrap();
        assert!(
            members.add("t", "alice", HOUR).await.unwrap() && !members.add("t", "alice", HOUR).await.unwrap()
        );
        assert!(members.add("t", "bob", Ttl::KeepRemaining).await.unwrap());
        assert!(matches!(members.add("t", "carol", HOUR).await, Err(KvError::Full)));
        assert!(matches!(members.add("other", "carol", Ttl::KeepRemaining).await, Err(KvError::Missing)));
        assert!(matches!(members.add("t", &"x".repeat(1025), HOUR).await, Err(KvError::TooLarge)));
        let mut list = members.list("t").await.unwrap();
        list.sort();
        assert_eq!(
            (list, members.count("t").await.unwrap()),
            (vec!["alice".to_owned(), "bob".to_owned()], 2)
        );
        assert!(members.remove("t", "bob").await.unwrap() && !members.contains("t", "bob").await.unwrap());
        assert!(members.clear("t").await.unwrap());
    })
    .await;
    for most in [0, 100_001] {
        let error = Members::new(Store::in_memory(), "a", most).unwrap_err();
        assert_eq!(error, KvConfigError::OutOfRange("most"));
        assert_eq!(Lists::<u8>::new(Store::in_memory(), "a", most).unwrap_err(), error);
    }
}

/// With append-only files nothing that was confirmed is lost by a restart.
#[tokio::test]
async fn a_restart_keeps_what_was_written() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = Store::builder().deadline(LONG).probe_interval(std::time::Duration::from_millis(20));
    let store = store.connect(&server.url()).unwrap();
    let (carts, members) = (carts(&store), Members::new(store.clone(), "followers", 9).unwrap());
    let revision = carts.set("a", &cart("x"), Ttl::Never).await.unwrap();
    members.add("t", "alice", Ttl::Never).await.unwrap();
    server.restart();
    let deadline = tokio::time::Instant::now() + LONG;
    while !store.health().await.is_up() {
        assert!(tokio::time::Instant::now() < deadline, "redis is back");
        tokio::task::yield_now().await;
    }
    assert_eq!(carts.get_versioned("a").await.unwrap().unwrap().revision, revision);
    assert!(members.contains("t", "alice").await.unwrap());
}
