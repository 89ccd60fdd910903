//! `multipart/byteranges` (RFC 9110 §14.6).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::Span;

/// The frame around several parts of a body.
///
/// ```
/// use http::HeaderMap;
/// use tower_keep::cache::rules::{Multipart, Span};
///
/// let mut headers = HeaderMap::new();
/// let spans = [Span { start: 0, end: 2 }, Span { start: 200, end: 203 }];
/// let multipart = Multipart::frame(&mut headers, &spans, 300, "b0undary");
/// let body: Vec<u8> = multipart.parts().flat_map(|(head, span)| [&head[..], &vec![b'.'; span.len() as usize]].concat()).collect();
/// let body = [&body[..], &multipart.end()].concat();
/// assert_eq!(headers["content-length"], body.len().to_string());
/// assert_eq!(headers["content-type"], "multipart/byteranges; boundary=b0undary");
/// ```
#[derive(Clone, Debug)]
pub struct Multipart {
    parts: Vec<(Bytes, Span)>,
    end: Bytes,
}

impl Multipart {
    /// Makes the fields of a stored response those of a 206 with several parts, and gives what to send: [`parts`](Self::parts), each
    /// followed by its bytes, then [`end`](Self::end).
    ///
    /// `boundary` must be letters and digits that do not occur in the body: draw it at random, 16 or more of them.
    #[must_use]
    pub fn frame(headers: &mut HeaderMap, spans: &[Span], body_len: u64, boundary: &str) -> Self {
        let content_type = headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_RANGE);
        let parts: Vec<(Bytes, Span)> = spans
            .iter()
            .enumerate()
            .map(|(i, span)| (part_head(i, *span, body_len, content_type.as_ref(), boundary), *span))
            .collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let framed = parts.iter().map(|(head, span)| head.len() as u64 + span.len()).sum::<u64>();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(framed + end.len() as u64));
        // With another boundary than promised the type says what it is at least.
        let multipart = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"))
            .unwrap_or_else(|_| HeaderValue::from_static("multipart/byteranges"));
        headers.insert(CONTENT_TYPE, multipart);
        Self { parts, end }
    }

    /// What stands before each part, and which bytes of the body the part is.
    pub fn parts(&self) -> impl Iterator<Item = (Bytes, Span)> {
        self.parts.iter().cloned()
    }

    /// What stands behind the last part.
    #[must_use]
    pub fn end(&self) -> Bytes {
        self.end.clone()
    }
}

fn part_head(
    index: usize,
    span: Span,
    body_len: u64,
    content_type: Option<&HeaderValue>,
    boundary: &str,
) -> Bytes {
    let mut head = Vec::with_capacity(128);
    head.extend_from_slice(if index > 0 { b"\r\n--" } else { b"--" });
    head.extend_from_slice(boundary.as_bytes());
    if let Some(content_type) = content_type {
        head.extend_from_slice(b"\r\nContent-Type: ");
        head.extend_from_slice(content_type.as_bytes());
    }
    head.extend_from_slice(b"\r\nContent-Range: ");
    head.extend_from_slice(span.content_range(body_len).as_bytes());
    head.extend_from_slice(b"\r\n\r\n");
    head.into()
}
