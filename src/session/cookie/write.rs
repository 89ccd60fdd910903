//! The session cookie's name and attributes, checked when it is built.

use std::fmt::Write as _;
use std::sync::Arc;

/// The `SameSite` attribute (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Sent along when a link from another site leads here, but not with that site's forms or images. The default.
    #[default]
    Lax,
    /// Only sent with requests from this site's own pages.
    Strict,
    /// Sent with every request; needs `Secure`.
    None,
}

impl SameSite {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// Why a cookie cannot be built. A browser would drop such a cookie silently, or it would be less safe than its name says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is empty or holds a character that RFC 9110 §5.6.2 does not allow in a token.
    #[error("a cookie's name must be made of letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// `Domain` is not a host name.
    #[error("a cookie's domain must be a host name")]
    Domain,
    /// `Path` does not begin with a slash, or holds a control character or semicolon.
    #[error("a cookie's path must begin with / and hold neither control characters nor semicolons")]
    Path,
    /// A `__Host-` cookie with a `Domain`.
    #[error("a __Host- cookie must not have a domain; drop it, or choose another name")]
    HostPrefixDomain,
    /// A `__Host-` cookie with a `Path` other than `/`.
    #[error("a __Host- cookie must have the path /; drop the path, or choose another name")]
    HostPrefixPath,
    /// A `__Host-`, `__Secure-` or `__Http-` cookie without `Secure`.
    #[error(
        "a cookie with this prefix must be secure; for plain http in development choose a name without a prefix"
    )]
    PrefixInsecure,
    /// `SameSite=None` without `Secure`.
    #[error("a cookie with SameSite=None must be secure")]
    SameSiteInsecure,
    /// `Partitioned` without `Secure`.
    #[error("a partitioned cookie must be secure")]
    PartitionedInsecure,
}

/// The session cookie: its name and attributes. Always `HttpOnly`.
///
/// The default is `__Host-session`, `Secure`, `SameSite=Lax`, `Path=/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    name: Arc<str>,
    attributes: Arc<str>,
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self { name: "__Host-session".into(), attributes: "; Path=/; Secure; HttpOnly; SameSite=Lax".into() }
    }
}

impl SessionCookie {
    /// A builder for a cookie of this name.
    pub fn builder(name: &str) -> SessionCookieBuilder {
        SessionCookieBuilder {
            name: name.to_owned(),
            domain: None,
            path: "/".to_owned(),
            insecure: false,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }

    /// A cookie for development on plain http: `session`, without `Secure`, since a browser refuses that and a `__Host-` name there.
    #[must_use]
    pub fn insecure_for_development() -> Self {
        Self { name: "session".into(), attributes: "; Path=/; HttpOnly; SameSite=Lax".into() }
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A `Set-Cookie` value. Without `max_age_s` the cookie ends with the browser's session.
    pub(in crate::session) fn set(&self, value: &str, max_age_s: Option<u64>) -> String {
        let mut line = format!("{}={value}{}", self.name, self.attributes);
        if let Some(seconds) = max_age_s {
            // A browser caps the age at 400 days (RFC 6265bis §5.5); writing into a String cannot fail.
            let _ = write!(line, "; Max-Age={}", seconds.min(400 * 86_400));
        }
        line
    }

    /// A `Set-Cookie` value that removes the cookie, with the same attributes: a browser would keep another one.
    pub(in crate::session) fn remove(&self) -> String {
        format!("{}={}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT", self.name, self.attributes)
    }
}

/// Builds a [`SessionCookie`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionCookieBuilder {
    name: String,
    domain: Option<String>,
    path: String,
    insecure: bool,
    same_site: SameSite,
    partitioned: bool,
}

impl SessionCookieBuilder {
    /// Sends the cookie to subdomains of this host as well. Default: to this host alone.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Sends the cookie below this path only. Default `/`.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Leaves `Secure` out, so that plain http works: anybody on the way can then read the cookie.
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Which requests from other sites carry the cookie. Default [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Keeps a cookie jar for each top-level site (`Partitioned`).
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Checks the rules of RFC 6265bis §4.1.3 and §5.7.
    ///
    /// # Errors
    ///
    /// The [`CookieError`] that says which rule is broken.
    pub fn build(self) -> Result<SessionCookie, CookieError> {
        self.check_syntax()?;
        self.check_prefix()?;
        if self.insecure && self.same_site == SameSite::None {
            return Err(CookieError::SameSiteInsecure);
        }
        if self.insecure && self.partitioned {
            return Err(CookieError::PartitionedInsecure);
        }
        let mut attributes = self.domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
        attributes.push_str("; Path=");
        attributes.push_str(&self.path);
        attributes.push_str(if self.insecure {
            "; HttpOnly; SameSite="
        } else {
            "; Secure; HttpOnly; SameSite="
        });
        attributes.push_str(self.same_site.as_str());
        attributes.push_str(if self.partitioned { "; Partitioned" } else { "" });
        Ok(SessionCookie { name: self.name.into(), attributes: attributes.into() })
    }

    fn check_syntax(&self) -> Result<(), CookieError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.name.is_empty() || self.name.len() > 128 || !self.name.bytes().all(token) {
            return Err(CookieError::Name);
        }
        let host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if self.domain.as_ref().is_some_and(|d| d.is_empty() || d.len() > 253 || !d.bytes().all(host)) {
            return Err(CookieError::Domain);
        }
        let path = |b: u8| b != b';' && (b == b' ' || b.is_ascii_graphic());
        if !self.path.starts_with('/') || self.path.len() > 1024 || !self.path.bytes().all(path) {
            return Err(CookieError::Path);
        }
        Ok(())
    }

    /// Browsers compare the prefixes without regard to case.
    fn check_prefix(&self) -> Result<(), CookieError> {
        let name = self.name.to_ascii_lowercase();
        let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if has(&["__host-"]) && self.domain.is_some() {
            return Err(CookieError::HostPrefixDomain);
        }
        if has(&["__host-"]) && self.path != "/" {
            return Err(CookieError::HostPrefixPath);
        }
        if has(&["__host-", "__secure-", "__http-"]) && self.insecure {
            return Err(CookieError::PrefixInsecure);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_safest() {
        let cookie = SessionCookie::default();
        assert_eq!(Ok(cookie.clone()), SessionCookie::builder("__Host-session").build());
        assert_eq!(cookie.set("v", None), "__Host-session=v; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(
            SessionCookie::insecure_for_development(),
            SessionCookie::builder("session").insecure().build().unwrap()
        );
    }

    #[test]
    fn every_attribute_is_written_as_it_was_chosen() {
        let line = |builder: SessionCookieBuilder| builder.build().unwrap().set("v", Some(60));
        let id = || SessionCookie::builder("id");
        assert_eq!(id().build().unwrap().name(), "id");
        assert_eq!(line(id()), "id=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
        assert_eq!(line(id().insecure()), "id=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
        assert_eq!(
            line(id().same_site(SameSite::Strict).path("/a b")),
            "id=v; Path=/a b; Secure; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        assert_eq!(
            line(SessionCookie::builder("__Secure-id").domain("a.example").path("/x")),
            "__Secure-id=v; Domain=a.example; Path=/x; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
    }

    #[test]
    fn lengths_are_bounded() {
        let name = |length| SessionCookie::builder(&"n".repeat(length)).build().map(drop);
        let domain = |length| SessionCookie::builder("id").domain(&"d".repeat(length)).build().map(drop);
        let path = |length: usize| SessionCookie::builder("id").path(&format!("/{}", "p".repeat(length - 1)));
        let path = |length| path(length).build().map(drop);
        assert_eq!((name(1), name(128), name(129)), (Ok(()), Ok(()), Err(CookieError::Name)));
        assert_eq!((domain(0), domain(1)), (Err(CookieError::Domain), Ok(())));
        assert_eq!((domain(253), domain(254)), (Ok(()), Err(CookieError::Domain)));
        assert_eq!((path(1), path(1024), path(1025)), (Ok(()), Ok(()), Err(CookieError::Path)));
    }

    #[test]
    fn removal_has_the_same_attributes() {
        let cookie = SessionCookie::builder("s")
            .domain("example.org")
            .path("/app")
            .same_site(SameSite::None)
            .partitioned()
            .build()
            .unwrap();
        let attributes = "; Domain=example.org; Path=/app; Secure; HttpOnly; SameSite=None; Partitioned";
        assert_eq!(cookie.set("v", Some(u64::MAX)), format!("s=v{attributes}; Max-Age=34560000"));
        assert!(cookie.remove().starts_with(&format!("s={attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970")));
    }

    #[test]
    fn broken_rules_are_named() {
        let host = || SessionCookie::builder("__Host-id");
        for (builder, error) in [
            (host().domain("example.org"), CookieError::HostPrefixDomain),
            (host().path("/app"), CookieError::HostPrefixPath),
            (host().insecure(), CookieError::PrefixInsecure),
            (SessionCookie::builder("__HOST-id").insecure(), CookieError::PrefixInsecure),
            (SessionCookie::builder("__Host-Http-id").path("/x"), CookieError::HostPrefixPath),
            (SessionCookie::builder("__Secure-id").insecure(), CookieError::PrefixInsecure),
            (SessionCookie::builder("__Http-id").insecure(), CookieError::PrefixInsecure),
            (
                SessionCookie::builder("id").insecure().same_site(SameSite::None),
                CookieError::SameSiteInsecure,
            ),
            (SessionCookie::builder("id").insecure().partitioned(), CookieError::PartitionedInsecure),
            (SessionCookie::builder(""), CookieError::Name),
            (SessionCookie::builder("a b"), CookieError::Name),
            (SessionCookie::builder("a=b"), CookieError::Name),
            (SessionCookie::builder("é"), CookieError::Name),
            (SessionCookie::builder("id").domain("a;b"), CookieError::Domain),
            (SessionCookie::builder("id").path("app"), CookieError::Path),
            (SessionCookie::builder("id").path("/a;b"), CookieError::Path),
            (SessionCookie::builder("id").path("/a\r\n"), CookieError::Path),
            (SessionCookie::builder("id").path("/é"), CookieError::Path),
            (SessionCookie::builder("id").domain("é.example"), CookieError::Domain),
        ] {
            assert_eq!(builder.build(), Err(error));
        }
    }
}
