//! Passwords that change while the application runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keep_testing::{Log, RedisServer, SentinelGroup};
use tower_keep::pubsub::PubSub;
use tower_keep::store::{Credentials, Store, StoreBuilder, StoreConfig, StoreErrorKind as Kind};

use crate::fixture::*;

const SECOND: Duration = Duration::from_secs(1);

/// Where the application's password comes from.
#[derive(Clone)]
struct Vault(Arc<Mutex<&'static str>>);

impl Vault {
    fn with(password: &'static str) -> Self {
        Self(Arc::new(Mutex::new(password)))
    }

    fn change(&self, password: &'static str) {
        *self.0.lock().unwrap() = password;
    }

    fn given_to(&self, builder: StoreBuilder, life: Option<Duration>) -> StoreBuilder {
        let vault = self.clone();
        builder.credentials(move || {
            let given = Credentials::of_user("app", *vault.0.lock().unwrap());
            async move { Ok::<_, std::io::Error>(life.into_iter().fold(given, Credentials::valid_for)) }
        })
    }
}

fn user(server: &RedisServer, passwords: &str) {
    server.tell(&format!("ACL SETUSER app on {passwords} ~* &* +@all"));
}

/// The ids of the application's connections.
fn connections(server: &RedisServer) -> Vec<String> {
    let own = server.clients().into_iter().filter(|line| line.contains(" user=app "));
    own.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

async fn all_replaced(server: &RedisServer) {
    let before = connections(server);
    eventually("each connection was replaced", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = connections(server);
        !now.is_empty() && !now.iter().any(|id| before.contains(id))
    })
    .await;
}

/// How many connections the server has accepted, this question's own among them.
fn accepted(server: &RedisServer) -> u64 {
    let info: String = server.cmd("INFO", "stats");
    info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_with_two_passwords_for_a_while_is_seen_by_nobody() {
    let server = RedisServer::start();
    user(&server, ">canary-one");
    let vault = Vault::with("canary-one");
    let store = vault.given_to(patient(), Some(SECOND)).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, stop, served) = (store.clone(), Arc::clone(&stop), Arc::clone(&served));
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
                done(store.run(change("a", count())).await.unwrap());
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    all_replaced(&server).await;
    user(&server, ">canary-two");
    vault.change("canary-two");
    all_replaced(&server).await;
    user(&server, "<canary-one");
    all_replaced(&server).await;
    let before = served.load(Ordering::Relaxed);
    eventually("it goes on", async || served.load(Ordering::Relaxed) > before + 100).await;
    stop.store(true, Ordering::Relaxed);
    load.join_all().await;
}

#[tokio::test]
async fn a_password_that_ended_too_early_costs_few_connects_and_one_line_and_the_next_one_serves_again() {
    let (log, server) = (Log::start(), RedisServer::start());
    user(&server, ">canary-one");
    let vault = Vault::with("canary-one");
    let builder = Store::builder().deadline(Duration::from_secs(1));
    let store = vault.given_to(builder, None).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    user(&server, "resetpass >canary-two");
    for _ in 0..100 {
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"), "what is open goes on");
    }
    server.kill_clients();
    settle().await;
    eventually("it is refused", async || refusal(read(&store, "a").await) == Kind::Unavailable).await;
    let (before, begun) = (accepted(&server), Instant::now());
    while begun.elapsed() < 2 * SECOND {
        let refused = [refusal(read(&store, "a").await), refusal(store.run(change("a", count())).await)];
        assert!(refused.iter().all(|kind| [Kind::Auth, Kind::Unavailable].contains(kind)), "{refused:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let connects = accepted(&server) - before - 1;
    assert!(connects <= 5 * begun.elapsed().as_secs() + 5, "{connects} connects");
    let told = log.warnings();
    assert_eq!(told.len(), 2, "one line for the login, one for the outage: {told:?}");
    assert!(told.iter().all(|line| line.contains("password")), "{told:?}");
    vault.change("canary-two");
    eventually("it serves again", async || serves(&store).await).await;
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
    assert!(!format!("{store:?} {}", log.text()).contains("canary-two"), "{}", log.text());
}

#[tokio::test]
async fn a_provider_that_fails_or_hangs_is_an_error_in_time_and_its_own_cause() {
    let server = RedisServer::start();
    let failing = patient().credentials(|| async { Err::<Credentials, _>(std::io::Error::other("sealed")) });
    let store = failing.connect(&server.url()).unwrap();
    eventually("its cause is told", async || match store.health().await.latency {
        Err(error) if told(&error) == Kind::Auth => {
            std::error::Error::source(&error).unwrap().to_string() == "sealed"
        }
        _ => false,
    })
    .await;
    let hanging = hasty().connect_timeout(Duration::from_millis(50));
    let hanging = hanging.credentials(std::future::pending::<Result<Credentials, std::io::Error>>);
    let store = hanging.connect(&server.url()).unwrap();
    assert_eq!(refusal(store.health().await.latency), Kind::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_behind_sentinels_is_signed_in_to() {
    let group = SentinelGroup::start();
    [&group.first, &group.second].into_iter().for_each(|server| user(server, ">canary-one"));
    let store = Vault::with("canary-one").given_to(hasty(), None).connect(&group.url()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    assert!(!connections(&group.first).is_empty());
}

#[tokio::test]
async fn a_password_file_serves_the_one_who_subscribes_as_well() {
    let server = RedisServer::start();
    let file: PathBuf = server.dir().join("password");
    std::fs::write(&file, "canary-one\n").unwrap();
    user(&server, ">canary-one");
    let config = StoreConfig::from_lookup("APP", |name| {
        Ok(match name {
            "APP_URL" => Some(server.url()),
            "APP_USERNAME" => Some("app".to_owned()),
            "APP_PASSWORD_FILE" => Some(file.display().to_string()),
            _ => None,
        })
    });
    let store = config.unwrap().open_with(patient()).unwrap();
    let events = PubSub::new(store.clone());
    let mut heard = events.subscribe::<u8>("news").await.unwrap();
    assert!(connections(&server).len() >= 2, "{:?}", server.clients());
    user(&server, "resetpass >canary-two");
    std::fs::write(&file, "canary-two\n").unwrap();
    server.kill_clients();
    server.tell("CLIENT KILL TYPE pubsub");
    eventually("it listens again", async || {
        let _ = events.publish("news", &1_u8).await;
        matches!(tokio::time::timeout(Duration::from_millis(50), heard.next()).await, Ok(Ok(_)))
    })
    .await;
    assert!(serves(&store).await);
}
