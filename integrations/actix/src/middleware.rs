//! What the three middlewares have in common: the way from a `Transform` over an engine to a future, which need not be `Send`.

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};

/// The service inside of a middleware.
pub trait Inner:
    Service<ServiceRequest, Response = ServiceResponse<Self::Body>, Error = Error> + 'static
{
    type Body: MessageBody + 'static;
}

impl<S, B> Inner for S
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Body = B;
}

/// The answer of a middleware around `S`: with the inner service's body, or one of ours.
pub(crate) type Answered<S> = Result<ServiceResponse<EitherBody<<S as Inner>::Body>>, Error>;

/// `$handle` is called with the engine, the inner service and a request.
macro_rules! middleware {
    ($middleware:ident, $service:ident, $engine:ty, $handle:path) => {
        impl<S: Inner> actix_web::dev::Transform<S, ServiceRequest> for $middleware {
            type Response = ServiceResponse<actix_web::body::EitherBody<S::Body>>;
            type Error = actix_web::Error;
            type InitError = ();
            type Transform = $service<S>;
            type Future = std::future::Ready<Result<Self::Transform, ()>>;

            fn new_transform(&self, inner: S) -> Self::Future {
                std::future::ready(Ok($service { inner: Rc::new(inner), engine: self.0.clone() }))
            }
        }

        /// The service of the middleware of this name.
        #[doc(hidden)]
        #[derive(Debug)]
        pub struct $service<S> {
            inner: Rc<S>,
            engine: $engine,
        }

        impl<S: Inner> actix_web::dev::Service<ServiceRequest> for $service<S> {
            type Response = ServiceResponse<actix_web::body::EitherBody<S::Body>>;
            type Error = actix_web::Error;
            type Future = std::pin::Pin<Box<dyn Future<Output = Answered<S>>>>;

            actix_web::dev::forward_ready!(inner);

            fn call(&self, request: ServiceRequest) -> Self::Future {
                Box::pin($handle(self.engine.clone(), Rc::clone(&self.inner), request))
            }
        }
    };
}

pub(crate) use middleware;
