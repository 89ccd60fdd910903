//! By what a layer counts: rules that make a key of a request.

mod client;
mod find;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderName;

use super::key::KeyPart;
use crate::view::RequestView;

pub use client::ByClient;
pub(super) use find::Found;
pub use find::NoKey;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Part = Option<KeyPart<'static>>;
type Rule = Arc<dyn Fn(&dyn RequestView) -> Part + Send + Sync>;
type LaterRule = Arc<dyn Fn(&dyn RequestView) -> Boxed<Part> + Send + Sync>;

/// By what a layer counts. A tuple of rules counts by all of them together; [`or`](Self::or) is for requests for which a rule
/// finds nothing.
///
/// A request for which no rule finds anything goes by the layer's [`WithoutKey`](super::WithoutKey); a key is never made up.
///
/// ```
/// use http::HeaderName;
/// use tower_keep::rate_limit::{By, ProxyHeader, TrustedProxies};
///
/// let proxies = TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8"])?;
/// let user_or_address = By::principal().or(By::client(proxies));
/// let tenant_and_method = By::from((By::header(HeaderName::from_static("x-tenant")), By::method()));
/// let country = By::request(|request| Some(request.header("cf-ipcountry")?.escape_ascii().to_string()));
/// # drop((user_or_address, tenant_and_method, country));
/// # Ok::<(), tower_keep::rate_limit::ProxyError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct By(Kind);

#[derive(Clone)]
enum Kind {
    Client(ByClient),
    Header(HeaderName),
    ApiKey(HeaderName),
    Path,
    Method,
    Session,
    Principal,
    Rule(Rule),
    Later(LaterRule),
    Everybody,
    All(Arc<[By]>),
    Either(Arc<(By, By)>),
}

impl By {
    /// The client's address, found through the proxies that are trusted. See [`ByClient`] for what can be set.
    pub fn client(proxies: super::TrustedProxies) -> ByClient {
        ByClient::new(proxies)
    }

    /// A header and its value, which anybody can choose: alone it limits nobody. See [`KeyPart::header`].
    pub const fn header(name: HeaderName) -> Self {
        Self(Kind::Header(name))
    }

    /// The API key in a header; the store sees its hash. Authenticate outside of this layer: who makes keys up has a fresh count for
    /// each. See [`KeyPart::api_key`].
    pub const fn api_key(name: HeaderName) -> Self {
        Self(Kind::ApiKey(name))
    }

    /// The path as this layer sees it. Each spelling counts apart, and inside a nested router the prefix may be gone: prefer the
    /// adapter's rule for the matched route.
    pub const fn path() -> Self {
        Self(Kind::Path)
    }

    /// The method.
    pub const fn method() -> Self {
        Self(Kind::Method)
    }

    /// The session that the session layer outside of this one gave the request; none before the session is in the store. Asks the store
    /// for the session, which its handler then need not: one round trip, earlier.
    pub const fn session() -> Self {
        Self(Kind::Session)
    }

    /// Who is signed in, by the session layer outside of this one. Asks the store as [`session`](Self::session) does.
    pub const fn principal() -> Self {
        Self(Kind::Principal)
    }

    /// Whatever the function finds: a text, a [`KeyPart`], or `None` for a request without a key.
    pub fn request<P: Into<KeyPart<'static>>>(
        find: impl Fn(&dyn RequestView) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Rule(Arc::new(move |request| find(request).map(Into::into))))
    }

    /// The same with a future, which borrows nothing of the request. It is bounded by the limiter's deadline; one that takes longer
    /// counts as a failure of the store.
    pub fn request_async<P, F>(find: impl Fn(&dyn RequestView) -> F + Send + Sync + 'static) -> Self
    where
        P: Into<KeyPart<'static>>,
        F: Future<Output = Option<P>> + Send + 'static,
    {
        Self(Kind::Later(Arc::new(move |request| {
            let found = find(request);
            Box::pin(async move { found.await.map(Into::into) })
        })))
    }

    /// Nothing: one count for all requests together.
    pub const fn everybody() -> Self {
        Self(Kind::Everybody)
    }

    /// `other` for requests for which this rule finds nothing.
    pub fn or(self, other: impl Into<Self>) -> Self {
        Self(Kind::Either(Arc::new((self, other.into()))))
    }
}

impl From<ByClient> for By {
    fn from(client: ByClient) -> Self {
        Self(Kind::Client(client))
    }
}

macro_rules! from_tuples {
    ($(($($part:ident)+))+) => {$(
        impl<$($part: Into<By>),+> From<($($part,)+)> for By {
            #[allow(non_snake_case, reason = "each value is named as its type")]
            fn from(($($part,)+): ($($part,)+)) -> Self {
                Self(Kind::All([$($part.into()),+].into()))
            }
        }
    )+};
}

from_tuples! { (A B) (A B C) (A B C D) }

impl fmt::Debug for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Client(client) => client.fmt(f),
            Kind::Header(name) => write!(f, "header {name}"),
            Kind::ApiKey(name) => write!(f, "api key in {name}"),
            Kind::Path => f.write_str("path"),
            Kind::Method => f.write_str("method"),
            Kind::Session => f.write_str("session"),
            Kind::Principal => f.write_str("principal"),
            Kind::Rule(_) | Kind::Later(_) => f.write_str("function"),
            Kind::Everybody => f.write_str("everybody"),
            Kind::All(all) => all.fmt(f),
            Kind::Either(either) => either.fmt(f),
        }
    }
}
