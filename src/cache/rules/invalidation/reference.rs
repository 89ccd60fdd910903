//! References to URIs (RFC 3986 §4.1, §5.2), as far as they stay within an origin (RFC 9110 §4.3.1).

/// The URI that a request is for, in parts. Nothing in it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveUri<'a> {
    /// `http` or `https`. `None` where that does not tell origins apart: behind a proxy that ends TLS, the scheme that clients use is not
    /// known, and both are taken for it.
    pub scheme: Option<&'a str>,
    /// Host and perhaps port, as in `Host`.
    pub authority: &'a str,
    /// The path. Empty is `/`.
    pub path: &'a str,
    /// The query without its question mark.
    pub query: Option<&'a str>,
}

impl EffectiveUri<'_> {
    /// Path and query of what a reference means here. `None` if it is of another origin, or no reference.
    pub(super) fn same_origin(&self, reference: &str) -> Option<String> {
        let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
        if !reference.bytes().all(|b| matches!(b, b'!'..=b'~')) {
            return None;
        }
        let (scheme, rest) = split_scheme(reference);
        if scheme.is_some_and(|scheme| !self.is_scheme(scheme)) {
            return None;
        }
        let (authority, rest) = split_authority(rest);
        let scheme_of_it = scheme.or(self.scheme).unwrap_or_default();
        if authority.is_some_and(|authority| !self.is_authority(scheme_of_it, authority)) {
            return None;
        }
        // `https:path` has no authority, so it has another origin than any of ours.
        if scheme.is_some() && authority.is_none() {
            return None;
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let (path, query) = match path {
            "" if authority.is_some() => ("/".to_owned(), query),
            "" => (self.own_path().to_owned(), query.or(self.query)),
            path if path.starts_with('/') => (without_dots(path), query),
            path => (without_dots(&self.merged(path)), query),
        };
        Some(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
    }

    fn own_path(&self) -> &str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    /// RFC 3986 §5.2.3.
    fn merged(&self, path: &str) -> String {
        let folder = self.own_path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{path}")
    }

    fn is_scheme(&self, other: &str) -> bool {
        match self.scheme {
            Some(scheme) => scheme.eq_ignore_ascii_case(other),
            None => ["http", "https"].iter().any(|scheme| scheme.eq_ignore_ascii_case(other)),
        }
    }

    /// Whether an authority is this one: hosts in any case, the scheme's own port said or not.
    fn is_authority(&self, scheme: &str, other: &str) -> bool {
        let usual = match scheme.to_ascii_lowercase().as_str() {
            "https" => "443",
            "http" => "80",
            _ => "",
        };
        let parts = |authority: &str| {
            // A port is digits behind the last colon; the colons of an IPv6 address stand in brackets.
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
                _ => (authority, ""),
            };
            (host.to_ascii_lowercase(), if port.is_empty() { usual } else { port }.to_owned())
        };
        !other.contains('@') && parts(self.authority) == parts(other)
    }
}

/// `https:` and what follows it (§3.1).
fn split_scheme(reference: &str) -> (Option<&str>, &str) {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    match reference.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, reference),
    }
}

/// `//host:port` and what follows it (§3.2).
fn split_authority(reference: &str) -> (Option<&str>, &str) {
    let Some(rest) = reference.strip_prefix("//") else { return (None, reference) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    (Some(authority), rest)
}

/// RFC 3986 §5.2.4, for a path that begins with `/`.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next().unwrap_or_default();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    // A dot at the end leaves the slash before it.
    let slash = if matches!(last, "." | "..") && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}", segments.join("/"))
}
