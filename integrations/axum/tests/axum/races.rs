//! Slow writes against the end of their session, and writes against each other: thousands of times, on both stores.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use keep_testing::Answer;
use serde_json::json;
use tower_keep_axum::session::{SessionHandle, Sessions};

use crate::harness::{Backend, Browser, COOKIE, for_each_store, in_parallel, me_with, send};
use crate::site::{pause, site, stranger};

/// Races of one write against one end, on each store.
const RACES: usize = 10_000;
const ENDS: usize = 4;
/// Writes that race at once against one end of their session.
const WRITERS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum End {
    Logout,
    RevokeOne,
    RevokeAll,
    /// `DEL` by an administrator's own connection.
    Delete,
}

/// Between load and save: the end comes before, at the same time, or after.
#[derive(Clone, Copy, Debug)]
enum Order {
    EndFirst,
    Together,
    WriteFirst,
}

const ORDERS: [Order; 4] = [Order::Together, Order::EndFirst, Order::Together, Order::WriteFirst];

struct Race {
    app: Router,
    sessions: Sessions,
    admin: Option<redis::aio::MultiplexedConnection>,
    browser: Browser,
    user: String,
}

impl Race {
    async fn end(&self, end: End) {
        match (end, &self.admin) {
            (End::Logout, _) => drop(self.browser.clone().post("/logout").await),
            (End::RevokeAll, _) => drop(self.sessions.revoke_all(&self.user).await.unwrap().to_string()),
            (End::Delete, Some(admin)) => {
                let key = crate::harness::key(&self.browser.handle());
                redis::cmd("DEL").arg(key).exec_async(&mut admin.clone()).await.unwrap();
            }
            _ => drop(self.sessions.revoke(&self.browser.handle()).await.unwrap().to_string()),
        }
    }

    /// The write that is to lose: each kind that a request can make.
    fn write(&self, kind: usize) -> Request<Body> {
        let builder = match kind % 6 {
            0 => Request::put("/entries/a"),
            1 => Request::put("/entries/b"),
            2 => Request::delete("/entries/kept"),
            3 => Request::put("/entries/a"),
            4 => Request::post("/rotate"),
            _ => Request::post(format!("/login/{}", self.user)),
        };
        let cookie = format!("{COOKIE}={}", self.browser.session());
        builder.header("cookie", cookie).body(Body::from(kind.to_string())).unwrap()
    }

    /// Several slow writes and one end of the session; gives the writes' answers.
    async fn run(self: Arc<Self>, i: usize, end: End) -> Vec<Answer> {
        let order = ORDERS[i % ORDERS.len()];
        let (mut writes, mut gates) = (Vec::new(), Vec::new());
        for n in 0..WRITERS {
            // A rotation and a sign-in refuse the other writes: now and then only. A sign-out that shows the cookie from
            // before a rotation is a stranger's, so there the end must come first.
            let rotates =
                i.is_multiple_of(3) && (!matches!(end, End::Logout) || matches!(order, Order::EndFirst));
            let kind = if n == 0 && rotates { 4 + i % 2 } else { n };
            let (gate, mut request) = (pause(), self.write(kind));
            request.extensions_mut().insert(gate.clone());
            let app = self.app.clone();
            writes.push(tokio::spawn(async move { send(&app, request).await }));
            gates.push(gate);
        }
        for gate in &gates {
            gate.wait().await; // the session is loaded and the change recorded
        }
        let finish = async {
            for gate in &gates {
                gate.wait().await;
            }
            let mut answers = Vec::new();
            for write in writes {
                answers.push(write.await.unwrap());
            }
            answers
        };
        let race = Arc::clone(&self);
        let ending = async move { race.end(end).await };
        match order {
            Order::EndFirst => {
                ending.await;
                finish.await
            }
            Order::WriteFirst => {
                let answers = finish.await;
                ending.await;
                answers
            }
            Order::Together => {
                let ending = tokio::spawn(ending);
                let answers = finish.await;
                ending.await.unwrap();
                answers
            }
        }
    }

    async fn assert_ended(&self, answers: &[Answer], what: &str) {
        let mut cookies = vec![self.browser.session().to_owned()];
        for answer in answers {
            assert_eq!(answer.status, StatusCode::OK, "{what}: the handler's response arrives");
            let unchanged = answer.body == "written" || answer.body == self.browser.handle().as_str();
            assert!(unchanged, "{what}: the handler's response arrives unchanged: {}", answer.body);
            cookies.extend(answer.cookie(COOKIE));
        }
        for cookie in &cookies {
            assert_eq!(me_with(&self.app, cookie).await, stranger(), "{what}: a live cookie");
        }
        assert!(self.sessions.open(&self.browser.handle()).await.unwrap().is_none(), "{what}: it came back");
        assert_eq!(self.sessions.list(&self.user).await.unwrap(), [], "{what}: it is listed");
    }
}

async fn races_against(end: End) {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = site(&sessions);
        let admin = match &backend.redis {
            Some(server) => {
                let client = redis::Client::open(server.url()).unwrap();
                let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
                Some(client.get_multiplexed_async_connection_with_config(&patient).await.unwrap())
            }
            None => None,
        };
        in_parallel(RACES / ENDS / WRITERS, |i| {
            let (app, sessions, admin) = (app.clone(), sessions.clone(), admin.clone());
            async move {
                let (user, mut browser) = (format!("user{i}"), Browser::new(&app));
                browser.put("/entries/kept", "1").await;
                browser.post(&format!("/login/{user}")).await;
                let race = Arc::new(Race { app, sessions, admin, browser, user });
                let answers = Arc::clone(&race).run(i, end).await;
                race.assert_ended(&answers, &format!("race {i} against {end:?}")).await;
            }
        })
        .await;
        assert_nothing_left(backend);
    })
    .await;
}

/// Beside the memory of a revocation, which is a principal's and ends by itself.
fn assert_nothing_left(backend: &Backend) {
    if let Some(server) = &backend.redis {
        let sessions: Vec<String> = server.cmd("KEYS", "app:session:*");
        assert_eq!(sessions, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_writes_against_logout() {
    races_against(End::Logout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_writes_against_the_revocation_of_one() {
    races_against(End::RevokeOne).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_writes_against_the_revocation_of_all() {
    races_against(End::RevokeAll).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_writes_against_del() {
    races_against(End::Delete).await;
}

/// Four writes to different entries of one session at the same time are six pairs.
#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_writes_to_different_entries_none_is_lost() {
    const PAIRS: usize = 10_000;
    const PAIRS_AT_ONCE: usize = WRITERS * (WRITERS - 1) / 2;
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        in_parallel(PAIRS.div_ceil(PAIRS_AT_ONCE), |_| {
            let app = app.clone();
            async move {
                let mut browser = Browser::new(&app);
                browser.put("/entries/first", "").await;
                let writes = ["a", "b", "c", "d"].map(|name| {
                    let mut browser = browser.clone();
                    tokio::spawn(async move { browser.put(&format!("/entries/{name}"), name).await })
                });
                for write in writes {
                    assert_eq!(write.await.unwrap().body, "written");
                }
                let entries = browser.get("/me").await.json()["entries"].clone();
                assert_eq!(entries, json!({ "first": "", "a": "a", "b": "b", "c": "c", "d": "d" }));
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_increments_are_all_counted_and_all_told_apart() {
    const INCREMENTS: usize = 1_000;
    for_each_store(async |backend| {
        let mut browser = Browser::new(&site(&backend.sessions()));
        browser.put("/entries/a", "").await;
        let told = Arc::new(Mutex::new(BTreeSet::new()));
        in_parallel(INCREMENTS, |_| {
            let (mut browser, told) = (browser.clone(), Arc::clone(&told));
            async move {
                let answer = browser.post("/count/n").await;
                assert_eq!(answer.status, StatusCode::OK);
                let new = told.lock().unwrap().insert(answer.body.parse::<usize>().unwrap());
                assert!(new, "{} was told twice", answer.body);
            }
        })
        .await;
        let told = told.lock().unwrap().clone();
        assert_eq!(told, (1..=INCREMENTS).collect());
        assert_eq!(browser.get("/me").await.json()["entries"]["n"], INCREMENTS);
    })
    .await;
}

/// Two first requests of one visitor, as a page with two images makes them: two sessions, and either works.
#[tokio::test(flavor = "multi_thread")]
async fn parallel_first_writes_make_sessions_of_their_own() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let handles = Arc::new(Mutex::new(BTreeSet::<SessionHandle>::new()));
        in_parallel(500, |i| {
            let (app, handles) = (app.clone(), Arc::clone(&handles));
            async move {
                let mut browser = Browser::new(&app);
                browser.put("/entries/a", &i.to_string()).await;
                assert!(handles.lock().unwrap().insert(browser.handle()), "a handle was given twice");
                assert_eq!(browser.get("/me").await.json()["entries"], json!({ "a": i.to_string() }));
            }
        })
        .await;
    })
    .await;
}
