//! Which fields are not stored (RFC 9111 §3.1, RFC 9110 §7.6.1).

use http::header::{
    AGE, CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

use super::super::control::ResponseDirectives;
use super::super::settings::Profile;
use crate::fields::is_never_stored;
use crate::syntax::elements;

/// Whether a field is for the next hop only, or for one proxy's clients.
fn is_for_one_hop(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION].contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "proxy-authentication-info" | "http2-settings"
        )
}

/// The fields of one response that are not stored.
pub(in crate::cache::rules) struct Omitted<'a> {
    directives: &'a ResponseDirectives,
    profile: Profile,
    /// Names in `Connection`.
    named: Vec<&'a [u8]>,
}

/// What not to store of a response with these fields and directives.
pub(in crate::cache::rules) fn omitted<'a>(
    headers: &'a HeaderMap,
    directives: &'a ResponseDirectives,
    profile: Profile,
) -> Omitted<'a> {
    let lines = headers.get_all(CONNECTION).iter();
    let named = lines.flat_map(|line| elements(line.as_bytes())).map(|element| element.text).collect();
    Omitted { directives, profile, named }
}

impl Omitted<'_> {
    /// Whether a field is one of them. `Age` is: what was received is part of the entry's age, and a hit has its own.
    pub(in crate::cache::rules) fn contains(&self, name: &HeaderName) -> bool {
        let is_named = |name: &HeaderName| {
            self.named.iter().any(|named| named.eq_ignore_ascii_case(name.as_str().as_bytes()))
        };
        *name == AGE
            || is_for_one_hop(name)
            || is_named(name)
            || self.directives.private_fields().contains(name)
            // They could be sent after validation, but then the 304 brings them along, if it wants to.
            || self.directives.no_cache_fields().contains(name)
            || (self.profile == Profile::Safe && (is_never_stored(name) || *name == SET_COOKIE))
    }
}
