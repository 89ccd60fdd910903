//! The log: what a few browsers, and some that are none, ask one after the other. Always the same for a seed.

use hyper::Method;

use crate::words::{BODIES, COOKIES, FORMS, NAMES, PATHS, QUERIES, Rng, USERS};

/// How many browsers there are.
pub const BROWSERS: usize = 6;

/// A request of a browser.
#[derive(Clone, Debug)]
pub struct Ask {
    pub browser: usize,
    pub method: Method,
    /// `{0}` stands for the handle of the browser with this number.
    pub path: String,
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
    /// The browser's own cookies are sent and kept.
    pub with_cookies: bool,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    Ask(Ask),
    /// Redis forgets its scripts.
    ForgetScripts,
    /// All connections to Redis end.
    KillConnections,
    /// A browser's session is deleted in Redis.
    Delete(usize),
    /// An entry of a browser's session is damaged in Redis.
    Damage(usize),
    /// Redis loses everything.
    Flush,
}

pub fn get(browser: usize, path: &str) -> Ask {
    ask(browser, Method::GET, path)
}

fn ask(browser: usize, method: Method, path: impl Into<String>) -> Ask {
    Ask { browser, method, path: path.into(), fields: Vec::new(), body: String::new(), with_cookies: true }
}

impl Ask {
    fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }
}

pub struct Script {
    rng: Rng,
    /// Clients of limits so far: each burst is one of its own.
    clients: usize,
    /// What is left of a burst: path and client.
    burst: Vec<Ask>,
}

impl Script {
    pub const fn new(seed: u64) -> Self {
        Self { rng: Rng(seed), clients: 0, burst: Vec::new() }
    }

    /// A request while all is well.
    pub fn quiet(&mut self) -> Step {
        if let Some(ask) = self.burst.pop() {
            return Step::Ask(ask);
        }
        let browser = self.rng.below(BROWSERS);
        Step::Ask(match self.rng.below(100) {
            0..8 => self.login(browser),
            8..11 => ask(browser, Method::POST, "/logout"),
            11..23 => get(browser, "/api/me"),
            23..35 => ask(browser, Method::POST, "/api/visits"),
            35..45 => self.entry(browser),
            45..50 => get(browser, "/api/devices"),
            50..53 => {
                let other = self.rng.below(BROWSERS);
                ask(browser, Method::DELETE, format!("/api/devices/{{{other}}}"))
            }
            53..55 => ask(browser, Method::POST, "/api/logout-others"),
            55..60 => get(browser, self.rng.of(&["/", "/plain", "/healthz", "/metrics"])),
            60..72 => self.cached(browser),
            72..74 => {
                let tag = self.rng.of(&["demo", "name:lamp", "name:other", "", "%C3%BC"]);
                ask(browser, Method::POST, format!("/purge?tag={tag}"))
            }
            74..80 => self.limited(browser),
            80..81 => get(browser, "/stream"),
            _ => self.malformed(browser),
        })
    }

    /// A request or a fault.
    pub fn faulty(&mut self) -> Step {
        let browser = self.rng.below(BROWSERS);
        match self.rng.below(20) {
            0 => Step::ForgetScripts,
            1 => Step::KillConnections,
            2 => Step::Delete(browser),
            3 => Step::Damage(browser),
            4 => Step::Flush,
            _ => self.quiet(),
        }
    }

    /// What is asked while Redis does not answer: nothing of which nobody knows whether it was done.
    pub fn while_redis_is_away(&mut self) -> Vec<Ask> {
        let paths = ["/api/me", "/", "/plain", "/api/devices", "/cached/away", "/healthz", "/nowhere"];
        (0..70).map(|n| get(n % BROWSERS, paths[n % paths.len()])).collect()
    }

    fn login(&mut self, browser: usize) -> Ask {
        let ask = ask(browser, Method::POST, "/login").field("user-agent", format!("browser {browser}"));
        let ask = ask.field("content-type", "application/x-www-form-urlencoded");
        ask.body(format!("user={}", self.rng.of(&USERS)))
    }

    fn entry(&mut self, browser: usize) -> Ask {
        let path = format!("/api/entries/{}{}", self.rng.of(&NAMES), self.rng.of(&QUERIES));
        match self.rng.below(3) {
            0 => ask(browser, Method::DELETE, path),
            _ => ask(browser, Method::PUT, path).body(self.rng.of(&BODIES).repeat(1 + self.rng.below(3))),
        }
    }

    fn cached(&mut self, browser: usize) -> Ask {
        let paths = [
            "/cached/lamp",
            "/cached/lamp?x=1",
            "/cached/sofa",
            "/cached/%C3%BC",
            "/cached-big/1",
            "/cached-big/300",
        ];
        let mut ask = get(browser, self.rng.of(&paths));
        if self.rng.below(6) == 0 {
            ask.method = Method::HEAD;
        }
        match self.rng.below(12) {
            0 => ask.field("cache-control", "no-cache"),
            1 => ask.field("cache-control", "no-store"),
            2 => ask.field("cache-control", "only-if-cached"),
            3 => ask.field(
                "range",
                self.rng.of(&["bytes=0-9", "bytes=-5", "bytes=5-", "bytes=9999999-", "bytes=0-1,3-4", "x"]),
            ),
            4 => ask.field("pragma", "no-cache"),
            5 => ask.field("authorization", "Bearer nobody"),
            6 => ask.field("if-none-match", "\"x\", *"),
            _ => ask,
        }
    }

    /// Several at once from a client of its own, more than are admitted.
    fn limited(&mut self, browser: usize) -> Ask {
        self.clients += 1;
        let client = format!("198.51.{}.{}", self.clients / 250, self.clients % 250 + 1);
        let (path, many) = [("/limited", 6), ("/window", 11), ("/both", 4)][self.rng.below(3)];
        let one = get(browser, path).field("x-forwarded-for", client);
        self.burst = vec![one.clone(); many];
        one
    }

    /// What nobody should send.
    fn malformed(&mut self, browser: usize) -> Ask {
        let methods = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::HEAD,
            Method::PATCH,
            Method::OPTIONS,
        ];
        match self.rng.below(5) {
            0 => {
                let mut ask = get(browser, self.rng.of(&["/api/me", "/", "/api/devices"]));
                ask.with_cookies = false;
                ask.field("cookie", self.rng.of(&COOKIES))
            }
            1 => {
                let kind = ["application/x-www-form-urlencoded", "text/plain", "application/json", ""]
                    [self.rng.below(4)];
                ask(browser, Method::POST, "/login").field("content-type", kind).body(self.rng.of(&FORMS))
            }
            2 => get(browser, "/limited").field("x-forwarded-for", "nonsense"),
            3 => {
                let site = self.rng.of(&["cross-site", "same-site", "none", "odd"]);
                ask(browser, Method::POST, "/api/visits").field("sec-fetch-site", site)
            }
            _ => ask(browser, methods[self.rng.below(methods.len())].clone(), self.rng.of(&PATHS)),
        }
    }
}
