//! The pool as a connection of the `redis` crate.

use keep_testing::RedisServer;
use redis::aio::ConnectionLike as _;
use redis::{Script, cmd, pipe};
use tower_keep::store::{RawConnection, Store, StoreConfig};

use crate::fixture::*;

async fn behaves(server: &RedisServer, mut raw: RawConnection) {
    let _: () = cmd("SET").arg("{k}:a").arg("1").query_async(&mut raw).await.unwrap();
    let (sum, text): (i64, String) =
        pipe().incr("{k}:a", 2).get("{k}:a").query_async(&mut raw).await.unwrap();
    assert_eq!((sum, text.as_str()), (3, "3"));
    let both: (i64, i64) = pipe()
        .atomic()
        .incr("{k}:a", 1)
        .expire("{k}:a", 60)
        .ignore()
        .incr("{k}:a", 1)
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(both, (4, 5));
    let _: () = server.cmd("SCRIPT", "FLUSH");
    let echoed: Vec<String> =
        Script::new("return {KEYS[1], ARGV[1]}").key("k").arg("x").invoke_async(&mut raw).await.unwrap();
    assert_eq!(echoed, ["k", "x"]);
    let wrong = cmd("LPUSH").arg("{k}:a").arg("x").query_async::<i64>(&mut raw).await.unwrap_err();
    assert_eq!(wrong.code(), Some("WRONGTYPE"));
    let several =
        pipe().lpush("{k}:a", "x").get("{k}:a").query_async::<(i64, i64)>(&mut raw).await.unwrap_err();
    assert!(several.to_string().contains("WRONGTYPE"), "{several}");
    let missing: Option<String> = cmd("GET").arg("{k}:b").query_async(&mut raw).await.unwrap();
    assert_eq!((missing, raw.get_db()), (None, 0));
}

#[tokio::test]
async fn other_commands_go_over_the_same_pool() {
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    behaves(&server, store.raw().unwrap()).await;
    assert_eq!(server.clients().len(), 1, "one connection for everything");
    assert!(Store::in_memory().raw().is_none());
    let foreign = RedisServer::start();
    let client = redis::Client::open(foreign.url()).unwrap();
    let pool = bb8::Pool::builder().max_size(1).build(client).await.unwrap();
    behaves(&foreign, patient().from_pool(pool).unwrap().raw().unwrap()).await;
}

#[tokio::test]
async fn what_would_concern_others_on_the_connection_is_not_sent() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    server.reset_calls();
    let mut raw = store.raw().unwrap();
    for line in [
        "subscribe c",
        "PSUBSCRIBE *",
        "MONITOR",
        "SELECT 1",
        "AUTH x",
        "CLIENT REPLY OFF",
        "MULTI",
        "WATCH a",
        "BLPOP a 0",
        "XREAD BLOCK 0 STREAMS a 0",
        "HELLO 3",
        "QUIT",
        "WAIT 1 0",
    ] {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        let alone = command.query_async::<()>(&mut raw).await.unwrap_err();
        assert!(alone.to_string().contains("connection of your own"), "{line}: {alone}");
        pipe().get("a").add_command(command).query_async::<()>(&mut raw).await.unwrap_err();
    }
    let sent = server.calls();
    assert!(!sent.contains_key("get") && !sent.contains_key("select"), "{sent:?}");
}

#[tokio::test]
async fn a_raw_command_keeps_to_the_deadline_and_the_breaker() {
    let server = RedisServer::start();
    let store = Store::builder().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let mut raw = store.raw().unwrap();
    server.freeze();
    for _ in 0..10 {
        cmd("GET").arg("a").query_async::<()>(&mut raw).await.unwrap_err();
    }
    server.thaw();
    eventually("it goes on", async || cmd("PING").query_async::<String>(&mut raw).await.is_ok()).await;
}

#[tokio::test]
async fn a_user_and_password_beside_the_url_sign_in() {
    let server = RedisServer::start();
    let _: () =
        server.cmd("ACL", &["SETUSER", "app", "reset", "on", ">canary-password", "~*", "&*", "+@all"]);
    let json = format!(
        r#"{{"url":"{}","username":"app","password":"canary-password","deadline_ms":20000}}"#,
        server.url()
    );
    let config: StoreConfig = serde_json::from_str(&json).unwrap();
    let store = config.open().unwrap();
    make(&store, "a", "1").await;
    assert!(server.cmd::<String>("CLIENT", "LIST").contains("user=app"));
    assert!(!format!("{config:?} {store:?}").contains("canary"));
}
