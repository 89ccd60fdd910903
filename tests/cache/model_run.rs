//! Random sequences of what visitors, handlers, time and purges do, checked against the model.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use keep_testing::RedisServer;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tower::{Layer, ServiceExt};
use tower_keep::cache::{CacheLayer, CachePolicy};
use tower_keep::clock::Clock;
use tower_keep::session::{SessionLayer, SessionSet, Sessions};

use crate::fixture::*;
use crate::model::{Asks, HOSTS, LANGUAGES, Model, PATHS, Says, Target, VISITORS};

#[derive(Clone, Debug)]
enum Step {
    Ask(Asks),
    Says(usize, Says),
    Advance(u64),
    Purge(Target, bool),
    Post(usize, usize),
}

fn says() -> impl Strategy<Value = Says> {
    const WORDS: [&str; 7] =
        ["public", "private", "no-store", "no-cache", "must-revalidate", "proxy-revalidate", "immutable"];
    let seconds =
        || prop_oneof![3 => Just(None), 1 => Just(Some(0)), 3 => Just(Some(5)), 3 => Just(Some(60))];
    let word =
        prop_oneof![6 => Just(Vec::new()), 2 => Just(vec!["public"]), 4 => subsequence(WORDS.to_vec(), 1..3)];
    let times = (
        prop_oneof![1 => Just(None), 1 => Just(Some(0)), 4 => Just(Some(5)), 6 => Just(Some(60))],
        prop_oneof![6 => Just(None), 1 => seconds()],
        seconds(),
        seconds(),
    );
    let vary = prop_oneof![4 => Just(None), 3 => Just(Some("accept-language")), 1 => Just(Some("*"))];
    let odd = || prop::bool::weighted(0.12);
    let status = prop_oneof![10 => Just(200), 1 => Just(404), 2 => Just(500), 1 => Just(403)];
    let rest = (select(vec![0, 0, 0, 3, 30]), vary, any::<bool>(), odd(), odd(), status);
    (times, word, rest).prop_map(|((max_age, shared_max_age, while_revalidate, if_error), words, rest)| {
        let (age, vary, validator, cookie, session, status) = rest;
        Says {
            max_age,
            shared_max_age,
            while_revalidate,
            if_error,
            words,
            age,
            vary,
            validator,
            cookie,
            session,
            status,
        }
    })
}

fn asks() -> impl Strategy<Value = Asks> {
    let rarely = || prop::bool::weighted(0.15);
    let control = select(vec!["", "", "", "", "", "no-cache", "max-stale", "only-if-cached", "no-store"]);
    let where_to = (0..HOSTS.len(), 0..PATHS.len(), 0..LANGUAGES.len());
    (where_to, prop::option::of(0..VISITORS.len()), rarely(), rarely(), control, rarely(), rarely()).prop_map(
        |((host, path, language), visitor, authorized, head, control, condition, range)| Asks {
            host,
            path,
            language,
            visitor,
            authorized,
            head,
            control,
            condition,
            range,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let (host, path) = (0..HOSTS.len(), 0..PATHS.len());
    let target = prop_oneof![
        path.clone().prop_map(Target::Tag),
        (host.clone(), path.clone()).prop_map(|(host, path)| Target::Url(host, path)),
        (host.clone(), path.clone()).prop_map(|(host, path)| Target::Below(host, path)),
        Just(Target::All),
    ];
    prop_oneof![
        20 => asks().prop_map(Step::Ask),
        4 => (path.clone(), says()).prop_map(|(path, says)| Step::Says(path, says)),
        3 => select(vec![1, 4, 5, 20, 60, 100]).prop_map(Step::Advance),
        2 => (target, any::<bool>()).prop_map(|(target, soft)| Step::Purge(target, soft)),
        1 => (host, path).prop_map(|(host, path)| Step::Post(host, path)),
    ]
}

/// What the site was asked, read back from the request.
fn read(request: &Request<()>) -> Asks {
    let field = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
    let place = |of: &[&str], value: &str| of.iter().position(|known| *known == value).unwrap();
    Asks {
        host: place(&HOSTS, field("host")),
        path: place(&PATHS, request.uri().path()),
        language: place(&LANGUAGES, field("accept-language")),
        visitor: None,
        authorized: request.headers().contains_key("authorization"),
        head: request.method() == "HEAD",
        control: "",
        condition: false,
        range: false,
    }
}

fn origin(model: Arc<Mutex<Model>>) -> Origin {
    Origin::new(move |request, n| {
        let model = Arc::clone(&model);
        async move {
            if let Some(name) = request.uri().path().strip_prefix("/login/") {
                let session =
                    request.extensions().get::<SessionSet>().unwrap().innermost().load().await.unwrap();
                session.login(name).unwrap();
                return page("", &[]);
            }
            if request.method() == "POST" {
                return page("", &[]);
            }
            let asked = read(&request);
            let says = model.lock().unwrap().says[asked.path].clone();
            if says.session {
                drop(request.extensions().get::<SessionSet>().unwrap().innermost().load().await);
            }
            let (control, age) = (says.control(), says.age.to_string());
            let mut fields = vec![("cache-control", &*control), ("age", &age)];
            fields.extend(says.vary.map(|vary| ("vary", vary)));
            fields.extend(says.cookie.then_some(("set-cookie", "id=own")));
            let known = request
                .headers()
                .get("if-none-match")
                .and_then(|tag| tag.to_str().ok()?.trim_matches('"').parse().ok());
            if let Some(known) = known
                && model.lock().unwrap().validates(known, &asked)
            {
                let etag = format!("\"{known}\"");
                return Ok(answer(304, "", &[&fields[..], &[("etag", &*etag)]].concat()));
            }
            let (etag, number) = (format!("\"{n}\""), n.to_string());
            fields.push(("x-n", &number));
            if says.validator {
                fields.push(("etag", &etag));
            }
            model.lock().unwrap().makes(n, asked);
            Ok(answer(says.status, format!("body {n}"), &fields))
        }
    })
}

/// Carries the steps out. How many answers came from the store. `redis`: a server, whose time does not move.
async fn run(redis: Option<&RedisServer>, steps: Vec<Step>) -> usize {
    let world = match redis {
        None => World::embedded(),
        Some(server) => {
            server.tell("FLUSHALL");
            World { store: patient(server), clock: Clock::system(), redis: None }
        }
    };
    let model = Arc::new(Mutex::new(Model::default()));
    model.lock().unwrap().says =
        [5, 60, 60].map(|age| Says { max_age: Some(age), status: 200, validator: true, ..Says::default() });
    let policy = CachePolicy::new().tags(|request| vec![request.path().to_owned()]);
    let cache = world.with(policy);
    let sessions = SessionLayer::new(Sessions::new(world.store.clone()));
    let service = sessions.layer(CacheLayer::new(cache.clone()).layer(origin(Arc::clone(&model))));
    let send = async |request| Reply::read(service.clone().oneshot(request).await.unwrap()).await.unwrap();
    let mut cookies = Vec::new();
    for name in VISITORS {
        let reply = send(get(&format!("/login/{name}"), &[])).await;
        cookies.push(reply.field("set-cookie").unwrap().split(';').next().unwrap().to_owned());
    }
    let (mut hits, mut last) = (0, String::new());
    for step in steps {
        match step {
            Step::Says(path, says) => model.lock().unwrap().says[path] = says,
            Step::Advance(seconds) => {
                if redis.is_none() {
                    world.clock.advance(Duration::from_secs(seconds));
                    model.lock().unwrap().advance(seconds);
                }
            }
            Step::Purge(target, soft) => {
                let purging = target.purging();
                cache.purge(if soft { purging.softly() } else { purging }).await.unwrap();
                model.lock().unwrap().purged(target, soft);
            }
            Step::Post(host, path) => {
                send(request("POST", PATHS[path], &[("host", HOSTS[host])])).await;
                model.lock().unwrap().purged(Target::Url(host, path), false);
            }
            Step::Ask(asks) => {
                model.lock().unwrap().asked();
                let reply = send(asks.request(&cookies, &last)).await;
                // A client's own copy may be told to be good without a word on which one it is.
                if reply.status != 304 {
                    hits += usize::from(model.lock().unwrap().check(&asks, &reply));
                    last = reply.field("etag").unwrap_or("").to_owned();
                }
                settle().await;
            }
        }
    }
    hits
}

impl Asks {
    /// `cookies` are the visitors' own, `last` is a validator that a client has seen.
    fn request(&self, cookies: &[String], last: &str) -> Request<()> {
        let optional = [
            (self.language > 0).then(|| ("accept-language", LANGUAGES[self.language])),
            self.visitor.map(|visitor| ("cookie", &*cookies[visitor])),
            self.authorized.then_some(("authorization", "secret")),
            (!self.control.is_empty()).then_some(("cache-control", self.control)),
            (self.condition && !last.is_empty()).then_some(("if-none-match", last)),
            self.range.then_some(("range", "bytes=0-2")),
        ];
        let mut fields = vec![("host", HOSTS[self.host])];
        fields.extend(optional.into_iter().flatten());
        request(if self.head { "HEAD" } else { "GET" }, PATHS[self.path], &fields)
    }
}

/// Lets what goes on beside the response come to its end.
async fn settle() {
    for _ in 0..30 {
        tokio::task::yield_now().await;
    }
}

fn check(cases: u32, redis: Option<&RedisServer>) {
    let hits = AtomicUsize::new(0);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..80))| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        hits.fetch_add(runtime.block_on(run(redis, steps)), Ordering::Relaxed);
    });
    let hits = hits.into_inner();
    assert!(hits > cases as usize, "only {hits} answers came from the store: the model saw nothing");
}

#[test]
fn no_sequence_of_events_serves_what_must_not_be_served() {
    check(400, None);
}

#[test]
fn no_sequence_of_events_serves_what_must_not_be_served_from_redis() {
    check(60, Some(&RedisServer::start()));
}
