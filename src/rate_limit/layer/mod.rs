//! The Tower middleware: a limiter around a service.

mod answers;
mod body;
mod builder;
mod future;
mod gate;
mod limits;
mod report;
mod service;
mod settle;
mod wait;

use tower_layer::Layer;

use super::by::By;
use super::engine::RateLimiter;
use std::sync::Arc;

pub use answers::{RefusalCause, Refused};
pub use body::RateLimitBody;
pub use builder::{RateLimitLayerBuilder, WithoutKey};
pub use future::ResponseFuture;
#[doc(hidden)]
pub use gate::{Gate, Step};
pub use limits::{NotCounted, RateLimits};
pub use service::RateLimitService;
pub use settle::{Cost, Settle};

/// Asks a limiter about each request before the inner service is called or the body is touched.
///
/// An admitted request carries [`RateLimits`] in its extensions, and its response the `RateLimit` fields; a refused one is answered
/// with 429 (or a gRPC status), a failed store by each limit's [`FailurePolicy`](super::FailurePolicy) and never with 429. Layers of
/// one limiter that nest count a request once.
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response};
/// use tower::{Layer, Service, ServiceExt, service_fn};
/// use tower_keep::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter, TrustedProxies};
/// use tower_keep::store::Store;
/// use tower_keep::view::PeerAddr;
///
/// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let limiter = RateLimiter::builder(Store::in_memory()) // or Store::connect("redis://127.0.0.1")?
///     .limit(Limit::new("burst", Quota::window(1, Duration::from_secs(60))))
///     .build()?;
/// let layer = RateLimitLayer::new(limiter, By::client(TrustedProxies::none()));
/// let hello = service_fn(async |_: Request<()>| {
///     Ok::<_, BoxError>(Response::new(http_body_util::Full::<bytes::Bytes>::from("hello")))
/// });
/// let mut app = layer.layer(hello);
///
/// let request = || Request::builder().extension(PeerAddr(([192, 0, 2, 1], 4711).into())).body(());
/// let response = app.ready().await?.call(request()?).await?;
/// assert_eq!(response.headers()["ratelimit-policy"], r#""burst";q=1;w=60"#);
/// assert_eq!(response.headers()["ratelimit"], r#""burst";r=0;t=60"#);
///
/// let response = app.ready().await?.call(request()?).await?;
/// assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"60".parse()?));
/// # Ok(()) }
/// ```
///
/// # Redis
///
/// One round trip for a request (`EVALSHA`), whatever the number of limits; none while a refusal is remembered, and none for one that
/// is skipped. Counting by session or principal loads the session one round trip earlier than the handler would have. A settlement that
/// changes the cost is one round trip more, after the inner service and before the response goes out, or after its body.
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitLayer {
    gate: Arc<Gate>,
}

impl RateLimitLayer {
    /// A layer with default settings: every request is asked about, and one without a key is refused.
    pub fn new(limiter: RateLimiter, by: impl Into<By>) -> Self {
        Self { gate: Arc::new(Gate::new(limiter, by.into())) }
    }

    /// What decides, for adapters of frameworks whose services are not Tower's.
    #[doc(hidden)]
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Settings of a layer.
    pub fn builder(limiter: RateLimiter, by: impl Into<By>) -> RateLimitLayerBuilder {
        RateLimitLayerBuilder::new(limiter, by.into())
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> RateLimitService<S> {
        RateLimitService::new(inner, Arc::clone(&self.gate))
    }
}
