//! The load under which it happens: so many requests a second, whatever becomes of them, on all routes of both sites.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};

use crate::client::Client;
use crate::program::{PATIENCE, eventually};
use crate::seen::{Report, Route, Seen};
use crate::site::Site;

/// Users of each site.
const USERS: usize = 8;
/// Requests a second to each site.
const RATE: u32 = 120;

/// Load that goes on until it is stopped.
pub struct Load {
    now: Arc<Now>,
    task: JoinHandle<()>,
    visitors: Vec<Visitor>,
    /// One of each site who is no part of the load.
    others: [Visitor; 2],
}

struct Now {
    phase: Mutex<&'static str>,
    stop: AtomicBool,
    /// Requests whose answer has not come, by phase.
    unanswered: Mutex<BTreeMap<&'static str, usize>>,
    seen: Mutex<Vec<Seen>>,
}

/// Somebody who has signed in at a site.
#[derive(Clone)]
pub struct Visitor {
    pub site: Site,
    pub name: String,
    pub browser: Client,
}

impl Visitor {
    /// Signs in.
    pub async fn at(site: &Site, name: &str) -> Self {
        Self { site: site.clone(), name: name.to_owned(), browser: site.signed_in(name).await }
    }
}

impl Load {
    /// Signs users in and begins.
    pub async fn start(sites: &[Site; 2]) -> Self {
        let [axum, actix] = sites;
        let mut visitors = Vec::new();
        for n in 0..USERS {
            for site in sites {
                visitors.push(Visitor::at(site, &format!("user{n}")).await);
            }
        }
        let others = [Visitor::at(axum, "other").await, Visitor::at(actix, "other").await];
        let now = Arc::new(Now {
            phase: Mutex::new("before"),
            stop: AtomicBool::new(false),
            unanswered: Mutex::default(),
            seen: Mutex::default(),
        });
        let task = tokio::spawn(generate(visitors.clone(), Arc::clone(&now)));
        let load = Self { now, task, visitors, others };
        tokio::time::sleep(Duration::from_millis(500)).await;
        load
    }

    /// What is asked from now on is asked in this phase.
    pub fn phase(&self, phase: &'static str) {
        *self.now.phase.lock().unwrap() = phase;
    }

    /// Lets the fault happen when all that was asked before is answered, and begins the phase `fault`.
    pub async fn meets(&self, provoke: impl FnOnce()) {
        self.turns("meets").await;
        provoke();
        self.phase("fault");
    }

    /// Begins a phase, and waits until all that was asked in others is answered.
    pub async fn turns(&self, phase: &'static str) {
        self.phase(phase);
        let others =
            || self.now.unanswered.lock().unwrap().iter().any(|(of, many)| *of != phase && *many > 0);
        eventually("what was asked before is answered", async || !others()).await;
    }

    /// Somebody at each site who is no part of the load.
    pub const fn others(&self) -> &[Visitor; 2] {
        &self.others
    }

    /// All whose requests are the load.
    pub fn visitors(&self) -> &[Visitor] {
        &self.visitors
    }

    /// Waits until both sites serve again, and tells how long after `since` the later one did. Goes on for a while in the phase `after`.
    pub async fn recovers(&self, since: Instant) -> Duration {
        let [one, other] = &self.others;
        let (one, other) = tokio::join!(
            one.site.served_after(since, &one.browser),
            other.site.served_after(since, &other.browser)
        );
        for visitor in &self.others {
            visitor.site.is_up().await;
        }
        self.phase("after");
        tokio::time::sleep(Duration::from_millis(500)).await;
        one.max(other)
    }

    /// Ends the fault when all that was asked during it is answered, and the load when both sites serve again. What was seen was an outage;
    /// how long after its end it was over.
    pub async fn ends(self, end: impl FnOnce()) -> (Report, Duration) {
        self.turns("ends").await;
        end();
        let recovered = self.recovers(Instant::now()).await;
        let report = self.stop().await;
        report.is_an_outage("fault").await;
        (report, recovered)
    }

    /// Ends it, and tells what was seen.
    pub async fn stop(self) -> Report {
        self.now.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        Report { seen: std::mem::take(&mut self.now.seen.lock().unwrap()), visitors: self.visitors }
    }
}

impl Now {
    fn begin(&self) -> &'static str {
        let phase = *self.phase.lock().unwrap();
        *self.unanswered.lock().unwrap().entry(phase).or_default() += 1;
        phase
    }

    fn end(&self, seen: Seen) {
        *self.unanswered.lock().unwrap().entry(seen.phase).or_default() -= 1;
        self.seen.lock().unwrap().push(seen);
    }
}

async fn generate(visitors: Vec<Visitor>, now: Arc<Now>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE / 2);
    let mut tasks = JoinSet::new();
    let mut requests = 0;
    while !now.stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let visitor = visitors[requests % visitors.len()].clone();
        // Each visitor comes to each route in turn, and no two visitors after each other to the same.
        let route = Route::ALL[(requests + requests / visitors.len()) % Route::ALL.len()];
        requests += 1;
        let phase = now.begin();
        let now = Arc::clone(&now);
        tasks.spawn(async move {
            let asked = tokio::time::timeout(PATIENCE, ask(visitor, route, phase));
            let seen = asked.await.unwrap_or_else(|_| panic!("{route:?} hangs"));
            now.end(seen);
        });
        while let Some(done) = tasks.try_join_next() {
            done.unwrap();
        }
        assert!(tasks.len() < 4_000, "requests pile up");
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Asks, and checks that the answer is one for this visitor.
async fn ask(mut visitor: Visitor, route: Route, phase: &'static str) -> Seen {
    let begun = Instant::now();
    let browser = &mut visitor.browser;
    let answer = match route {
        Route::Plain => browser.get("/plain").await,
        Route::Me => browser.get("/me").await,
        Route::Count => browser.post("/count").await,
        Route::Limited => browser.get("/limited").await,
        Route::Strict => browser.get("/strict").await,
        Route::Page => browser.get(&format!("/page/of-{}", visitor.name)).await,
    };
    let took = begun.elapsed();
    let status = answer.status.as_u16();
    let new_cookie = !answer.set_cookies().is_empty();
    let mut is_stranger = false;
    match (status, route) {
        (503, _) => {
            assert_eq!(answer.header("retry-after"), Some("1"), "{route:?}: {answer:?}");
            assert!(!new_cookie, "an outage touches no cookie: {answer:?}");
        }
        (200, Route::Me) => {
            is_stranger = answer.body == "nobody";
            assert!(is_stranger || answer.body == visitor.name, "somebody else: {answer:?}");
        }
        (200, Route::Count) => {
            is_stranger = new_cookie;
            assert!(answer.body.parse::<u64>().is_ok(), "{answer:?}");
        }
        (200, Route::Page) => {
            let own = format!("of-{} run ", visitor.name);
            assert!(answer.body.starts_with(&own), "another page: {answer:?}");
        }
        (200, Route::Plain) => assert_eq!(answer.body, "plain"),
        (200, _) => assert_eq!(answer.body, "limited"),
        _ => {}
    }
    let who = (visitor.site.framework, visitor.name);
    Seen { route, phase, took, status, is_stranger, who }
}
