//! Many requests at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::program::on_each_store;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_parallel_visits_count_a_thousand() {
    on_each_store(async |demo, _| {
        let mut client = demo.signed_in("alice").await;
        // A thousand open sockets on either side would meet the usual limit on open files.
        let (room, mut tasks) = (Arc::new(Semaphore::new(250)), JoinSet::new());
        for _ in 0..1_000 {
            let (mut client, room) = (client.clone(), Arc::clone(&room));
            tasks.spawn(async move {
                let _turn = room.acquire().await.unwrap();
                let answer = client.post("/api/visits").await;
                assert_eq!((answer.status.as_u16(), answer.set_cookies()), (200, Vec::new()));
                answer.json()["visits"].as_u64().unwrap()
            });
        }
        let told: BTreeSet<u64> = tasks.join_all().await.into_iter().collect();
        assert_eq!(told, (1..=1_000).collect(), "each was told a number of its own");
        assert_eq!(client.me().await["visits"], 1_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_clients_leave_no_wrong_value() {
    on_each_store(async |demo, _| {
        let mut clients = Vec::new();
        for n in 0..8 {
            let mut client = demo.signed_in(&format!("user{n}")).await;
            client.put("/api/entries/own", &n.to_string()).await;
            clients.push(client);
        }
        let mut aborting = JoinSet::new();
        for (n, client) in clients.iter().enumerate() {
            let client = client.clone();
            aborting.spawn(async move {
                for round in 0..100 {
                    let mut client = client.clone();
                    let request = tokio::spawn(async move { drop(client.get("/api/me").await) });
                    tokio::time::sleep(Duration::from_micros((round * 61 + n as u64 * 17) % 3_000)).await;
                    request.abort();
                }
            });
        }
        for _ in 0..40 {
            for (n, client) in clients.iter_mut().enumerate() {
                let me = client.me().await;
                assert_eq!(me["user"], format!("user{n}"));
                assert_eq!(me["entries"]["own"], n.to_string());
            }
        }
        aborting.join_all().await;
        assert_eq!(demo.client().get("/healthz").await.json()["desyncs"], 0);
        assert_eq!(demo.warnings(), Vec::<String>::new());
    })
    .await;
}
