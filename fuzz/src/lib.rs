//! What the fuzz targets share.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue};
use tower_keep::clock::Clock;
use tower_keep::session::{SessionCookie, Sessions};
use tower_keep::store::{MemoryLimits, Store};
use tower_keep::view::RequestView;

/// When every run begins, so that a finding can be repeated.
pub const START_MS: u64 = 1_700_000_000_000;

/// Sessions on an embedded store of their own, whose cookie is called `session`.
pub fn sessions() -> Sessions {
    let store = Store::in_memory_with(MemoryLimits::default(), Clock::manual(START_MS));
    let cookie = SessionCookie::insecure_for_development();
    Sessions::builder(store).cookie(cookie).build().expect("these settings work")
}

/// The result of a future that never waits, as all on the embedded store.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the embedded store waited"),
    }
}

/// A request with the lines of one header and nothing else. HTTP servers let fewer bytes through.
pub struct HeaderLines<L> {
    /// The header's name, lower case.
    pub name: &'static str,
    /// Its lines.
    pub lines: Vec<L>,
}

impl<L: AsRef<[u8]>> RequestView for HeaderLines<L> {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        "/"
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        if name == self.name {
            self.lines.iter().for_each(|line| visit(line.as_ref()));
        }
    }
}

/// A response's fields: the lines of one. `None` if HTTP does not let these bytes be values.
pub fn headers<L: AsRef<[u8]>>(name: &'static str, lines: &[L]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line.as_ref()).ok()?);
    }
    Some(headers)
}
