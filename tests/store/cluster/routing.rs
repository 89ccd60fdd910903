//! Which node hears what.

use std::collections::BTreeSet;

use redis::{Script, cmd, pipe};
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::pubsub::PubSub;
use tower_keep::store::op::LoadSession;
use tower_keep::store::{Store, StoreErrorKind as Kind, StoreStatus};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_over_all_nodes_has_its_answers_in_order() {
    let cluster = start().await;
    let store = connected(&cluster, calm()).await;
    let names = names(50);
    for name in &names {
        make(&store, name, name).await;
    }
    let nodes: BTreeSet<_> = names.iter().map(|name| cluster.master_of(&session_key(name))).collect();
    assert_eq!(nodes.len(), 3);
    cluster.masters.iter().for_each(|master| master.reset_calls());
    let batch: Vec<_> = names.iter().map(|name| LoadSession(session(name))).collect();
    let loaded = store.batch(batch).await.unwrap();
    let entries: Vec<_> = loaded.into_iter().map(|loaded| entry(loaded.unwrap()).unwrap()).collect();
    assert_eq!(entries, names);
    let calls = cluster.masters.iter().map(|master| master.calls()["hgetall"]);
    assert_eq!(calls.sum::<u64>(), 50, "each is asked for once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_all_nodes_are_read_scanned_and_purged_together() {
    let cluster = start().await;
    let store = connected(&cluster, calm()).await;
    let values = KeyValue::<usize>::new(store, "values").unwrap();
    let names = names(300);
    for (value, name) in names.iter().enumerate() {
        values.set(name, &value, Ttl::Never).await.unwrap();
    }
    let read = values.get_many(&names).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|value| value.unwrap().unwrap().value).collect();
    assert_eq!(read, (0..300).collect::<Vec<_>>());
    let mut pages = values.scan("").unwrap();
    let mut found = BTreeSet::new();
    while let Some(page) = pages.next().await.unwrap() {
        found.extend(page);
    }
    assert_eq!(found, names.iter().cloned().collect());
    assert_eq!(values.purge("1").await.unwrap(), 111);
    assert_eq!(values.get("1").await.unwrap(), None);
    assert_eq!(values.get("2").await.unwrap(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_heard_whichever_node_they_are_sent_to() {
    let cluster = start().await;
    let sender = PubSub::new(connected(&cluster, calm()).await);
    let hearer = PubSub::new(connected(&cluster, calm()).await);
    for number in 0..6 {
        let channel = format!("channel-{number}");
        let mut subscription = hearer.subscribe::<usize>(&channel).await.unwrap();
        sender.publish(&channel, &number).await.unwrap();
        let message = tokio::time::timeout(LONG, subscription.next()).await.unwrap().unwrap();
        assert_eq!(message.value, number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_commands_find_their_node() {
    let cluster = start().await;
    let store = connected(&cluster, calm()).await;
    let mut raw = store.raw().unwrap();
    for number in 0..20 {
        let key = format!("{{tag-{number}}}");
        let _: () = cmd("SET").arg(&key).arg(number).query_async(&mut raw).await.unwrap();
        let both: (i64, i64) = pipe().atomic().incr(&key, 1).get(&key).query_async(&mut raw).await.unwrap();
        assert_eq!(both, (number + 1, number + 1));
        let script = Script::new("return redis.call('GET', KEYS[1])");
        let told: i64 = script.key(&key).invoke_async(&mut raw).await.unwrap();
        assert_eq!(told, number + 1);
    }
    let pong: String = cmd("PING").query_async(&mut raw).await.unwrap();
    assert_eq!(pong, "PONG");
    let split = cmd("MGET").arg("a").arg("b").query_async::<Vec<Option<i64>>>(&mut raw).await;
    assert_eq!(split.unwrap_err().code(), Some("CROSSSLOT"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_and_by_which_protocol_holds_for_all_nodes() {
    let cluster = start().await;
    for master in &cluster.masters {
        master.tell("ACL SETUSER app on >hunter2 ~* &* +@all");
    }
    let url = cluster.url().replace("redis://", "redis://app:hunter2@");
    let url = format!("{}?protocol=resp3", url.replace(',', "?protocol=resp3,"));
    let store = calm().connect(&url).unwrap();
    for name in names(20) {
        make(&store, &name, &name).await;
        assert_eq!(read(&store, &name).await.unwrap(), Some(name));
    }
    for master in &cluster.masters {
        let clients = master.clients();
        let ours = |line: &&String| line.contains("user=app");
        assert!(clients.iter().filter(ours).count() >= 1, "{clients:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_does_not_answer_is_an_outage_at_once() {
    let cluster = start().await;
    let url = cluster.url();
    drop(cluster);
    let store = hasty().connect(&url).unwrap();
    for _ in 0..10 {
        let kind = refusal(read(&store, "a").await);
        assert!([Kind::Refused, Kind::Timeout, Kind::Unavailable].contains(&kind), "{kind:?}");
    }
    assert_eq!(store.health().await.status, StoreStatus::Down);
    for url in ["cluster:", "cluster:redis://127.0.0.1/1", "cluster:redis://a,unix:b"] {
        assert!(Store::connect(url).is_err(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_for_one_server_says_what_is_wrong_at_a_cluster() {
    let cluster = start().await;
    let store = patient().connect(&cluster.masters[0].url()).unwrap();
    let far = names(50).into_iter().find(|name| cluster.master_of(&session_key(name)) == 2).unwrap();
    assert_eq!(refusal(read(&store, &far).await), Kind::Moved);
    let near = names(50).into_iter().find(|name| cluster.master_of(&session_key(name)) == 0).unwrap();
    assert_eq!(read(&store, &near).await.unwrap(), None);
}
