//! Counters.

use super::Lifetime;
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Adds to a counter. One script. The answer is the sum; `None` when the key holds no whole number, or the sum would be none.
#[derive(Clone, Debug)]
pub struct Count {
    /// Where.
    pub key: Key,
    /// How much, also less than nothing.
    pub by: i64,
    /// How long a counter lives that begins with this call, in milliseconds; `None`: until it is removed.
    pub ttl_ms: Option<u64>,
}

impl Sealed for Count {}

impl Operation for Count {
    type Output = Option<i64>;

    fn command(&self, _: &KeyPrefix) -> Command {
        let lifetime = self.ttl_ms.map_or(Lifetime::Never, Lifetime::Millis);
        Command::script(ScriptId::StateCount, self.key.clone()).int(self.by).arg(lifetime.word())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let held = db.text(&self.key)?;
        let ends_ms = match (held, self.ttl_ms) {
            (Some(_), _) => db.expires_ms(&self.key).unwrap_or(u64::MAX),
            (None, Some(ttl_ms)) => db.now_ms().saturating_add(ttl_ms),
            (None, None) => u64::MAX,
        };
        let count = match held {
            None => Some(0),
            Some(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok()),
        };
        let echo = Reply::from(self.key.as_str());
        let Some(sum) = count.and_then(|count| count.checked_add(self.by)) else {
            return Ok(Reply::Array(vec![echo]));
        };
        let text = sum.to_string();
        db.put(&self.key, Value::Text(text.clone().into()), ends_ms)?;
        Ok(Reply::Array(vec![echo, text.as_str().into()]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Option<i64>, StoreError> {
        let mut items = reply.echoed(&self.key)?;
        let number = |reply: Reply<'_>| reply.text()?.parse().map_err(|_| desync());
        items.next().map(number).transpose()
    }
}
