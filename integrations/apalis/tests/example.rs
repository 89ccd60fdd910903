//! The example, by requests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
#[path = "../examples/jobs.rs"]
mod example;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use keep_testing::RedisServer;
use tower::ServiceExt as _;
use tower_keep::store::Store;

async fn ask(site: &Router, method: &str, path: &str, body: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    site.clone().oneshot(request).await.unwrap()
}

async fn state(site: &Router, url: &str) -> String {
    let body = ask(site, "GET", url, "").await.into_body().collect().await.unwrap().to_bytes();
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    status["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_is_accepted_at_once_and_its_url_tells_what_became_of_it() {
    let server = RedisServer::start();
    let store = Store::builder().deadline(Duration::from_secs(5)).connect(&server.url()).unwrap();
    let jobs = example::jobs(store).unwrap();
    let site = example::router(jobs.clone());
    let mut urls = Vec::new();
    for address in ["a@example.org", "nobody"] {
        let accepted = ask(&site, "POST", "/welcome", address).await;
        assert_eq!(accepted.status(), 202);
        urls.push(accepted.headers()["location"].to_str().unwrap().to_owned());
        assert_eq!(state(&site, urls.last().unwrap()).await, "queued");
    }
    let worker = tokio::spawn(jobs.worker(example::send).run_until(std::future::pending()));
    let ends = async {
        for (url, end) in urls.iter().zip(["done", "dead"]) {
            while state(&site, url).await != end {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ends).await.expect("they end");
    worker.abort();
    for unknown in ["/jobs/x", "/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        assert_eq!(ask(&site, "GET", unknown, "").await.status(), 404);
    }
}
