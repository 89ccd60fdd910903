//! Names of response fields that tell one client how much it may still ask, and that nobody else must see.
//!
//! A limit's state is true for one client at one moment. A cache that stored it would tell every other client the same, so a
//! response is stored without these fields (RateLimit draft -11 §7.3; RFC 6585 §4 for the 429 itself).

use http::HeaderName;

/// `RateLimit`: what is left of each quota.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// `RateLimit-Policy`: the quotas.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit-Limit`, in drafts up to -06.
pub const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// `RateLimit-Remaining`, in drafts up to -06.
pub const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// `RateLimit-Reset`, in drafts up to -06.
pub const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// `X-RateLimit-Limit`, which no standard defines.
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// `X-RateLimit-Remaining`, which no standard defines.
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// `X-RateLimit-Reset`, which no standard defines.
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Fields that a cache must never store, in lower case. A name that ends with `*` stands for all that begin so: drafts and
/// vendors add fields to these families.
pub const NEVER_STORED: [&str; 4] = ["retry-after", "ratelimit", "ratelimit-*", "x-ratelimit-*"];

/// Whether a field is one of [`NEVER_STORED`].
///
/// ```
/// use http::HeaderName;
/// use tower_keep::fields::{RATELIMIT, is_never_stored};
///
/// assert!(is_never_stored(&RATELIMIT));
/// assert!(is_never_stored(&HeaderName::from_static("x-ratelimit-used")));
/// assert!(!is_never_stored(&HeaderName::from_static("etag")));
/// ```
#[must_use]
pub fn is_never_stored(name: &HeaderName) -> bool {
    let name = name.as_str();
    NEVER_STORED.iter().any(|rule| match rule.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => name == *rule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_limiter_sends_is_never_stored() {
        for name in [
            RATELIMIT,
            RATELIMIT_POLICY,
            RATELIMIT_LIMIT,
            RATELIMIT_REMAINING,
            RATELIMIT_RESET,
            X_RATELIMIT_LIMIT,
            X_RATELIMIT_REMAINING,
            X_RATELIMIT_RESET,
            http::header::RETRY_AFTER,
            HeaderName::from_static("ratelimit-partition"),
        ] {
            assert!(is_never_stored(&name), "{name}");
        }
        for name in ["etag", "retry-after-2", "ratelimited", "x-rate"] {
            assert!(!is_never_stored(&HeaderName::from_static(name)), "{name}");
        }
    }
}
