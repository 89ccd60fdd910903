//! The way between is slow, cuts pieces, or ends in the middle.

use std::time::Duration;

use keep_testing::Fault;

use crate::load::Load;
use crate::row::{ALL, Row, either, has_default_deadlines, lasting, ms};
use crate::seen::Route;
use crate::world::{World, usual};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f08_latency_and_slices() {
    let world = World::proxied(usual).await;
    let load = Load::start(&world.sites).await;
    world.set(Fault::Slices { ms: 30, jitter_ms: 20 });
    load.phase("fault");
    tokio::time::sleep(lasting(2_000, 10_000)).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.of(&[Route::Plain, Route::Me, Route::Count, Route::Limited, Route::Page]).is_well();
    fault.of(&[Route::Strict]).has_only(if has_default_deadlines() { &[200, 503] } else { &[200] });
    world.set(Fault::None);
    report.adds_up().await;
    let figure = |name: &str, route| {
        format!("{name} p50 {}, p99 {}", ms(fault.of(&[route]).at(500)), ms(fault.of(&[route]).at(990)))
    };
    Row::new(8, "Latency of 30 ± 20 ms, slices of 1 byte to 1 KiB", ALL, "no error; p99 ≤ two round trips + 5 ms for each request")
        .saw(format!("200 everywhere; a limit that closes refuses what its deadline does not suffice for ({})", fault.of(&[Route::Strict]).told()))
        .figure(figure("a session read", Route::Me))
        .figure(figure("read and written", Route::Count))
        .figure(figure("a limit", Route::Limited))
        .figure(figure("a cached page", Route::Page))
        .instead("a delay of the proxy applies to a piece of bytes, and pieces wait for each other, so one round trip may take two delays of up to 50 ms")
        .write();
}

/// The longest reply that any of the routes gets, with room.
const LONGEST: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f09_replies_cut_at_every_byte() {
    let world =
        World::proxied(|builder| usual(builder).pool_size(1).probe_interval(Duration::from_millis(2))).await;
    let step = either(9, 1);
    let (mut cuts, mut refused) = (0, 0);
    for (site, proxy) in world.pairs() {
        let mut visitor = site.signed_in("alice").await;
        let mut counted = 0;
        for at in (0..LONGEST).step_by(step) {
            for path in ["/me", "/limited", "/page/one", "/count"] {
                for fault in [Fault::CutOnce(at), Fault::CutAfter(at)] {
                    site.is_up().await;
                    proxy.set(fault);
                    let answer = match path {
                        "/count" => visitor.post(path).await,
                        _ => visitor.get(path).await,
                    };
                    proxy.set(Fault::None);
                    let (status, body) = (answer.status.as_u16(), answer.body);
                    cuts += 1;
                    refused += u64::from(status != 200);
                    assert!(status == 200 || status == 503, "{path} cut after {at}: {status}");
                    match path {
                        "/me" if status == 200 => assert_eq!(body, "alice", "cut after {at}"),
                        "/page/one" => assert!(body.starts_with("one run "), "cut after {at}: {body}"),
                        "/limited" => assert_eq!(body, "limited", "cut after {at}"),
                        "/count" if status == 200 => {
                            let now: u64 = body.parse().unwrap();
                            // An unclear one before may have happened.
                            assert!(now > counted, "cut after {at}: {now} after {counted}");
                            counted = now;
                        }
                        _ => {}
                    }
                }
            }
        }
        assert!(proxy.accepted() > 1);
    }
    Row::new(
        9,
        "A reply cut short at every byte, then the connection ends; once, and on every connection",
        ALL,
        "no partial value is accepted, at any byte of any reply",
    )
    .saw("200 with the whole value, or 503; limited and cached routes always 200")
    .figure(format!("{cuts} cuts at bytes 0 to {LONGEST}, 0 partial values, {refused} × 503"))
    .write();
}
