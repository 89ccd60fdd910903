//! Data vanishes, is too big, or is not what was written.

use std::time::{Duration, Instant};

use keep_testing::RedisServer;

use crate::load::Load;
use crate::row::{ALL, Row, either, lasting, ms};
use crate::world::{HANGS, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_flushed_under_load() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    let old: Vec<_> = load.visitors().iter().map(|visitor| visitor.site.key(&visitor.browser)).collect();
    let lives = || old.iter().map(|key| world.server.cmd::<u64>("EXISTS", key)).sum::<u64>();
    assert_eq!(lives(), old.len() as u64);
    load.meets(|| world.server.tell("FLUSHALL")).await;
    tokio::time::sleep(lasting(1_000, 3_000)).await;
    assert_eq!(lives(), 0, "no save in flight brings one back");
    for _ in 0..4 {
        world.server.tell("SWAPDB 0 1");
        tokio::time::sleep(lasting(200, 500)).await;
        assert_eq!(lives(), 0);
    }
    let report = load.stop().await;
    report.during("before").is_well();
    let flushed = report.during("fault");
    // Who had read the session, and then wrote, hears that it has ended.
    flushed.has_only(&[200, 401]);
    assert!(flushed.strangers() > 0);
    Row::new(
        26,
        "Flushed: `FLUSHALL` under load, then `SWAPDB 0 1` four times",
        ALL,
        "signed out, no errors; no key comes back by an update",
    )
    .saw("200 everywhere; whoever was signed in is nobody, a count begins anew in a new session; 401 where it ended between a request's read and its write")
    .figure(format!("0 of {} sessions came back under {} requests", old.len(), flushed.len()))
    .write();
}

/// What a session may hold: 64 KiB, as JSON.
const CAP: usize = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f24_values_at_the_servers_limits() {
    let world = World::direct().await;
    for line in [
        "CONFIG SET proto-max-bulk-len 1mb",
        "CONFIG SET client-query-buffer-limit 1mb",
        "CONFIG SET client-output-buffer-limit normal\u{20}4mb\u{20}0\u{20}0",
    ] {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        let _: () = world.server.cmd(words[0], &words[1..]);
    }
    let load = Load::start(&world.sites).await;
    load.phase("fault");
    let mut largest = Duration::ZERO;
    for site in &world.sites {
        let mut visitor = site.signed_in("alice").await;
        // Name, quotes and bookkeeping count, too.
        let mut fits = CAP;
        while visitor.post(&format!("/note/{fits}")).await.status != 200 {
            fits -= 1;
            assert!(fits > CAP - 64, "what fits is close to the cap");
        }
        assert_eq!(visitor.post(&format!("/note/{}", fits + 1)).await.status, 413);
        assert_eq!(visitor.post(&format!("/note/{}", fits - 1)).await.status, 200);
        assert_eq!(visitor.get("/me").await.body, "alice");
        for kib in [63, 64, 65, 1_024, 3_000] {
            for _ in 0..3 {
                let begun = Instant::now();
                let answer = visitor.get(&format!("/big/{kib}")).await;
                largest = largest.max(begun.elapsed());
                assert_eq!(
                    (answer.status.as_u16(), answer.body.len()),
                    (200, kib << 10),
                    "{}",
                    site.framework
                );
            }
        }
    }
    tokio::time::sleep(lasting(500, 2_000)).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.is_well();
    report.adds_up().await;
    assert!(fault.longest() < HANGS);
    Row::new(24, "Big values at a server with small limits (`proto-max-bulk-len`, `client-query-buffer-limit`, `client-output-buffer-limit`)", ALL, "our sizes are capped below; big bodies and sessions do not harm each other")
        .saw("a session at its cap 200, beyond it 413; bodies up to 3,000 KiB whole; everybody else 200")
        .figure(format!("longest of the others {} beside bodies of 3,000 KiB", ms(fault.longest())))
        .instead("bodies share the connections: they are stored in segments of 128 KiB, so that no command or reply comes near the server's limits, and nobody waits for more than a segment")
        .write();
}

/// A command that puts a value of each type under a key.
const TYPES: [&[&str]; 8] = [
    &["SET", "KEY", "rubbish"],
    &["SET", "KEY", "9223372036854775807"],
    &["SET", "KEY", "-1"],
    &["RPUSH", "KEY", "rubbish"],
    &["HSET", "KEY", "rubbish", "rubbish"],
    &["SADD", "KEY", "rubbish"],
    &["ZADD", "KEY", "1", "rubbish"],
    &["XADD", "KEY", "*", "rubbish", "rubbish"],
];

fn put(server: &RedisServer, words: &[&str], key: &str) {
    let _: u64 = server.cmd("DEL", key);
    let words: Vec<_> = words.iter().map(|word| if *word == "KEY" { key } else { word }).collect();
    server.tell(&words.join(" "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f25_values_of_another_type() {
    let world = World::direct().await;
    let (mut statuses, mut cases) = (std::collections::BTreeMap::<(&str, u16), usize>::new(), 0);
    for site in &world.sites {
        for words in TYPES {
            let mut visitor = site.signed_in("alice").await;
            for path in ["/strict", "/limited", "/page/one", "/page/one"] {
                assert_eq!(visitor.get(path).await.status, 200);
            }
            let keys: Vec<String> = world.server.cmd("KEYS", format!("{}:*", site.framework));
            assert!(keys.len() >= 5, "{keys:?}");
            // A login leaves many of one kind.
            for key in keys.into_iter().step_by(either(4, 1)) {
                put(&world.server, words, &key);
                for (method, path) in [
                    ("GET", "/me"),
                    ("POST", "/count"),
                    ("GET", "/limited"),
                    ("GET", "/strict"),
                    ("GET", "/page/one"),
                    ("POST", "/login/alice"),
                    ("POST", "/logout"),
                ] {
                    let mut browser = visitor.clone();
                    let answer =
                        if method == "GET" { browser.get(path).await } else { browser.post(path).await };
                    let status = answer.status.as_u16();
                    *statuses.entry((path, status)).or_default() += 1;
                    cases += 1;
                    assert!([200, 503].contains(&status), "{words:?} at {key}: {path} {answer:?}");
                    assert!(path != "/page/one" || answer.body.starts_with("one run "), "{answer:?}");
                }
                let _: u64 = world.server.cmd("DEL", &key);
            }
        }
    }
    let refused: Vec<_> = statuses.iter().filter(|((_, status), _)| *status != 200).collect();
    let told: Vec<_> = refused.iter().map(|((path, _), many)| format!("{path} {many} ×")).collect();
    let told = if told.is_empty() { "never 503".to_owned() } else { format!("503: {}", told.join(", ")) };
    Row::new(25, "Values of another type, no numbers, numbers at the end of their range, keys without an end: under each key that there is", ALL, "counted as corrupt, replaced by policy, never a 500")
        .saw("200: no session, a limit that begins anew, a page that is made anew; never a 500")
        .figure(format!("{cases} requests at foreign values; {told}"))
        .write();
}
