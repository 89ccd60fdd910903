//! Jobs, their attempts and their ends, on a real Redis.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keep_testing::{RedisCluster, RedisServer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_keep::store::Store;
use tower_keep::store::key::KeyPrefix;
use tower_keep_apalis::{Dead, Job, JobId, JobState, Jobs, JobsBuilder, JobsConfigError, Worker};

/// What anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const BASE: Duration = Duration::from_millis(300);

fn store(server: &RedisServer) -> Store {
    Store::builder()
        .pool_size(2)
        .deadline(Duration::from_secs(5))
        .without_self_check()
        .connect(&server.url())
        .unwrap()
}

fn builder(server: &RedisServer) -> JobsBuilder<String> {
    Jobs::builder(store(server), "email")
        .backoff(BASE)
        .abandoned_after(Duration::from_secs(2))
        .grace(PATIENCE)
}

type Begun = (JobId, String, u32, Instant);

/// A handler that tells what it is given and then does what the text says.
fn told(
    begun: UnboundedSender<Begun>,
) -> impl Fn(Job<String>) -> futures_util::future::BoxFuture<'static, Result<(), String>> {
    move |job| {
        begun.send((job.id, job.args.clone(), job.attempt, Instant::now())).unwrap();
        Box::pin(async move {
            match job.args.as_str() {
                "fail" => Err("no such mailbox".to_owned()),
                "panic" => panic!("on purpose"),
                "hang once" if job.attempt == 1 => pending().await,
                _ => Ok(()),
            }
        })
    }
}

/// A worker that runs until it is told to stop.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(worker: Worker<String>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(worker.run_until(async { drop(stopped.await) }));
        Self { stop: Some(stop), task }
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }
}

async fn next<T>(from: &mut UnboundedReceiver<T>) -> T {
    tokio::time::timeout(PATIENCE, from.recv()).await.expect("it comes").unwrap()
}

async fn until(jobs: &Jobs<String>, id: &JobId, state: JobState) -> u32 {
    let wait = async {
        loop {
            // A server that has just been started again may still load its data.
            if let Ok(Some(status)) = jobs.status(id).await
                && status.state == state
            {
                return status.attempts;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it gets there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_refused_at_once() {
    let cluster = tokio::task::spawn_blocking(RedisCluster::start).await.unwrap();
    let store = Store::connect(&cluster.url()).unwrap();
    let refused = Jobs::<String>::builder(store, "email").build();
    assert!(matches!(refused, Err(JobsConfigError::Cluster)));
}

#[tokio::test]
async fn a_job_that_fails_is_begun_three_times_with_growing_pauses_and_is_then_dead() {
    let server = RedisServer::start();
    let jobs = builder(&server).build().unwrap();
    let (begun, mut begins) = unbounded_channel();
    let (died, mut deaths) = unbounded_channel();
    let worker = jobs.worker(told(begun)).on_dead(move |dead| died.send(dead).unwrap());
    let worker = Running::start(worker);
    for args in ["fail", "panic"] {
        let id = jobs.enqueue(args.to_owned()).await.unwrap();
        let mut times = Vec::new();
        for attempt in 1..=3 {
            let (of, _, number, at) = next(&mut begins).await;
            assert_eq!((&of, number), (&id, attempt));
            times.push(at);
        }
        assert!(times[1] - times[0] >= BASE && times[2] - times[1] >= 2 * BASE, "{times:?}");
        let Dead { id: dead, attempts, error, .. } = next(&mut deaths).await;
        let expected = if args == "fail" { "no such mailbox" } else { "panicked" };
        assert_eq!((dead, attempts, error.as_str()), (id.clone(), 3, expected));
        assert_eq!(until(&jobs, &id, JobState::Dead).await, 3);
    }
    // Whatever came of them would have to come before what came later has ended.
    let last = jobs.enqueue("succeed".to_owned()).await.unwrap();
    assert_eq!(next(&mut begins).await.0, last);
    until(&jobs, &last, JobState::Done).await;
    worker.stop().await;
    assert!(begins.try_recv().is_err() && deaths.try_recv().is_err());
}

#[tokio::test]
async fn an_idle_worker_begins_what_is_queued_and_a_delay_is_kept() {
    let server = RedisServer::start();
    let jobs = builder(&server).build().unwrap();
    let (begun, mut begins) = unbounded_channel();
    let worker = Running::start(jobs.worker(told(begun)));
    let first = jobs.enqueue("at once".to_owned()).await.unwrap();
    assert_eq!(next(&mut begins).await.0, first);
    until(&jobs, &first, JobState::Done).await;
    let (queued, delay) = (Instant::now(), Duration::from_millis(2500));
    let late = jobs.enqueue_after("later".to_owned(), delay).await.unwrap();
    assert_eq!(jobs.status(&late).await.unwrap().unwrap().state, JobState::Queued);
    let early = jobs.enqueue("at once".to_owned()).await.unwrap();
    assert_eq!(next(&mut begins).await.0, early);
    let (id, _, _, at) = next(&mut begins).await;
    assert_eq!(id, late);
    assert!(at - queued >= delay - Duration::from_secs(1));
    worker.stop().await;
}

#[tokio::test]
async fn a_restart_of_redis_loses_no_queued_job() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let jobs = builder(&server).build().unwrap();
    let (begun, mut begins) = unbounded_channel();
    let worker = Running::start(jobs.worker(told(begun)));
    let before = jobs.enqueue("before".to_owned()).await.unwrap();
    until(&jobs, &before, JobState::Done).await;
    assert_eq!(next(&mut begins).await.0, before);
    let queued = jobs.enqueue_after("over the restart".to_owned(), Duration::from_secs(2)).await.unwrap();
    server.stop();
    jobs.enqueue("while it is down".to_owned()).await.unwrap_err();
    server.restart();
    until(&jobs, &queued, JobState::Done).await;
    assert_eq!(next(&mut begins).await.0, queued);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_whose_worker_is_lost_is_begun_again_by_another_one() {
    let server = RedisServer::start();
    let jobs = builder(&server).build().unwrap();
    let (begun, mut begins) = unbounded_channel();
    let lost = Running::start(jobs.worker(told(begun.clone())));
    let id = jobs.enqueue("hang once".to_owned()).await.unwrap();
    assert_eq!(next(&mut begins).await.2, 1);
    lost.task.abort();
    let other = Running::start(jobs.worker(told(begun)));
    assert_eq!(next(&mut begins).await.2, 2);
    assert_eq!(until(&jobs, &id, JobState::Done).await, 2);
    other.stop().await;
}

#[tokio::test]
async fn what_has_ended_leaves_only_its_status_and_no_connection_beside_the_pool_is_used() {
    let server = RedisServer::start();
    let store = store(&server);
    let jobs = Jobs::builder(store.clone(), "email").keep(Duration::from_secs(60)).build().unwrap();
    let (begun, mut begins) = unbounded_channel();
    let worker = Running::start(jobs.worker(told(begun)));
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(jobs.enqueue("succeed".to_owned()).await.unwrap());
    }
    for id in &ids {
        next(&mut begins).await;
        until(&jobs, id, JobState::Done).await;
    }
    let left = async {
        loop {
            let keys: Vec<String> = server.cmd("KEYS", "keep:jobs:*");
            if !keys
                .iter()
                .any(|key| key.ends_with(":data") || key.ends_with(":done") || key.contains(":meta:"))
            {
                return keys;
            }
            tokio::task::yield_now().await;
        }
    };
    let keys = tokio::time::timeout(PATIENCE, left).await.expect("it is swept");
    assert!(keys.iter().all(|key| key.starts_with("keep:jobs:{email}:")), "{keys:?}");
    let ttl: i64 = server.cmd("PTTL", format!("keep:state:jobs:{{email%3A{}}}", ids[0]));
    assert!((1..=60_000).contains(&ttl), "{ttl}");
    let clients: String = server.cmd("CLIENT", "LIST");
    let pool = store.health().await.pool.connections as usize;
    assert!(pool <= 2 && clients.lines().count() == pool + 1, "{clients}"); // and the test's own
    worker.stop().await;
}

/// The words after `ACL SETUSER keep` in a page.
fn documented(page: &str) -> Vec<String> {
    let (_, rest) = page.split_once("ACL SETUSER keep ").unwrap();
    let (line, _) = rest.split_once("\n```").unwrap();
    let words = line.replace("\\\n", " ");
    words.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[tokio::test]
async fn the_documented_user_may_do_what_jobs_need_and_no_more() {
    let server = RedisServer::start();
    let (core, own) =
        (documented(include_str!("../../../docs/operations.md")), documented(include_str!("../README.md")));
    let _: () = server.cmd("ACL", [&["SETUSER".to_owned(), "keep".to_owned()][..], &core, &own].concat());
    let url = server.url().replace("redis://", "redis://keep:PASSWORD@");
    let store = Store::builder().prefix(KeyPrefix::new("demo").unwrap()).deadline(Duration::from_secs(5));
    let jobs = Jobs::builder(store.connect(&url).unwrap(), "email")
        .attempts(1)
        .abandoned_after(Duration::from_secs(2));
    let jobs = jobs.build().unwrap();
    let (begun, mut begins) = unbounded_channel();
    let lost = Running::start(jobs.worker(told(begun.clone())));
    let abandoned = jobs.enqueue("hang once".to_owned()).await.unwrap();
    next(&mut begins).await;
    lost.task.abort();
    let worker = Running::start(jobs.worker(told(begun)));
    until(&jobs, &abandoned, JobState::Dead).await;
    let done = jobs.enqueue_after("succeed".to_owned(), Duration::from_millis(1)).await.unwrap();
    until(&jobs, &done, JobState::Done).await;
    let swept = async {
        while !server.calls().contains_key("exec") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, swept).await.expect("it is swept");
    worker.stop().await;
    let log: Vec<redis::Value> = server.cmd("ACL", "LOG");
    assert!(log.is_empty(), "{log:?}");
    let calls = server.calls();
    let unused: Vec<_> = own
        .iter()
        .filter_map(|word| word.strip_prefix('+'))
        .filter(|name| !calls.contains_key(*name))
        .collect();
    assert!(unused.is_empty(), "granted without need: {unused:?}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_found_when_they_are_built() {
    let embedded = Jobs::<String>::builder(Store::in_memory(), "email").build().unwrap_err();
    assert_eq!(embedded, JobsConfigError::Embedded);
    let server = Arc::new(RedisServer::start());
    let with =
        |set: fn(JobsBuilder<String>) -> JobsBuilder<String>| set(builder(&server)).build().unwrap_err();
    assert_eq!(with(|b| b.attempts(0)), JobsConfigError::OutOfRange("attempts"));
    assert_eq!(with(|b| b.backoff(Duration::ZERO)), JobsConfigError::OutOfRange("backoff"));
    assert_eq!(with(|b| b.concurrency(0)), JobsConfigError::OutOfRange("concurrency"));
    let name = Jobs::<String>::builder(store(&server), "E-mail").build().unwrap_err();
    assert_eq!(name, JobsConfigError::Name);
}
