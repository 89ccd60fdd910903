//! Extractors. Each is a newtype, since only this crate may implement axum's traits for it.

use std::marker::PhantomData;
use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::Extensions;
use http::request::Parts;
use tower_keep::session::{self as core, FailurePolicy, LazySession, SessionSet};

use crate::problem::SessionRejection;

/// The session of the innermost session layer, with that layer's failure policy.
///
/// As `Option<Session>` it is `None` where there is no session layer.
#[derive(Clone, Debug)]
pub struct Session(pub core::Session);

/// The session, or 503 when the store fails, whatever the layer's policy.
#[derive(Clone, Debug)]
pub struct RequiredSession(pub core::Session);

/// The session, or an anonymous read-only one when the store fails, whatever the layer's policy.
#[derive(Clone, Debug)]
pub struct OptionalSession(pub core::Session);

/// The session seen as a struct of the app; see [`core::TypedSession`](tower_keep::session::TypedSession).
#[derive(Debug)]
pub struct Typed<T>(pub core::TypedSession<T>);

/// The session of the layer with a certain namespace, for apps with several session layers.
///
/// ```
/// # use tower_keep_axum::{Named, SessionName};
/// struct Admin;
/// impl SessionName for Admin {
///     const NAMESPACE: &'static str = "admin";
/// }
/// async fn handler(session: Named<Admin>) -> String {
///     session.principal().unwrap_or_default()
/// }
/// ```
#[derive(Debug)]
pub struct Named<N>(pub core::Session, PhantomData<fn() -> N>);

/// Names a session layer by its namespace.
pub trait SessionName {
    /// As given to [`SessionsBuilder::namespace`](tower_keep::session::SessionsBuilder::namespace).
    const NAMESPACE: &'static str;
}

fn innermost(extensions: &Extensions) -> Result<LazySession, SessionRejection> {
    let set = extensions.get::<SessionSet>().map(SessionSet::innermost);
    set.cloned().ok_or(SessionRejection::MissingLayer("session"))
}

async fn load(parts: &Parts, policy: FailurePolicy) -> Result<core::Session, SessionRejection> {
    let session = innermost(&parts.extensions)?;
    session.load_with(policy).await.map_err(SessionRejection::Unavailable)
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        innermost(&parts.extensions)?.load().await.map(Self).map_err(SessionRejection::Unavailable)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let Ok(session) = innermost(&parts.extensions) else { return Ok(None) };
        session.load().await.map(|session| Some(Self(session))).map_err(SessionRejection::Unavailable)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequiredSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        load(parts, FailurePolicy::Required).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OptionalSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        load(parts, FailurePolicy::Optional).await.map(Self)
    }
}

impl<S: Send + Sync, T> FromRequestParts<S> for Typed<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let session = innermost(&parts.extensions)?.load().await.map_err(SessionRejection::Unavailable)?;
        Ok(Self(session.typed()))
    }
}

impl<S: Send + Sync, N: SessionName> FromRequestParts<S> for Named<N> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let set = parts.extensions.get::<SessionSet>().and_then(|set| set.named(N::NAMESPACE));
        let session = set.cloned().ok_or(SessionRejection::MissingLayer(N::NAMESPACE))?;
        session.load().await.map(|session| Self(session, PhantomData)).map_err(SessionRejection::Unavailable)
    }
}

macro_rules! deref {
    ($([$($generics:tt)*] $name:ty => $target:ty),+ $(,)?) => {$(
        impl<$($generics)*> Deref for $name {
            type Target = $target;

            fn deref(&self) -> &$target {
                &self.0
            }
        }
    )+};
}

deref! {
    [] Session => core::Session,
    [] RequiredSession => core::Session,
    [] OptionalSession => core::Session,
    [T] Typed<T> => core::TypedSession<T>,
    [N] Named<N> => core::Session,
}
