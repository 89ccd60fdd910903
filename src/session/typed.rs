//! A session as one type of the app.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::engine::CorruptEntry;
use super::error::SessionError;
use super::handle::Session;

/// A session seen as a struct: each of its fields is one entry, so two requests that change different fields both win.
///
/// `T` must serialize to a JSON object. Give it `#[serde(default)]`, so that a session from before a new field can be read.
///
/// ```
/// # use tower_keep::session::{Sessions, TypedSession};
/// # use tower_keep::store::Store;
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// #[serde(default)]
/// struct Cart {
///     items: Vec<String>,
///     voucher: Option<String>,
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_keep::session::SessionError> {
/// let session = Sessions::new(Store::in_memory()).start();
/// let cart: TypedSession<Cart> = session.typed();
/// cart.modify(|cart| cart.items.push("tea".to_owned()))?;
/// assert_eq!(cart.get()?.items, ["tea"]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TypedSession<T> {
    session: Session,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for TypedSession<T> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), of: PhantomData }
    }
}

impl Session {
    /// The session seen as a struct.
    #[must_use]
    pub fn typed<T>(&self) -> TypedSession<T> {
        TypedSession { session: self.clone(), of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> TypedSession<T> {
    /// Reads the struct out of the entries.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] when a field is of another type, missing without a default, or corrupt. With
    /// [`CorruptEntry::Drop`] such a field is left out first, so that one with a default is read as that.
    pub fn get(&self) -> Result<T, SessionError> {
        let entries: Map<String, Value> = self.session.entries().into_iter().collect();
        if let Ok(value) = serde_json::from_value(Value::Object(entries.clone())) {
            return Ok(value);
        }
        if self.session.0.engine.config.corrupt == CorruptEntry::Report {
            return Err(SessionError::Decode);
        }
        let readable = entries.into_iter().filter(|(name, value)| {
            serde_json::from_value::<T>(Value::Object(Map::from_iter([(name.clone(), value.clone())])))
                .is_ok()
        });
        serde_json::from_value(Value::Object(readable.collect())).map_err(|_| SessionError::Decode)
    }

    /// Changes the struct and records the fields that became different. A field that is no longer serialized is removed.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), [`Session::insert`] and [`Session::remove`]; [`SessionError::Encode`] when `T` is not an object.
    pub fn modify<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, SessionError> {
        let mut value = self.get()?;
        let before = object(&value)?;
        let result = change(&mut value);
        let after = object(&value)?;
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.session.remove(name)?;
        }
        for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(value)) {
            self.session.insert(name, value)?;
        }
        Ok(result)
    }

    /// The session itself.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }
}

fn object<T: Serialize>(value: &T) -> Result<Map<String, Value>, SessionError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(SessionError::Encode("a typed session must serialize to an object".to_owned())),
        Err(error) => Err(SessionError::Encode(error.to_string())),
    }
}
