//! What reaches a log.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use keep_testing::RedisServer;
use tower_keep::cache::{CacheTags, HttpCache, Purging};
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::lock::Locks;
use tower_keep::pubsub::PubSub;
use tower_keep::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter};
use tower_keep::session::{Login, SessionEvent, Sessions};
use tower_keep::store::Store;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::app::App;
use crate::fixture::{DAY, Site, answer, get};
use crate::stored::patient;

/// All texts of all events, as they are handed to a subscriber: nothing is escaped yet.
#[derive(Clone, Default)]
struct Texts(Arc<Mutex<String>>);

impl Subscriber for Texts {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Texts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        writeln!(self.0.lock().unwrap(), "{field}={value}").unwrap();
    }
}

/// RUSTSEC-2025-0055: text from outside must not reach a log as it is, or it writes to the terminal of whoever reads it.
#[tokio::test]
async fn rustsec_2025_0055_no_escape_sequence_from_outside_reaches_a_log() {
    const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\nWARN forged";
    let texts = Texts::default();
    let _guard = tracing::subscriber::set_default(texts.clone());
    let server = RedisServer::start();
    for store in [Store::in_memory(), patient().connect(&server.url()).unwrap()] {
        everything(&store, HOSTILE, (!store_is_embedded(&store)).then_some(&server)).await;
    }
    let told = texts.0.lock().unwrap().clone();
    assert!(told.contains("message="), "something was logged");
    let control = |c: char| c.is_control() && c != '\n';
    let bad: Vec<_> = told.lines().filter(|line| line.contains(control) || line.contains("owned")).collect();
    assert_eq!(bad, Vec::<&str>::new());
    assert!(!told.contains("WARN forged"), "{told}");
}

fn store_is_embedded(store: &Store) -> bool {
    store.raw().is_none()
}

/// Hands the text to everything that takes one, and has it fail where it can.
async fn everything(store: &Store, hostile: &str, redis: Option<&RedisServer>) {
    let hook = |event: &SessionEvent| tracing::info!(?event, "an app that logs events");
    let sessions = Sessions::builder(store.clone()).on_event(hook).build().unwrap();
    let app = App::new(&sessions);
    let session = sessions.start();
    drop(session.login(hostile));
    session.login_with(Login::new("alice").label(hostile)).unwrap();
    session.insert(hostile, hostile).unwrap();
    session.save().await.unwrap();
    let handle = session.handle().unwrap();
    if let Some(server) = redis {
        // Entries and records that cannot be read are spoken of.
        let key = format!("keep:session:{handle}");
        let _: u64 = server.cmd("HSET", &[key.as_str(), hostile, hostile]);
        let session = sessions.open(&handle).await.unwrap().unwrap();
        drop(session.get::<u64>(hostile));
        let _: u64 = server.cmd("HSET", &[key.as_str(), "@", hostile]);
        drop(sessions.open(&handle).await);
        let _: () = server.cmd("SET", &[format!("keep:session:{}", "A".repeat(22)).as_str(), hostile]);
    }
    let lines: [&[u8]; 3] = [b"__Host-session=\x1b[2J", b"\x80\x9b31m=1", "__Host-session=\u{9b}".as_bytes()];
    for line in lines.into_iter().filter(|line| http::HeaderValue::from_bytes(line).is_ok()) {
        app.me(&[line]).await;
    }
    drop(sessions.revoke_all(hostile).await);

    let limit = Limit::new("only", Quota::per_second(1));
    let limiter = RateLimiter::builder(store.clone()).limit(limit).build().unwrap();
    for _ in 0..3 {
        drop(limiter.check(hostile).await);
    }
    drop(RateLimitLayer::new(limiter.clone(), By::everybody()));
    drop(limiter.ban(hostile, std::time::Duration::from_secs(1)).await);

    let cache = HttpCache::new(store.clone()).unwrap();
    let tag = hostile.to_owned();
    let site = Site::new(cache.clone(), move |_, n| {
        let mut response = answer(200, n.to_string(), DAY);
        response.headers_mut().insert("vary", http::HeaderValue::from_bytes(b"a, \x9b31m").unwrap());
        response.extensions_mut().insert(CacheTags::new([tag.clone()]));
        async { Ok(response) }
    });
    site.get("/%1b[2J?%1b]0;owned").await;
    drop(cache.purge(Purging::tags([hostile])).await);
    drop(cache.purge(Purging::url(hostile, hostile)).await);
    drop(site.send(get("/", &[("x-forwarded-for", "owned"), ("cache-control", "owned")])).await);

    let state = KeyValue::<u64>::new(store.clone(), "kv").unwrap();
    drop(state.set(hostile, &1, Ttl::After(std::time::Duration::from_secs(60))).await);
    drop(Locks::builder(store.clone()).build().unwrap().try_acquire(hostile).await);
    drop(PubSub::new(store.clone()).publish(hostile, &hostile).await);
}
