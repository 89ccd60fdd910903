//! What engines see of a request, whatever the framework.

use http::header::HOST;
use http::{HeaderMap, Uri};

/// A request's head. The adapters implement it; it may gain provided methods with any minor version.
pub trait RequestView {
    /// The method, upper case as sent.
    fn method(&self) -> &str;

    /// Calls `visit` with the value of each line of a header, in order. `name` is lower case; values are the bytes as sent.
    /// Where a request has no `host` line, its URI's authority is the host.
    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8]));

    /// The value of a header's first line, passed to `read`.
    fn with_header<T>(&self, name: &str, read: impl FnOnce(Option<&[u8]>) -> T) -> T
    where
        Self: Sized,
    {
        let mut first: Option<Vec<u8>> = None;
        self.each_header(name, &mut |value| {
            if first.is_none() {
                first = Some(value.to_vec());
            }
        });
        read(first.as_deref())
    }
}

impl<B> RequestView for http::Request<B> {
    fn method(&self) -> &str {
        self.method().as_str()
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        each_line(self.headers(), self.uri(), name, visit);
    }
}

impl RequestView for http::request::Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        each_line(&self.headers, &self.uri, name, visit);
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
    headers.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
}
