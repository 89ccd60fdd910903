//! Requests that another site's page made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, Version};
use axum::routing::any;
use tower_keep_axum::session::OriginCheck;

use crate::harness::{Backend, send, with_layer};

fn app() -> (Router, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let handler = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { "reached" }
    };
    let check = OriginCheck::new().trust("https://partner.example.org");
    let sessions = Backend::embedded().builder().origin_check(check).build().unwrap();
    (with_layer(Router::new().route("/", any(handler)), &sessions), calls)
}

#[tokio::test]
async fn they_are_refused_before_the_handler() {
    let (app, calls) = app();
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", ""), ("origin", "https://app.example.org")],
        &[("origin", "https://evil.example"), ("host", "app.example.org")],
        &[("origin", "null"), ("host", "app.example.org")],
        &[("origin", "https://app.example.org.evil.example"), ("host", "app.example.org")],
        &[("origin", "https://app.example.org:8443"), ("host", "app.example.org")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")],
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "PURGE"] {
            let mut request = Request::builder().method(method).uri("/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {headers:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn requests_of_the_own_site_pass() {
    let (app, calls) = app();
    let cases = [
        ("POST", &[("sec-fetch-site", "same-origin")][..]),
        ("POST", &[("sec-fetch-site", "none")]),
        ("POST", &[]),
        ("POST", &[("origin", "https://app.example.org"), ("host", "app.example.org")]),
        ("POST", &[("origin", "https://partner.example.org"), ("sec-fetch-site", "cross-site")]),
        ("GET", &[("sec-fetch-site", "cross-site")]),
        ("HEAD", &[("origin", "https://evil.example")]),
        ("OPTIONS", &[("origin", "https://evil.example")]),
    ];
    for (method, headers) in cases {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {headers:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), cases.len());
}

/// HTTP/2 has no `Host`: the authority stands in the URI.
#[tokio::test]
async fn over_http_2_the_authority_is_the_host() {
    let (app, _) = app();
    for (origin, status) in [("https://app.example.org", 200), ("https://evil.example", 403)] {
        let request = Request::post("https://app.example.org/").version(Version::HTTP_2);
        let answer = send(&app, request.header("origin", origin).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{origin}");
    }
}
