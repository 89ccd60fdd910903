//! What middlewares tell engines about requests, and handlers about responses.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, Responder};

use crate::head::with_extensions;

/// Shows a value to rules of limits and policies of the cache, as one of a request's
/// [extensions](tower_keep::view::RequestView::extensions): a tenant, a customer's plan.
pub fn share<T: Clone + Send + Sync + 'static>(request: &impl HttpMessage, value: T) {
    with_extensions(request, |extensions| extensions.insert(value));
}

/// Adds parts to responses.
pub trait ResponderExt: Responder + Sized {
    /// Puts a value into the response's extensions. Middlewares look there for [`CacheTags`](crate::cache::CacheTags),
    /// [`NoStore`](crate::cache::NoStore), [`StoreFor`](crate::cache::StoreFor) and [`Cost`](crate::rate_limit::Cost).
    fn with<T: 'static>(self, part: T) -> With<Self, T> {
        With { responder: self, part }
    }
}

impl<R: Responder> ResponderExt for R {}

/// A response with a part more; see [`ResponderExt::with`].
#[derive(Clone, Debug)]
pub struct With<R, T> {
    responder: R,
    part: T,
}

impl<R: Responder, T: 'static> Responder for With<R, T> {
    type Body = R::Body;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse<R::Body> {
        let mut response = self.responder.respond_to(request);
        response.extensions_mut().insert(self.part);
        response
    }
}
