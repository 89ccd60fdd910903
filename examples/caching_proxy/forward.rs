//! A service that sends requests on and streams both ways.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::header::{CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

/// Where requests are sent.
#[derive(Clone)]
pub struct Upstream(Authority);

impl Upstream {
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/";
        uri.authority().filter(|_| plain).cloned().map(Self)
    }

    pub fn authority(&self) -> &str {
        self.0.as_str()
    }
}

/// Forwards every request.
#[derive(Clone)]
pub struct Forward {
    client: Client<HttpConnector, axum::body::Body>,
    upstream: Upstream,
}

impl Forward {
    pub fn to(upstream: Upstream) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), upstream }
    }
}

impl Service<Request<axum::body::Body>> for Forward {
    type Response = Response<axum::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<axum::body::Body>) -> Self::Future {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let uri =
            Uri::builder().scheme("http").authority(self.upstream.0.clone()).path_and_query(path).build();
        of_this_connection(request.headers_mut());
        request.headers_mut().entry(HOST).or_insert_with(|| {
            HeaderValue::from_str(self.upstream.authority()).unwrap_or(HeaderValue::from_static(""))
        });
        let client = self.client.clone();
        Box::pin(async move {
            let Ok(uri) = uri else { return Ok(StatusCode::BAD_REQUEST.into_response()) };
            *request.uri_mut() = uri;
            *request.version_mut() = axum::http::Version::HTTP_11;
            Ok(match client.request(request).await {
                Ok(mut response) => {
                    of_this_connection(response.headers_mut());
                    *response.version_mut() = axum::http::Version::HTTP_11;
                    response.map(axum::body::Body::new)
                }
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            })
        })
    }
}

/// Takes out what is meant for one connection alone (RFC 9110 §7.6.1).
fn of_this_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let others = ["keep-alive", "proxy-connection"].map(HeaderName::from_static);
    for name in named.iter().chain(&[CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE]).chain(&others) {
        headers.remove(name);
    }
}
