//! Pages whose handlers look at the session.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use keep_testing::Jar;
use tower::{Layer, Service, ServiceExt};
use tower_keep::cache::{CacheLayer, CachePolicy, SessionRule};
use tower_keep::session::{SessionLayer, SessionSet, Sessions};

use crate::fixture::*;

on_both!(
    a_page_that_used_the_session_is_its_visitors_own,
    a_page_that_left_the_session_alone_is_for_everybody,
    a_route_may_say_that_its_pages_are_public,
    a_session_layer_inside_of_the_cache_is_seen_as_well,
    a_session_that_is_used_while_the_body_is_made_makes_it_private,
    a_304_of_a_handler_that_used_the_session_changes_nothing_for_others,
    a_new_session_reaches_its_visitor_alone,
);

fn set(request: &Request<()>) -> SessionSet {
    request.extensions().get::<SessionSet>().unwrap().clone()
}

/// `/login/NAME` signs in, `/me` tells who that was, all else is the same for everybody.
fn origin() -> Origin {
    Origin::new(|request, n| async move {
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/login/") {
            set(&request).innermost().load().await.unwrap().login(name).unwrap();
            return page("welcome", &[]);
        }
        if path == "/me" {
            let session = set(&request).innermost().load().await.unwrap();
            return page(
                format!("hello {:?}", session.principal()),
                &[("cache-control", "public, max-age=60")],
            );
        }
        page(n.to_string(), DAY)
    })
}

/// A service as a browser sees it.
struct Browser<S> {
    service: S,
    jar: Jar,
}

impl<S, T> Browser<S>
where
    S: Service<Request<()>, Response = Response<T>> + Clone,
    S::Error: std::fmt::Debug,
    T: Body<Data = Bytes, Error: std::fmt::Debug>,
{
    async fn get(&mut self, path: &str) -> Reply {
        let mut asked = get(path, &[]);
        if let Some(line) = keep_testing::cookie_line(&self.jar) {
            asked.headers_mut().insert("cookie", line);
        }
        let reply = Reply::read(self.service.clone().oneshot(asked).await.unwrap()).await.unwrap();
        let told = keep_testing::Answer {
            status: reply.status,
            headers: reply.headers.clone(),
            body: String::new(),
        };
        told.fill(&mut self.jar);
        reply
    }

    fn other(&self) -> Self {
        Self { service: self.service.clone(), jar: Jar::new() }
    }

    /// Alice and Bob sign in; Alice, Bob and a stranger look at the same page, twice.
    async fn greet(&mut self) -> Vec<String> {
        let (mut bob, mut stranger) = (self.other(), self.other());
        self.get("/login/alice").await;
        bob.get("/login/bob").await;
        let mut greetings = Vec::new();
        for _ in 0..2 {
            for browser in [&mut *self, &mut bob, &mut stranger] {
                greetings.push(browser.get("/me").await.text().to_owned());
            }
        }
        greetings
    }
}

const OWN: [&str; 6] = [
    r#"hello Some("alice")"#,
    r#"hello Some("bob")"#,
    "hello None",
    r#"hello Some("alice")"#,
    r#"hello Some("bob")"#,
    "hello None",
];

fn sessions(world: &World) -> SessionLayer {
    SessionLayer::new(Sessions::new(world.store.clone()))
}

/// The cache lies inside of the session layer: the usual order.
macro_rules! browser {
    ($world:expr, $cache:expr, $origin:expr) => {
        Browser {
            service: sessions(&$world).layer(CacheLayer::new($cache).layer($origin.clone())),
            jar: Jar::new(),
        }
    };
}

async fn a_page_that_used_the_session_is_its_visitors_own(world: World) {
    let mut browser = browser!(world, world.cache(), origin());
    assert_eq!(browser.greet().await, OWN);
    assert!(browser.get("/me").await.told().contains("detail=session"));
}

async fn a_page_that_left_the_session_alone_is_for_everybody(world: World) {
    let origin = origin();
    let mut alice = browser!(world, world.cache(), origin);
    let mut bob = alice.other();
    alice.get("/login/alice").await;
    bob.get("/login/bob").await;
    let (first, second) = (alice.get("/news").await, bob.get("/news").await);
    assert!(second.is_hit() && first.text() == second.text());
    assert!(second.field("vary").is_none() && second.field("set-cookie").is_none());
    assert_eq!(origin.calls(), 3);
}

async fn a_route_may_say_that_its_pages_are_public(world: World) {
    let cache = world.with(CachePolicy::new().sessions(SessionRule::Public));
    let mut browser = browser!(world, cache, origin());
    assert_eq!(browser.greet().await, [OWN[0]; 6], "that is what it says");
}

/// There the cache does not see the session itself.
async fn a_session_layer_inside_of_the_cache_is_seen_as_well(world: World) {
    let origin = origin();
    let service = CacheLayer::new(world.cache()).layer(sessions(&world).layer(origin.clone()));
    let mut browser = Browser { service, jar: Jar::new() };
    assert_eq!(browser.greet().await, OWN);
    let before = origin.calls();
    let again = browser.get("/me").await;
    assert!(
        !again.is_hit() && origin.calls() == before + 1,
        "not even to the same visitor: {}",
        again.told()
    );
    browser.get("/news").await;
    assert!(browser.other().get("/news").await.is_hit());
}

async fn a_session_that_is_used_while_the_body_is_made_makes_it_private(world: World) {
    let origin = Origin::new(|request, _| async move {
        Ok(answer(200, "", DAY).map(|_| {
            made(async move {
                let session = set(&request).innermost().load().await.unwrap();
                format!("hello {:?}", session.principal()).into()
            })
        }))
    });
    let browser = browser!(world, world.cache(), origin);
    for _ in 0..3 {
        assert!(!browser.other().get("/late").await.is_hit());
    }
    assert_eq!(origin.calls(), 3);
}

async fn a_304_of_a_handler_that_used_the_session_changes_nothing_for_others(world: World) {
    let origin = Origin::new(|request, _| async move {
        if !request.headers().contains_key("if-none-match") {
            return page("the page", &[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")]);
        }
        set(&request).innermost().load().await.unwrap();
        Ok(answer(
            304,
            "",
            &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("x-greeting", "hello alice")],
        ))
    });
    let mut alice = browser!(world, world.cache(), origin);
    alice.get("/").await;
    let own = alice.get("/").await;
    assert_eq!((own.text(), own.field("x-greeting")), ("the page", Some("hello alice")));
    let calls = origin.calls();
    let other = alice.other().get("/").await;
    assert!(!other.is_hit(), "what alice's answer changed is hers");
    assert_eq!(origin.calls(), calls + 1);
}

async fn a_new_session_reaches_its_visitor_alone(world: World) {
    let origin = Origin::new(|request, n| async move {
        set(&request).innermost().load().await.unwrap().insert("seen", &n).unwrap();
        page(n.to_string(), DAY)
    });
    let outside = browser!(world, world.cache(), origin);
    let inside = CacheLayer::new(world.builder().namespace("inside").build().unwrap());
    let inside = Browser { service: inside.layer(sessions(&world).layer(origin)), jar: Jar::new() };
    let mut cookies = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (mut one, mut other) = (outside.other(), inside.other());
        one.get("/new").await;
        other.get("/new").await;
        cookies.extend([one.jar, other.jar]);
    }
    assert!(cookies.len() == 6 && cookies.iter().all(|jar| jar.len() == 1), "each has one of its own");
}
