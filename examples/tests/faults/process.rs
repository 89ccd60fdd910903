//! What the process itself runs into: too few files, and its end.

use std::time::Instant;

use keep_testing::RedisServer;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::program::{Demo, eventually};
use crate::row::{Row, lasting};

/// More than there are files, and no more than a listener lets wait by default.
const VISITORS: usize = 120;
const PROGRAMS: [&str; 2] = ["demo", "demo_actix"];

/// Time on processors that a process has used, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_no_files_left() {
    let server = RedisServer::start();
    let mut figures = Vec::new();
    for program in PROGRAMS {
        let limit = ["sh", "-c", "ulimit -n 64 && exec \"$0\" \"$@\""].map(str::to_owned);
        let demo =
            Demo::run_under(&limit, program, &[("REDIS_URL", &server.url()), ("STORE_DEADLINE_MS", "1000")])
                .await;
        demo.is_up().await;
        let mut visitor = demo.signed_in("alice").await;
        // More visitors than files. Those who came first and are served are the limit; the others wait to be accepted.
        let mut crowd = Vec::new();
        for _ in 0..VISITORS {
            crowd.push(TcpStream::connect(demo.address).await.unwrap());
        }
        let folder = format!("/proc/{}/fd", demo.pid());
        eventually("no file is left", async || std::fs::read_dir(&folder).unwrap().count() >= 62).await;
        server.kill_clients();
        let (before, begun) = (ticks(demo.pid()), Instant::now());
        tokio::time::sleep(lasting(1_500, 5_000)).await;
        let share = (ticks(demo.pid()) - before) as f64 / begun.elapsed().as_secs_f64();
        assert!(share < 80.0, "{program} uses {share:.0} % of a processor for nothing");
        drop(crowd);
        let freed = Instant::now();
        demo.is_up().await;
        assert_eq!(visitor.me().await["user"], "alice");
        let loud: Vec<_> = demo.stderr().into_iter().filter(|line| line.contains("panicked")).collect();
        assert!(loud.is_empty(), "{loud:?}");
        figures.push(format!(
            "{program}: {share:.0} % of a processor meanwhile, served {} ms after",
            freed.elapsed().as_millis()
        ));
    }
    Row::new(
        37,
        "No files left: `ulimit -n 64`, 120 visitors, connections to Redis killed",
        "sessions; both demos as programs",
        "it degrades and recovers; < 1 processor",
    )
    .saw("new visitors wait; when there are files again everybody is served, signed in as before")
    .figure(figures.join("; "))
    .write();
}

const IN_FLIGHT: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f39_the_end_with_requests_in_flight() {
    let server = RedisServer::start();
    let mut figures = Vec::new();
    for program in PROGRAMS {
        let settings = [("REDIS_URL", &*server.url()), ("STORE_DEADLINE_MS", "5000")];
        let mut demo = Demo::run(program, &settings).await;
        demo.is_up().await;
        let mut visitors = Vec::new();
        for n in 0..IN_FLIGHT / 20 {
            visitors.push(demo.signed_in(&format!("user{n}")).await);
        }
        server.reset_calls();
        let mut tasks = JoinSet::new();
        for n in 0..IN_FLIGHT {
            let who = n % visitors.len();
            let mut visitor = visitors[who].clone();
            tasks.spawn(async move {
                let path = format!("/api/entries/e{n}?delay_ms=3000");
                (who, n, visitor.put(&path, "kept").await.status.as_u16())
            });
        }
        // Each has read its session: it is in its handler. What is not when the program ends is refused, which is no promise.
        let taken = async || server.calls().get("hgetall").is_some_and(|calls| *calls >= IN_FLIGHT as u64);
        eventually("all are in flight", taken).await;
        demo.terminate();
        let mut acknowledged = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (who, n, status) = done.unwrap();
            assert_eq!(status, 204, "{program}: who is served is served to the end");
            acknowledged.push((who, n));
        }
        assert!(demo.ended().await.success());
        let again = Demo::run(program, &settings).await;
        again.is_up().await;
        let mut lost = 0;
        for (who, n) in &acknowledged {
            let mut visitor = again.client();
            visitor.cookies = visitors[*who].cookies.clone();
            lost += usize::from(visitor.me().await["entries"][format!("e{n}")] != "kept");
        }
        assert_eq!(lost, 0, "{program}");
        figures.push(format!("{program}: {} acknowledged, {lost} lost", acknowledged.len()));
    }
    Row::new(
        39,
        "`SIGTERM` with 200 saves in flight",
        "sessions; both demos as programs",
        "no acknowledged save is lost",
    )
    .saw("all are answered, then the program ends; everything that was acknowledged is there afterwards")
    .figure(figures.join("; "))
    .write();
}
