//! What engines see of a request, whatever the framework.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};

/// The other end of a request's connection, as an extension of the request: the server or the framework's adapter puts it there, because
/// a request alone does not tell.
///
/// ```
/// use tower_keep::view::{PeerAddr, RequestView};
///
/// let mut request = http::Request::new(());
/// assert_eq!(RequestView::peer(&request), None);
/// request.extensions_mut().insert(PeerAddr(([192, 0, 2, 1], 4711).into()));
/// assert_eq!(RequestView::peer(&request), Some([192, 0, 2, 1].into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);

/// The URI as the client sent it, as an extension of the request, where a router took a prefix of the path away: frameworks' adapters
/// put it there. The response cache tells URLs apart by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FullUri(pub Uri);

/// A request's head. The adapters implement it; it may gain provided methods with any minor version.
pub trait RequestView {
    /// The method, upper case as sent.
    fn method(&self) -> &str;

    /// The path of the URI, as sent and without the query. Routers that nest may have taken a prefix away.
    fn path(&self) -> &str;

    /// The query of the URI, as sent and without the question mark. None by default.
    fn query(&self) -> Option<&str> {
        None
    }

    /// What layers outside left with the request. None by default.
    fn extensions(&self) -> Option<&Extensions> {
        None
    }

    /// The path as the client sent it: of the extension [`FullUri`], or else [`path`](Self::path).
    fn full_path(&self) -> &str {
        let full = self.extensions().and_then(|extensions| extensions.get::<FullUri>());
        full.map_or_else(|| self.path(), |full| full.0.path())
    }

    /// The route that matched, as the app wrote it (`/users/{id}`), where the framework knows it by now. None by default.
    fn route(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// The address at the other end of the connection: by default the extension [`PeerAddr`].
    fn peer(&self) -> Option<IpAddr> {
        self.extensions()?.get::<PeerAddr>().map(|peer| peer.0.ip())
    }

    /// Calls `visit` with the value of each line of a header, in order. `name` is lower case; values are the bytes as sent.
    /// Where a request has no `host` line, its URI's authority is the host.
    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8]));

    /// Whether the request has a header, with any value.
    fn has_header(&self, name: &HeaderName) -> bool {
        let mut found = false;
        self.each_header(name.as_str(), &mut |_| found = true);
        found
    }

    /// Which of some headers are there, with any value: bit `i` is set for `names[i]`. Names are lower case, and at most 32.
    fn which_headers(&self, names: &[&str]) -> u32 {
        let mut there = 0;
        for (i, name) in names.iter().enumerate().take(32) {
            self.each_header(name, &mut |_| there |= 1 << i);
        }
        there
    }

    /// The value of a header's first line.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut first: Option<Vec<u8>> = None;
        self.each_header(name, &mut |value| {
            first.get_or_insert_with(|| value.to_vec());
        });
        first.map(Cow::Owned)
    }

    /// The value of a header's first line, passed to `read`.
    fn with_header<T>(&self, name: &str, read: impl FnOnce(Option<&[u8]>) -> T) -> T
    where
        Self: Sized,
    {
        read(self.header(name).as_deref())
    }
}

/// The header section of a response (RFC 9110 §6.3), whatever type the framework has for it: what engines read of it and write to it.
/// The adapters implement it; it may gain provided methods with any minor version.
pub trait HeaderSection {
    /// Calls `visit` with the value of each line of a field, in order.
    fn each_line(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]));

    /// Adds a line to a field.
    fn append(&mut self, name: HeaderName, value: HeaderValue);

    /// Takes all lines of a field away.
    fn remove(&mut self, name: &HeaderName);

    /// Whether there is a line of a field.
    fn has(&self, name: &HeaderName) -> bool {
        let mut found = false;
        self.each_line(name, &mut |_| found = true);
        found
    }

    /// Makes this the only line of a field.
    fn replace(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.append(name, value);
    }
}

impl HeaderSection for HeaderMap {
    fn each_line(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        self.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        Self::append(self, name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        Self::remove(self, name);
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.contains_key(name)
    }

    fn replace(&mut self, name: HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }
}

/// A view that is lent is one as well, so that functions take a `&dyn RequestView` too.
impl<R: RequestView + ?Sized> RequestView for &R {
    fn method(&self) -> &str {
        (**self).method()
    }

    fn path(&self) -> &str {
        (**self).path()
    }

    fn query(&self) -> Option<&str> {
        (**self).query()
    }

    fn extensions(&self) -> Option<&Extensions> {
        (**self).extensions()
    }

    fn route(&self) -> Option<Cow<'_, str>> {
        (**self).route()
    }

    fn peer(&self) -> Option<IpAddr> {
        (**self).peer()
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        (**self).each_header(name, visit);
    }

    fn has_header(&self, name: &HeaderName) -> bool {
        (**self).has_header(name)
    }

    fn which_headers(&self, names: &[&str]) -> u32 {
        (**self).which_headers(names)
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        (**self).header(name)
    }
}

impl<B> RequestView for http::Request<B> {
    fn method(&self) -> &str {
        self.method().as_str()
    }

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn query(&self) -> Option<&str> {
        self.uri().query()
    }

    fn extensions(&self) -> Option<&Extensions> {
        Some(self.extensions())
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        each_line(self.headers(), self.uri(), name, visit);
    }

    fn has_header(&self, name: &HeaderName) -> bool {
        is_there(self.headers(), self.uri(), name)
    }

    fn which_headers(&self, names: &[&str]) -> u32 {
        which(self.headers(), self.uri(), names)
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        first_line(self.headers(), self.uri(), name)
    }
}

impl RequestView for http::request::Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn extensions(&self) -> Option<&Extensions> {
        Some(&self.extensions)
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        each_line(&self.headers, &self.uri, name, visit);
    }

    fn has_header(&self, name: &HeaderName) -> bool {
        is_there(&self.headers, &self.uri, name)
    }

    fn which_headers(&self, names: &[&str]) -> u32 {
        which(&self.headers, &self.uri, names)
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        first_line(&self.headers, &self.uri, name)
    }
}

/// HTTP/2 sends no `Host`: its authority stands in the URI, and is the host all the same (RFC 9113 §8.3.1).
fn each_line(headers: &HeaderMap, uri: &Uri, name: &str, visit: &mut dyn FnMut(&[u8])) {
    if name == HOST
        && !headers.contains_key(HOST)
        && let Some(authority) = uri.authority()
    {
        return visit(authority.as_str().as_bytes());
    }
    lines(headers, name).for_each(|value| visit(value.as_bytes()));
}

/// To look at a few names is cheaper than to work out the hash of one.
fn lines<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a HeaderValue> {
    const FEW: usize = 24;
    let few = headers.len() <= FEW;
    let looked_at =
        few.then(|| headers.iter().filter(move |(other, _)| other.as_str() == name).map(|(_, value)| value));
    let hashed = (!few).then(|| headers.get_all(name).iter());
    looked_at.into_iter().flatten().chain(hashed.into_iter().flatten())
}

/// The same without a look at any value.
fn is_there(headers: &HeaderMap, uri: &Uri, name: &HeaderName) -> bool {
    headers.contains_key(name) || *name == HOST && uri.authority().is_some()
}

/// The same for several names, in one pass over the request's.
fn which(headers: &HeaderMap, uri: &Uri, names: &[&str]) -> u32 {
    let names = || names.iter().enumerate().take(32);
    let mut there = 0;
    for name in headers.keys() {
        let name = name.as_str();
        names().filter(|(_, wanted)| **wanted == name).for_each(|(i, _)| there |= 1 << i);
    }
    if uri.authority().is_some() {
        names().filter(|(_, wanted)| **wanted == HOST).for_each(|(i, _)| there |= 1 << i);
    }
    there
}

/// The same for the first line alone, without a copy.
fn first_line<'a>(headers: &'a HeaderMap, uri: &'a Uri, name: &str) -> Option<Cow<'a, [u8]>> {
    let value = match lines(headers, name).next() {
        Some(value) => value.as_bytes(),
        None if name == HOST => uri.authority()?.as_str().as_bytes(),
        None => return None,
    };
    Some(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests;
