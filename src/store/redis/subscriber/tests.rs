use std::future::{Future, poll_fn};

use tokio::io::DuplexStream;
use tokio::time::sleep;

use super::*;
use crate::store::channels::Heard;

const LIMIT: Duration = Duration::from_secs(1);

fn channel(name: &str) -> Topic {
    Topic::Channel(name.into())
}

/// A session, and the server's end of its connection.
fn session(channels: &Channels) -> (Session<'_>, DuplexStream) {
    let (ours, servers) = tokio::io::duplex(1 << 20);
    (Session::over(Box::pin(ours), channels, LIMIT), servers)
}

/// Runs the session beside its server until that has said all it has to say.
async fn against<T>(session: &mut Session<'_>, server: impl Future<Output = T>) -> T {
    match race(session.run(), server).await {
        First::Left(ended) => panic!("the session ended: {ended:?}"),
        First::Right(value) => value,
    }
}

async fn hears(server: &mut DuplexStream, commands: &[&[&str]]) {
    let mut expected = Vec::new();
    for words in commands {
        resp::begin(&mut expected, words.len());
        words.iter().for_each(|word| resp::word(&mut expected, word.as_bytes()));
    }
    let mut heard = vec![0; expected.len()];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8(heard), String::from_utf8(expected));
}

async fn say(server: &mut DuplexStream, words: &[&[u8]]) {
    let mut out = Vec::new();
    resp::begin(&mut out, words.len());
    words.iter().for_each(|word| resp::word(&mut out, word));
    server.write_all(&out).await.unwrap();
}

async fn confirm(server: &mut DuplexStream, topic: &str) {
    hears(server, &[&["SUBSCRIBE", topic]]).await;
    say(server, &[b"subscribe", topic.as_bytes(), b"1"]).await;
}

async fn next(listener: &Listener) -> Heard {
    poll_fn(|cx| listener.poll_heard(cx)).await
}

fn message(channel: &str, message: &'static [u8]) -> Heard {
    Heard::Message { channel: channel.into(), message: message.into() }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_left_and_entered_at_once_is_asked_for_again() {
    let channels = Channels::default();
    let (mut session, mut server) = session(&channels);
    let (first, mut standing) = channels.enter(channel("a"), 9);
    against(&mut session, async {
        confirm(&mut server, "a").await;
        standing.wait_for(|standing| matches!(standing, Standing::Confirmed)).await.unwrap();
        drop(first);
        let (second, mut standing) = channels.enter(channel("a"), 9);
        confirm(&mut server, "a").await;
        standing.wait_for(|standing| matches!(standing, Standing::Confirmed)).await.unwrap();
        say(&mut server, &[b"message", b"a", b"1"]).await;
        assert_eq!(next(&second).await, message("a", b"1"), "it missed nothing");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_listened_is_asked_for_again_and_who_comes_is_refused_at_once() {
    let channels = Channels::default();
    let (mut session, mut server) = session(&channels);
    let (listener, mut standing) = channels.enter(channel("a"), 9);
    against(&mut session, async {
        confirm(&mut server, "a").await;
        standing.wait_for(|standing| matches!(standing, Standing::Confirmed)).await.unwrap();
    })
    .await;
    channels.interrupted(&StoreErrorKind::Disconnected.into());

    let (mut session, mut server) = self::session(&channels);
    against(&mut session, async {
        for _ in 0..3 {
            hears(&mut server, &[&["SUBSCRIBE", "a"]]).await;
            server.write_all(b"-NOPERM no\r\n").await.unwrap();
        }
        hears(&mut server, &[&["SUBSCRIBE", "a"]]).await;
        let (_newcomer, mut standing) = channels.enter(channel("a"), 9);
        server.write_all(b"-NOPERM no\r\n").await.unwrap();
        let told = standing.wait_for(|standing| !matches!(standing, Standing::Asked)).await.unwrap();
        assert!(matches!(&*told, Standing::Refused(error) if error.kind() == StoreErrorKind::Forbidden));
        drop(told);
        confirm(&mut server, "a").await;
        assert_eq!(next(&listener).await, Heard::Interrupted);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn listeners_that_come_and_go_hide_no_silence() {
    let channels = Channels::default();
    let (mut session, _server) = session(&channels);
    let _kept = channels.enter(channel("kept"), 9);
    let come_and_go = async {
        for _ in 0..100 {
            let _comes = channels.enter(channel("a"), 9);
            sleep(Duration::from_secs(1)).await;
        }
    };
    match race(session.run(), come_and_go).await {
        First::Left(ended) => assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Timeout),
        First::Right(()) => panic!("nobody noticed that the server says nothing"),
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_asked_about_and_an_answer_is_enough() {
    let channels = Channels::default();
    let (mut session, mut server) = session(&channels);
    let _listener = channels.enter(channel("a"), 9);
    let asked_twice = async {
        confirm(&mut server, "a").await;
        for _ in 0..2 {
            hears(&mut server, &[&["PING"]]).await;
            say(&mut server, &[b"pong", b""]).await;
        }
        hears(&mut server, &[&["PING"]]).await;
        std::future::pending().await
    };
    match race(session.run(), asked_twice).await {
        First::Left(ended) => assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Timeout),
        First::Right(()) => panic!("it never ends by itself"),
    }
}

/// Parts of what was read would all hold the same memory, and could not be alone in theirs.
#[tokio::test(start_paused = true)]
async fn a_short_message_holds_no_more_than_itself() {
    let channels = Channels::default();
    let (mut session, mut server) = session(&channels);
    let (listener, _) = channels.enter(channel("a"), 9);
    against(&mut session, async {
        confirm(&mut server, "a").await;
        for _ in 0..2 {
            say(&mut server, &[b"message", b"a", b"short"]).await;
        }
        for _ in 0..2 {
            let Heard::Message { message, .. } = next(&listener).await else { panic!("a message") };
            assert!(message.is_unique());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_text_is_taken_for_no_answer() {
    let channels = Channels::default();
    let (mut session, mut server) = session(&channels);
    let (listener, mut standing) = channels.enter(Topic::Pattern("*".into()), 9);
    against(&mut session, async {
        hears(&mut server, &[&["PSUBSCRIBE", "*"]]).await;
        say(&mut server, &[b"pmessage", b"*", b"\xff", b"1"]).await;
        assert_eq!(next(&listener).await, message("\u{fffd}", b"1"));
        assert!(matches!(*standing.borrow_and_update(), Standing::Asked), "nothing was answered yet");
        say(&mut server, &[b"psubscribe", b"*", b"1"]).await;
        standing.wait_for(|standing| matches!(standing, Standing::Confirmed)).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_no_form_are_no_answers_either() {
    for words in [&[&b"message"[..], b"a"][..], &[b"pmessage", b"*", b"a"]] {
        let channels = Channels::default();
        let (mut session, mut server) = session(&channels);
        let _listener = channels.enter(channel("a"), 9);
        say(&mut server, words).await;
        assert_eq!(session.run().await.unwrap_err().kind(), StoreErrorKind::Desync);
    }
}
