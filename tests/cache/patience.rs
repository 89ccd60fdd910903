//! How long anybody waits, and for whom. On the embedded store with a clock that the tests turn.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::Instant;
use tower_keep::cache::HttpCache;

use crate::fixture::*;

const WAIT: Duration = Duration::from_secs(3);
const SECOND: Duration = Duration::from_secs(1);

/// Another process, as far as caches know: an engine of its own on the same store.
fn process(world: &World) -> HttpCache {
    world.builder().wait(WAIT).build().unwrap()
}

/// Lets time pass for everybody, and tasks come to rest.
async fn pass(world: &World, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(Duration::from_millis(100));
        world.clock.advance(step);
        tokio::time::advance(step).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        left -= step;
    }
}

/// A page that never comes for who asks first.
fn stuck(cache: HttpCache) -> Site {
    Site::new(cache, |_, n| async move {
        if n == 0 {
            std::future::pending().await
        }
        page(n.to_string(), DAY)
    })
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_said_and_nobody_waits_in_vain_twice() {
    let world = World::embedded();
    let site = stuck(process(&world));
    let leader = tokio::spawn({
        let site = site.clone();
        async move { site.get("/").await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move {
                assert!(!site.get("/").await.is_hit());
                begun.elapsed()
            })
        })
        .collect();
    for waited in waiting {
        let waited = waited.await.unwrap();
        assert!(waited >= WAIT && waited < WAIT + SECOND / 10, "{waited:?}");
    }
    let begun = Instant::now();
    assert!(!site.get("/").await.is_hit());
    assert_eq!(begun.elapsed(), Duration::ZERO, "that it takes long is known by now");
    leader.abort();
    let _ = leader.await;
    assert!(site.get("/").await.told().contains("stored"), "the next one is another fill");
}

/// The other process says that it is still at it for as long as it lives.
#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_said_for_another_process() {
    let world = World::embedded();
    let slow = stuck(process(&world));
    let site = slow.behind(process(&world));
    let filling = tokio::spawn(async move { slow.get("/").await });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move {
                assert!(!site.get("/").await.told().contains("stored"));
                begun.elapsed()
            })
        })
        .collect();
    for _ in 0..50 {
        pass(&world, SECOND / 10).await;
    }
    for waited in waiting {
        let waited = waited.await.unwrap();
        assert!(waited >= WAIT && waited < WAIT + SECOND / 2, "{waited:?}");
    }
    let begun = Instant::now();
    assert!(!site.get("/").await.is_hit());
    assert_eq!(begun.elapsed(), Duration::ZERO, "that it takes long is known by now");
    filling.abort();
}

/// A body of many segments that takes ten times the lease, segment by segment: the right to fill must not end on the way.
#[tokio::test(start_paused = true)]
async fn a_body_that_takes_longer_than_the_lease_is_stored() {
    let world = World::embedded();
    let cache = world.builder().lease(2 * SECOND).build().unwrap();
    let (pieces, body) = piped();
    let body = std::sync::Mutex::new(Some(body));
    let site = Site::new(cache, move |_, _| {
        let body = body.lock().unwrap().take();
        async move { Ok(answer(200, "", DAY).map(|_| body.unwrap())) }
    });
    let reading = tokio::spawn({
        let site = site.clone();
        async move { site.get("/").await }
    });
    for _ in 0..40 {
        pieces.send(Ok(vec![b'x'; 128 << 10].into())).unwrap();
        pass(&world, SECOND / 2).await;
    }
    drop(pieces);
    assert_eq!(reading.await.unwrap().body.len(), 40 * (128 << 10));
    let hit = site.get("/").await;
    assert!(hit.is_hit() && hit.body.len() == 40 * (128 << 10));
}

/// The same for a handler that is slow to begin.
#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_longer_than_the_lease_fills_all_the_same() {
    let world = World::embedded();
    let cache = world.builder().lease(2 * SECOND).build().unwrap();
    let site = Site::new(cache, |_, n| async move {
        tokio::time::sleep(25 * SECOND).await;
        page(n.to_string(), DAY)
    });
    let other = site.behind(world.cache());
    let filling = tokio::spawn({
        let site = site.clone();
        async move { site.get("/").await }
    });
    pass(&world, 10 * SECOND).await;
    let waiting = tokio::spawn(async move { other.get("/").await });
    pass(&world, 25 * SECOND).await;
    assert_eq!(filling.await.unwrap().text(), "0");
    assert_eq!(waiting.await.unwrap().text(), "0", "another process waited for it");
}

async fn frame<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Bytes {
    let frame = poll_fn(|cx| pin!(&mut *body).poll_frame(cx)).await;
    frame.unwrap().unwrap_or_else(|_| panic!("the body failed")).into_data().unwrap()
}

/// It takes the head and the first piece, and then nothing, for ever.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_keeps_nobody_from_the_page() {
    let world = World::embedded();
    let site = Site::new(process(&world), |_, n| async move {
        let (pieces, body) = piped();
        for _ in 0..3 {
            pieces.send(Ok(vec![b'0' + u8::try_from(n).unwrap(); 1000].into())).unwrap();
        }
        Ok(answer(200, "", DAY).map(|_| body))
    });
    let mut stalled = site.raw(get("/", &[])).await;
    assert_eq!(frame(stalled.body_mut()).await[0], b'0');
    pass(&world, 2 * WAIT).await;
    let next = site.get("/").await;
    assert!(next.body[0] == b'1' && next.told().contains("stored"), "{}", next.told());
    assert_eq!(site.hit(get("/", &[])).await.body, next.body);
    for _ in 0..2 {
        assert_eq!(frame(stalled.body_mut()).await[0], b'0', "it can go on when it likes");
    }
    drop(stalled);
    assert_eq!(site.hit(get("/", &[])).await.body, next.body);
}

/// A handler that makes its body slowly is not a client that takes it slowly.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_made_slowly_is_stored() {
    let world = World::embedded();
    let (pieces, body) = piped();
    let body = std::sync::Mutex::new(Some(body));
    let site = Site::new(process(&world), move |_, _| {
        let body = body.lock().unwrap().take();
        async move { Ok(answer(200, "", DAY).map(|_| body.unwrap())) }
    });
    let reading = tokio::spawn({
        let site = site.clone();
        async move { site.get("/").await }
    });
    for _ in 0..5 {
        pass(&world, 3 * WAIT).await;
        pieces.send(Ok("part ".into())).unwrap();
    }
    drop(pieces);
    assert_eq!(reading.await.unwrap().text(), "part part part part part ");
    assert!(site.get("/").await.is_hit());
}

/// Without tokio nothing can be written beside the response; all else goes on.
#[test]
fn without_a_runtime_the_handler_answers_and_nothing_is_stored() {
    let world = World::embedded();
    let site = Site::counting(world.cache(), DAY);
    for n in ["0", "1"] {
        let mut reply = pin!(site.get("/"));
        let Poll::Ready(reply) = reply.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing is waited for")
        };
        assert_eq!(reply.text(), n);
    }
}
