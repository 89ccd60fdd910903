//! Settings from the environment.

use std::env;
use std::error::Error;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use tower_keep::clock::Clock;
use tower_keep::rate_limit::{LimitConfigError, ProxyError, ProxyHeader, TrustedProxies};
use tower_keep::session::{OriginCheck, SessionCookie, Sessions};
use tower_keep::store::key::KeyPrefix;
use tower_keep::store::{MemoryLimits, Store};

use crate::limits::Limiters;

/// The settings, checked. `Debug` shows none, since a URL may hold a password.
pub struct Settings {
    /// Where to listen.
    pub addr: String,
    /// What is logged.
    pub log: String,
    /// Who may say who the client is.
    pub proxies: TrustedProxies,
    redis_url: Option<String>,
    prefix: KeyPrefix,
    deadline: Duration,
    secure_cookies: bool,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// The setting that cannot work, and why.
    pub fn from_env() -> Result<Self, Box<dyn Error>> {
        let var = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        Ok(Self {
            addr: var("ADDR", "127.0.0.1:3000"),
            log: var("RUST_LOG", "info"),
            proxies: named("TRUSTED_PROXIES", proxies(&var("TRUSTED_PROXIES", "")))?,
            redis_url: env::var("REDIS_URL").ok().filter(|url| !url.is_empty()),
            prefix: named("KEY_PREFIX", KeyPrefix::new(&var("KEY_PREFIX", "demo")))?,
            deadline: match var("STORE_DEADLINE_MS", "250").parse() {
                Ok(ms @ 1..=60_000) => Duration::from_millis(ms),
                _ => return Err("STORE_DEADLINE_MS must be a number of milliseconds from 1 to 60000".into()),
            },
            secure_cookies: match var("COOKIES", "dev").as_str() {
                "dev" => false,
                "secure" => true,
                _ => return Err("COOKIES must be `dev` or `secure`".into()),
            },
        })
    }

    /// The store.
    ///
    /// # Errors
    ///
    /// A URL that cannot work, or no runtime.
    pub fn store(&self) -> Result<Store, Box<dyn Error>> {
        Ok(match &self.redis_url {
            None => Store::in_memory_with(MemoryLimits::default(), Clock::system())
                .with_prefix(self.prefix.clone()),
            Some(url) => {
                let builder = Store::builder().prefix(self.prefix.clone()).deadline(self.deadline);
                named("REDIS_URL", builder.connect(url))?
            }
        })
    }

    /// Limits on a store. They wait for a fifth of its deadline, 50 ms by default: a limit shall not hold a request up.
    ///
    /// # Errors
    ///
    /// Settings that cannot work; these can.
    pub fn limiters(&self, store: &Store) -> Result<Limiters, LimitConfigError> {
        Limiters::new(store, self.deadline / 5)
    }

    /// Sessions on a store.
    ///
    /// # Errors
    ///
    /// Settings that cannot work; these can.
    pub fn sessions(&self, store: &Store) -> Result<Sessions, Box<dyn Error>> {
        let sessions = Sessions::builder(store.clone()).origin_check(OriginCheck::new());
        // A browser refuses `Secure` cookies and `__Host-` names on plain http, other than on localhost.
        let cookie = if self.secure_cookies {
            SessionCookie::default()
        } else {
            SessionCookie::insecure_for_development()
        };
        Ok(sessions.cookie(cookie).build()?)
    }

    /// The one line that says where the site is. No password: neither what stands before an `@` nor a query is shown.
    #[allow(clippy::print_stdout, reason = "this line is for the person who started the program")]
    pub fn announce(&self, addr: SocketAddr) {
        let store = match self.redis_url.as_deref().and_then(|url| url.split_once("://")) {
            Some((scheme, rest)) => {
                let place = rest.split('?').next().and_then(|rest| rest.rsplit('@').next());
                format!("redis ({scheme}://{})", place.unwrap_or_default())
            }
            None => "embedded".to_owned(),
        };
        let cookies = if self.secure_cookies { "secure" } else { "dev, without Secure and __Host-" };
        println!("listening on http://{addr} (store: {store}; cookies: {cookies})");
    }
}

/// Networks (`10.0.0.0/8`) between commas; none: nobody's `X-Forwarded-For` is believed.
fn proxies(networks: &str) -> Result<TrustedProxies, ProxyError> {
    let networks: Vec<_> = networks.split(',').map(str::trim).filter(|network| !network.is_empty()).collect();
    if networks.is_empty() {
        return Ok(TrustedProxies::none());
    }
    TrustedProxies::networks(ProxyHeader::XForwardedFor, networks)
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// An error that says which setting it concerns.
///
/// # Errors
///
/// The same, with the setting's name.
pub fn named<T, E: Display>(setting: &str, result: Result<T, E>) -> Result<T, Box<dyn Error>> {
    result.map_err(|error| format!("{setting}: {error}").into())
}
