//! The same site on a Cluster whose slots move, and on a group that Sentinels watch.

use keep_testing::{RedisCluster, SentinelGroup};

use crate::client::Client;
use crate::program::{Demo, eventually};

async fn visit(demo: &Demo, client: &mut Client, user: &str, times: u64) {
    for expected in 1..=times {
        assert_eq!(client.post("/api/visits").await.json()["visits"], expected, "{user}");
    }
    assert_eq!(client.put("/api/entries/tea", "green").await.status, 204);
    let me = client.me().await;
    assert_eq!(
        (&me["user"], &me["visits"], &me["entries"]["tea"]),
        (&user.into(), &times.into(), &"green".into())
    );
    let mut other = demo.signed_in(user).await;
    assert_eq!(other.get("/api/devices").await.json().as_array().unwrap().len(), 2);
    assert_eq!(other.post("/api/logout-others").await.json()["revoked"], 1);
    assert!(client.me().await["user"].is_null());
    assert_eq!(other.post("/logout").await.status, 204);
    let page = format!("/cached/{user}");
    let shown = async || demo.client().get(&page).await.body;
    eventually("it is stored", async || shown().await == shown().await).await;
    let first = shown().await;
    assert_eq!(client.post(&format!("/purge?tag=name:{user}")).await.status, 204);
    assert_ne!(client.get(&page).await.body, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_whose_slots_move() {
    let cluster = tokio::task::spawn_blocking(RedisCluster::start).await.unwrap();
    let demo = Demo::start(&[("REDIS_URL", &cluster.url()), ("STORE_DEADLINE_MS", "5000")]).await;
    demo.is_up().await;
    let moving = tokio::task::spawn_blocking(move || {
        cluster.reshard(0, 1, 3000);
        cluster.reshard(1, 2, 3000);
        cluster
    });
    let mut users = 0;
    while !moving.is_finished() || users < 5 {
        users += 1;
        let user = format!("user-{users}");
        let mut client = demo.signed_in(&user).await;
        visit(&demo, &mut client, &user, 5).await;
    }
    let statuses = async || demo.client().get("/window").await.status.as_u16();
    for _ in 0..10 {
        assert_eq!(statuses().await, 200);
    }
    assert_eq!(statuses().await, 429);
    drop(moving.await.unwrap());
    assert_eq!(demo.warnings(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_group_that_fails_over() {
    let group = tokio::task::spawn_blocking(SentinelGroup::start).await.unwrap();
    let demo = Demo::start(&[("REDIS_URL", &group.url()), ("STORE_DEADLINE_MS", "5000")]).await;
    demo.is_up().await;
    let mut client = demo.signed_in("alice").await;
    visit(&demo, &mut client, "alice", 3).await;
    let group = tokio::task::spawn_blocking(move || {
        group.fail_over();
        group
    })
    .await
    .unwrap();
    // What the old primary acknowledges meanwhile is lost.
    eventually("the next primary serves", async || {
        let mut client = demo.client();
        let is_signed_in = client.login("bob").await.status == 200;
        is_signed_in && group.second.cmd::<u64>("EXISTS", format!("demo:session:{}", client.handle())) == 1
    })
    .await;
    let mut client = demo.signed_in("carol").await;
    visit(&demo, &mut client, "carol", 3).await;
}
