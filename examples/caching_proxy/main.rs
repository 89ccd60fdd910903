//! A caching reverse proxy: the cache layer over a service that forwards.
//!
//! ```sh
//! cargo run --example caching_proxy -- --listen 127.0.0.1:8001 --upstream http://127.0.0.1:8000
//! ```
//!
//! It follows RFC 9111 and what responses say of themselves. `--strict-spec` also stores what the specification allows and this
//! library refuses by default, such as responses with `Set-Cookie`. With `REDIS_URL` set, several proxies share what they store.

mod forward;

use std::env;
use std::error::Error;

use axum::Router;
use tower_keep_axum::cache::rules::{Profile, Rules};
use tower_keep_axum::cache::{CacheLayer, CachePolicy, HttpCache};
use tower_keep_axum::store::Store;

use forward::{Forward, Upstream};

struct Settings {
    listen: String,
    upstream: Upstream,
    strict: bool,
}

const USAGE: &str = "caching_proxy --listen HOST:PORT --upstream http://HOST[:PORT] [--strict-spec]";

impl Settings {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut listen, mut upstream, mut strict) = ("127.0.0.1:8001".to_owned(), None, false);
        while let Some(arg) = args.next() {
            match (arg.as_str(), args.by_ref()) {
                ("--listen", args) => listen = args.next().ok_or(USAGE)?,
                ("--upstream", args) => {
                    upstream = Some(Upstream::parse(&args.next().ok_or(USAGE)?).ok_or(USAGE)?)
                }
                ("--strict-spec", _) => strict = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(Self { listen, upstream: upstream.ok_or(USAGE)?, strict })
    }

    fn cache(&self) -> Result<HttpCache, Box<dyn Error>> {
        let store = match env::var("REDIS_URL") {
            Ok(url) if !url.is_empty() => Store::connect(&url)?,
            _ => Store::in_memory(),
        };
        // All that the specifications allow; what a response says to everybody may be wrong about one visitor, though.
        let mut rules = Rules::strict_spec();
        if !self.strict {
            rules.profile = Profile::Safe;
        }
        Ok(HttpCache::builder(store).policy(CachePolicy::new().rules(rules)).build()?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_args(env::args().skip(1))?;
    let cached = CacheLayer::new(settings.cache()?);
    let proxy = Router::new().fallback_service(Forward::to(settings.upstream.clone())).layer(cached);
    let listener = tokio::net::TcpListener::bind(&settings.listen).await?;
    announce(&listener.local_addr()?.to_string(), &settings.upstream);
    Ok(axum::serve(listener, proxy).with_graceful_shutdown(asked_to_stop()).await?)
}

#[allow(clippy::print_stdout, reason = "this line is for the person who started the program")]
fn announce(listen: &str, upstream: &Upstream) {
    println!("listening on http://{listen}, forwarding to http://{}", upstream.authority());
}

async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => drop(terminate.recv().await),
        Err(_) => std::future::pending().await,
    }
}
