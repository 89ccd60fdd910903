//! What engines see of a request, whatever the framework.

/// A request's head. The adapters implement it; it may gain provided methods with any minor version.
pub trait RequestView {
    /// The method, upper case as sent.
    fn method(&self) -> &str;

    /// Calls `visit` with the value of each line of a header, in order. `name` is lower case; values are the bytes as sent.
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
        self.headers().get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }
}

impl RequestView for http::request::Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.headers.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }
}
