//! From a request to its key.

use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::{Boxed, By, Kind};
use crate::rate_limit::NoClientReason;
use crate::rate_limit::key::{KeyPart, LimitKey};
use crate::rate_limit::warnings::Warnings;
use crate::session::SessionSet;
use crate::store::{StoreError, StoreErrorKind};
use crate::view::RequestView;

/// Why a request has no key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoKey {
    /// Nobody who is trusted said who the client is.
    #[error("{0}")]
    Client(NoClientReason),
    /// The header is not there.
    #[error("the request does not have the header by which is counted")]
    Header,
    /// No session layer is outside of this one.
    #[error("no session layer is outside of this one; add it outside, or count by something else")]
    NoSessionLayer,
    /// The visitor has no session.
    #[error("the request has no session")]
    Session,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    SignedOut,
    /// The app's function found nothing, or an empty text.
    #[error("the function that makes the key found nothing")]
    Nothing,
    /// The store failed while the key was looked up.
    #[error("the store failed while the key was looked up")]
    Store(#[from] StoreError),
}

impl NoKey {
    /// Whether the client could not have sent a request with a key: this server, or a proxy in front of it, is not set up for the rule.
    #[must_use]
    pub const fn is_misconfiguration(&self) -> bool {
        matches!(self, Self::Client(_) | Self::NoSessionLayer)
    }
}

type Parts = Result<SmallVec<[KeyPart<'static>; 2]>, NoKey>;

/// A key, now or later.
pub(in crate::rate_limit) enum Found {
    Now(Result<LimitKey, NoKey>),
    Later(Boxed<Result<LimitKey, NoKey>>),
}

enum Finding {
    Now(Parts),
    Later(Boxed<Parts>),
}

impl From<Result<KeyPart<'static>, NoKey>> for Finding {
    fn from(part: Result<KeyPart<'static>, NoKey>) -> Self {
        Self::Now(part.map(|part| smallvec![part]))
    }
}

impl By {
    /// The key of a request. What is found later is bounded by `deadline`.
    pub(in crate::rate_limit) fn find(
        &self,
        request: &dyn RequestView,
        warnings: &Warnings,
        deadline: Duration,
    ) -> Found {
        match self.parts(request, warnings) {
            Finding::Now(parts) => Found::Now(key(parts)),
            Finding::Later(parts) => Found::Later(Box::pin(async move {
                let late = |_| Err(StoreErrorKind::Timeout.into());
                let parts = tokio::time::timeout(deadline, parts).await;
                key(parts.unwrap_or_else(|elapsed| late(elapsed).map_err(NoKey::Store)))
            })),
        }
    }

    fn parts(&self, request: &dyn RequestView, warnings: &Warnings) -> Finding {
        let part = match &self.0 {
            Kind::Client(client) => {
                let address = client.find(request, warnings);
                address.map(|address| KeyPart::client(address.network(client.grouped_by())))
            }
            Kind::Header(name) => present(KeyPart::header_of(&request, name)),
            Kind::ApiKey(name) => present(KeyPart::api_key_of(&request, name)),
            Kind::Path => Ok(KeyPart::path(request.path()).into_owned()),
            Kind::Method => Ok(KeyPart::method(request.method()).into_owned()),
            Kind::Everybody => Ok(KeyPart::text("everybody")),
            Kind::Rule(rule) => nonempty(rule(request)),
            Kind::Later(rule) => {
                let found = rule(request);
                return Finding::Later(Box::pin(
                    async move { nonempty(found.await).map(|part| smallvec![part]) },
                ));
            }
            Kind::Session => return identity(request, Asked::Handle),
            Kind::Principal => return identity(request, Asked::Principal),
            Kind::All(all) => return together(all.iter().map(|by| by.parts(request, warnings)).collect()),
            Kind::Either(either) => return first(either, request, warnings),
        };
        part.into()
    }
}

fn key(parts: Parts) -> Result<LimitKey, NoKey> {
    let key = LimitKey::joined(&parts?);
    if key.is_empty() { Err(NoKey::Nothing) } else { Ok(key) }
}

fn present(part: KeyPart<'static>) -> Result<KeyPart<'static>, NoKey> {
    if part.is_missing() { Err(NoKey::Header) } else { Ok(part) }
}

fn nonempty(part: Option<KeyPart<'static>>) -> Result<KeyPart<'static>, NoKey> {
    part.filter(|part| !part.is_missing() && !part.is_blank()).ok_or(NoKey::Nothing)
}

#[derive(Clone, Copy)]
enum Asked {
    Handle,
    Principal,
}

fn identity(request: &dyn RequestView, asked: Asked) -> Finding {
    let Some(set) = request.extensions().and_then(|extensions| extensions.get::<SessionSet>()) else {
        return Finding::Now(Err(NoKey::NoSessionLayer));
    };
    let session = set.innermost().clone();
    Finding::Later(Box::pin(async move {
        let identity = session.identity().await?;
        let part = match asked {
            Asked::Handle => {
                let handle = identity.handle.ok_or(NoKey::Session)?;
                KeyPart::session(handle.as_str()).into_owned()
            }
            Asked::Principal => {
                let principal = identity.principal.ok_or(NoKey::SignedOut)?;
                KeyPart::principal(&principal).into_owned()
            }
        };
        Ok(smallvec![part])
    }))
}

/// All parts, or the first reason why one is not there.
fn together(findings: Vec<Finding>) -> Finding {
    if findings.iter().any(|finding| matches!(finding, Finding::Later(_))) {
        return Finding::Later(Box::pin(async move {
            let mut all = SmallVec::new();
            for finding in findings {
                all.extend(match finding {
                    Finding::Now(parts) => parts?,
                    Finding::Later(parts) => parts.await?,
                });
            }
            Ok(all)
        }));
    }
    let mut all = SmallVec::new();
    for finding in findings {
        let Finding::Now(parts) = finding else { continue };
        match parts {
            Ok(parts) => all.extend(parts),
            Err(error) => return Finding::Now(Err(error)),
        }
    }
    Finding::Now(Ok(all))
}

/// The first rule's parts, or else the second's. A failed store is no reason to count by something else.
fn first(either: &(By, By), request: &dyn RequestView, warnings: &Warnings) -> Finding {
    match either.0.parts(request, warnings) {
        Finding::Now(Err(NoKey::Store(error))) => Finding::Now(Err(NoKey::Store(error))),
        Finding::Now(Err(_)) => either.1.parts(request, warnings),
        Finding::Now(Ok(parts)) => Finding::Now(Ok(parts)),
        Finding::Later(parts) => {
            // The future may borrow nothing of the request, so the other rule looks now.
            let other = either.1.parts(request, warnings);
            Finding::Later(Box::pin(async move {
                match (parts.await, other) {
                    (Ok(parts), _) => Ok(parts),
                    (Err(NoKey::Store(error)), _) => Err(NoKey::Store(error)),
                    (Err(_), Finding::Now(parts)) => parts,
                    (Err(_), Finding::Later(parts)) => parts.await,
                }
            }))
        }
    }
}

impl NoKey {
    /// A short, stable name, fit for a metric's label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Header => "header",
            Self::NoSessionLayer => "no_session_layer",
            Self::Session => "session",
            Self::SignedOut => "signed_out",
            Self::Nothing => "nothing",
            Self::Store(_) => "store",
        }
    }
}
