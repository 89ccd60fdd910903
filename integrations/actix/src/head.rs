//! Between `http` 0.2, which actix-web has, and `http` 1, which the core has. What is read once is lent; heads are copied where the core
//! must keep them, which is in the cache alone.

use std::borrow::Cow;
use std::cell::Ref;
use std::net::IpAddr;

use actix_web::body::{BoxBody, EitherBody};
use actix_web::http as old;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use bytes::Bytes;
use http::header::HOST;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use tower_keep::cache::{CacheTags, NoStore, StoreFor};
use tower_keep::rate_limit::Cost;
use tower_keep::view::{HeaderSection, PeerAddr, RequestView};

/// Passes a request's extensions that the core knows, which are one of those of actix-web, to `change`.
pub(crate) fn with_extensions<T>(request: &impl HttpMessage, change: impl FnOnce(&mut Extensions) -> T) -> T {
    let mut all = request.extensions_mut();
    let mut known = all.remove::<Extensions>().unwrap_or_default();
    let changed = change(&mut known);
    all.insert(known);
    changed
}

/// A request as engines see it.
pub(crate) struct View<'a> {
    request: &'a HttpRequest,
    known: Option<Ref<'a, Extensions>>,
}

impl<'a> View<'a> {
    pub(crate) fn of(request: &'a HttpRequest) -> Self {
        Self { request, known: Ref::filter_map(request.extensions(), |all| all.get()).ok() }
    }
}

impl RequestView for View<'_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn path(&self) -> &str {
        self.request.path()
    }

    fn query(&self) -> Option<&str> {
        self.request.uri().query()
    }

    fn extensions(&self) -> Option<&Extensions> {
        self.known.as_deref()
    }

    fn route(&self) -> Option<Cow<'_, str>> {
        self.request.match_pattern().map(Cow::Owned)
    }

    fn peer(&self) -> Option<IpAddr> {
        self.request.peer_addr().map(|peer| peer.ip())
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        let headers = self.request.headers();
        if name == HOST
            && !headers.contains_key(old::header::HOST)
            && let Some(authority) = self.request.uri().authority()
        {
            return visit(authority.as_str().as_bytes());
        }
        headers.get_all(name).for_each(|value| visit(value.as_bytes()));
    }
}

/// A request's head, to be kept. `None` for a URI that only `http` 0.2 can read.
pub(crate) fn copied(request: &HttpRequest) -> Option<http::request::Parts> {
    let builder = Request::builder().method(request.method().as_str()).uri(request.uri().to_string());
    let (mut parts, ()) = builder.body(()).ok()?.into_parts();
    parts.headers = headers(request.headers());
    parts.extensions = with_extensions(request, |known| known.clone());
    if let Some(peer) = request.peer_addr() {
        parts.extensions.insert(PeerAddr(peer));
    }
    Some(parts)
}

/// A response's head, to be kept, with what the handler says to the core.
pub(crate) fn head_of<B>(response: &HttpResponse<B>) -> http::response::Parts {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status =
        StatusCode::from_u16(response.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    parts.headers = headers(response.headers());
    let said = response.extensions();
    said.get::<Cost>().map(|cost| parts.extensions.insert(*cost));
    said.get::<CacheTags>().map(|tags| parts.extensions.insert(tags.clone()));
    said.get::<NoStore>().map(|no| parts.extensions.insert(*no));
    said.get::<StoreFor>().map(|time| parts.extensions.insert(*time));
    parts
}

/// A response with this status, these fields and no others.
pub(crate) fn with_head<B>(
    mut response: HttpResponse<B>,
    status: StatusCode,
    headers: &HeaderMap,
) -> HttpResponse<B> {
    *response.status_mut() = old_status(status);
    write_headers(headers, response.headers_mut());
    response
}

/// Makes these the only fields.
pub(crate) fn write_headers(headers: &HeaderMap, old: &mut old::header::HeaderMap) {
    old.clear();
    headers.iter().for_each(|(name, value)| Section(old).add(name, value));
}

/// A response of the core's own.
pub(crate) fn own<B>(response: Response<Bytes>) -> HttpResponse<EitherBody<B>> {
    let (head, body) = response.into_parts();
    let body = EitherBody::right(BoxBody::new(body));
    with_head(HttpResponse::Ok().finish().set_body(body), head.status, &head.headers)
}

/// The header section of a response.
pub(crate) struct Section<'a>(pub(crate) &'a mut old::header::HeaderMap);

impl Section<'_> {
    /// Adds a line. What is a name or a value in one version is one in the other.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        if let (Ok(name), Ok(mut line)) = (
            old::header::HeaderName::from_bytes(name.as_str().as_bytes()),
            old::header::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            line.set_sensitive(value.is_sensitive());
            self.0.append(name, line);
        }
    }
}

impl HeaderSection for Section<'_> {
    fn each_line(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name.as_str()).for_each(|value| visit(value.as_bytes()));
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.add(&name, &value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove(name.as_str());
    }
}

fn headers(old: &old::header::HeaderMap) -> HeaderMap {
    let line = |(name, value): (&old::header::HeaderName, &old::header::HeaderValue)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    };
    let mut headers = HeaderMap::with_capacity(old.len());
    old.iter().filter_map(line).for_each(|(name, value)| _ = headers.append(name, value));
    headers
}

pub(crate) fn old_status(status: StatusCode) -> old::StatusCode {
    old::StatusCode::from_u16(status.as_u16()).unwrap_or(old::StatusCode::INTERNAL_SERVER_ERROR)
}
