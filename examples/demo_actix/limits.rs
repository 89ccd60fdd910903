//! The limited routes. All count by the client's address.

use actix_web::web::{Json, ServiceConfig};
use demo_site::limits::{self, Limiters};
use serde_json::Value;
use tower_keep_actix::rate_limit::{RateLimiter, TrustedProxies};
use tower_keep_actix::{RateLimitMiddleware, RateLimitStatus, by_client};

use crate::{at, get};

pub fn routes(routes: &mut ServiceConfig, limiters: &Limiters, proxies: &TrustedProxies) {
    let limit = |limiter: &RateLimiter| RateLimitMiddleware::new(limiter.clone(), by_client(proxies.clone()));
    // Around the route: what no handler answers, such as another method, is not counted.
    routes
        .service(at("/limited").route(get().to(remaining).wrap(limit(&limiters.bucket))))
        .service(at("/window").route(get().to(remaining).wrap(limit(&limiters.window))))
        .service(at("/both").route(get().to(remaining).wrap(limit(&limiters.both))));
}

async fn remaining(status: RateLimitStatus) -> Json<Value> {
    Json(limits::remaining(&status))
}
