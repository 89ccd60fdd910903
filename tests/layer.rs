//! The session layer as a good Tower citizen: readiness, errors and bounds.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_keep::session::{SessionLayer, SessionService, Sessions};
use tower_keep::store::Store;
use tower_test::mock::{Handle, Mock};

type Asked = Request<String>;
type Answered = Response<Full<Bytes>>;

fn layer() -> SessionLayer {
    SessionLayer::new(Sessions::new(Store::in_memory()))
}

fn service() -> (SessionService<Mock<Asked, Answered>>, Handle<Asked, Answered>) {
    let (mock, handle) = tower_test::mock::pair();
    (layer().layer(mock), handle)
}

/// The mock panics when it is called without having been polled ready itself.
#[tokio::test]
async fn the_service_that_was_polled_ready_is_called() {
    let (mut service, mut handle) = service();
    handle.allow(0);
    let ready = poll_fn(|cx| Poll::Ready(Service::poll_ready(&mut service, cx).is_ready())).await;
    assert!(!ready, "the layer is ready when the inner service is, and not before");
    handle.allow(1);
    let response = service.ready().await.unwrap().call(Request::new(String::new()));
    let answer = async {
        let (request, respond) = handle.next_request().await.unwrap();
        respond.send_response(Response::new(Full::from(request.into_body())));
    };
    let (response, ()) = tokio::join!(response, answer);
    assert!(response.unwrap().headers().is_empty(), "nobody asked for the session");
}

#[tokio::test]
async fn the_inner_services_error_passes_unchanged() {
    let (mut service, mut handle) = service();
    let response = service.ready().await.unwrap().call(Request::new(String::new()));
    let answer = async {
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_error("inner trouble");
    };
    let (response, ()) = tokio::join!(response, answer);
    assert_eq!(response.unwrap_err().to_string(), "inner trouble");
}

#[tokio::test]
async fn an_inner_service_needs_neither_send_nor_clone() {
    let greeting = Rc::new("hello");
    let inner = service_fn(async |_: Asked| Ok::<_, std::fmt::Error>(Response::new(Full::from(*greeting))));
    assert!(layer().layer(inner).oneshot(Request::new(String::new())).await.is_ok());
}

#[test]
fn with_a_service_that_is_send_and_sync_so_is_the_layer() {
    const fn fits<T: Clone + Send + Sync + 'static>() {}
    const fn is_send<T: Send>() {}
    fits::<SessionLayer>();
    fits::<SessionService<Mock<Asked, Answered>>>();
    is_send::<<SessionService<Mock<Asked, Answered>> as Service<Asked>>::Future>();
}
