//! Purging, by the application.

use http::Request;

use super::engine::HttpCache;
use super::error::CacheError;
use super::policy::CachePolicy;
use super::url::{target, target_of};
use super::write::LINGER_MS;
use crate::clock::millis;
use crate::store::key::Key;
use crate::store::op::cache::{ExpireUrl, Forget, Purge, Severity, What};
use crate::view::RequestView;

/// How many tags or paths one purge takes.
const MOST: usize = 64;

/// What is to be purged, and how.
///
/// ```
/// use tower_keep::cache::{HttpCache, Purging};
/// use tower_keep::store::Store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = HttpCache::new(Store::in_memory())?;
/// cache.purge(Purging::tags(["product:17"])).await?;
/// cache.purge(Purging::below("shop.example", "/help").softly()).await?;
/// cache.purge(Purging::all()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Purging {
    what: Target,
    severity: Severity,
}

#[derive(Clone, Debug)]
enum Target {
    Tags(Vec<String>),
    Url { host: String, path_and_query: String },
    Below { host: String, path: String },
    All,
}

impl Purging {
    const fn hard(what: Target) -> Self {
        Self { what, severity: Severity::Hard }
    }

    /// Responses with one of these tags, at most 64 at once.
    pub fn tags<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self::hard(Target::Tags(tags.into_iter().map(Into::into).collect()))
    }

    /// The response to one URL in all its variants, by host and by path with query, as clients send them.
    pub fn url(host: &str, path_and_query: &str) -> Self {
        Self::hard(Target::Url { host: host.to_ascii_lowercase(), path_and_query: path_and_query.to_owned() })
    }

    /// Responses to all URLs of a host whose path is this one or lies below it; `/` is the whole host. 128 such purges are kept for the
    /// time that responses are stored; beyond that, everything is purged: for many at once, take tags.
    pub fn below(host: &str, path: &str) -> Self {
        Self::hard(Target::Below { host: host.to_ascii_lowercase(), path: path.to_owned() })
    }

    /// Everything of the cache's namespace.
    pub const fn all() -> Self {
        Self::hard(Target::All)
    }

    /// What is found becomes stale instead of going: it is validated before its next use, or sent once more where stale responses may
    /// be.
    pub const fn softly(mut self) -> Self {
        self.severity = Severity::Soft;
        self
    }
}

impl HttpCache {
    /// Purges. When it returns, no response is served any more that was stored before, and none will be that a handler began before:
    /// in all processes, whatever they are filling. One round trip; it takes no longer the more is purged.
    ///
    /// # Errors
    ///
    /// [`CacheError::Store`] when the store fails, and then it is not known whether anything was purged; [`CacheError::TooMany`].
    pub async fn purge(&self, purging: Purging) -> Result<(), CacheError> {
        crate::metric::count(
            "tower_keep_cache_purges_total",
            if purging.severity == Severity::Hard { "hard" } else { "soft" },
        );
        let severity = purging.severity;
        match purging.what {
            Target::Tags(tags) => self.purge_tags(&tags, severity).await,
            Target::Url { host, path_and_query } => {
                let request = Request::get(&path_and_query).header("host", host.as_str()).body(());
                let exact = match request {
                    Ok(request) if self.policy.key.is_url_alone() => {
                        return self.purge_url(self.key_of(&request), severity).await;
                    }
                    // There may be several responses, by what else the policy makes part of the key.
                    Ok(request) => target_of(&request, &self.policy.key),
                    Err(_) => target(&host, &path_and_query, None),
                };
                self.write_down(What::Paths(vec![format!("={exact}")]), severity).await
            }
            Target::Below { host, path } => {
                self.write_down(What::Paths(vec![target(&host, &path, None)]), severity).await
            }
            Target::All if severity == Severity::Hard => self.write_down(What::All, severity).await,
            Target::All => self.write_down(What::Paths(vec!["*".to_owned()]), severity).await,
        }
    }

    async fn purge_tags(&self, tags: &[String], severity: Severity) -> Result<(), CacheError> {
        let tags = tags.iter().map(|tag| self.engine.tag(&app_tag(tag))).collect();
        self.write_down(What::Tags(tags), severity).await
    }

    pub(super) async fn purge_url(&self, url: Key, severity: Severity) -> Result<(), CacheError> {
        match severity {
            Severity::Hard => self.engine.store.run(Forget::url(url)).await?,
            Severity::Soft => {
                let fill = url.cached_fill(None);
                self.engine.store.run(ExpireUrl { url, fill }).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn write_down(&self, what: What, severity: Severity) -> Result<(), CacheError> {
        let count = match &what {
            What::Tags(tags) => tags.len(),
            What::Paths(paths) => paths.len(),
            What::All => 0,
        };
        if count > MOST {
            return Err(CacheError::TooMany { most: MOST });
        }
        let engine = &self.engine;
        let purge = Purge {
            namespace: engine.config.namespace.clone(),
            log: engine.log.clone(),
            fresh: crate::random::token().map_err(|_| CacheError::Randomness)?.to_string(),
            ttl_ms: millis(engine.config.retention).saturating_add(LINGER_MS),
            severity,
            what,
        };
        Ok(engine.store.run(purge).await?)
    }
}

/// A tag of the application, apart from groups.
pub(super) fn app_tag(tag: &str) -> String {
    format!("t:{tag}")
}

/// A group of RFC 9875, which belongs to its origin. Hosts hold colons, so the length tells where this one ends.
pub(super) fn group_tag(host: &str, group: &str) -> String {
    format!("g:{}:{host}:{group}", host.len())
}

impl CachePolicy {
    /// The tags that the policy gives to a request's response.
    pub(super) fn tags_of(&self, request: &dyn RequestView) -> Vec<String> {
        self.tags.as_ref().map_or_else(Vec::new, |tags| tags(request))
    }
}
