//! What is done to Redis, one thing every five seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use keep_testing::{Fault, Proxy, RedisServer};

use crate::judge::Judge;

const EVERY: Duration = Duration::from_secs(5);
const WHILE: Duration = Duration::from_secs(1);

/// All kinds, in their order.
const KINDS: [&str; 16] = [
    "frozen for 1 s",
    "all connections killed, five times",
    "scripts flushed, for 1 s",
    "paused for 1 s",
    "writes paused for 1 s",
    "black hole for 1 s",
    "a reply added",
    "a reply doubled",
    "a reply lost",
    "a connection cut in a reply",
    "no RESP among replies",
    "memory full for 1 s",
    "a replica for 1 s",
    "slow by 20 ms for 1 s",
    "everything flushed",
    "killed, empty again after 1 s",
];

/// Those after which replies are not their requests' own.
pub const MIXED_UP: [&str; 4] = ["a reply added", "a reply doubled", "a reply lost", "no RESP among replies"];

/// What was done how often.
pub type Done = BTreeMap<&'static str, u64>;

/// Who breaks it.
pub struct Faults {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(RedisServer, Done)>,
}

impl Faults {
    /// On a thread of its own: an administrator's commands block.
    pub fn start(mut server: RedisServer, proxy: Arc<Proxy>, judge: Arc<Judge>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut done = Done::new();
            for kind in KINDS.into_iter().cycle() {
                let next = Instant::now() + EVERY;
                while Instant::now() < next {
                    if stopped.load(Ordering::Relaxed) {
                        return (server, done);
                    }
                    sleep(Duration::from_millis(50));
                }
                judge.fault(kind);
                inflict(kind, &mut server, &proxy, &judge);
                *done.entry(kind).or_default() += 1;
            }
            (server, done)
        });
        Self { stop, thread }
    }

    /// Gives the server back, in order, and tells what was done how often.
    pub async fn stop(self) -> (RedisServer, Done) {
        self.stop.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap()
    }
}

fn inflict(kind: &str, server: &mut RedisServer, proxy: &Proxy, judge: &Judge) {
    let for_a_while = |fault| {
        proxy.set(fault);
        sleep(WHILE);
        proxy.set(Fault::None);
    };
    let told = |begin: &str, end: &str| {
        server.tell(begin);
        sleep(WHILE);
        server.tell(end);
    };
    match kind {
        "frozen for 1 s" => {
            server.freeze();
            sleep(WHILE);
            server.thaw();
        }
        "all connections killed, five times" => (0..5).for_each(|_| {
            server.kill_clients();
            sleep(WHILE / 10);
        }),
        "scripts flushed, for 1 s" => (0..100).for_each(|_| {
            server.tell("SCRIPT FLUSH");
            sleep(WHILE / 100);
        }),
        "paused for 1 s" => server.tell("CLIENT PAUSE 1000 ALL"),
        "writes paused for 1 s" => server.tell("CLIENT PAUSE 1000 WRITE"),
        "black hole for 1 s" => for_a_while(Fault::BlackHole),
        "a reply added" => proxy.set(Fault::ExtraReply),
        "a reply doubled" => proxy.set(Fault::DoubleReply),
        "a reply lost" => proxy.set(Fault::LoseReply),
        "a connection cut in a reply" => proxy.set(Fault::CutOnce(7)),
        "no RESP among replies" => proxy.set(Fault::Garbage),
        "memory full for 1 s" => told("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        "a replica for 1 s" => told("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        "slow by 20 ms for 1 s" => for_a_while(Fault::Delay(20)),
        "everything flushed" => judge.loses(|| server.tell("FLUSHALL")),
        "killed, empty again after 1 s" => judge.loses(|| {
            server.stop();
            sleep(WHILE);
            server.restart();
        }),
        other => panic!("no such fault: {other}"),
    }
}
