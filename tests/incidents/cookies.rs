//! Names and attributes of cookies.

use std::time::Duration;

use http::Request;
use tower_keep::session::{CookieLifetime, Lifetimes, Session, SessionConfigError, Sessions};
use tower_keep::store::Store;

use crate::app::{App, Browser, COOKIE, STRANGER, greeting};

/// Neither opens the session under this name, nor is the session hidden by it.
async fn is_another_cookie(app: &App, alice: &Browser, imitation: &[u8]) {
    let told = String::from_utf8_lossy(imitation);
    assert_eq!(app.me(&[imitation]).await.body, STRANGER, "{told}");
    let own = alice.line();
    for lines in [&[imitation, &own[..]][..], &[&own, imitation]] {
        assert_eq!(app.me(lines).await.body, greeting("alice"), "{told}");
        let joined = lines.join(&b"; "[..]);
        assert_eq!(app.me(&[&joined]).await.body, greeting("alice"), "{told} in one line");
    }
}

/// CVE-2020-8184: a name must not be decoded, or a page of a sister domain plants a cookie that a browser would keep apart.
#[tokio::test]
async fn cve_2020_8184_an_encoded_name_is_another_cookie() {
    let app = App::new(&Sessions::new(Store::in_memory()));
    let (alice, mallory) = (app.signed_in("alice").await, app.signed_in("mallory").await);
    let value = mallory.session();
    for name in [
        "%5F%5FHost-session",
        "%5f%5fHost-session",
        "__Host%2Dsession",
        "__%48ost-session",
        "__Host-sessio%6E",
        "__Host-session%00",
        "__Host-session%20",
        "__HOST-session",
        "__host-session",
        "__Host_session",
        "+__Host-session",
    ] {
        is_another_cookie(&app, &alice, format!("{name}={value}").as_bytes()).await;
    }
}

/// PortSwigger, "Cookie Chaos" (2025): a name with white space of Unicode around it, of the old syntax, or within quotes is another one.
#[tokio::test]
async fn cookie_chaos_2025_a_name_in_disguise_is_another_cookie() {
    let app = App::new(&Sessions::new(Store::in_memory()));
    let (alice, mallory) = (app.signed_in("alice").await, app.signed_in("mallory").await);
    let value = mallory.session();
    let spaces = [
        '\u{85}', '\u{a0}', '\u{1680}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}',
        '\u{feff}',
    ];
    for space in spaces.into_iter().chain('\u{2000}'..='\u{200b}') {
        for name in [format!("{space}{COOKIE}"), format!("{COOKIE}{space}"), format!(" {space} {COOKIE}")] {
            is_another_cookie(&app, &alice, format!("{name}={value}").as_bytes()).await;
        }
    }
    for byte in 0x80..=0xff {
        let line = [&[byte], COOKIE.as_bytes(), b"=", value.as_bytes()].concat();
        is_another_cookie(&app, &alice, &line).await;
    }
    for line in [
        format!("$Version=1, {COOKIE}={value}"),
        format!("$Version=1 {COOKIE}={value}"),
        format!("a=\"{COOKIE}={value}"),
        format!("a=\"b, {COOKIE}={value}, c\""),
        format!("={COOKIE}={value}"),
        format!("\"{COOKIE}\"={value}"),
        format!("{COOKIE}=\"{value}\""),
        format!("{COOKIE} {value}"),
    ] {
        is_another_cookie(&app, &alice, line.as_bytes()).await;
    }
}

/// RUSTSEC-2017-0005 (CVE-2017-18589): an absurd `Max-Age` must not be a panic, neither in what is read nor in what is configured.
#[tokio::test]
async fn rustsec_2017_0005_an_absurd_max_age_is_no_panic() {
    let store = Store::in_memory();
    for seconds in [0, 1, 400 * 86_400 + 1, i64::MAX as u64 / 1_000 + 1, i64::MAX as u64, u64::MAX] {
        let all = Duration::from_secs(seconds);
        let lifetimes = Lifetimes::new().idle(all).absolute(all).renewal(all).grace(all);
        let sessions = Sessions::builder(store.clone()).lifetimes(lifetimes);
        let built = sessions.cookie_lifetime(CookieLifetime::Persistent).build();
        let allowed = (1..=400 * 86_400).contains(&seconds);
        assert_eq!(built.is_ok(), allowed, "{seconds}");
        if let Err(error) = built {
            assert!(matches!(error, SessionConfigError::OutOfRange(_)), "{error}");
        }
    }
    // The longest that is allowed is also the longest that is sent.
    let year = Duration::from_secs(400 * 86_400);
    let lifetimes = Lifetimes::new().idle(year).absolute(year);
    let sessions = Sessions::builder(store).lifetimes(lifetimes).cookie_lifetime(CookieLifetime::Persistent);
    let sessions = sessions.build().unwrap();
    let session: Session = sessions.start();
    session.login("alice").unwrap();
    session.save().await.unwrap();
    let line = session.take_set_cookie().unwrap();
    let age: u64 = line.split("Max-Age=").nth(1).unwrap().parse().unwrap();
    assert!((400 * 86_400 - 60..=400 * 86_400).contains(&age), "{line}");
    // What somebody sends is read by its name alone.
    for age in ["9223372036854775807", "-9223372036854775808", "99999999999999999999999", "1e999", "NaN", ""]
    {
        let own = line.split(';').next().unwrap();
        let request = Request::builder().header("cookie", format!("{own}; Max-Age={age}; Expires={age}"));
        let request = request.body(()).unwrap();
        let session = sessions.begin(&request).load().await.unwrap();
        assert_eq!(session.principal().as_deref(), Some("alice"), "Max-Age={age}");
    }
}
