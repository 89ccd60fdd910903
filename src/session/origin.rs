//! Refusing requests that another site's page made (cross-site request forgery).

use std::sync::Arc;

use crate::view::RequestView;

/// Checks who made a request that changes something, by `Sec-Fetch-Site` (W3C Fetch Metadata) and, for browsers that send none,
/// by comparing `Origin` with `Host`. A request with neither header did not come from a browser's page and passes.
///
/// `GET`, `HEAD` and `OPTIONS` pass always: they must not change anything (RFC 9110 §9.2.1). The exception is a `GET` that opens a
/// WebSocket: browsers let any page do that, cookies included (RFC 6455 §10.2).
///
/// # Deployment caveat
///
/// Browsers send `Sec-Fetch-Site` to https and localhost only. Elsewhere `Origin` is compared with `Host`, so a proxy that
/// rewrites `Host` must be named with [`trust`](Self::trust).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OriginCheck {
    trusted: Vec<Arc<str>>,
}

/// A request was made by a page of another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossOrigin {
    /// `Sec-Fetch-Site` says so.
    #[error("the request was made by a page of another site")]
    FetchMetadata,
    /// `Origin` is not this host.
    #[error("the request's origin is another host")]
    Origin,
}

impl OriginCheck {
    /// Trusts this site's own pages only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the pages of another origin as well, such as `https://app.example.org`.
    pub fn trust(mut self, origin: &str) -> Self {
        self.trusted.push(origin.trim_end_matches('/').to_ascii_lowercase().into());
        self
    }

    /// Decides on a request.
    ///
    /// # Errors
    ///
    /// The reason why it must be refused.
    pub fn check(&self, request: &impl RequestView) -> Result<(), CrossOrigin> {
        let text =
            |value: Option<&[u8]>| value.map(|v| String::from_utf8_lossy(v).trim().to_ascii_lowercase());
        let opens_socket = || request.with_header("upgrade", text).is_some_and(|to| to.contains("websocket"));
        if matches!(request.method(), "GET" | "HEAD" | "OPTIONS") && !opens_socket() {
            return Ok(());
        }
        let origin = request.with_header("origin", text);
        if origin.as_deref().is_some_and(|origin| self.trusted.iter().any(|trusted| **trusted == *origin)) {
            return Ok(());
        }
        if let Some(site) = request.with_header("sec-fetch-site", text) {
            let own = matches!(site.as_str(), "same-origin" | "none");
            return if own { Ok(()) } else { Err(CrossOrigin::FetchMetadata) };
        }
        let Some(origin) = origin else { return Ok(()) };
        let host = request.with_header("host", text).unwrap_or_default();
        match origin.split_once("://") {
            Some((_, authority)) if authority == host && !host.is_empty() => Ok(()),
            _ => Err(CrossOrigin::Origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, headers: &[(&str, &str)]) -> Result<(), CrossOrigin> {
        let mut request = http::Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        OriginCheck::new().trust("https://App.example.org/").check(&request.body(()).unwrap())
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        use CrossOrigin::{FetchMetadata, Origin};
        for (method, headers, expected) in [
            ("GET", &[("sec-fetch-site", "cross-site")][..], Ok(())),
            ("GET", &[("upgrade", "WebSocket"), ("sec-fetch-site", "cross-site")], Err(FetchMetadata)),
            ("GET", &[("upgrade", "websocket"), ("origin", "https://b.org"), ("host", "a.org")], Err(Origin)),
            ("GET", &[("upgrade", "websocket"), ("origin", "https://a.org"), ("host", "a.org")], Ok(())),
            ("GET", &[("upgrade", "h2c"), ("origin", "https://b.org"), ("host", "a.org")], Ok(())),
            ("POST", &[], Ok(())),
            ("POST", &[("sec-fetch-site", "same-origin")], Ok(())),
            ("POST", &[("sec-fetch-site", "none")], Ok(())),
            ("POST", &[("sec-fetch-site", "cross-site")], Err(FetchMetadata)),
            ("DELETE", &[("sec-fetch-site", "same-site")], Err(FetchMetadata)),
            ("TRACE", &[("sec-fetch-site", "nonsense")], Err(FetchMetadata)),
            ("POST", &[("origin", "https://a.org"), ("host", "a.org")], Ok(())),
            ("POST", &[("origin", "https://A.org:8443"), ("host", "a.org:8443")], Ok(())),
            ("POST", &[("origin", "https://b.org"), ("host", "a.org")], Err(Origin)),
            ("POST", &[("origin", "null"), ("host", "a.org")], Err(Origin)),
            ("POST", &[("origin", "https://a.org")], Err(Origin)),
            ("POST", &[("origin", "https://"), ("host", "")], Err(Origin)),
            ("HEAD", &[("origin", "https://b.org"), ("host", "a.org")], Ok(())),
            ("OPTIONS", &[("sec-fetch-site", "cross-site")], Ok(())),
            ("HEAD", &[("upgrade", "websocket"), ("sec-fetch-site", "cross-site")], Err(FetchMetadata)),
            (
                "POST",
                &[("origin", "https://other.example.org"), ("sec-fetch-site", "same-site")],
                Err(FetchMetadata),
            ),
            ("POST", &[("origin", "https://app.example.org"), ("sec-fetch-site", "same-site")], Ok(())),
        ] {
            assert_eq!(check(method, headers), expected, "{method} {headers:?}");
        }
    }
}
