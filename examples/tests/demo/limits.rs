//! The limited routes.

use std::time::Duration;

use hyper::Request;
use keep_testing::Answer;
use serde_json::json;

use crate::client::Client;
use crate::program::{Demo, eventually, on_each_store, refused};

async fn forwarded(client: &mut Client, path: &str, by: &str) -> Answer {
    let request = Request::get(path).header("x-forwarded-for", by).body(String::new()).unwrap();
    client.send(request).await
}

fn assert_over(answer: &Answer, policies: &[&str]) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["violated-policies"], json!(policies));
    assert!(answer.header("ratelimit").is_some() && answer.header("ratelimit-policy").is_some());
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_window_admits_ten_and_then_says_how_long() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        for left in (0..10).rev() {
            let answer = client.get("/window").await;
            assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "remaining": left })));
            assert_eq!(answer.header("ratelimit-policy"), Some(r#""window";q=10;w=10"#));
        }
        let wait = assert_over(&client.get("/window").await, &["window"]);
        assert!((1..=10).contains(&wait), "{wait}");
        assert_eq!(client.post("/window").await.status, 405, "another method is not counted");
        assert!(client.cookies.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_bucket_admits_five_at_once_and_refills() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        let first = client.get("/limited").await;
        assert_eq!(first.json(), json!({ "remaining": 4 }));
        assert_eq!(first.header("ratelimit-policy"), Some(r#""bucket";q=5;w=5"#));
        let refused = loop {
            let answer = client.get("/limited").await;
            if answer.status != 200 {
                break answer;
            }
        };
        assert_eq!(assert_over(&refused, &["bucket"]), 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(client.get("/limited").await.status, 200, "who waited as long as told is admitted");
    })
    .await;
}

#[tokio::test]
async fn two_limits_at_once_name_the_one_that_refused() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        let first = client.get("/both").await;
        assert_eq!(first.json(), json!({ "remaining": 2 }));
        assert_eq!(first.header("ratelimit-policy"), Some(r#""second";q=3;w=1, "minute";q=20;w=60"#));
        let refused = async || client.clone().get("/both").await;
        eventually("the smaller one refuses", async || {
            let answer = refused().await;
            answer.status == 429 && answer.json()["violated-policies"] == json!(["second"])
        })
        .await;
        eventually("and then the larger one", async || {
            let answer = refused().await;
            answer.status == 429 && answer.json()["violated-policies"].to_string().contains("minute")
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn only_a_trusted_proxy_says_who_the_client_is() {
    let strict = Demo::start(&[]).await;
    for i in 0..12 {
        let expected = if i < 10 { 200 } else { 429 };
        let answer = forwarded(&mut strict.client(), "/window", &format!("203.0.113.{i}")).await;
        assert_eq!(answer.status, expected, "{i}");
    }
    let trusting = Demo::start(&[("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")]).await;
    for i in 0..12 {
        assert_eq!(forwarded(&mut trusting.client(), "/window", &format!("203.0.113.{i}")).await.status, 200);
    }
    let spoof = |i| format!("198.51.100.{i}, 203.0.113.99");
    for i in 0..12 {
        let expected = if i < 10 { 200 } else { 429 };
        assert_eq!(forwarded(&mut trusting.client(), "/window", &spoof(i)).await.status, expected, "{i}");
    }
    let (status, said) = refused(&[("TRUSTED_PROXIES", "nonsense")]).await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("TRUSTED_PROXIES") && !said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn several_processes_count_together_and_a_lost_redis_refuses_nobody() {
    let mut server = keep_testing::RedisServer::start();
    let (one, other) = (Demo::on(&server).await, Demo::on(&server).await);
    for i in 0..10 {
        let demo = if i % 2 == 0 { &one } else { &other };
        assert_eq!(demo.client().get("/window").await.status, 200);
    }
    for demo in [&one, &other] {
        assert_over(&demo.client().get("/window").await, &["window"]);
    }
    server.stop();
    assert_eq!(
        one.client().get("/both").await.json(),
        json!({ "remaining": 2 }),
        "this process counts alone"
    );
}
