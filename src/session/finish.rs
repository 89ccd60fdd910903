//! What becomes of a response when its request's session has ended.

use std::fmt;

use http::HeaderValue;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};

use super::error::SessionError;
use crate::syntax::elements;
use crate::view::HeaderSection;

/// What the response must carry. `Debug` hides the cookie.
#[derive(Clone, Default)]
#[must_use]
pub struct Finish {
    /// A `Set-Cookie` value; it goes with `Cache-Control: no-store`. Where the app set a `Cache-Control` of its own that one stays, with
    /// `private` beside it unless it forbids shared caches by itself: they may store cookies (RFC 9111 §7.3).
    pub set_cookie: Option<String>,
    /// Whether the handler used the session: then the response differs by cookie (`Vary: Cookie`).
    pub accessed: bool,
    /// The save failed and the policy is [`FailurePolicy::Required`](super::FailurePolicy::Required): answer with
    /// [`SessionError::status`] instead, and [write](Self::write) to that answer if there is a cookie: what was saved was done, and too few
    /// replicas confirmed it.
    pub failure: Option<SessionError>,
}

impl Finish {
    /// Writes `Vary`, `Set-Cookie` and `Cache-Control` as they are due.
    pub fn write(&self, fields: &mut dyn HeaderSection) {
        if self.accessed {
            vary_by_cookie(fields);
        }
        if let Some(line) = &self.set_cookie
            && let Ok(value) = HeaderValue::try_from(line)
        {
            set_cookie(fields, value);
        }
    }
}

/// A response that depends on the session must not answer another visitor (RFC 9110 §12.5.5).
fn vary_by_cookie(fields: &mut dyn HeaderSection) {
    let mut covered = false;
    fields.each_line(&VARY, &mut |value| {
        let mut names = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        covered |= names.any(|name| name == b"*" || name.eq_ignore_ascii_case(COOKIE.as_str().as_bytes()));
    });
    if !covered {
        fields.append(VARY, HeaderValue::from_static("cookie"));
    }
}

/// At most one `Set-Cookie` of a name in a response (RFC 6265bis §4.1.1): ours replaces the app's own of the same name.
fn set_cookie(fields: &mut dyn HeaderSection, mut line: HeaderValue) {
    let name = cookie_name(line.as_bytes()).to_vec();
    let (mut others, mut replaces) = (Vec::new(), false);
    fields.each_line(&SET_COOKIE, &mut |value| {
        if cookie_name(value) == name {
            replaces = true;
        } else {
            others.extend(HeaderValue::from_bytes(value));
        }
    });
    if replaces {
        fields.remove(&SET_COOKIE);
        for other in others {
            fields.append(SET_COOKIE, other);
        }
    }
    line.set_sensitive(true);
    fields.append(SET_COOKIE, line);
    let (mut controlled, mut unshared) = (false, false);
    fields.each_line(&CACHE_CONTROL, &mut |value| {
        controlled = true;
        unshared |= elements(value)
            .any(|e| [&b"private"[..], b"no-store"].iter().any(|d| e.text.eq_ignore_ascii_case(d)));
    });
    if !unshared {
        let value = if controlled { "private" } else { "no-store" };
        fields.append(CACHE_CONTROL, HeaderValue::from_static(value));
    }
}

/// Up to the first `=`; none without one.
fn cookie_name(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|b| *b == b'=').unwrap_or(0);
    line.get(..end).unwrap_or_default().trim_ascii()
}

impl fmt::Debug for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish")
            .field("set_cookie", &self.set_cookie.as_ref().map(|_| ".."))
            .field("accessed", &self.accessed)
            .field("failure", &self.failure)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    type Lines<'a> = &'a [(&'static str, &'a str)];

    /// What stands in a response with these lines after `finish` was written to it.
    fn written(finish: &Finish, lines: Lines<'_>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        finish.write(&mut headers);
        assert!(
            headers
                .get_all(SET_COOKIE)
                .iter()
                .all(|line| line.is_sensitive() == line.as_bytes().starts_with(b"sid=new"))
        );
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_response_that_differs_by_cookie_says_so_once() {
        let used = Finish { accessed: true, ..Finish::default() };
        for (lines, expected) in [
            (&[][..], &["vary: cookie"][..]),
            (&[("vary", "accept")][..], &["vary: accept", "vary: cookie"]),
            (&[("vary", "accept, Cookie")], &["vary: accept, Cookie"]),
            (&[("vary", "*"), ("vary", "accept")], &["vary: *", "vary: accept"]),
            (&[("vary", "x-cookie")], &["vary: x-cookie", "vary: cookie"]),
        ] {
            assert_eq!(written(&used, lines), expected, "{lines:?}");
            let unchanged: Vec<_> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            assert_eq!(written(&Finish::default(), lines), unchanged, "nobody used it");
        }
    }

    /// RFC 6265bis §4.1.1; RFC 9111 §7.3.
    #[test]
    fn a_cookie_stands_there_once_and_no_shared_cache_may_store_it() {
        const OURS: &str = "set-cookie: sid=new; Path=/";
        let finish = Finish { set_cookie: Some("sid=new; Path=/".to_owned()), ..Finish::default() };
        for (lines, expected) in [
            (&[][..], &[OURS, "cache-control: no-store"][..]),
            (&[("set-cookie", "a=b")][..], &["set-cookie: a=b", OURS, "cache-control: no-store"]),
            (
                &[
                    ("set-cookie", "sid=old; Path=/"),
                    ("set-cookie", "a=sid=b"),
                    ("set-cookie", " sid =older"),
                ],
                &["set-cookie: a=sid=b", OURS, "cache-control: no-store"],
            ),
            (&[("set-cookie", "sid")], &["set-cookie: sid", OURS, "cache-control: no-store"]),
            (
                &[("cache-control", "max-age=60"), ("cache-control", "public")],
                &["cache-control: max-age=60", "cache-control: public", "cache-control: private", OURS],
            ),
            (&[("cache-control", "max-age=60, Private")], &["cache-control: max-age=60, Private", OURS]),
            (
                &[("cache-control", "no-store"), ("cache-control", "max-age=60")],
                &["cache-control: no-store", "cache-control: max-age=60", OURS],
            ),
            (
                &[("cache-control", "private=\"a\"")],
                &["cache-control: private=\"a\"", "cache-control: private", OURS],
            ),
        ] {
            let (mut written, mut expected) = (written(&finish, lines), expected.to_vec());
            written.sort();
            expected.sort_unstable();
            assert_eq!(written, expected, "{lines:?}");
        }
        let unreadable = Finish { set_cookie: Some("sid=\n".to_owned()), ..Finish::default() };
        assert_eq!(written(&unreadable, &[]), [""; 0]);
    }
}
