//! The cached routes.

use hyper::Request;
use keep_testing::Answer;

use crate::client::Client;
use crate::program::on_each_store;

fn is_hit(answer: &Answer) -> bool {
    let status = answer.header("cache-status").unwrap_or_default();
    assert!(status.starts_with("tower-keep; "), "{answer:?}");
    status.contains("; hit")
}

async fn head(client: &mut Client, path: &str) -> Answer {
    client.send(Request::head(path).body(String::new()).unwrap()).await
}

#[tokio::test]
async fn a_cached_page_is_made_once_and_again_when_its_tag_is_purged() {
    on_each_store(async |demo, _| {
        let (mut alice, mut bob) = (demo.client(), demo.client());
        let first = alice.get("/cached/lamp").await;
        let second = bob.get("/cached/lamp").await;
        assert!(!is_hit(&first) && is_hit(&second));
        assert_eq!(first.body, second.body);
        assert!(second.header("age").is_some());
        assert_eq!(second.header("cache-control"), Some("max-age=10, stale-while-revalidate=30"));

        assert_eq!(alice.post("/purge?tag=name:other").await.status, 204);
        assert_eq!(bob.get("/cached/lamp").await.body, first.body);
        for tag in ["name:lamp", "demo"] {
            let before = bob.get("/cached/lamp").await.body;
            assert_eq!(alice.post(&format!("/purge?tag={tag}")).await.status, 204);
            let after = bob.get("/cached/lamp").await;
            assert!(!is_hit(&after) && after.body != before, "{tag}");
        }
        assert_eq!(alice.post("/purge").await.status, 400);
    })
    .await;
}

#[tokio::test]
async fn a_large_page_comes_back_whole_and_in_parts() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        let made = client.get("/cached-big/700").await;
        let stored = client.get("/cached-big/700").await;
        assert!(!is_hit(&made) && is_hit(&stored));
        assert_eq!(made.body.len(), 700 << 10);
        assert!(made.body == stored.body);
        let only_head = head(&mut client, "/cached-big/700").await;
        assert_eq!((only_head.header("content-length"), only_head.body.len()), (Some("716800"), 0));
        let part = Request::get("/cached-big/700").header("range", "bytes=131070-131075");
        let part = client.send(part.body(String::new()).unwrap()).await;
        assert_eq!((part.status.as_u16(), part.body.as_str()), (206, &made.body[131_070..=131_075]));
        assert_eq!(client.get("/cached-big/10241").await.status, 400);
    })
    .await;
}

#[tokio::test]
async fn many_at_once_are_one_run_of_the_handler() {
    on_each_store(async |demo, _| {
        let asks = (0..50).map(|_| {
            let mut client = demo.client();
            tokio::spawn(async move { client.get("/cached/slow?ms=300").await.body })
        });
        let mut answers = Vec::new();
        for ask in asks.collect::<Vec<_>>() {
            answers.push(ask.await.unwrap());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    })
    .await;
}
