//! What goes out to Redis: the documented commands, one for each call, and never more.

use keep_testing::{Monitor, RedisServer};
use tower_keep::kv::{Ttl, Update};

use crate::fixture::*;

/// The commands of clients, as they stand in MONITOR's lines; those of scripts are not theirs.
fn commands(lines: &[String]) -> Vec<String> {
    let command = |line: &String| Some(line.split_once("] ")?.1.replace('"', ""));
    lines.iter().filter(|line| !line.contains(" lua] ")).filter_map(command).collect()
}

#[tokio::test]
async fn a_write_with_its_time_to_live_is_one_command() {
    let server = RedisServer::start();
    let carts = carts(&on_redis(&server));
    carts.set("a", &cart("x"), HOUR).await.unwrap();
    server.probed_by(1).await;
    let mut monitor = Monitor::start(&server).await;
    for (ttl, words) in
        [(HOUR, "PX 3600000 GET"), (Ttl::KeepRemaining, "XX KEEPTTL GET"), (Ttl::Never, "GET")]
    {
        carts.set("a", &cart("x"), ttl).await.unwrap();
        let sent = commands(&monitor.heard(&server).await);
        assert!(
            matches!(&sent[..], [one] if one.starts_with("SET keep:state:carts:{a} 1") && one.ends_with(words)),
            "{sent:?}"
        );
    }
    let keys: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    carts.get_many(&keys).await.unwrap();
    let sent = commands(&monitor.heard(&server).await);
    assert!(matches!(&sent[..], [one] if one.starts_with("MGET ")), "{sent:?}");
    carts.update("b", |_| Update::Set(cart("x"), HOUR)).await.unwrap();
    let sent = commands(&monitor.heard(&server).await);
    assert!(
        matches!(&sent[..], [get, script] if get.starts_with("GET ") && script.starts_with("EVALSHA ")),
        "{sent:?}"
    );
    assert!(carts.set("a", &cart("x"), Ttl::After(std::time::Duration::ZERO)).await.is_err());
    assert!(monitor.heard(&server).await.is_empty(), "what cannot be is not sent");
}

#[tokio::test]
async fn keys_are_never_listed_by_keys() {
    let server = RedisServer::start();
    let carts = carts(&on_redis(&server));
    carts.set("user:1", &cart("x"), HOUR).await.unwrap();
    server.reset_calls();
    assert_eq!(carts.purge("user:").await.unwrap(), 1);
    let calls = server.calls();
    assert!(
        calls.contains_key("scan") && calls.contains_key("unlink") && !calls.contains_key("keys"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn lost_scripts_are_sent_again() {
    let server = RedisServer::start();
    let carts = carts(&on_redis(&server));
    let first = carts.create("a", &cart("x"), HOUR).await.unwrap();
    server.tell("SCRIPT FLUSH");
    carts.replace("a", &cart("y"), HOUR, first).await.unwrap();
}
