//! What the three middlewares have in common: the way from a `Transform` over an engine to a future, which need not be `Send`.

/// `$handle` is called with the engine, the inner service and a request.
macro_rules! middleware {
    ($middleware:ident, $service:ident, $engine:ty, $handle:path) => {
        impl<S, B> actix_web::dev::Transform<S, ServiceRequest> for $middleware
        where
            S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
            B: MessageBody + 'static,
        {
            type Response = ServiceResponse<EitherBody<B>>;
            type Error = Error;
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

        impl<S, B> Service<ServiceRequest> for $service<S>
        where
            S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
            B: MessageBody + 'static,
        {
            type Response = ServiceResponse<EitherBody<B>>;
            type Error = Error;
            type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

            actix_web::dev::forward_ready!(inner);

            fn call(&self, request: ServiceRequest) -> Self::Future {
                Box::pin($handle(self.engine.clone(), Rc::clone(&self.inner), request))
            }
        }
    };
}

pub(crate) use middleware;
