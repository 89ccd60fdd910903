//! Messages, on both stores; what becomes of subscriptions when connections end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::time::Duration;

use keep_testing::{Fault, Proxy, RedisServer, eventually};
use serde::{Deserialize, Serialize};
use tower_keep::pubsub::{Missed, PubSub, PubSubConfigError, PubSubError, Subscription};
use tower_keep::store::{Store, StoreErrorKind};

const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Order(u32);

fn on_redis(server: &RedisServer) -> Store {
    Store::builder().deadline(LONG).without_self_check().connect(&server.url()).unwrap()
}

async fn on_both(test: impl AsyncFn(Store)) {
    test(Store::in_memory()).await;
    let server = RedisServer::start();
    test(on_redis(&server)).await;
}

async fn next(subscription: &mut Subscription<Order>) -> Result<(String, u32), Missed> {
    let next = tokio::time::timeout(LONG, subscription.next()).await.expect("something is heard");
    next.map(|message| (message.channel, message.value.0))
}

fn heard(channel: &str, n: u32) -> Result<(String, u32), Missed> {
    Ok((channel.to_owned(), n))
}

fn subscribers(server: &RedisServer) -> usize {
    server.clients().iter().filter(|line| !line.contains(" sub=0 psub=0 ")).count()
}

#[tokio::test]
async fn messages_come_in_order_to_all_who_listen_and_to_nobody_else() {
    on_both(async |store| {
        let events = PubSub::new(store);
        let mut subscriptions = [events.subscribe("a").await.unwrap(), events.subscribe("a").await.unwrap()];
        let mut other = events.subscribe("b").await.unwrap();
        for n in 0..100 {
            assert!(events.publish("a", &Order(n)).await.unwrap() >= 1);
        }
        events.publish("b", &Order(7)).await.unwrap();
        for subscription in &mut subscriptions {
            for n in 0..100 {
                assert_eq!(next(subscription).await, heard("a", n));
            }
        }
        assert_eq!(next(&mut other).await, heard("b", 7));
        assert_eq!(events.publish("nobody", &Order(1)).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn patterns_have_stars_and_nothing_else() {
    on_both(async |store| {
        let events = PubSub::new(store);
        let mut all = events.subscribe_pattern("order:*").await.unwrap();
        let mut middle = events.subscribe_pattern("*:7[?]:*").await.unwrap();
        for (n, channel) in ["order:1", "orders", "x:7a:y", "order:7[?]:x", "order:"].into_iter().enumerate()
        {
            events.publish(channel, &Order(n as u32)).await.unwrap();
        }
        for (channel, n) in [("order:1", 0), ("order:7[?]:x", 3), ("order:", 4)] {
            assert_eq!(next(&mut all).await, heard(channel, n));
        }
        assert_eq!(next(&mut middle).await, heard("order:7[?]:x", 3));
    })
    .await;
}

#[tokio::test]
async fn a_message_of_another_form_is_an_error_and_the_next_one_comes() {
    on_both(async |store| {
        let events = PubSub::new(store);
        let mut orders = events.subscribe("a").await.unwrap();
        events.publish("a", "no order").await.unwrap();
        events.publish("a", &Order(1)).await.unwrap();
        assert_eq!(next(&mut orders).await, Err(Missed::Undecodable));
        assert_eq!(next(&mut orders).await, heard("a", 1));
    })
    .await;
    let server = RedisServer::start();
    let events = PubSub::new(on_redis(&server));
    let mut orders = events.subscribe("a").await.unwrap();
    let _: u64 = server.cmd("PUBLISH", &[&b"keep:channel:a"[..], b"\xff\0{bad"]);
    events.publish("a", &Order(1)).await.unwrap();
    assert_eq!(next(&mut orders).await, Err(Missed::Undecodable));
    assert_eq!(next(&mut orders).await, heard("a", 1));
}

#[tokio::test]
async fn who_is_slow_loses_the_oldest_is_told_how_many_and_holds_up_nobody() {
    on_both(async |store| {
        let events = PubSub::builder(store).capacity(10).build().unwrap();
        let mut slow = events.subscribe("a").await.unwrap();
        let mut quick = events.subscribe("a").await.unwrap();
        for n in 0..1000 {
            events.publish("a", &Order(n)).await.unwrap();
            assert_eq!(next(&mut quick).await, heard("a", n));
        }
        let Err(Missed::Lagged(lost)) = next(&mut slow).await else { panic!("it lost some") };
        for n in u32::try_from(lost).unwrap()..1000 {
            assert_eq!(next(&mut slow).await, heard("a", n));
        }
        assert!((990..1000).contains(&lost), "{lost}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_or_heard_is_refused() {
    on_both(async |store| {
        let events = PubSub::builder(store.clone()).max_bytes(4).build().unwrap();
        assert!(matches!(events.publish("a", "12345").await, Err(PubSubError::TooLarge)));
        assert!(matches!(events.publish("", "1").await, Err(PubSubError::Channel)));
        let long = "x".repeat(129);
        assert!(matches!(events.subscribe::<Order>(&long).await, Err(PubSubError::Channel)));
        assert!(matches!(events.subscribe_pattern::<Order>("").await, Err(PubSubError::Channel)));
        let zero = PubSub::builder(store).capacity(0).build();
        assert_eq!(zero.unwrap_err(), PubSubConfigError::OutOfRange("capacity"));
    })
    .await;
}

/// One connection beside the pool, for as long as somebody listens.
#[tokio::test]
async fn subscriptions_share_a_connection_that_ends_with_the_last() {
    let server = RedisServer::start();
    let events = PubSub::new(on_redis(&server));
    let mut kept = events.subscribe("a").await.unwrap();
    for n in 0..50 {
        drop(events.subscribe::<Order>(&n.to_string()).await.unwrap());
    }
    assert_eq!(subscribers(&server), 1);
    events.publish("a", &Order(1)).await.unwrap();
    assert_eq!(next(&mut kept).await, heard("a", 1));
    drop(kept);
    eventually("the connection is closed", async || subscribers(&server) == 0).await;
    let mut again = events.subscribe("a").await.unwrap();
    events.publish("a", &Order(2)).await.unwrap();
    assert_eq!(next(&mut again).await, heard("a", 2));
}

#[tokio::test]
async fn a_channel_that_is_left_and_subscribed_to_at_once_is_heard() {
    on_both(async |store| {
        let events = PubSub::new(store);
        let mut kept = events.subscribe("kept").await.unwrap();
        let mut again = events.subscribe("a").await.unwrap();
        for n in 0..20 {
            drop(again);
            again = events.subscribe("a").await.unwrap();
            events.publish("a", &Order(n)).await.unwrap();
            assert_eq!(next(&mut again).await, heard("a", n));
        }
        events.publish("kept", &Order(1)).await.unwrap();
        assert_eq!(next(&mut kept).await, heard("kept", 1));
        // The same without another that keeps the connection.
        drop(kept);
        for n in 0..20 {
            drop(again);
            again = events.subscribe("a").await.unwrap();
            events.publish("a", &Order(n)).await.unwrap();
            assert_eq!(next(&mut again).await, heard("a", n));
        }
    })
    .await;
}

/// Publishes until it is heard: the first to hear of is the gap.
async fn resumes(server: &RedisServer, events: &PubSub, subscriptions: &mut [Subscription<Order>]) {
    eventually("it is subscribed again", async || subscribers(server) == 1).await;
    for subscription in subscriptions {
        assert_eq!(next(subscription).await, Err(Missed::Interrupted));
        events.publish("a", &Order(9)).await.unwrap();
        assert_eq!(next(subscription).await, heard("a", 9));
    }
}

#[tokio::test]
async fn a_killed_connection_is_replaced_and_the_gap_told() {
    let server = RedisServer::start();
    let events = PubSub::new(on_redis(&server));
    let mut subscriptions = [events.subscribe_pattern("a*").await.unwrap()];
    for _ in 0..3 {
        let _: u64 = server.cmd("CLIENT", &["KILL", "TYPE", "pubsub"]);
        resumes(&server, &events, &mut subscriptions).await;
    }
    // Who comes after the gap has none.
    let mut late = events.subscribe("a").await.unwrap();
    events.publish("a", &Order(1)).await.unwrap();
    assert_eq!(next(&mut late).await, heard("a", 1));
}

/// Nothing says that the connection is dead: it is asked after 10 s of silence, and given up 10 s later.
#[tokio::test]
async fn a_connection_that_is_dead_without_having_said_so_is_replaced() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = Store::builder().deadline(LONG).connect(&proxy.url()).unwrap();
    let events = PubSub::new(on_redis(&server));
    let mut subscription = PubSub::new(store).subscribe("a").await.unwrap();
    let before = proxy.accepted();
    proxy.set(Fault::BlackHole);
    eventually("another one is opened", async || proxy.accepted() > before).await;
    proxy.set(Fault::None);
    resumes(&server, &events, std::slice::from_mut(&mut subscription)).await;
}

#[tokio::test]
async fn a_server_that_was_restarted_is_subscribed_to_again() {
    let mut server = RedisServer::start();
    let store = Store::builder().deadline(LONG).probe_interval(Duration::from_millis(20));
    let store = store.connect(&server.url()).unwrap();
    let events = PubSub::new(store.clone());
    let mut subscriptions = [events.subscribe("a").await.unwrap()];
    server.stop();
    let down = events.subscribe::<Order>("b").await;
    assert!(down.is_err(), "who comes now is told that it cannot hear");
    server.restart();
    while !store.health().await.is_up() {
        tokio::task::yield_now().await;
    }
    resumes(&server, &events, &mut subscriptions).await;
}

#[tokio::test]
async fn a_channel_that_is_not_allowed_is_refused_and_disturbs_no_other() {
    let server = RedisServer::start();
    server.tell("ACL SETUSER keep on >PASSWORD ~* resetchannels &keep:channel:a +@all");
    let url = server.url().replace("redis://", "redis://keep:PASSWORD@");
    let events = PubSub::new(Store::connect(&url).unwrap());
    let mut allowed = events.subscribe("a").await.unwrap();
    for refused in [events.subscribe::<Order>("b").await, events.subscribe_pattern("a*").await] {
        let Err(PubSubError::Store(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error.kind(), StoreErrorKind::Forbidden);
    }
    events.publish("a", &Order(1)).await.unwrap();
    assert_eq!(next(&mut allowed).await, heard("a", 1));
}

/// A permission that is taken away ends the connection; both subscriptions are taken up again, of which one is refused.
#[tokio::test]
async fn a_channel_that_is_forbidden_for_a_while_is_heard_again_and_disturbs_no_other() {
    let server = RedisServer::start();
    server.tell("ACL SETUSER keep on >PASSWORD ~* resetchannels &keep:channel:a &keep:channel:z +@all");
    let url = server.url().replace("redis://", "redis://keep:PASSWORD@");
    let events = PubSub::new(Store::builder().deadline(LONG).connect(&url).unwrap());
    let mut forbidden = events.subscribe("a").await.unwrap();
    let mut allowed = events.subscribe("z").await.unwrap();
    server.tell("ACL SETUSER keep resetchannels &keep:channel:z");
    // In the order of their names the forbidden one was asked for before.
    assert_eq!(next(&mut allowed).await, Err(Missed::Interrupted));
    let Err(PubSubError::Store(error)) = events.subscribe::<Order>("a").await else { panic!("it may not") };
    assert_eq!(error.kind(), StoreErrorKind::Forbidden);
    server.tell("ACL SETUSER keep &keep:channel:a");
    assert_eq!(next(&mut forbidden).await, Err(Missed::Interrupted));
    for (channel, subscription) in [("a", &mut forbidden), ("z", &mut allowed)] {
        events.publish(channel, &Order(1)).await.unwrap();
        assert_eq!(next(subscription).await, heard(channel, 1));
    }
}

#[tokio::test]
async fn a_channel_that_is_no_text_is_an_error_and_interrupts_nobody() {
    let server = RedisServer::start();
    let events = PubSub::new(on_redis(&server));
    let mut all = events.subscribe_pattern("*").await.unwrap();
    let mut one = events.subscribe("a").await.unwrap();
    let _: u64 = server.cmd("PUBLISH", &[&b"keep:channel:\xff"[..], b"1"]);
    events.publish("a", &Order(1)).await.unwrap();
    assert_eq!(next(&mut all).await, Err(Missed::Undecodable));
    assert_eq!([next(&mut all).await, next(&mut one).await], [heard("a", 1), heard("a", 1)]);
}

#[tokio::test]
async fn a_wrong_password_is_told() {
    let server = RedisServer::start();
    server.tell("ACL SETUSER keep on >PASSWORD ~* &* +@all");
    let url = server.url().replace("redis://", "redis://keep:WRONG@");
    let refused = PubSub::new(Store::connect(&url).unwrap()).subscribe::<Order>("a").await;
    let Err(PubSubError::Store(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind(), StoreErrorKind::Auth);
}

#[tokio::test]
async fn a_pool_of_the_user_publishes_and_cannot_subscribe() {
    let server = RedisServer::start();
    let manager = bb8_redis::RedisConnectionManager::new(server.url()).unwrap();
    let pool = bb8_redis::bb8::Pool::builder().max_size(3).build(manager).await.unwrap();
    let (events, own) = (PubSub::new(Store::from_pool(pool).unwrap()), PubSub::new(on_redis(&server)));
    let mut orders = own.subscribe("a").await.unwrap();
    assert_eq!(events.publish("a", &Order(1)).await.unwrap(), 1);
    assert_eq!(next(&mut orders).await, heard("a", 1));
    let Err(PubSubError::Store(error)) = events.subscribe::<Order>("a").await else { panic!("it cannot") };
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
}
