//! Redis stops, freezes, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keep_testing::{Answer, RedisServer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::program::{Demo, PATIENCE, eventually};

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        answer.json(),
        json!({ "type": "about:blank", "title": "Service Unavailable", "status": 503 })
    );
    assert_eq!(answer.set_cookies(), Vec::<&str>::new());
}

async fn assert_away(client: &mut Client) {
    assert_eq!(client.get("/plain").await.body, "ok");
    assert_unavailable(&client.get("/api/me").await);
    assert_unavailable(&client.get("/api/devices").await);
    assert_unavailable(&client.put("/api/entries/lost", "1").await);
    let page = client.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("unavailable") && !page.body.contains("alice"), "the page is a guest's");
    assert_eq!(page.set_cookies(), Vec::<&str>::new());
    assert_eq!(client.cookies.len(), 1);
}

/// What load from many browsers met, by route.
#[derive(Debug, Default)]
struct Met {
    plain: AtomicUsize,
    served: AtomicUsize,
    refused: AtomicUsize,
    guests: AtomicUsize,
}

/// Browsers that go on until they are told to stop. Nobody ever loses a cookie or meets anything but what the policies say.
fn load(clients: &[Client], met: &Arc<Met>, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (i, client) in clients.iter().enumerate() {
        let (mut client, met, stop) = (client.clone(), Arc::clone(met), Arc::clone(stop));
        tasks.spawn(async move {
            let cookie = client.session().to_owned();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                match i % 4 {
                    0 => {
                        assert_eq!(client.get("/plain").await.body, "ok");
                        met.plain.fetch_add(1, Ordering::Relaxed);
                    }
                    1 => {
                        let page = client.get("/").await;
                        assert_eq!(page.status, 200);
                        let guest = page.body.contains("unavailable");
                        assert!(guest || page.body.contains("alice"), "signed out");
                        met.guests.fetch_add(usize::from(guest), Ordering::Relaxed);
                    }
                    kind => {
                        let answer = match kind {
                            2 => client.get("/api/me").await,
                            _ => client.post("/api/visits").await,
                        };
                        if answer.status == 200 {
                            assert!(kind != 2 || answer.json()["user"] == "alice", "signed out");
                            met.served.fetch_add(1, Ordering::Relaxed);
                        } else {
                            assert_unavailable(&answer);
                            met.refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                assert!(begun.elapsed() < PATIENCE, "it hangs");
                assert_eq!(client.session(), cookie);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_under_load_signs_nobody_out() {
    let server = RedisServer::start();
    let demo = Demo::start(&[("REDIS_URL", &server.url())]).await;
    demo.is_up().await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(demo.signed_in("alice").await);
    }
    let (met, stop) = (Arc::new(Met::default()), Arc::new(AtomicBool::new(false)));
    let tasks = load(&clients, &met, &stop);
    let more = |counter: fn(&Met) -> &AtomicUsize, n: usize| {
        let met = Arc::clone(&met);
        let before = counter(&met).load(Ordering::Relaxed);
        async move {
            eventually("the load goes on", async || counter(&met).load(Ordering::Relaxed) >= before + n).await
        }
    };
    more(|met| &met.served, 50).await;
    server.freeze();
    more(|met| &met.refused, 100).await;
    more(|met| &met.guests, 50).await;
    more(|met| &met.plain, 50).await;
    assert_away(&mut clients[0].clone()).await;
    server.thaw();
    demo.is_up().await;
    more(|met| &met.served, 100).await;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    for client in &mut clients {
        assert_eq!(client.me().await["user"], "alice");
    }
    let warnings = demo.warnings();
    assert!(
        warnings.len() % 2 == 0 && warnings.len() <= 4,
        "one line for each change of state: {warnings:#?}"
    );
    for pair in warnings.chunks(2) {
        assert!(pair[0].contains("unavailable") && pair[1].contains("again"), "{warnings:#?}");
    }
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_makes_strangers_and_no_errors() {
    let mut server = RedisServer::start();
    let demo = Demo::on(&server).await;
    let mut client = demo.signed_in("alice").await;
    server.stop();
    eventually("it is noticed", async || client.clone().get("/api/me").await.status == 503).await;
    assert_away(&mut client).await;
    server.restart();
    demo.is_up().await;
    let nobody = json!({ "user": null, "handle": null, "visits": 0, "entries": {} });
    assert_eq!(client.me().await, nobody);
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(client.post("/api/visits").await.json(), json!({ "visits": 1 }));
    assert_eq!(client.login("alice").await.status, 200);
    let me = client.me().await;
    assert_eq!((&me["user"], &me["visits"]), (&json!("alice"), &json!(1)));
    let warnings = demo.warnings();
    assert_eq!(warnings.len(), 2, "down, and up again: {warnings:#?}");
}

#[tokio::test]
async fn nobody_is_signed_out_by_a_lost_connection() {
    let server = RedisServer::start();
    let demo = Demo::on(&server).await;
    let mut client = demo.signed_in("alice").await;
    for round in 1..=20 {
        server.kill_clients();
        let me = client.get("/api/me").await;
        assert_eq!((me.status.as_u16(), &me.json()["user"]), (200, &json!("alice")), "a read is sent again");
        assert_eq!(client.post("/api/visits").await.json()["visits"], round);
        server.tell("SCRIPT FLUSH");
        assert_eq!(client.put("/api/entries/n", &round.to_string()).await.status, 204);
    }
    assert_eq!(client.me().await["entries"]["n"], "20");
    assert_eq!(Value::from(demo.warnings()), json!([]));
}
