//! The request as the handler gets it.

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};

use crate::cache::engine::HttpCache;
use crate::cache::policy::{CachePolicy, UnkeyedInput};
use crate::cache::rules::Validators;

/// A request that may be answered from the store, for the handler: with the stored response's validators in place of the client's
/// conditions, with the values by which the variant is selected, and without what the policy hides.
///
/// What is hidden is hidden whether or not there is room to store the response, so that a handler answers alike.
pub(super) fn outgoing(cache: &HttpCache, request: &Parts, validators: Option<&Validators>) -> Parts {
    let policy = &cache.policy;
    let mut outgoing = request.clone();
    for name in [ACCEPT_ENCODING, ACCEPT_LANGUAGE] {
        if let Some(value) = policy.rules.normalise.replacement(&name, request) {
            outgoing.headers.insert(name, value);
        }
    }
    if let Some(validators) = validators {
        validators.apply(&mut outgoing.headers);
    }
    if policy.unkeyed == UnkeyedInput::Hidden {
        outgoing.headers = shown(policy, &outgoing.headers);
        outgoing.uri = keyed(policy, &outgoing.uri);
    }
    outgoing
}

/// `collect` of a header map appends, so that all lines stay.
fn shown(policy: &CachePolicy, headers: &HeaderMap) -> HeaderMap {
    let shown = headers.iter().filter(|(name, _)| policy.shows(name.as_str()));
    shown.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The URI with the parameters that select the response and no others.
fn keyed(policy: &CachePolicy, uri: &Uri) -> Uri {
    let Some(query) = uri.query() else { return uri.clone() };
    let kept = policy.key.query(Some(query)).unwrap_or_default();
    if kept == query {
        return uri.clone();
    }
    let mut path = uri.path().to_owned();
    if !kept.is_empty() {
        path.extend(["?", &*kept]);
    }
    // Some of the parts of a query make a query, so neither fails; if it did, the handler would see none.
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).or_else(|_| uri.path().parse()).ok();
    Uri::from_parts(parts).unwrap_or_default()
}
