//! What a session costs in this process: no sockets. `cargo bench --bench sessions [part of a name]`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http::header::COOKIE;
use tokio::runtime::Runtime;
use tower_keep::session::{SessionCookie, Sessions, cookie_values};
use tower_keep::store::Store;
use tower_keep::store::key::{Key, KeyPrefix};
use tower_keep::store::op::{LoadSession, Loaded, Meta, SessionAt};

/// Sessions on an embedded store with one session in it, and a request that carries its cookie among others.
struct Site {
    runtime: Runtime,
    sessions: Sessions,
    request: Request<()>,
    at: SessionAt,
}

impl Site {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let cookie = SessionCookie::insecure_for_development();
        let sessions = Sessions::builder(Store::in_memory()).cookie(cookie).build().unwrap();
        let session = sessions.start();
        let handle = session.login("alice").unwrap();
        session.insert("visits", &1).unwrap();
        runtime.block_on(session.save()).unwrap();
        let line = session.take_set_cookie().unwrap();
        let cookie = format!("theme=dark; {}; lang=en", line.split(';').next().unwrap());
        let request = Request::builder().header(COOKIE, cookie).body(()).unwrap();
        let at = SessionAt { namespace: sessions.namespace().into(), handle: handle.as_str().into() };
        Self { runtime, sessions, request, at }
    }

    fn meta(&self) -> Meta {
        match self.runtime.block_on(self.sessions.store().run(LoadSession(self.at.clone()))).unwrap() {
            Loaded::Found(record) => record.meta,
            other => unreachable!("the session is there: {other:?}"),
        }
    }
}

fn pure(c: &mut Criterion) {
    let site = Site::new();
    let line = site.request.headers()[COOKIE].as_bytes();
    c.bench_function("cookie header", |b| {
        b.iter(|| cookie_values(black_box(line), b"session").count());
    });
    c.bench_function("cookie header and token", |b| b.iter(|| site.sessions.begin(black_box(&site.request))));

    let meta = site.meta();
    let text = meta.to_line();
    c.bench_function("record read", |b| b.iter(|| Meta::parse(black_box(text.as_bytes()))));
    c.bench_function("record write", |b| b.iter(|| black_box(&meta).to_line()));

    let prefix = KeyPrefix::default();
    for (name, part) in [
        ("key of a handle", site.at.handle.to_string()),
        ("key of an escaped name", "alice@example.org".to_owned()),
        ("key of a long name", "x".repeat(256)),
    ] {
        c.bench_function(name, |b| b.iter(|| Key::new(&prefix, "session", black_box(&part))));
    }
}

fn embedded(c: &mut Criterion) {
    let site = Site::new();
    let mut bench = |name, entry: fn(&tower_keep::session::Session)| {
        c.bench_function(name, |b| {
            b.iter(|| {
                site.runtime.block_on(async {
                    let lazy = site.sessions.begin(&site.request);
                    let session = lazy.load().await.unwrap();
                    entry(&session);
                    lazy.finish().await
                })
            });
        });
    };
    bench("request that reads", |session| {
        black_box(session.get::<u64>("visits").unwrap());
    });
    bench("request that writes", |session| {
        let visits: u64 = session.get("visits").unwrap().unwrap_or(0);
        session.insert("visits", &(visits + 1)).unwrap();
    });
    c.bench_function("request that leaves the session alone", |b| {
        b.iter(|| {
            let lazy = site.sessions.begin(&site.request);
            site.runtime.block_on(lazy.finish())
        });
    });
}

criterion_group!(benches, pure, embedded);
criterion_main!(benches);
