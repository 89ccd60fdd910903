//! From the client's errors to ours.

use std::io;

use redis::RedisError;

use super::cluster::Redirect;
use crate::store::error::{StoreError, StoreErrorKind as Kind};

pub(super) fn classify(error: &RedisError) -> StoreError {
    if let Some(code) = error.code() {
        return StoreError::with_code(by_code(code), code);
    }
    let kind = if error.is_timeout() {
        Kind::Timeout
    } else if error.is_connection_refusal() {
        Kind::Refused
    } else if error.kind() == redis::ErrorKind::AuthenticationFailed {
        Kind::Auth
    } else if error.kind() == redis::ErrorKind::Parse && !ended_within(error) {
        Kind::Desync
    } else {
        Kind::Disconnected
    };
    StoreError::with_source(kind, Opaque(error.kind()))
}

/// Whether a reply broke off because the connection ended: the client calls that a parse error as well.
fn ended_within(error: &RedisError) -> bool {
    error.to_string().contains("end of input")
}

/// An error reply, without its `-`: a code and a text.
pub(super) fn by_reply(line: &[u8]) -> StoreError {
    let code = line.split(|b| *b == b' ').next().unwrap_or_default();
    let code = String::from_utf8_lossy(code);
    let error = StoreError::with_code(by_code(&code), &code);
    match Redirect::read(&String::from_utf8_lossy(line)) {
        Some(redirect) => error.caused_by(redirect),
        None => error,
    }
}

/// An error while a socket was opened: nothing was sent.
#[allow(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(super) fn classify_io(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::TimedOut => StoreError::with_source(Kind::Timeout, error),
        _ => StoreError::with_source(Kind::Refused, error),
    }
}

fn by_code(code: &str) -> Kind {
    match code {
        "NOAUTH" | "WRONGPASS" => Kind::Auth,
        "BUSY" => Kind::Busy,
        "CLUSTERDOWN" | "MASTERDOWN" => Kind::ClusterDown,
        "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" => Kind::Moved,
        "NOPERM" => Kind::Forbidden,
        "OOM" => Kind::Full,
        "LOADING" => Kind::Loading,
        "MISCONF" => Kind::Misconfigured,
        "NOREPLICAS" => Kind::NoReplicas,
        "READONLY" => Kind::ReadOnly,
        "WRONGTYPE" => Kind::WrongType,
        _ => Kind::Server,
    }
}

/// Whether the connection that gave this error must not be used again.
pub(super) const fn ends_connection(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Auth | Kind::ClusterDown | Kind::Desync | Kind::Disconnected | Kind::ReadOnly | Kind::Timeout
    )
}

/// The client's error without its text, which can repeat what was sent.
#[derive(Debug)]
struct Opaque(redis::ErrorKind);

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "redis client: {:?}", self.0)
    }
}

impl std::error::Error for Opaque {}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::Value;

    #[test]
    fn codes_become_kinds_and_texts_are_dropped() {
        for (line, kind) in [
            ("NOAUTH Authentication required.", Kind::Auth),
            ("OOM command not allowed when used memory > 'maxmemory'.", Kind::Full),
            ("READONLY You can't write against a read only replica.", Kind::ReadOnly),
            ("WRONGTYPE Operation against a key", Kind::WrongType),
            ("LOADING Redis is loading", Kind::Loading),
            ("BUSY Redis is busy", Kind::Busy),
            ("MISCONF Redis is configured", Kind::Misconfigured),
            ("NOREPLICAS Not enough good replicas", Kind::NoReplicas),
            ("NOPERM no", Kind::Forbidden),
            ("MASTERDOWN Link with MASTER is down", Kind::ClusterDown),
            ("MOVED 3999 127.0.0.1:6381", Kind::Moved),
            ("ERR unknown command `x`, with args beginning with: `secret-value`", Kind::Server),
        ] {
            let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            let Value::ServerError(error) = value else { panic!("not an error: {line}") };
            let error = classify(&error.into());
            assert_eq!(error.kind(), kind, "{line}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{line}");
        }
    }
}
