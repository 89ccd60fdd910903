//! Extractors. Each is a newtype, since only this crate may implement actix-web's traits for it.

use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use tower_keep::session::{self as core, FailurePolicy, LazySession, SessionSet};

use crate::head::extension;
use crate::problem::SessionRejection;

/// The session of the innermost session middleware, with that middleware's failure policy.
#[derive(Clone, Debug)]
pub struct Session(pub core::Session);

/// The session, or 503 when the store fails, whatever the middleware's policy.
#[derive(Clone, Debug)]
pub struct RequiredSession(pub core::Session);

/// The session, or an anonymous read-only one when the store fails, whatever the middleware's policy.
#[derive(Clone, Debug)]
pub struct OptionalSession(pub core::Session);

/// The session seen as a struct of the app; see [`core::TypedSession`](tower_keep::session::TypedSession).
#[derive(Debug)]
pub struct Typed<T>(pub core::TypedSession<T>);

/// The session of the middleware with a certain namespace, for apps with [several](crate::SessionMiddleware).
#[derive(Debug)]
pub struct Named<N>(pub core::Session, PhantomData<fn() -> N>);

/// Names a session middleware by its namespace.
pub trait SessionName {
    /// As given to [`SessionsBuilder::namespace`](tower_keep::session::SessionsBuilder::namespace).
    const NAMESPACE: &'static str;
}

fn innermost(set: &SessionSet) -> Option<&LazySession> {
    Some(set.innermost())
}

fn named<N: SessionName>(set: &SessionSet) -> Option<&LazySession> {
    set.named(N::NAMESPACE)
}

/// Each finds its session at once, loads it by the policy (none: the middleware's), and wraps it.
macro_rules! extractors {
    ($([$($generics:tt)*] $name:ty, $target:ty: $find:path, $called:expr, $policy:expr, $wrap:expr;)+) => {$(
        impl<$($generics)*> FromRequest for $name {
            type Error = SessionRejection;
            type Future = Pin<Box<dyn Future<Output = Result<Self, SessionRejection>>>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let found = extension::<SessionSet>(request).and_then(|set| $find(&set).cloned());
                Box::pin(async move {
                    let session = found.ok_or(SessionRejection::MissingMiddleware($called))?;
                    let loaded = match $policy {
                        Some(policy) => session.load_with(policy).await,
                        None => session.load().await,
                    };
                    loaded.map($wrap).map_err(SessionRejection::Unavailable)
                })
            }
        }

        impl<$($generics)*> Deref for $name {
            type Target = $target;

            fn deref(&self) -> &$target {
                &self.0
            }
        }
    )+};
}

extractors! {
    [] Session, core::Session: innermost, "session", None, Self;
    [] RequiredSession, core::Session: innermost, "session", Some(FailurePolicy::Required), Self;
    [] OptionalSession, core::Session: innermost, "session", Some(FailurePolicy::Optional), Self;
    [T: 'static] Typed<T>, core::TypedSession<T>: innermost, "session", None, |session| Self(session.typed());
    [N: SessionName + 'static] Named<N>, core::Session: named::<N>, N::NAMESPACE, None, |session| Self(session, PhantomData);
}
