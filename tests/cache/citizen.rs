//! The cache layer as a good Tower citizen: readiness, errors, bounds, and nothing done for requests in which it has no part.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_keep::cache::{CacheBody, CacheLayer, CacheService, HttpCache};
use tower_keep::store::Store;
use tower_test::mock::{Handle, Mock};

type Asked = Request<String>;
type Answered = Response<Full<Bytes>>;

fn layer() -> CacheLayer {
    CacheLayer::new(HttpCache::new(Store::in_memory()).unwrap())
}

fn asked(method: &str) -> Asked {
    Request::builder().method(method).uri("/").header("host", "a").body("the body".to_owned()).unwrap()
}

fn fresh(body: impl Into<Bytes>) -> Answered {
    Response::builder().header("cache-control", "max-age=60").body(Full::new(body.into())).unwrap()
}

/// The mock panics when it is called without having been polled ready itself.
#[tokio::test]
async fn the_service_that_was_polled_ready_is_called_by_the_cache_layer() {
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let (mock, mut handle): (Mock<Asked, Answered>, Handle<Asked, Answered>) = tower_test::mock::pair();
        let mut service = layer().layer(mock);
        handle.allow(0);
        let ready = poll_fn(|cx| Poll::Ready(Service::poll_ready(&mut service, cx).is_ready())).await;
        assert!(!ready, "the layer is ready when the inner service is, and not before");
        handle.allow(1);
        let response = service.ready().await.unwrap().call(asked(method));
        let answer = async {
            let (request, respond) = handle.next_request().await.unwrap();
            respond.send_response(fresh(request.into_body()));
        };
        let (response, ()) = tokio::join!(response, answer);
        assert!(response.unwrap().headers().contains_key("cache-status"), "{method}");
    }
}

#[tokio::test]
async fn the_inner_services_error_passes_the_cache_layer_unchanged() {
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let inner = service_fn(async |_: Asked| Err::<Answered, _>("inner trouble"));
        assert_eq!(layer().layer(inner).oneshot(asked(method)).await.unwrap_err(), "inner trouble");
    }
}

/// Counts how often it is cloned.
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }
}

impl Service<Asked> for Counted {
    type Response = Answered;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Answered, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Asked) -> Self::Future {
        std::future::ready(Ok(fresh("x")))
    }
}

/// Outside of any runtime, where nothing could be started.
#[test]
fn a_request_that_is_left_alone_costs_no_clone_and_no_task() {
    let clones = Arc::new(AtomicUsize::new(0));
    let mut service = layer().layer(Counted(Arc::clone(&clones)));
    let before = clones.load(Ordering::SeqCst);
    let mut upgrade = asked("GET");
    upgrade.headers_mut().insert("upgrade", http::HeaderValue::from_static("websocket"));
    for request in [asked("OPTIONS"), upgrade, asked("QUERY")] {
        let mut response = std::pin::pin!(service.call(request));
        let ready = response.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert!(ready.is_ready());
    }
    assert_eq!(clones.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn what_other_layers_left_with_a_request_reaches_the_handler() {
    #[derive(Clone, PartialEq, Debug)]
    struct Left(u32);
    let inner = service_fn(async |request: Asked| {
        assert_eq!(request.extensions().get::<Left>(), Some(&Left(7)));
        assert_eq!(request.body(), "the body");
        let mut response = fresh("x");
        response.extensions_mut().insert(Left(8));
        Ok::<_, std::fmt::Error>(response)
    });
    for method in ["GET", "POST"] {
        let mut request = asked(method);
        request.extensions_mut().insert(Left(7));
        let response = layer().layer(inner).oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get::<Left>(), Some(&Left(8)));
    }
}

/// A handler whose bodies know their length keeps servers from sending them in chunks.
#[tokio::test]
async fn bodies_tell_their_length_as_before() {
    use http_body::Body;
    let inner = service_fn(async |_: Asked| Ok::<_, std::fmt::Error>(fresh("12345")));
    let service = layer().layer(inner);
    for _ in 0..3 {
        let response = service.clone().oneshot(asked("GET")).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(5));
        drop(http_body_util::BodyExt::collect(response.into_body()).await.unwrap());
    }
}

#[test]
fn with_a_service_that_is_send_and_sync_so_is_the_cache_layer() {
    const fn fits<T: Clone + Send + Sync + 'static>() {}
    const fn is_send<T: Send>() {}
    fits::<CacheLayer>();
    fits::<HttpCache>();
    fits::<CacheService<Mock<Asked, Answered>>>();
    is_send::<<CacheService<Mock<Asked, Answered>> as Service<Asked>>::Future>();
    is_send::<CacheBody<Full<Bytes>>>();
}
