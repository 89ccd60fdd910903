//! What an unsafe request makes invalid (RFC 9111 §4.4, RFC 9875).

use http::request::Parts;
use http::{HeaderMap, Request, StatusCode, Uri};

use super::engine::HttpCache;
use super::error::CacheError;
use super::freshen::host;
use super::purge::group_tag;
use super::rules::{EffectiveUri, MethodKind, invalidated, invalidated_groups, invalidates};
use crate::store::key::Key;
use crate::store::op::cache::{Severity, What};
use crate::view::RequestView;

impl HttpCache {
    /// Removes what the response to an unsafe request makes invalid: its URL, `Location` and `Content-Location` of the same origin, and
    /// the groups that it names. A store that fails is counted; what is stored then lives until it expires.
    pub(super) async fn invalidate(&self, request: &Parts, status: StatusCode, headers: &HeaderMap) {
        let method = MethodKind::of(request.method.as_str());
        if !invalidates(method, status) {
            return;
        }
        let host = host(request);
        let (path, query) = (request.full_path(), request.uri.query());
        // No key holds the scheme.
        let uri = EffectiveUri { scheme: None, authority: &host, path, query };
        let others = invalidated(&uri, headers);
        let others = others.iter().filter_map(|url| self.key_of_other(request, url));
        let keys: Vec<Key> = std::iter::once(self.key_of(request)).chain(others).collect();
        for key in keys {
            if let Err(error) = self.purge_url(key, Severity::Hard).await {
                failed(&error);
            }
        }
        match invalidated_groups(method, headers) {
            Ok(groups) if !groups.is_empty() => {
                let tags = groups.iter().map(|group| self.engine.tag(&group_tag(&host, group))).collect();
                if let Err(error) = self.write_down(What::Tags(tags), Severity::Hard).await {
                    failed(&error);
                }
            }
            Ok(_) => {}
            Err(_) => crate::metric::count("tower_keep_cache_store_failures_total", "groups"),
        }
    }

    /// The same request for another URL selects what is to go.
    fn key_of_other(&self, request: &Parts, url: &str) -> Option<Key> {
        let mut other = Request::new(());
        *other.uri_mut() = url.parse::<Uri>().ok()?;
        *other.headers_mut() = request.headers.clone();
        if let (false, Some(authority)) = (request.headers.contains_key("host"), request.uri.authority())
            && let Ok(host) = authority.as_str().parse()
        {
            other.headers_mut().insert("host", host);
        }
        Some(self.key_of(&other))
    }
}

fn failed(_: &CacheError) {
    crate::metric::count("tower_keep_cache_store_failures_total", "invalidation");
}
