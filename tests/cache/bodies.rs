//! Bodies as they pass: never held back, stored whole or not at all.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body;
use tokio::sync::mpsc::UnboundedSender;
use tower_keep::cache::{CacheBodyError, CachePolicy};

use crate::fixture::*;

on_both!(
    each_event_of_a_stream_passes_at_once,
    a_body_that_is_too_long_is_served_whole_and_not_stored,
    a_body_of_exactly_the_longest_length_is_stored,
    a_body_whose_client_goes_away_is_never_stored,
    a_body_that_ends_early_is_never_stored,
    a_body_that_is_longer_than_it_says_is_never_stored,
    a_body_that_fails_is_never_stored,
    a_body_is_complete_when_as_many_bytes_were_sent_as_it_says,
    an_empty_body_is_stored,
    a_body_in_many_pieces_is_stored_as_one,
    where_there_is_no_room_for_a_body_it_is_served_and_not_stored,
);

type Pieces = UnboundedSender<Result<Bytes, Trouble>>;

/// A site whose bodies the test sends: each run puts a sender into the channel.
fn fed(
    world: &World,
    policy: CachePolicy,
    fields: &'static [(&str, &str)],
) -> (Site, impl FnMut() -> Pieces) {
    let (runs, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let site = Site::new(world.with(policy), move |_, _| {
        let (pieces, body) = piped();
        runs.send(pieces).unwrap();
        async move { Ok(answer(200, "", fields).map(|_| body)) }
    });
    (site, move || begun.try_recv().unwrap())
}

/// What a client has at this moment: a piece, the end, or nothing yet.
async fn now<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Poll<Option<Result<Bytes, B::Error>>> {
    poll_fn(|cx| Poll::Ready(pin!(&mut *body).poll_frame(cx)))
        .await
        .map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_else(|_| panic!()))))
}

fn is(piece: &Poll<Option<Result<Bytes, CacheBodyError<Trouble>>>>, expected: &str) -> bool {
    matches!(piece, Poll::Ready(Some(Ok(bytes))) if *bytes == expected.as_bytes())
}

async fn each_event_of_a_stream_passes_at_once(world: World) {
    const FIELDS: [&[(&str, &str)]; 4] = [
        &[("content-type", "text/event-stream"), ("cache-control", "no-store")],
        &[("content-type", "text/event-stream")],
        &[("content-type", "text/event-stream"), ("cache-control", "max-age=60")],
        // Nobody says that it has no end: it is copied, and passes all the same.
        &[("content-type", "text/plain"), ("cache-control", "max-age=60")],
    ];
    for fields in FIELDS {
        let (site, mut begun) = fed(&world, CachePolicy::new(), fields);
        let mut response = site.raw(get("/stream", &[])).await;
        let pieces = begun();
        let body = response.body_mut();
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            assert!(now(body).await.is_pending(), "nothing comes before it is sent");
            pieces.send(Ok(event.into())).unwrap();
            assert!(is(&now(body).await, event), "{event} was held back");
        }
        // A second listener to a stream does not wait for the end of the first.
        if fields[0].1 == "text/event-stream" {
            let mut second = site.raw(get("/stream", &[])).await;
            begun().send(Ok("data: first\n\n".into())).unwrap();
            assert!(is(&now(second.body_mut()).await, "data: first\n\n"));
        }
        drop(pieces);
        assert!(matches!(now(body).await, Poll::Ready(None)));
    }
}

async fn a_body_that_is_too_long_is_served_whole_and_not_stored(world: World) {
    let long = vec![b'x'; 300_001];
    let policy = || CachePolicy::new().max_body(300_000);
    let (site, mut begun) = fed(&world, policy(), DAY);
    for _ in 0..2 {
        let response = site.raw(get("/a", &[])).await;
        let pieces = begun();
        long.chunks(1000).for_each(|piece| pieces.send(Ok(Bytes::copy_from_slice(piece))).unwrap());
        drop(pieces);
        assert_eq!(Reply::read(response).await.unwrap().body, long);
    }
    let known = Site::new(world.with(policy()), move |_, _| {
        let long = long.clone();
        async move { page(long, DAY) }
    });
    for (calls, why) in [(1, "too-large"), (2, "not-for-others-lately")] {
        let reply = known.get("/b").await;
        assert_eq!(reply.body.len(), 300_001);
        assert_eq!(reply.told(), format!("tower-keep; fwd=uri-miss; detail={why}"));
        assert_eq!(known.calls(), calls);
    }
    if let Some(server) = &world.redis {
        eventually("what was copied is removed", async || crate::eviction::keys(server).is_empty()).await;
    }
}

async fn a_body_of_exactly_the_longest_length_is_stored(world: World) {
    for length in [1, 128 << 10, (128 << 10) + 1, 300_000] {
        let body = vec![b'x'; length];
        let (site, mut begun) = fed(&world, CachePolicy::new().max_body(length as u64), DAY);
        let path = format!("/{length}");
        let response = site.raw(get(&path, &[])).await;
        begun().send(Ok(body.clone().into())).unwrap();
        assert_eq!(Reply::read(response).await.unwrap().body, body);
        assert_eq!(site.hit(get(&path, &[])).await.body, body);
    }
}

async fn a_body_whose_client_goes_away_is_never_stored(world: World) {
    for received in 0..4 {
        let (site, mut begun) = fed(&world, CachePolicy::new(), DAY);
        let path = format!("/{received}");
        let mut response = site.raw(get(&path, &[])).await;
        let pieces = begun();
        for _ in 0..received {
            pieces.send(Ok(vec![b'x'; 100_000].into())).unwrap();
            assert!(now(response.body_mut()).await.is_ready());
        }
        drop(response);
        assert!(pieces.send(Ok("more".into())).is_err(), "the handler hears of it");
        let next = tokio::spawn({
            let (site, path) = (site.clone(), path.clone());
            async move { site.get(&path).await }
        });
        eventually("the next one asks the handler", async || site.calls() == 2).await;
        begun().send(Ok("whole".into())).unwrap();
        assert_eq!(next.await.unwrap().text(), "whole");
        assert_eq!(site.hit(get(&path, &[])).await.text(), "whole");
    }
}

/// Sends these pieces as the body of a page with this length, and asks again.
async fn sent_and_asked_again(
    world: &World,
    length: &'static str,
    pieces: &[Result<&'static str, Trouble>],
) -> Reply {
    let fields = vec![DAY[0], ("content-length", length)].leak();
    let (site, mut begun) = fed(world, CachePolicy::new(), fields);
    let path = format!("/{length}/{}", pieces.len());
    let response = site.raw(get(&path, &[])).await;
    let first = begun();
    for piece in pieces {
        first.send((*piece).map(Bytes::from)).unwrap();
    }
    drop(first);
    let _ = Reply::read(response).await;
    let again = tokio::spawn({
        let site = site.clone();
        async move { site.get(&path).await }
    });
    eventually("it is asked again", async || site.calls() == 2 || again.is_finished()).await;
    if !again.is_finished() {
        begun().send(Ok("second".into())).unwrap();
    }
    again.await.unwrap()
}

async fn a_body_that_ends_early_is_never_stored(world: World) {
    for pieces in [&[][..], &[Ok("fir")], &[Ok("fi"), Ok("rst")]] {
        let again = sent_and_asked_again(&world, "6", pieces).await;
        assert_eq!((again.is_hit(), again.text()), (false, "second"), "{pieces:?}");
    }
    // Also where the body knows better than the field.
    let site =
        Site::new(
            world.cache(),
            |_, n| async move { page(n.to_string(), &[DAY[0], ("content-length", "20")]) },
        );
    for n in ["0", "1"] {
        assert_eq!(site.get("/known").await.text(), n);
    }
}

async fn a_body_that_is_longer_than_it_says_is_never_stored(world: World) {
    for pieces in [&[Ok("first")][..], &[Ok("fir"), Ok("st")]] {
        assert_eq!(sent_and_asked_again(&world, "3", pieces).await.text(), "second", "{pieces:?}");
    }
}

async fn a_body_that_fails_is_never_stored(world: World) {
    let trouble = Err(Trouble("the database went away"));
    for pieces in [&[trouble][..], &[Ok("fi"), trouble], &[Ok("fi"), Ok("rst"), trouble]] {
        for length in ["5", "9"] {
            assert_eq!(sent_and_asked_again(&world, length, pieces).await.text(), "second", "{pieces:?}");
        }
    }
    let (site, mut begun) = fed(&world, CachePolicy::new(), DAY);
    let mut response = site.raw(get("/passes", &[])).await;
    begun().send(Err(Trouble("the database went away"))).unwrap();
    let error = now(response.body_mut()).await;
    assert!(
        matches!(error, Poll::Ready(Some(Err(CacheBodyError::Inner(Trouble(_)))))),
        "it passes unchanged"
    );
}

/// HTTP/1 servers do not ask for more then.
async fn a_body_is_complete_when_as_many_bytes_were_sent_as_it_says(world: World) {
    const FIELDS: &[(&str, &str)] = &[DAY[0], ("content-length", "5")];
    let (site, mut begun) = fed(&world, CachePolicy::new(), FIELDS);
    let mut response = site.raw(get("/a", &[])).await;
    let pieces = begun();
    for piece in ["fi", "rst"] {
        pieces.send(Ok(piece.into())).unwrap();
        assert!(is(&now(response.body_mut()).await, piece));
    }
    drop(response);
    assert_eq!(site.hit(get("/a", &[])).await.text(), "first");
}

async fn an_empty_body_is_stored(world: World) {
    const MOVED: &[(&str, &str)] = &[DAY[0], ("location", "/new")];
    for (path, status, fields) in
        [("/empty", 200, DAY), ("/gone", 410, DAY), ("/moved", 301, MOVED), ("/none", 204, DAY)]
    {
        let site = Site::new(world.cache(), move |_, _| async move { Ok(answer(status, "", fields)) });
        site.get(path).await;
        let hit = site.hit(get(path, &[])).await;
        assert_eq!((hit.status.as_u16(), hit.body.len()), (status, 0));
        assert_eq!(hit.field("content-length"), if status == 204 { None } else { Some("0") });
        assert_eq!(hit.headers.get("location").is_some(), status == 301);
    }
}

async fn a_body_in_many_pieces_is_stored_as_one(world: World) {
    let whole: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    for sizes in [&[1, 7, 100][..], &[65_536], &[131_072], &[131_071, 2], &[300_000], &[0, 5_000, 0]] {
        let (site, mut begun) = fed(&world, CachePolicy::new(), DAY);
        let path = format!("/{sizes:?}").replace([' ', ',', '[', ']'], "-");
        let response = site.raw(get(&path, &[])).await;
        let pieces = begun();
        let (mut rest, mut turn) = (&whole[..], 0);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
            pieces.send(Ok(Bytes::copy_from_slice(piece))).unwrap();
            (rest, turn) = (later, turn + 1);
        }
        drop(pieces);
        assert!(Reply::read(response).await.unwrap().body == whole);
        assert!(site.hit(get(&path, &[])).await.body == whole, "{sizes:?}");
    }
}

async fn where_there_is_no_room_for_a_body_it_is_served_and_not_stored(world: World) {
    let cache = world.builder().fill_bytes(64 << 10).build().unwrap();
    let site = Site::new(cache, |request, _| async move {
        let length: usize = request.uri().path()[1..].parse().unwrap();
        page(vec![b'x'; length], DAY)
    });
    for (length, is_stored) in
        [(10_000, true), (64 << 10, true), ((64 << 10) + 1, false), (500_000, false), (9_000, true)]
    {
        let path = format!("/{length}");
        assert_eq!(site.get(&path).await.body.len(), length);
        let again = site.get(&path).await;
        assert_eq!((again.body.len(), again.is_hit()), (length, is_stored), "{length}");
    }
}
