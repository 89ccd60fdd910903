//! Both demos, asked the same.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Request;
use keep_testing::{Answer, RedisServer, cookie_line};

use crate::client::Client;
use crate::compare::{Names, assert_alike};
use crate::program::{Demo, eventually};
use crate::script::{Ask, BROWSERS, Step};

/// One demo, its Redis and its browsers.
struct Side {
    redis: RedisServer,
    demo: Demo,
    browsers: Vec<Client>,
    /// What replaces handles and secrets, which are random.
    names: Names,
}

pub struct Pair {
    sides: [Side; 2],
    statuses: BTreeSet<u16>,
    stored: usize,
    asked: usize,
}

impl Side {
    async fn start(program: &str, redis: RedisServer) -> Self {
        let url = redis.url();
        let settings =
            [("REDIS_URL", &*url), ("STORE_DEADLINE_MS", "1000"), ("TRUSTED_PROXIES", "127.0.0.0/8")];
        let demo = Demo::run(program, &settings).await;
        demo.is_up().await;
        let browsers = vec![demo.client(); BROWSERS];
        Self { redis, demo, browsers, names: Names::default() }
    }

    async fn ask(&mut self, ask: &Ask) -> Answer {
        let mut path = ask.path.clone();
        for browser in 0..BROWSERS {
            path = path.replace(&format!("{{{browser}}}"), &self.handle(browser).unwrap_or_default());
        }
        let mut request = Request::builder().method(&ask.method).uri(path);
        for (name, value) in &ask.fields {
            request = request.header(*name, value);
        }
        let request = request.body(ask.body.clone()).unwrap();
        let browser = &mut self.browsers[ask.browser];
        let answer = if ask.with_cookies {
            browser.send(request).await
        } else {
            Client::new(self.demo.address).send(request).await
        };
        for value in browser.cookies.values() {
            self.names.learn(value);
        }
        answer
    }

    fn handle(&self, browser: usize) -> Option<String> {
        let value = self.browsers[browser].cookies.values().next()?;
        Some(value.split('.').next()?.to_owned())
    }

    fn fault(&self, step: &Step) {
        let key = |browser| Some(format!("demo:session:{}", self.handle(browser)?));
        match step {
            Step::Ask(_) => {}
            Step::ForgetScripts => self.redis.tell("SCRIPT FLUSH"),
            Step::KillConnections => self.redis.kill_clients(),
            Step::Delete(browser) => {
                if let Some(key) = key(*browser) {
                    self.redis.cmd::<u64>("DEL", key);
                }
            }
            Step::Damage(browser) => {
                if let Some(key) = key(*browser)
                    && self.redis.cmd::<u64>("EXISTS", &key) == 1
                {
                    self.redis.cmd::<u64>("HSET", &[&key, "entry:color", "{"]);
                }
            }
            Step::Flush => self.redis.tell("FLUSHALL"),
        }
    }

    async fn count(&self, metric: &str) -> usize {
        let metrics = self.demo.client().get("/metrics").await.body;
        let lines = metrics.lines().filter(|line| line.starts_with(metric));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    }
}

impl Pair {
    pub async fn start() -> Self {
        let [one, other] = crate::servers();
        let sides = [Side::start("demo", one).await, Side::start("demo_actix", other).await];
        assert!(cookie_line(&sides[0].browsers[0].cookies).is_none());
        Self { sides, statuses: BTreeSet::new(), stored: 0, asked: 0 }
    }

    /// Does the same on both sides, and compares.
    pub async fn step(&mut self, step: &Step) -> [Answer; 2] {
        let Step::Ask(ask) = step else {
            self.sides.iter().for_each(|side| side.fault(step));
            let none = || Answer {
                status: hyper::StatusCode::OK,
                headers: hyper::HeaderMap::new(),
                body: String::new(),
            };
            return [none(), none()];
        };
        let [axum, actix] = &mut self.sides;
        let (one, other) = tokio::join!(axum.ask(ask), actix.ask(ask));
        self.asked += 1;
        self.statuses.insert(one.status.as_u16());
        assert_alike((self.asked, ask), (&one, &axum.names), (&other, &actix.names));
        if one.header("cache-status").is_some_and(|status| status.contains("; stored")) {
            self.stored += 1;
            self.is_stored(self.stored).await;
        }
        [one, other]
    }

    /// What is stored is stored behind the response: the next request must find it on both sides, or on none.
    pub async fn is_stored(&self, many: usize) {
        for side in &self.sides {
            let ended = async || {
                let done = side.count("tower_keep_cache_stored_total").await;
                done + side.count("tower_keep_cache_not_stored_total{reason=\"purged\"}").await >= many
            };
            eventually("the response is stored", ended).await;
        }
    }

    /// Counts from now on, when each side has looked once at its server, by a script that is not there yet.
    pub async fn reset_calls(&self) {
        for side in &self.sides {
            eventually("it has looked", async || side.redis.calls().contains_key("eval")).await;
            side.redis.reset_calls();
        }
    }

    /// How often Redis was asked what.
    pub fn calls(&self) -> [BTreeMap<String, u64>; 2] {
        self.sides.each_ref().map(|side| side.redis.calls())
    }

    pub async fn freeze(&self) {
        for side in &self.sides {
            side.redis.freeze();
            let status = async || side.demo.client().get("/healthz").await.status;
            eventually("it is noticed", async || status().await == 503).await;
        }
    }

    pub async fn thaw(&self) {
        for side in &self.sides {
            side.redis.thaw();
            side.demo.is_up().await;
        }
    }

    /// The log is worth something: it met each kind of answer.
    pub fn has_met_everything(&self) {
        assert!(self.asked >= 2_000, "{}", self.asked);
        for status in [200, 204, 206, 400, 401, 403, 404, 405, 415, 416, 422, 429, 500, 503, 504] {
            assert!(self.statuses.contains(&status), "{status} is missing: {:?}", self.statuses);
        }
    }
}
