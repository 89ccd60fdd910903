//! Cache groups (RFC 9875).

use http::{HeaderMap, HeaderName};

use super::super::request::MethodKind;
use super::super::structured::{Member, list};

/// `Cache-Groups`: to which groups a response belongs.
const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// `Cache-Group-Invalidation`: which groups a response makes invalid.
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// How many groups a response may name. The RFC wants 32 at least.
pub const MAX_GROUPS: usize = 128;
/// How many bytes the name of a group may have. The RFC wants 32 at least.
pub const MAX_GROUP_BYTES: usize = 256;

/// Why the groups of a response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GroupsError {
    /// More than [`MAX_GROUPS`].
    #[error("too many cache groups; name at most 128")]
    TooMany,
    /// A name of more than [`MAX_GROUP_BYTES`].
    #[error("the name of a cache group is too long; use at most 256 characters")]
    TooLong,
}

/// The groups that a response belongs to, each once. None where the field is absent or is no list of strings (RFC 9651 §4.2: it is
/// ignored then).
///
/// # Errors
///
/// [`GroupsError`]: do not store the response then. It would be left out of invalidations that it asks for.
pub fn cache_groups(response: &HeaderMap) -> Result<Vec<String>, GroupsError> {
    groups(response, &CACHE_GROUPS)
}

/// The groups that a response makes invalid. A request with a safe method makes none (RFC 9875 §3).
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tower_keep::cache::rules::{MethodKind, invalidated_groups};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("cache-group-invalidation", HeaderValue::from_static("\"users\", \"user-42\""));
/// assert_eq!(invalidated_groups(MethodKind::of("POST"), &headers)?, ["users", "user-42"]);
/// assert!(invalidated_groups(MethodKind::of("GET"), &headers)?.is_empty());
/// # Ok::<(), tower_keep::cache::rules::GroupsError>(())
/// ```
///
/// # Errors
///
/// [`GroupsError`]: more is meant than can be done.
pub fn invalidated_groups(method: MethodKind, response: &HeaderMap) -> Result<Vec<String>, GroupsError> {
    match method {
        MethodKind::Unsafe => groups(response, &CACHE_GROUP_INVALIDATION),
        _ => Ok(Vec::new()),
    }
}

fn groups(response: &HeaderMap, field: &HeaderName) -> Result<Vec<String>, GroupsError> {
    let mut groups: Vec<String> = Vec::new();
    let strings = list(response, field).and_then(|members| {
        let string = |member| match member {
            Member::Item(item) => item.string(),
            Member::InnerList(_) => None,
        };
        members.into_iter().map(string).collect::<Option<Vec<_>>>()
    });
    for group in strings.unwrap_or_default() {
        if group.len() > MAX_GROUP_BYTES {
            return Err(GroupsError::TooLong);
        }
        if !groups.contains(&group) {
            if groups.len() == MAX_GROUPS {
                return Err(GroupsError::TooMany);
            }
            groups.push(group);
        }
    }
    Ok(groups)
}
