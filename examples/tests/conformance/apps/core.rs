//! The core's layers around functions, served by hyper.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, ETAG};
use hyper::{Request, Response, StatusCode, server::conn::http1};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tower_keep::cache::CacheLayer;
use tower_keep::rate_limit::{By, RateLimitLayer, TrustedProxies};
use tower_keep::session::{Session, SessionError, SessionLayer, SessionSet};
use tower_keep::view::PeerAddr;

use super::Engines;

type Answer = Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

pub async fn serve(engines: Engines) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sessions = SessionLayer::new(engines.sessions.clone());
    let app = sessions.layer(service_fn(move |request| route(engines.clone(), request)));
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let app = app.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddr(peer));
                request
            });
            let serving =
                http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
            tokio::spawn(serving);
        }
    });
    address
}

async fn route(engines: Engines, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let limits = RateLimitLayer::new(engines.limiter.clone(), By::client(TrustedProxies::none()));
    let cache = CacheLayer::new(engines.cache.clone());
    let handler = service_fn(move |request| handle(engines.clone(), request));
    match request.uri().path() {
        "/limited" => limits.layer(handler).oneshot(request).await.map(boxed),
        "/page" => cache.layer(handler).oneshot(request).await.map(boxed),
        _ => handler.oneshot(request).await.map(boxed),
    }
}

async fn handle(engines: Engines, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match request.uri().path() {
        "/limited" => Ok("hello".to_owned()),
        "/page" => {
            let page = Response::builder().header(CACHE_CONTROL, super::FRESH).header(ETAG, super::ETAG);
            return Ok(page.body(Full::from(engines.page())).unwrap());
        }
        path => with_session(path, &request).await,
    };
    Ok(match text {
        Ok(text) => Response::new(Full::from(text)),
        Err(status) => Response::builder().status(status).body(Full::default()).unwrap(),
    })
}

async fn with_session(path: &str, request: &Request<Incoming>) -> Result<String, StatusCode> {
    let status = |error: SessionError| error.status();
    let set = request.extensions().get::<SessionSet>().unwrap();
    let session: Session = set.innermost().load().await.map_err(status)?;
    match path {
        "/count" => Ok(session.increment("count", 1).await.map_err(status)?.to_string()),
        "/login" => session.login("alice").map(|_| "welcome".to_owned()).map_err(status),
        "/logout" => session.logout().map(|()| "bye".to_owned()).map_err(status),
        "/who" => Ok(session.principal().unwrap_or_else(|| "nobody".to_owned())),
        "/fails" => {
            session.increment("count", 1).await.map_err(status)?;
            Err(StatusCode::IM_A_TEAPOT)
        }
        _ => Err(StatusCode::NOT_FOUND),
    }
}

fn boxed<B>(response: Response<B>) -> Answer
where
    B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}
