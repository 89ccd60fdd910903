//! What the adapters of all frameworks have alike: extractors, and what they are answered with when they fail. Each adapter has them as
//! types of its own, since only the crate of a type may give it the framework's traits, and [`adapter_types!`](crate::adapter_types)
//! writes them there: so they have the same names and do the same.

use std::future::Future;

use http::Extensions;

/// How an extractor finds what it is for.
pub trait Extracted: Sized {
    /// What it fails with.
    type Rejection;

    /// Looks at once, among a request's extensions, and then waits: the future holds nothing of the request.
    fn find(
        extensions: Option<&Extensions>,
    ) -> impl Future<Output = Result<Self, Self::Rejection>> + Send + use<Self>;
}

/// The extractors and rejections of an adapter. Needs `thiserror` there.
#[doc(hidden)]
#[macro_export]
macro_rules! adapter_types {
    () => {
        /// The session of the innermost session layer or middleware, with its failure policy.
        #[derive(Clone, Debug)]
        pub struct Session(pub $crate::session::Session);

        /// The session, or 503 when the store fails, whatever the layer's policy.
        #[derive(Clone, Debug)]
        pub struct RequiredSession(pub $crate::session::Session);

        /// The session, or an anonymous read-only one when the store fails, whatever the layer's policy.
        #[derive(Clone, Debug)]
        pub struct OptionalSession(pub $crate::session::Session);

        /// The session seen as a struct of the app; see [`TypedSession`]($crate::session::TypedSession).
        #[derive(Debug)]
        pub struct Typed<T>(pub $crate::session::TypedSession<T>);

        /// The session of the layer or middleware with a certain namespace, for apps with several.
        #[derive(Debug)]
        pub struct Named<N>(pub $crate::session::Session, std::marker::PhantomData<fn() -> N>);

        /// Names a session layer or middleware by its namespace.
        pub trait SessionName {
            /// As given to [`SessionsBuilder::namespace`]($crate::session::SessionsBuilder::namespace).
            const NAMESPACE: &'static str;
        }

        /// What the rate limits outside decided about this request: what is left, limit by limit.
        ///
        /// As `Option<RateLimitStatus>` it is `None` where none counted the request: there is none, or each skipped it.
        #[derive(Clone, Debug)]
        pub struct RateLimitStatus(pub $crate::rate_limit::RateLimits);

        /// Why a session could not be extracted. Without a session layer or middleware (of that name) outside of the handler: 500, and
        /// the log says which one. When the store failed: 503 with `Retry-After`. The client sees the status alone.
        #[derive(Clone, Debug, thiserror::Error)]
        #[error(transparent)]
        pub struct SessionRejection(#[from] pub $crate::session::NoSession);

        /// Why the decision of a rate limit could not be extracted: none outside of the handler counted the request. 500, and the log
        /// says so. The client sees the status alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error(transparent)]
        pub struct RateLimitRejection(#[from] pub $crate::rate_limit::NotCounted);

        /// A [`SessionError`]($crate::session::SessionError) as a response, so that handlers can use `?`. The client sees the status
        /// alone.
        #[derive(Clone, Debug, thiserror::Error)]
        #[error(transparent)]
        pub struct SessionProblem(#[from] pub $crate::session::SessionError);

        $crate::adapter_types! {
            [] Session, $crate::session::Session, SessionRejection:
                |known| $crate::session::extract(known, None, None), Self;
            [] RequiredSession, $crate::session::Session, SessionRejection:
                |known| $crate::session::extract(known, None, Some($crate::session::FailurePolicy::Required)), Self;
            [] OptionalSession, $crate::session::Session, SessionRejection:
                |known| $crate::session::extract(known, None, Some($crate::session::FailurePolicy::Optional)), Self;
            [T: Sized] Typed<T>, $crate::session::TypedSession<T>, SessionRejection:
                |known| $crate::session::extract(known, None, None), |session: $crate::session::Session| Self(session.typed());
            [N: SessionName] Named<N>, $crate::session::Session, SessionRejection:
                |known| $crate::session::extract(known, Some(N::NAMESPACE), None),
                |session| Self(session, std::marker::PhantomData);
            [] RateLimitStatus, $crate::rate_limit::RateLimits, RateLimitRejection:
                |known| std::future::ready($crate::rate_limit::RateLimits::of(known)), Self;
        }
    };
    ($([$($generic:ident: $bound:path)?] $name:ty, $target:ty, $rejection:ty: $ask:expr, $wrap:expr;)+) => {$(
        impl<$($generic: $bound)?> $crate::adapter::Extracted for $name {
            type Rejection = $rejection;

            fn find(
                extensions: Option<&http::Extensions>,
            ) -> impl Future<Output = Result<Self, $rejection>> + Send + use<$($generic)?> {
                let asked = $ask(extensions);
                async move { Ok($wrap(asked.await?)) }
            }
        }

        impl<$($generic: $bound)?> std::ops::Deref for $name {
            type Target = $target;

            fn deref(&self) -> &$target {
                &self.0
            }
        }
    )+};
}
