//! A response as a test sees it, and the cookies that a browser keeps of it.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::Value;

/// Cookies by name.
pub type Jar = BTreeMap<String, String>;

/// The `Cookie` line that a browser with this jar sends.
///
/// # Panics
///
/// When a cookie cannot stand in a header.
#[must_use]
pub fn cookie_line(jar: &Jar) -> Option<HeaderValue> {
    let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!pairs.is_empty()).then(|| HeaderValue::try_from(pairs.join("; ")).unwrap())
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Panics
    ///
    /// When the body fails or is not UTF-8.
    pub async fn read<B: Body<Error: std::fmt::Debug>>(response: Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A field's first line.
    ///
    /// # Panics
    ///
    /// When it is not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// All `Set-Cookie` lines.
    ///
    /// # Panics
    ///
    /// When one is not text.
    #[must_use]
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
    }

    /// The value that a cookie was set to, if it was, and not removed.
    ///
    /// # Panics
    ///
    /// When several cookies of this name were set.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let values =
            self.set_cookies().into_iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let values: Vec<_> = values.map(|rest| rest.split(';').next().unwrap()).collect();
        assert!(values.len() <= 1, "several cookies of one name: {values:?}");
        values.first().filter(|value| !value.is_empty()).map(|&value| value.to_owned())
    }

    /// Keeps and removes cookies as a browser does.
    ///
    /// # Panics
    ///
    /// When a `Set-Cookie` line has no name.
    pub fn fill(&self, jar: &mut Jar) {
        for line in self.set_cookies() {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
