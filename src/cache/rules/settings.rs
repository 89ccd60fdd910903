//! What can be chosen where the standards leave a choice, and beyond them.

use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::status::StatusSet;
use super::targeted::CDN_CACHE_CONTROL;
use super::vary::Normalise;

/// Settings of the rules. [`safe`](Self::safe) is the default; [`strict_spec`](Self::strict_spec) stores all that RFC 9111 allows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// What holds beyond RFC 9111.
    pub profile: Profile,
    /// Whether clients can make the handler run.
    pub request_control: RequestControl,
    /// The lifetime that the route gives.
    pub ttl: Ttl,
    /// The status codes to which [`ttl`](Self::ttl) applies. Default: 200, 203, 301, 308.
    pub ttl_statuses: StatusSet,
    /// The status codes that may be stored when the response itself says for how long.
    ///
    /// Safe: 200, 203, 204, 300 to 303, 307, 308, 404, 410, 451. An error that a client can provoke does not get into the cache by an
    /// accident of headers.
    pub statuses: StatusSet,
    /// Whether a lifetime is guessed where none is given. Default: it is not.
    pub heuristic: Heuristic,
    /// The fields that go before `Cache-Control`, first the one that counts most (RFC 9213 §2.2). Default: `CDN-Cache-Control`.
    pub targets: Vec<HeaderName>,
    /// How long a stale response may be sent while it is refreshed, where the response does not say. Default 0. This and the next one
    /// do not overrule `must-revalidate` and its like.
    pub stale_while_revalidate: Duration,
    /// How long a stale response may stand in for an error, where the response does not say. Safe 0; by the specification a day.
    pub stale_if_error: Duration,
    /// Whether `s-maxage` forbids all stale answers.
    pub s_maxage: SMaxage,
    /// When two requests select the same variant.
    pub normalise: Normalise,
    /// How many ranges are answered; a request for more gets the whole. Default 16.
    pub max_ranges: usize,
    /// Whether `QUERY` is answered from the store.
    pub query_method: QueryMethod,
}

/// What holds beyond RFC 9111.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Responses with `Set-Cookie` are not stored; `RateLimit` fields and `Retry-After` are stored with no response; a request with
    /// `Authorization` is answered from the store only if the stored response is marked as public (`public`, `s-maxage` or
    /// `must-revalidate`). The default.
    #[default]
    Safe,
    /// What RFC 9111 allows is stored, with all its fields, `Set-Cookie` among them: the next client gets it.
    StrictSpec,
}

/// Whether the directives of requests are obeyed (RFC 9111 §5.2.1: a cache may, but need not).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestControl {
    /// Those that would make the handler run although a response is fresh are not: `no-cache`, `max-age`, `min-fresh`, `Pragma`. At the
    /// origin the application knows better than a reload button, and nobody can go past the cache at will. The others are. The default.
    #[default]
    IgnoreReload,
    /// All are.
    Obey,
}

/// The lifetime that a route gives, counted from when the response comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ttl {
    /// Only the response says for how long it may be stored. The default.
    #[default]
    FromResponse,
    /// This long, where the response does not say.
    Default(Duration),
    /// This long, whatever the response says. `no-store`, `private` and `no-cache` count all the same.
    Fixed(Duration),
}

/// Guessed lifetimes (RFC 9111 §4.2.2): a fraction of the time since `Last-Modified`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Heuristic(Option<(u8, Duration)>);

impl Heuristic {
    /// No lifetime is guessed. The default.
    pub const fn off() -> Self {
        Self(None)
    }

    /// `percent` of the time since `Last-Modified`, at most `cap`. The RFC names 10 % as typical; above 100 is taken as 100.
    pub const fn fraction(percent: u8, cap: Duration) -> Self {
        Self(Some((percent, cap)))
    }

    /// The lifetime of a response that has not changed for `unchanged_ms`.
    pub(super) fn lifetime_ms(self, unchanged_ms: u64) -> Option<u64> {
        let (percent, cap) = self.0?;
        Some((unchanged_ms / 100).saturating_mul(percent.min(100).into()).min(crate::clock::millis(cap)))
    }
}

/// Whether `s-maxage` forbids stale answers that the same response allows by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SMaxage {
    /// It forbids them all (RFC 9111 §5.2.2.10, §4.2.4). The default.
    #[default]
    ForbidsStale,
    /// `stale-while-revalidate` and `stale-if-error` in the same response count. Several hosting platforms and frameworks mean it so.
    AllowsNamedStale,
}

/// Whether `QUERY` (draft-ietf-httpbis-safe-method-w-body) is answered from the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueryMethod {
    /// It goes to the handler. The default.
    #[default]
    Forward,
    /// It is handled as `GET` is. Whoever builds the key must put the request's content into it.
    Cache,
}

impl Rules {
    /// The defaults: nobody's response reaches another client by an accident of headers.
    #[must_use]
    pub fn safe() -> Self {
        let statuses = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 410, 451];
        Self {
            profile: Profile::Safe,
            request_control: RequestControl::IgnoreReload,
            ttl: Ttl::FromResponse,
            ttl_statuses: only(&[200, 203, 301, 308]),
            statuses: only(&statuses),
            heuristic: Heuristic::off(),
            targets: vec![CDN_CACHE_CONTROL],
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            s_maxage: SMaxage::ForbidsStale,
            normalise: Normalise::safe(),
            max_ranges: 16,
            query_method: QueryMethod::Forward,
        }
    }

    /// All that the specifications allow: every final status, `Set-Cookie` and all, heuristics (10 % up to a day), request directives,
    /// stale answers to errors for a day. For caches of content that is public by nature, and to compare with other caches.
    #[must_use]
    pub fn strict_spec() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            profile: Profile::StrictSpec,
            request_control: RequestControl::Obey,
            statuses: StatusSet::all(),
            heuristic: Heuristic::fraction(10, day),
            stale_if_error: day,
            normalise: Normalise::by_meaning(),
            ..Self::safe()
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::safe()
    }
}

fn only(codes: &[u16]) -> StatusSet {
    StatusSet::only(codes.iter().filter_map(|code| StatusCode::from_u16(*code).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_guess_is_a_share_of_the_time_without_a_change_up_to_its_cap() {
        let ms = |heuristic: Heuristic, unchanged_ms| heuristic.lifetime_ms(unchanged_ms);
        assert_eq!(ms(Heuristic::off(), 1000), None);
        for (percent, unchanged_ms, expected) in [
            (10, 0, 0),
            (10, 1000, 100),
            (99, 1000, 990),
            (100, 1000, 1000),
            (101, 1000, 1000),
            (255, 1000, 1000),
            (10, 863_999_900, 86_399_990),
            (10, 864_000_100, 86_400_000),
            (100, u64::MAX, 86_400_000),
        ] {
            let guess = ms(Heuristic::fraction(percent, DAY), unchanged_ms);
            assert_eq!(guess, Some(expected), "{percent} % of {unchanged_ms}");
        }
    }

    #[test]
    fn the_safe_settings_guess_nothing_and_the_strict_ones_use_what_may_be_used() {
        let (safe, strict) = (Rules::default(), Rules::strict_spec());
        assert_eq!((safe.heuristic, strict.heuristic), (Heuristic::off(), Heuristic::fraction(10, DAY)));
        assert_eq!((safe.normalise, strict.normalise), (Normalise::safe(), Normalise::by_meaning()));
        assert_eq!((safe.stale_if_error, strict.stale_if_error), (Duration::ZERO, DAY));
        for (rules, of_an_error) in
            [(safe.statuses, false), (strict.statuses, true), (strict.ttl_statuses, false)]
        {
            assert!(rules.contains(StatusCode::OK));
            assert_eq!(rules.contains(StatusCode::INTERNAL_SERVER_ERROR), of_an_error);
        }
    }
}
