//! From values to bytes and back.

use std::error::Error as StdError;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Any error of a codec.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Writes values as bytes and reads them back. [`Json`] is the default.
///
/// ```
/// use tower_keep::kv::{BoxError, Codec, KeyValue, Ttl};
/// use tower_keep::store::Store;
///
/// struct Plain;
///
/// impl Codec<String> for Plain {
///     fn encode(&self, value: &String) -> Result<Vec<u8>, BoxError> {
///         Ok(value.clone().into_bytes())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
///         Ok(String::from_utf8(bytes.to_vec())?)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let notes = KeyValue::builder_with(Store::in_memory(), "notes", Plain).build()?;
/// notes.set("a", &"hello".to_owned(), Ttl::Never).await?;
/// assert_eq!(notes.get("a").await?.as_deref(), Some("hello"));
/// # Ok(()) }
/// ```
pub trait Codec<T>: Send + Sync + 'static {
    /// The bytes of a value. They must not depend on anything but the value.
    ///
    /// # Errors
    ///
    /// When the value cannot be written.
    fn encode(&self, value: &T) -> Result<Vec<u8>, BoxError>;

    /// The value of bytes, which may be anything: somebody else may have written them.
    ///
    /// # Errors
    ///
    /// When they are no value. The error must not repeat them.
    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError>;
}

/// JSON by serde, as it can be read with `redis-cli`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn encode(&self, value: &T) -> Result<Vec<u8>, BoxError> {
        Ok(serde_json::to_vec(value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        // The error's own text repeats parts of the value.
        serde_json::from_slice(bytes)
            .map_err(|error| NotJson { line: error.line(), column: error.column() }.into())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not the expected json at line {line} column {column}")]
struct NotJson {
    line: usize,
    column: usize,
}
