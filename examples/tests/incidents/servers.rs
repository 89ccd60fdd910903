//! The same small site on both frameworks: `/page/NAME` is cached, `/limited/NAME` admits nobody, and all handlers leave bodies unread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{self, Data};
use axum::extract::{Path, State};
use axum::routing::any;
use tower_keep::cache::{CacheLayer, HttpCache};
use tower_keep::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter};
use tower_keep::store::Store;
use tower_keep_actix::{CacheMiddleware, RateLimitMiddleware};

use crate::serve;

/// Which handlers ran, and how often.
#[derive(Clone, Debug, Default)]
pub struct Runs(Arc<Mutex<BTreeMap<String, usize>>>);

impl Runs {
    fn page(&self, name: &str) -> String {
        let mut runs = self.0.lock().unwrap();
        let runs = runs.entry(name.to_owned()).or_default();
        *runs += 1;
        format!("page {name}, run {runs}")
    }

    pub fn of(&self, name: &str) -> usize {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

/// A server, and what its handlers did.
#[derive(Debug)]
pub struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    pub runs: Runs,
}

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

fn engines() -> (HttpCache, RateLimiter) {
    let store = Store::in_memory();
    let nobody = Limit::new("nobody", Quota::window(1, Duration::from_secs(3600)));
    (HttpCache::new(store.clone()).unwrap(), RateLimiter::builder(store).limit(nobody).build().unwrap())
}

/// Both servers, each with a cache of its own. They end with the test program.
pub async fn both() -> [Server; 2] {
    let servers = [on_axum().await, on_actix().await];
    for server in &servers {
        let first = crate::wire::Wire::ask(server, "GET", "/limited/first", "").await;
        assert_eq!(first.status, 200, "from now on nobody is admitted");
    }
    servers
}

async fn on_axum() -> Server {
    let (runs, (cache, limiter)) = (Runs::default(), engines());
    let page = async |State(runs): State<Runs>, Path(name): Path<String>| ([FRESH], runs.page(&name));
    let app = axum::Router::new()
        .route("/page/{name}", any(page).layer(CacheLayer::new(cache)))
        .route("/limited/{name}", any(page).layer(RateLimitLayer::new(limiter, By::everybody())))
        .with_state(runs.clone());
    Server { name: "axum", address: serve::on_axum(app).await, runs }
}

async fn on_actix() -> Server {
    let (runs, (cache, limiter)) = (Runs::default(), engines());
    let of_handlers = runs.clone();
    let page = async |runs: Data<Runs>, name: web::Path<String>| {
        actix_web::HttpResponse::Ok().insert_header(FRESH).body(runs.page(&name))
    };
    let app = move || {
        let limits = RateLimitMiddleware::new(limiter.clone(), By::everybody());
        let cache = CacheMiddleware::new(cache.clone());
        actix_web::App::new()
            .app_data(Data::new(of_handlers.clone()))
            .service(web::resource("/page/{name}").route(web::to(page)).wrap(cache))
            .service(web::resource("/limited/{name}").route(web::to(page)).wrap(limits))
    };
    let start = move || {
        let server = actix_web::HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind("127.0.0.1:0").unwrap();
        (server.addrs()[0], server.run())
    };
    Server { name: "actix", address: serve::on_actix(start).await, runs }
}
