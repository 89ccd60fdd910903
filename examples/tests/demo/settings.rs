//! Settings, starting and ending.

use std::time::{Duration, Instant};

use hyper::Request;
use keep_testing::RedisServer;
use serde_json::Value;

use crate::program::{Demo, refused};

#[tokio::test]
async fn the_line_at_the_start_tells_address_store_and_cookies_but_no_password() {
    let embedded = Demo::start(&[]).await;
    assert!(
        embedded.announced.contains("embedded") && embedded.announced.contains("dev"),
        "{}",
        embedded.announced
    );
    let server = RedisServer::start_with(&["--requirepass", "p@ss:word/hunter2"]);
    let port = server.port();
    let socket = server.unix_url();
    for url in [
        format!("redis://:p%40ss%3Aword%2Fhunter2@127.0.0.1:{port}"),
        format!("redis://default:p%40ss%3Aword%2Fhunter2@127.0.0.1:{port}/0"),
        format!("{socket}?pass=p@ss:word/hunter2"),
        format!("{socket}?user=default&pass=p@ss:word/hunter2&db=0"),
    ] {
        let mut demo = Demo::start(&[("REDIS_URL", &url), ("RUST_LOG", "trace")]).await;
        demo.is_up().await;
        demo.signed_in("alice").await;
        assert!(
            demo.announced.contains("redis") && demo.announced.contains("127.0.0.1"),
            "{}",
            demo.announced
        );
        demo.terminate();
        assert!(demo.ended().await.success());
        assert_eq!(demo.stdout().len(), 1, "one line: {:?}", demo.stdout());
        for line in demo.stdout().iter().chain(&demo.stderr()) {
            assert!(!line.contains("hunter2") && !line.contains("p@ss"), "{line}");
        }
    }
}

#[tokio::test]
async fn cookies_may_be_secure() {
    let demo = Demo::start(&[("COOKIES", "secure")]).await;
    assert!(!demo.announced.contains("dev"), "{}", demo.announced);
    let mut client = demo.client();
    let login = client.login("alice").await;
    let line = login.set_cookies()[0];
    assert!(line.starts_with("__Host-session="), "{line}");
    assert!(line.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{line}");
    assert_eq!(client.me().await["user"], "alice");
    let mut dev = client.clone();
    dev.cookies = [("session".to_owned(), client.session().to_owned())].into();
    assert_eq!(dev.me().await["user"], Value::Null, "only the one name counts");
}

#[tokio::test]
async fn keys_begin_with_the_prefix() {
    let server = RedisServer::start();
    let url = server.url();
    let one = Demo::start(&[("REDIS_URL", &url), ("KEY_PREFIX", "shop:eu")]).await;
    let other = Demo::start(&[("REDIS_URL", &url), ("KEY_PREFIX", "other")]).await;
    one.is_up().await;
    other.is_up().await;
    let mut client = one.signed_in("alice").await;
    let keys: Vec<String> = server.cmd("KEYS", "*");
    assert!(keys.len() == 2 && keys.iter().all(|key| key.starts_with("shop:eu:")), "{keys:?}");
    let mut elsewhere = other.client();
    elsewhere.cookies.clone_from(&client.cookies);
    assert_eq!(elsewhere.me().await["user"], Value::Null);
    assert_eq!(client.me().await["user"], "alice");
}

#[tokio::test]
async fn several_processes_share_sessions() {
    let server = RedisServer::start();
    let (one, other) = (Demo::on(&server).await, Demo::on(&server).await);
    let mut here = one.signed_in("alice").await;
    let mut there = other.client();
    there.cookies.clone_from(&here.cookies);
    for n in 1..=5 {
        let client = if n % 2 == 0 { &mut here } else { &mut there };
        assert_eq!(client.post("/api/visits").await.json()["visits"], n);
    }
    assert_eq!(here.post("/logout").await.status, 204);
    assert_eq!(there.me().await["user"], Value::Null);
}

#[tokio::test]
async fn settings_that_cannot_work_end_the_start_with_a_clear_text() {
    let taken = Demo::start(&[]).await;
    for (name, value, word) in [
        ("COOKIES", "strict", "COOKIES"),
        ("KEY_PREFIX", "a b", "KEY_PREFIX"),
        ("KEY_PREFIX", "", "KEY_PREFIX"),
        ("STORE_DEADLINE_MS", "soon", "STORE_DEADLINE_MS"),
        ("STORE_DEADLINE_MS", "-1", "STORE_DEADLINE_MS"),
        ("STORE_DEADLINE_MS", "0", "STORE_DEADLINE_MS"),
        ("REDIS_URL", "http://:hunter2@127.0.0.1", "REDIS_URL"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:port", "REDIS_URL"),
        ("ADDR", "nowhere", "ADDR"),
        ("ADDR", &taken.address.to_string(), "ADDR"),
    ] {
        let (status, said) = refused(&[(name, value)]).await;
        assert_eq!(status.code(), Some(1), "{name}={value}: {said}");
        assert!(said.contains(word), "{name}={value} is not named: {said}");
        assert!(!said.contains("hunter2") && !said.contains("panicked"), "{name}={value}: {said}");
    }
}

#[tokio::test]
async fn it_serves_at_once_when_redis_is_down_and_recovers_by_itself() {
    let mut server = RedisServer::reserve(&[]);
    let begun = Instant::now();
    let demo = Demo::start(&[("REDIS_URL", &server.url())]).await;
    assert_eq!(demo.client().get("/plain").await.body, "ok");
    assert!(begun.elapsed() < Duration::from_secs(5), "it waits for redis: {:?}", begun.elapsed());
    assert_eq!(demo.client().get("/").await.status, 200);
    assert_eq!(demo.client().me().await["user"], Value::Null, "without a cookie nothing is asked");
    let refused = demo.client().login("alice").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.set_cookies(), Vec::<&str>::new());
    assert_eq!(demo.client().get("/healthz").await.status, 503);
    server.restart();
    demo.is_up().await;
    assert_eq!(demo.signed_in("alice").await.me().await["user"], "alice");
    assert_eq!(demo.warnings().len(), 2, "down, and up again: {:#?}", demo.warnings());
}

#[tokio::test]
async fn sigterm_finishes_what_is_under_way() {
    let server = RedisServer::start();
    let mut demo = Demo::on(&server).await;
    let client = demo.signed_in("alice").await;
    let (mut slow, reader) = (client.clone(), client.clone());
    let write = tokio::spawn(async move { slow.put("/api/entries/a?delay_ms=1500", "1").await });
    let stream = Request::get("/stream").body(String::new()).unwrap();
    let events = reader.begin(stream).await;
    tokio::time::sleep(Duration::from_millis(500)).await; // both are under way
    demo.terminate();
    assert_eq!(write.await.unwrap().status, 204);
    assert!(keep_testing::Answer::read(events).await.body.ends_with("data: 4\n\n"));
    assert_eq!(demo.ended().await.code(), Some(0));
    assert_eq!(demo.warnings(), Vec::<String>::new());
    let next = Demo::on(&server).await;
    let mut client = next.client();
    client.cookies = reader.cookies;
    assert_eq!(client.me().await["entries"]["a"], "1", "it was saved");
}

#[tokio::test]
async fn connections_without_a_request_do_not_delay_the_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    let mut demo = Demo::start(&[]).await;
    let untouched = TcpStream::connect(demo.address).await.unwrap();
    let mut idle = TcpStream::connect(demo.address).await.unwrap();
    idle.write_all(b"GET /plain HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 1024];
    assert!(idle.read(&mut answer).await.unwrap() > 0, "the connection is kept alive");
    demo.terminate();
    assert_eq!(demo.ended().await.code(), Some(0));
    drop((untouched, idle));
}
