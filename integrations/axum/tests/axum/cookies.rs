//! Cookies that a client made up, changed, or took from elsewhere: never an error, never adopted.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use serde_json::json;
use tower_keep_axum::session::SessionEvent;

use crate::harness::{Backend, Browser, COOKIE, for_each_store, get_with, me_with, send};
use crate::site::{site, stranger};

/// Whoever shows these `Cookie` lines is a stranger, and stays one after a write under a handle of the server's own choice.
async fn assert_stranger(app: &Router, lines: &[&[u8]], what: &str) {
    let answer = get_with(app, "/me", lines).await;
    assert_eq!(answer.status, StatusCode::OK, "{what}");
    assert_eq!(answer.json(), stranger(), "{what}");
    assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "{what}");
}

async fn signed_in(app: &Router, user: &str) -> Browser {
    let mut browser = Browser::new(app);
    browser.put("/entries/secret", user).await;
    browser.post(&format!("/login/{user}")).await;
    assert_eq!(browser.get("/me").await.json()["user"], user);
    browser
}

fn line(value: &str) -> Vec<u8> {
    format!("{COOKIE}={value}").into_bytes()
}

#[tokio::test]
async fn a_changed_cookie_opens_nothing() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let mut browser = signed_in(&app, "alice").await;
        let value = browser.session().to_owned();
        for bit in 0..value.len() * 8 {
            let mut bytes = value.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let line = [format!("{COOKIE}=").as_bytes(), &bytes].concat();
            if HeaderValue::from_bytes(&line).is_ok() {
                assert_stranger(&app, &[&line], &format!("bit {bit}")).await;
            }
        }
        for end in 0..value.len() {
            assert_stranger(&app, &[&line(&value[..end])], &format!("cut at {end}")).await;
            assert_stranger(&app, &[&line(&value[end + 1..])], &format!("begun at {end}")).await;
        }
        for changed in [
            format!("{value}A"),
            format!("\"{value}\""),
            value.replace('.', "%2E"),
            value.replace('.', ":"),
            value.replace('.', ".."),
            format!("{value}={value}"),
            value.to_uppercase(),
            value.to_lowercase(),
        ] {
            assert_stranger(&app, &[&line(&changed)], &changed).await;
        }
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
    })
    .await;
}

#[tokio::test]
async fn a_handle_with_another_sessions_secret_opens_nothing() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let (victim, thief) = (signed_in(&app, "alice").await, signed_in(&app, "mallory").await);
        let halves = |browser: &Browser| {
            let (handle, secret) = browser.session().split_once('.').unwrap();
            (handle.to_owned(), secret.to_owned())
        };
        let ((handle, _), (_, secret)) = (halves(&victim), halves(&thief));
        assert_stranger(&app, &[&line(&format!("{handle}.{secret}"))], "mixed halves").await;
        let hash_of_nothing = "-".repeat(43);
        for guess in [&"A".repeat(43), &hash_of_nothing, &format!("-{}", "A".repeat(42))] {
            assert_stranger(&app, &[&line(&format!("{handle}.{guess}"))], guess).await;
        }
        let mut thief = thief;
        thief.cookies.insert(COOKIE.into(), format!("{handle}.{secret}"));
        thief.put("/entries/secret", "stolen").await;
        assert_ne!(thief.handle().as_str(), handle, "what a client sends is never adopted");
        assert_eq!(me_with(&app, victim.session()).await["entries"], json!({ "secret": "alice" }));
    })
    .await;
}

#[tokio::test]
async fn large_and_many_cookie_headers_hide_nothing_and_break_nothing() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let browser = signed_in(&app, "alice").await;
        let own = line(browser.session());
        let many: Vec<u8> = (0..1000).flat_map(|i| format!("c{i}=v{i}; ").into_bytes()).collect();
        let huge = format!("junk={}", "x".repeat(64 << 10)).into_bytes();
        let invalid = b"bad=\xff\xfe\x80; worse\xf0\x28=1".to_vec();
        let empty = b"; ;;=; =x; __Host-session; __Host-session=; ".to_vec();
        for neighbour in [&many, &huge, &invalid, &empty] {
            let before = [&neighbour[..], b"; ", &own].concat();
            let after = [&own[..], b"; ", neighbour].concat();
            for lines in [&[&before[..]][..], &[&after], &[neighbour, &own], &[&own, neighbour]] {
                assert_eq!(get_with(&app, "/me", lines).await.json()["user"], "alice");
            }
            assert_stranger(&app, &[neighbour], "without our cookie").await;
        }
        let hundred: Vec<&[u8]> = std::iter::repeat_n(&b"x=1"[..], 100).chain([&own[..]]).collect();
        assert_eq!(get_with(&app, "/me", &hundred).await.json()["user"], "alice");
        let forged: Vec<u8> = (0..1000).flat_map(|_| [&line(&"A".repeat(66))[..], b"; "].concat()).collect();
        assert_stranger(&app, &[&forged], "a thousand of our name").await;
    })
    .await;
}

#[tokio::test]
async fn other_names_are_not_ours() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let browser = signed_in(&app, "alice").await;
        let value = browser.session();
        for name in [
            "__host-session",
            "__HOST-SESSION",
            "__Host-Session",
            "session",
            "Host-session",
            "__Host-sessio",
            "__Host-session2",
            "x__Host-session",
            "__Host%2Dsession",
            "%5F%5FHost-session",
            "\"__Host-session\"",
            "__Host-session\u{a0}",
            "\u{2000}__Host-session",
            "\u{feff}__Host-session",
            "=__Host-session",
            "$__Host-session",
        ] {
            assert_stranger(&app, &[format!("{name}={value}").as_bytes()], name).await;
        }
        for separator in [",", " ", "&", "\t"] {
            let hidden = format!("a=1{separator}{COOKIE}={value}");
            assert_stranger(&app, &[hidden.as_bytes()], &hidden).await;
        }
    })
    .await;
}

#[tokio::test]
async fn of_two_cookies_with_our_name_the_one_that_opens_counts() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let browser = signed_in(&app, "alice").await;
        let own = line(browser.session());
        let foreign = line(&format!("{}.{}", "A".repeat(22), "A".repeat(43)));
        let malformed = line("garbage");
        let wrong_secret = line(&format!("{}.{}", browser.handle(), "A".repeat(43)));
        for other in [&foreign, &malformed, &wrong_secret] {
            let joined = |a: &[u8], b: &[u8]| [a, b"; ", b].concat();
            for lines in
                [&[&joined(other, &own)[..]][..], &[&joined(&own, other)], &[other, &own], &[&own, other]]
            {
                assert_eq!(get_with(&app, "/me", lines).await.json()["user"], "alice");
            }
        }
        let second = signed_in(&app, "bob").await;
        let lines = [&own[..], &line(second.session())];
        assert_eq!(get_with(&app, "/me", &lines).await.json()["user"], "alice", "the first that opens");
    })
    .await;
}

#[tokio::test]
async fn a_cookie_that_the_client_chose_is_never_adopted() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let chosen = format!("{}.{}", "A".repeat(22), "A".repeat(43));
        for path in ["/entries/a", "/login/alice"] {
            let mut browser = Browser::new(&app);
            browser.cookies.insert(COOKIE.into(), chosen.clone());
            let answer = match path {
                "/entries/a" => browser.put(path, "1").await,
                _ => browser.post(path).await,
            };
            let given = answer.cookie(COOKIE).expect("a cookie of the server's own");
            let (handle, secret) = given.split_once('.').unwrap();
            assert!(handle != "A".repeat(22) && secret != "A".repeat(43));
            assert_stranger(&app, &[&line(&chosen)], "the chosen cookie").await;
        }
        let sessions = backend.sessions();
        assert!(sessions.open(&crate::harness::handle_of(&chosen)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_cookie_from_before_a_sign_in_is_dead_after_it() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let mut browser = Browser::new(&app);
        browser.put("/entries/cart", "tea").await;
        let planted = browser.session().to_owned();
        browser.post("/login/alice").await;
        let me = browser.get("/me").await.json();
        assert_eq!((&me["user"], &me["entries"]), (&json!("alice"), &json!({ "cart": "tea" })));
        assert_stranger(&app, &[&line(&planted)], "the cookie from before").await;
        let before = browser.session().to_owned();
        browser.post("/login/alice").await;
        assert_ne!(browser.session(), before, "signing in again changes the secret again");
        assert_stranger(&app, &[&line(&before)], "the cookie from before").await;
        let before = browser.session().to_owned();
        browser.post("/rotate").await;
        assert_stranger(&app, &[&line(&before)], "the cookie from before the rotation").await;
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
    })
    .await;
}

#[tokio::test]
async fn the_hook_hears_of_guesses() {
    use std::sync::{Arc, Mutex};
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let backend = Backend::embedded();
    let hook = move |event: &SessionEvent| heard.lock().unwrap().push(event.as_str());
    let app = site(&backend.builder().on_event(hook).build().unwrap());
    let mut browser = signed_in(&app, "alice").await;
    let (value, handle) = (browser.session().to_owned(), browser.handle());
    me_with(&app, &format!("{handle}.{}", "A".repeat(43))).await;
    browser.post("/logout").await;
    me_with(&app, &value).await;
    me_with(&app, "garbage").await;
    let expected = ["created", "rotated", "logged_in", "wrong_secret", "revoked", "expired"];
    assert_eq!(*events.lock().unwrap(), expected);
    let request = Request::post("/logout").header(header::COOKIE, line(&value)).body(Body::empty());
    let answer = send(&app, request.unwrap()).await;
    assert!(answer.set_cookies()[0].contains("Max-Age=0"), "a dead cookie is cleared by a sign-out");
}
