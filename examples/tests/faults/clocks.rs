//! Clocks that are wrong: the server's against the sites', and the server's against itself.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use keep_testing::RedisServer;
use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
use tower_keep::session::{Lifetimes, Sessions};
use tower_keep::store::Store;

use crate::program::eventually;
use crate::row::{Row, ms};

/// A library that lets a program see another time, by as many seconds as a file says.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long ahead(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("AHEAD_BY"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int gettimeofday(struct timeval *tv, void *zone) {
    struct timespec now;
    (void)zone;
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real(CLOCK_REALTIME, &now);
    tv->tv_sec = now.tv_sec + ahead();
    tv->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"#;

/// A server whose clock is wrong.
struct Clock {
    server: RedisServer,
    file: PathBuf,
}

impl Clock {
    /// `None` where there is no compiler for the library: Rust needs `cc` to link, but need not have C's headers.
    fn start() -> Option<Self> {
        let mut server = RedisServer::reserve(&[]);
        let (source, library) = (server.dir().join("ahead.c"), server.dir().join("ahead.so"));
        let file = server.dir().join("ahead-by");
        std::fs::write(&source, SHIM).unwrap();
        std::fs::write(&file, "0").unwrap();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .status();
        if !compiled.is_ok_and(|status| status.success()) {
            return None;
        }
        server.set_env("LD_PRELOAD", &library);
        server.set_env("AHEAD_BY", &file);
        server.restart();
        Some(Self { server, file })
    }

    fn is_ahead_by(&self, seconds: i64) {
        std::fs::write(&self.file, seconds.to_string()).unwrap();
        let told: (i64, i64) = self.server.cmd("TIME", &[] as &[&str]);
        let own =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!((told.0 - own - seconds).abs() <= 2, "the clock is as told");
    }

    fn store(&self) -> Store {
        Store::builder().deadline(Duration::from_secs(5)).connect(&self.server.url()).unwrap()
    }
}

/// How long a session lives when nobody uses it.
const IDLE: Duration = Duration::from_secs(2);

async fn lives_for(store: Store) -> Duration {
    let lifetimes = Lifetimes::new().idle(IDLE);
    let sessions = Sessions::builder(store).lifetimes(lifetimes).build().unwrap();
    let session = sessions.start();
    session.insert("entry", "value").unwrap();
    session.save().await.unwrap();
    let (handle, begun) = (session.handle().unwrap(), Instant::now());
    eventually("it has expired", async || sessions.open(&handle).await.unwrap().is_none()).await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f38_clocks_that_are_wrong() {
    let row = Row::new(
        38,
        "The sites' clock is an hour behind or ahead of Redis'; Redis' clock steps back by 60 s",
        "sessions, limits",
        "no session expires more than 1 s too early or too late; never more than the limit and its burst is admitted",
    );
    let Some(clock) = Clock::start() else {
        eprintln!("no C compiler with headers: f38 was not provoked");
        return row.saw("not provoked: no C compiler here").figure("none").write();
    };
    let mut lived = Vec::new();
    for hours in [1, -1] {
        clock.is_ahead_by(3_600 * hours);
        let took = lives_for(clock.store()).await;
        assert!(took + Duration::from_millis(50) > IDLE, "too early: {took:?}");
        lived.push(ms(took));
    }
    clock.is_ahead_by(0);
    let mut admitted = Vec::new();
    for (name, quota, most) in [
        ("bucket", Quota::per_hour(10).burst(5), 5),
        ("window", Quota::window(5, Duration::from_secs(3_600)), 5),
        ("sliding", Quota::sliding(5, Duration::from_secs(3_600)), 5),
    ] {
        let limiter = RateLimiter::builder(clock.store())
            .namespace(name)
            .limit(Limit::new(name, quota))
            .build()
            .unwrap();
        let mut count = 0;
        for ahead in [0, -60, 0, -60] {
            clock.is_ahead_by(ahead);
            for _ in 0..10 {
                count += u64::from(limiter.check("somebody").await.unwrap().is_admitted());
            }
        }
        clock.is_ahead_by(0);
        assert!(count <= most, "{name}: {count} admitted");
        admitted.push(format!("{name} {count} of {most}"));
    }
    row.saw("nothing: Redis' clock alone counts")
        .figure(format!("sessions with an idle time of 2 s lived {}; admitted: {}", lived.join(" and "), admitted.join(", ")))
        .instead("the server's clock is moved by a library that is loaded into it, which is the same to a site as its own clock moved the other way")
        .write();
}
