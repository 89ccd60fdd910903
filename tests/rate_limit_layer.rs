//! The rate limit layer as a good Tower citizen: readiness, errors, bounds, and nothing started before admission.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_keep::rate_limit::{
    By, Limit, Quota, RateLimitLayer, RateLimitService, RateLimiter, RateLimits, TrustedProxies,
};
use tower_keep::store::Store;
use tower_keep::view::PeerAddr;
use tower_test::mock::{Handle, Mock};

type Asked = Request<String>;
type Answered = Response<Full<Bytes>>;

fn limiter(amount: u64) -> RateLimiter {
    let limit = Limit::new("only", Quota::window(amount, Duration::from_secs(3600)));
    RateLimiter::builder(Store::in_memory()).limit(limit).build().unwrap()
}

/// Decided within the call, and after a wait.
fn both() -> [RateLimitLayer; 2] {
    let later = By::request_async(|_| async {
        tokio::task::yield_now().await;
        Some("key")
    });
    [RateLimitLayer::new(limiter(1), By::everybody()), RateLimitLayer::new(limiter(1), later)]
}

fn request() -> Asked {
    Request::new("the body".to_owned())
}

/// The mock panics when it is called without having been polled ready itself.
#[tokio::test]
async fn the_service_that_was_polled_ready_is_called_by_the_limit_layer() {
    for layer in both() {
        let (mock, mut handle): (Mock<Asked, Answered>, Handle<Asked, Answered>) = tower_test::mock::pair();
        let mut service = layer.layer(mock);
        handle.allow(0);
        let ready = poll_fn(|cx| Poll::Ready(Service::poll_ready(&mut service, cx).is_ready())).await;
        assert!(!ready, "the layer is ready when the inner service is, and not before");
        handle.allow(1);
        let response = service.ready().await.unwrap().call(request());
        let answer = async {
            let (request, respond) = handle.next_request().await.unwrap();
            assert_eq!(request.extensions().get::<RateLimits>().unwrap().remaining(), Some(0));
            respond.send_response(Response::new(Full::from(request.into_body())));
        };
        let (response, ()) = tokio::join!(response, answer);
        assert!(response.unwrap().headers().contains_key("ratelimit"));
    }
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_inner_service() {
    for layer in both() {
        let calls = Rc::new(std::cell::Cell::new(0));
        let counted = Rc::clone(&calls);
        let mut service = layer.layer(service_fn(move |_: Asked| {
            counted.set(counted.get() + 1); // in the call, before any poll of its future
            async { Ok::<_, std::fmt::Error>(Response::new(Full::<Bytes>::from("ok"))) }
        }));
        for expected in [200, 429, 429] {
            let response = service.ready().await.unwrap().call(request()).await.unwrap();
            assert_eq!(response.status(), expected);
        }
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn the_inner_services_error_passes_the_limit_layer_unchanged() {
    for layer in both() {
        let inner = service_fn(async |_: Asked| Err::<Answered, _>("inner trouble"));
        assert_eq!(layer.layer(inner).oneshot(request()).await.unwrap_err(), "inner trouble");
    }
}

#[tokio::test]
async fn the_peers_address_is_an_extension_of_the_request() {
    let layer = RateLimitLayer::new(limiter(1), By::client(TrustedProxies::none()));
    let inner =
        service_fn(async |_: Asked| Ok::<_, std::fmt::Error>(Response::new(Full::<Bytes>::from("ok"))));
    let mut service = layer.layer(inner);
    for (peer, expected) in [([192, 0, 2, 1], 200), ([192, 0, 2, 1], 429), ([192, 0, 2, 2], 200)] {
        let mut request = request();
        request.extensions_mut().insert(PeerAddr((peer, 4711).into()));
        assert_eq!(service.ready().await.unwrap().call(request).await.unwrap().status(), expected);
    }
    assert_eq!(service.oneshot(request()).await.unwrap().status(), 500, "nobody said who the peer is");
}

#[test]
fn with_a_service_that_is_send_and_sync_so_is_the_limit_layer() {
    const fn fits<T: Clone + Send + Sync + 'static>() {}
    const fn is_send<T: Send>() {}
    fits::<RateLimitLayer>();
    fits::<RateLimitService<Mock<Asked, Answered>>>();
    is_send::<<RateLimitService<Mock<Asked, Answered>> as Service<Asked>>::Future>();
}

#[test]
fn futures_are_small() {
    type Inner = tower::util::BoxCloneService<Asked, Answered, std::convert::Infallible>;
    type Future = <RateLimitService<Inner> as Service<Asked>>::Future;
    let (ours, request) = (size_of::<Future>(), size_of::<Asked>());
    assert!(ours <= request + 128, "{ours} bytes, where a request has {request}");
}
