//! What a route's policy chooses beyond the rules.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::rules::{QueryKey, Rules, Ttl};
use crate::view::RequestView;

/// Whether a response is stored whose handler used the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionRule {
    /// It is the visitor's own and not stored, whatever its fields say. The default.
    #[default]
    Private,
    /// The route's responses are for everybody, though its handler looks at the session.
    Public,
}

/// What a handler sees of a request whose response may be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnkeyedInput {
    /// Everything. A header that changes the response must then be named by `Vary`, or be part of the key. The default.
    #[default]
    Shown,
    /// Headers that the key covers, those that are named by [`CachePolicy::vary_on`], and those that concern the message rather than its
    /// meaning. Cookies and the rest are taken out before the handler runs, so they cannot change what everybody gets.
    Hidden,
}

type Predicate = Arc<dyn Fn(&dyn RequestView) -> bool + Send + Sync>;
type Words = Arc<dyn Fn(&dyn RequestView) -> Vec<String> + Send + Sync>;
type Part = Arc<dyn Fn(&dyn RequestView) -> Option<String> + Send + Sync>;

/// How a route is cached. The default follows what each response says of itself, and stores nobody's own.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::cache::CachePolicy;
/// use tower_keep::cache::rules::{QueryKey, Ttl};
///
/// let policy = CachePolicy::new()
///     .ttl(Ttl::Default(Duration::from_secs(30)))
///     .key_header(http::HeaderName::from_static("x-tenant"))
///     .bypass_if(|request| request.path().starts_with("/admin"))
///     .tags(|request| vec![format!("page:{}", request.path())]);
/// # let _ = policy;
/// ```
#[derive(Clone)]
#[must_use]
pub struct CachePolicy {
    pub(super) rules: Rules,
    pub(super) key: KeyParts,
    pub(super) bypass: Option<Predicate>,
    pub(super) tags: Option<Words>,
    pub(super) sessions: SessionRule,
    pub(super) unkeyed: UnkeyedInput,
    pub(super) visible: BTreeSet<String>,
    pub(super) max_body: u64,
    pub(super) early_refresh: Option<f64>,
}

/// What is part of a request's key beside host and path.
#[derive(Clone, Default)]
pub(super) struct KeyParts {
    query: QueryKey,
    headers: Vec<HeaderName>,
    extra: Vec<Part>,
}

impl KeyParts {
    pub(super) fn query<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        query.map(|query| self.query.canonical(query))
    }

    /// Hands each part to `put`, a missing one as none.
    pub(super) fn each(&self, request: &dyn RequestView, put: &mut dyn FnMut(&[u8])) {
        for name in &self.headers {
            let mut lines = 0u64;
            request.each_header(name.as_str(), &mut |value| {
                lines += 1;
                put(value);
            });
            put(&lines.to_le_bytes());
        }
        for part in &self.extra {
            match part(request) {
                Some(part) => {
                    put(b"+");
                    put(part.as_bytes());
                }
                None => put(b"-"),
            }
        }
    }

    /// Whether a URL alone is the whole key.
    pub(super) fn is_url_alone(&self) -> bool {
        self.headers.is_empty() && self.extra.is_empty()
    }
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            rules: Rules::safe(),
            key: KeyParts::default(),
            bypass: None,
            tags: None,
            sessions: SessionRule::default(),
            unkeyed: UnkeyedInput::default(),
            visible: BTreeSet::new(),
            max_body: 8 << 20,
            early_refresh: None,
        }
    }
}

impl CachePolicy {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules of HTTP, with the choices that they leave. Default: [`Rules::safe`].
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The lifetime that the route gives. Default: [`Ttl::FromResponse`], nothing is stored that does not say for how long.
    pub const fn ttl(mut self, ttl: Ttl) -> Self {
        self.rules.ttl = ttl;
        self
    }

    /// For how long a stale response may be sent while one request refreshes it, where the response does not say (RFC 5861 §3). Default:
    /// not at all.
    pub const fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.rules.stale_while_revalidate = time;
        self
    }

    /// For how long a stale response may stand in for a 5xx of the handler, where the response does not say (RFC 5861 §4). Default: not
    /// at all.
    pub const fn stale_if_error(mut self, time: Duration) -> Self {
        self.rules.stale_if_error = time;
        self
    }

    /// Which parameters of the query count, and whether their order does. Default: the query as sent.
    pub fn query(mut self, query: QueryKey) -> Self {
        self.key.query = query;
        self
    }

    /// Makes a request header part of the key. Unlike with `Vary`, it is known before the response is.
    pub fn key_header(mut self, name: HeaderName) -> Self {
        self.key.headers.push(name);
        self
    }

    /// Makes something else part of the key: what the function finds in the request's head. None is a value of its own.
    pub fn key_part(
        mut self,
        part: impl Fn(&dyn RequestView) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.key.extra.push(Arc::new(part));
        self
    }

    /// Leaves requests alone for which the function says so: they go to the handler and nothing of them is stored.
    pub fn bypass_if(mut self, bypass: impl Fn(&dyn RequestView) -> bool + Send + Sync + 'static) -> Self {
        self.bypass = Some(Arc::new(bypass));
        self
    }

    /// What responses can be purged by, from the request. Handlers can add more: [`CacheTags`](super::CacheTags), `Cache-Groups`.
    pub fn tags(mut self, tags: impl Fn(&dyn RequestView) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.tags = Some(Arc::new(tags));
        self
    }

    /// Whether a response is stored whose handler used the session. Default: [`SessionRule::Private`].
    pub const fn sessions(mut self, rule: SessionRule) -> Self {
        self.sessions = rule;
        self
    }

    /// What handlers see of a request whose response may be stored. Default: [`UnkeyedInput::Shown`].
    pub const fn unkeyed_input(mut self, unkeyed: UnkeyedInput) -> Self {
        self.unkeyed = unkeyed;
        self
    }

    /// Names a request header that responses vary on, so that [`UnkeyedInput::Hidden`] leaves it. The handler must say so in `Vary`.
    pub fn vary_on(mut self, name: &HeaderName) -> Self {
        self.visible.insert(name.as_str().to_owned());
        self
    }

    /// The longest body that is stored, in bytes. A longer one is sent and not stored. Default 8 MiB.
    pub const fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Refreshes a fresh response in the background before it expires, the likelier the closer the end is and the longer the handler
    /// took, so that one of many requests comes early instead of all too late. `eagerness` 1 is the optimum of the source (Vattani et
    /// al., "Optimal probabilistic cache stampede prevention"); larger is earlier. Default: off.
    pub const fn early_refresh(mut self, eagerness: f64) -> Self {
        self.early_refresh = Some(eagerness);
        self
    }

    /// Whether the handler may see a request header.
    pub(super) fn shows(&self, name: &str) -> bool {
        const MESSAGE: [&str; 14] = [
            "host",
            "content-length",
            "content-type",
            "transfer-encoding",
            "connection",
            "te",
            "expect",
            "date",
            "if-none-match",
            "if-modified-since",
            "traceparent",
            "tracestate",
            "range",
            "max-forwards",
        ];
        MESSAGE.contains(&name)
            || self.visible.contains(name)
            || self.key.headers.iter().any(|key| key == name)
    }
}

impl fmt::Debug for CachePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachePolicy")
            .field("rules", &self.rules)
            .field("sessions", &self.sessions)
            .field("unkeyed", &self.unkeyed)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Request};

    /// What a policy's key has of a request beside host and path.
    fn parts(policy: &CachePolicy, headers: &[(&'static str, &str)]) -> Vec<u8> {
        let mut request = Request::new(());
        let add = |map: &mut HeaderMap, (name, value): &(&'static str, &str)| {
            map.append(*name, value.parse().unwrap());
        };
        headers.iter().for_each(|header| add(request.headers_mut(), header));
        let mut all = Vec::new();
        policy.key.each(&request, &mut |part| {
            all.extend_from_slice(&part.len().to_le_bytes());
            all.extend_from_slice(part);
        });
        all
    }

    fn tenants() -> CachePolicy {
        CachePolicy::new()
            .key_header(HeaderName::from_static("x-tenant"))
            .key_part(|request| request.header("x-plan").map(|_| "plan".to_owned()))
    }

    #[test]
    fn requests_that_differ_in_a_part_of_the_key_have_other_keys() {
        let all = [
            parts(&tenants(), &[]),
            parts(&tenants(), &[("x-tenant", "")]),
            parts(&tenants(), &[("x-tenant", "a")]),
            parts(&tenants(), &[("x-tenant", "b")]),
            parts(&tenants(), &[("x-tenant", "a"), ("x-tenant", "b")]),
            parts(&tenants(), &[("x-tenant", "a"), ("x-plan", "")]),
            parts(&CachePolicy::new().key_part(|_| Some(String::new())), &[]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one), "{i}");
        }
        let same = [("x-tenant", "a"), ("x-other", "b")];
        assert_eq!(parts(&tenants(), &same), parts(&tenants(), &same[..1]), "others do not count");
    }

    /// Header lines as bytes; HTTP servers let fewer through.
    struct Raw(&'static str, [u8; 8]);

    impl RequestView for Raw {
        fn method(&self) -> &str {
            "GET"
        }

        fn path(&self) -> &str {
            "/"
        }

        fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
            if name == self.0 {
                visit(&self.1);
            }
        }
    }

    #[test]
    fn no_value_is_taken_for_that_of_another_header() {
        let header = HeaderName::from_static;
        let policy = CachePolicy::new().key_header(header("x-a")).key_header(header("x-b"));
        for value in [[0; 8], 1_u64.to_le_bytes()] {
            let [a, b] = ["x-a", "x-b"].map(|name| {
                let mut parts = Vec::new();
                policy.key.each(&Raw(name, value), &mut |part| parts.push(part.to_vec()));
                parts
            });
            assert_ne!(a, b, "{value:?}");
        }
    }

    #[test]
    fn a_url_is_the_whole_key_only_where_nothing_was_added() {
        let policy = CachePolicy::new().query(QueryKey::new().only(["page"]));
        assert!(policy.key.is_url_alone());
        assert_eq!(policy.key.query(Some("a=1&page=2")).as_deref(), Some("page=2"));
        assert_eq!(policy.key.query(None), None);
        let header = CachePolicy::new().key_header(HeaderName::from_static("x-tenant"));
        assert!(!header.key.is_url_alone() && !CachePolicy::new().key_part(|_| None).key.is_url_alone());
    }

    #[test]
    fn handlers_see_what_the_key_covers_and_what_concerns_the_message() {
        let policy = tenants().vary_on(&HeaderName::from_static("accept-language"));
        for (name, shown) in [
            ("host", true),
            ("x-tenant", true),
            ("accept-language", true),
            ("cookie", false),
            ("x-plan", false),
        ] {
            assert_eq!(policy.shows(name), shown, "{name}");
        }
        assert!(!CachePolicy::new().shows("accept-language") && !CachePolicy::new().shows("x-tenant"));
    }

    #[test]
    fn each_setting_is_kept() {
        let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86_400));
        let policy = CachePolicy::new()
            .rules(Rules::strict_spec())
            .ttl(Ttl::Default(minute))
            .stale_while_revalidate(2 * minute)
            .stale_if_error(3 * minute)
            .sessions(SessionRule::Public)
            .unkeyed_input(UnkeyedInput::Hidden)
            .bypass_if(|request| request.path() == "/admin")
            .tags(|request| vec![request.path().to_owned()])
            .max_body(7)
            .early_refresh(1.5);
        assert_eq!(
            (policy.rules.ttl, policy.rules.profile),
            (Ttl::Default(minute), Rules::strict_spec().profile)
        );
        assert_eq!(policy.rules.stale_while_revalidate, 2 * minute);
        assert_eq!(policy.rules.stale_if_error, 3 * minute);
        assert_eq!((policy.sessions, policy.unkeyed), (SessionRule::Public, UnkeyedInput::Hidden));
        assert_eq!((policy.max_body, policy.early_refresh), (7, Some(1.5)));
        let admin = Request::get("/admin").body(()).unwrap();
        assert!(policy.bypass.is_some_and(|bypass| bypass(&admin) && !bypass(&Request::new(()))));
        assert_eq!(policy.tags.map(|tags| tags(&admin)), Some(vec!["/admin".to_owned()]));
        assert_eq!(CachePolicy::new().max_body, 8 << 20, "8 MiB");
        assert_eq!(CachePolicy::new().rules(Rules::strict_spec()).rules.stale_if_error, day);
    }
}
