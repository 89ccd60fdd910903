//! Requests and the answers that each of the three apps must give, through real sockets.

use std::time::Duration;

use hyper::Request;
use keep_testing::Answer;
use tower_keep::clock::Clock;

use crate::apps::{Engines, actix, axum, core};
use crate::client::Client;
use crate::program::eventually;

/// A request, and what is expected: the status, fields (`None`: not there; `*`: anything), the body.
struct Case {
    passed_s: u64,
    request: (&'static str, &'static str),
    sent: &'static [(&'static str, &'static str)],
    status: u16,
    fields: &'static [(&'static str, Option<&'static str>)],
    body: &'static str,
}

const fn case(method: &'static str, path: &'static str, status: u16, body: &'static str) -> Case {
    Case { passed_s: 0, request: (method, path), sent: &[], status, fields: &[], body }
}

impl Case {
    const fn after(self, passed_s: u64) -> Self {
        Self { passed_s, ..self }
    }

    const fn sends(self, sent: &'static [(&'static str, &'static str)]) -> Self {
        Self { sent, ..self }
    }

    const fn has(self, fields: &'static [(&'static str, Option<&'static str>)]) -> Self {
        Self { fields, ..self }
    }

    /// Whether the answer is stored, says the answer.
    fn is_stored(&self) -> bool {
        self.fields.iter().any(|(_, line)| line.is_some_and(|line| line.contains("; stored")))
    }
}

const NEW: &[(&str, Option<&str>)] =
    &[("set-cookie", Some("session=*; Path=/; HttpOnly; SameSite=Lax")), ("cache-control", Some("no-store"))];
const SAME: &[(&str, Option<&str>)] = &[("set-cookie", None)];
const REMOVED: &[(&str, Option<&str>)] = &[(
    "set-cookie",
    Some("session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
)];
const FORBIDDEN: &str = r#"{"type":"about:blank","title":"Forbidden","status":403}"#;
const PROBLEM: &str = "application/problem+json";
const REFUSED: &str = "*quota-exceeded*";

const CASES: &[Case] = &[
    // Sessions: nothing for who does nothing, one cookie for who writes, whatever the handler's answer.
    case("GET", "/who", 200, "nobody").has(SAME),
    case("GET", "/nowhere", 404, "*").has(SAME),
    case("GET", "/fails", 418, "").has(NEW),
    case("GET", "/count", 200, "2").has(SAME),
    case("POST", "/login", 200, "welcome").has(NEW),
    case("GET", "/who", 200, "alice").has(SAME),
    case("GET", "/count", 200, "3").has(SAME),
    case("POST", "/count", 403, FORBIDDEN)
        .sends(&[("sec-fetch-site", "cross-site")])
        .has(&[("set-cookie", None), ("content-type", Some(PROBLEM))]),
    case("POST", "/count", 200, "4").sends(&[("sec-fetch-site", "same-origin")]).has(SAME),
    case("POST", "/logout", 200, "bye").has(REMOVED),
    case("GET", "/who", 200, "nobody").has(SAME),
    case("GET", "/count", 200, "1").has(NEW),
    // Limits: fields on all answers, and a refusal that says for how long.
    case("GET", "/limited", 200, "hello").has(&[
        ("ratelimit-policy", Some(r#""minute";q=2;w=60"#)),
        ("ratelimit", Some(r#""minute";r=1;t=60"#)),
    ]),
    case("GET", "/limited", 200, "hello")
        .after(1)
        .has(&[("ratelimit", Some(r#""minute";r=0;t=59"#)), ("retry-after", None)]),
    case("GET", "/limited", 429, REFUSED).has(&[
        ("ratelimit", Some(r#""minute";r=0;t=59"#)),
        ("retry-after", Some("59")),
        ("content-type", Some(PROBLEM)),
    ]),
    case("GET", "/limited", 200, "hello").after(59).has(&[("retry-after", None)]),
    // The cache: one run a minute, conditions, parts, and what may not be made.
    case("GET", "/page", 504, "*").sends(&[("cache-control", "only-if-cached")]),
    case("GET", "/page", 200, "a page, made 1 times")
        .has(&[("cache-status", Some("tower-keep; fwd=uri-miss; stored")), ("age", None)]),
    case("GET", "/page", 200, "a page, made 1 times").after(7).has(&[
        ("cache-status", Some("tower-keep; hit; ttl=53")),
        ("age", Some("7")),
        ("etag", Some("\"v1\"")),
    ]),
    case("HEAD", "/page", 200, "")
        .has(&[("cache-status", Some("tower-keep; hit; ttl=53")), ("content-length", Some("20"))]),
    case("GET", "/page", 304, "").sends(&[("if-none-match", "\"v1\"")]).has(&[("etag", Some("\"v1\""))]),
    case("GET", "/page", 206, "page")
        .sends(&[("range", "bytes=2-5")])
        .has(&[("content-range", Some("bytes 2-5/20")), ("content-length", Some("4"))]),
    case("GET", "/page", 416, "*")
        .sends(&[("range", "bytes=99-")])
        .has(&[("content-range", Some("bytes */20"))]),
    case("GET", "/page", 200, "a page, made 2 times")
        .after(60)
        .has(&[("cache-status", Some("tower-keep; fwd=stale; stored; detail=expired"))]),
];

#[tokio::test]
async fn core_axum_and_actix_give_the_answers_that_are_written_down() {
    let clock = Clock::manual(1_700_000_000_000);
    let apps = [
        ("core", core::serve(Engines::new(&clock)).await),
        ("axum", axum::serve(Engines::new(&clock)).await),
        ("actix", actix::serve(Engines::new(&clock)).await),
    ];
    let mut browsers = apps.map(|(app, address)| (app, Client::new(address)));
    for case in CASES {
        clock.advance(Duration::from_secs(case.passed_s));
        for (app, browser) in &mut browsers {
            let (method, path) = case.request;
            let request = Request::builder().method(method).uri(path);
            let request =
                case.sent.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = browser.send(request.body(String::new()).unwrap()).await;
            assert_fits(case, app, &answer);
            if case.is_stored() {
                is_found(browser, path).await;
            }
        }
    }
}

/// Storing ends a moment after the body did.
async fn is_found(browser: &Client, path: &str) {
    let request =
        || Request::get(path).header("cache-control", "only-if-cached").body(String::new()).unwrap();
    eventually("it is stored", async || browser.clone().send(request()).await.status == 200).await;
}

fn assert_fits(case: &Case, app: &str, answer: &Answer) {
    let about = || format!("{app}: {:?} {:?}: {answer:?}", case.request, case.sent);
    assert_eq!(answer.status, case.status, "{}", about());
    assert!(fits(case.body, &answer.body), "{}", about());
    for (name, expected) in case.fields {
        let lines: Vec<_> = answer.headers.get_all(*name).iter().map(|line| line.to_str().unwrap()).collect();
        match (expected, lines.as_slice()) {
            (None, []) => {}
            (Some(expected), [line]) if fits(expected, line) => {}
            _ => panic!("{name} should be {expected:?}: {}", about()),
        }
    }
}

/// Whether a text is as expected; `*` stands for any text.
fn fits(expected: &str, text: &str) -> bool {
    let Some((begin, rest)) = expected.split_once('*') else { return expected == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))
}
