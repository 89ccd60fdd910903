//! The same decisions as the script's, for the embedded store.

use super::{Change, Commit, Expected, Rotation};
use crate::store::error::StoreError;
use crate::store::fields::Fields;
use crate::store::key::Key;
use crate::store::memory::{Db, Value};
use crate::store::op::record::{Hash, META, Meta};

/// What the embedded store will write: the same decisions as `session_commit.lua`, step by step.
pub(super) struct Next {
    meta: Meta,
    meta_changed: bool,
    fields: Fields,
    sums: Vec<i64>,
    expires_ms: Option<u64>,
}

const MAX_INTEGER: i64 = (1 << 53) - 1;

impl Commit {
    /// The line that the script compares, if this is a write of the usual kind.
    pub(super) fn usual(&self) -> Option<String> {
        let loaded = self.loaded.as_ref()?;
        let keeps = self.rotation == Rotation::Keep && self.lifetime.is_none() && self.principal.is_none();
        let nothing_due = self.touch_ms.is_none() && self.max_fields.is_none() && self.not_after_ms.is_none();
        let one = matches!(self.changes.as_slice(), [Change::Set(..) | Change::Add(..)]);
        let current = self.expected == Expected::Generation(loaded.generation)
            && self.presented.as_ref() == Some(&loaded.secret);
        (keeps && nothing_due && one && current).then(|| loaded.to_line())
    }

    pub(super) fn decide(
        &self,
        handle: &str,
        stored: Option<&Fields>,
        now_ms: u64,
    ) -> Result<Next, &'static str> {
        if self.not_after_ms.is_some_and(|not_after_ms| now_ms >= not_after_ms) {
            return Err("late");
        }
        let mut meta = self.current(handle, stored, now_ms)?;
        let mut fields = stored.cloned().unwrap_or_default();
        fields.remove(META);
        let sums = self.change_fields(&mut fields)?;
        let meta_changed = self.change_lifecycle(&mut meta, now_ms);
        let mut expires_ms = None;
        if meta_changed {
            meta.seen_ms = now_ms;
            if meta.expires_ms() <= now_ms {
                return Err("gone");
            }
            expires_ms = Some(meta.expires_ms());
        }
        Ok(Next { meta, meta_changed, fields, sums, expires_ms })
    }

    fn current(&self, handle: &str, stored: Option<&Fields>, now_ms: u64) -> Result<Meta, &'static str> {
        let generation = match (self.expected, stored) {
            (Expected::New, Some(_)) => return Err("exists"),
            (Expected::New, None) => return Ok(self.fresh(handle, now_ms)),
            (Expected::Generation(generation), _) => generation,
        };
        let meta = stored.and_then(|fields| Meta::parse(fields.get(META)?)).ok_or("gone")?;
        let opens = self.presented.as_ref().is_none_or(|presented| {
            let graced = meta.grace_until_ms == 0 || now_ms < meta.grace_until_ms;
            *presented == meta.secret || (Some(presented) == meta.previous.as_ref() && graced)
        });
        if meta.handle == handle && meta.generation == generation && opens { Ok(meta) } else { Err("gone") }
    }

    fn fresh(&self, handle: &str, now_ms: u64) -> Meta {
        Meta {
            handle: handle.to_owned(),
            generation: 0,
            created_ms: now_ms,
            seen_ms: 0,
            renewed_ms: now_ms,
            authenticated_ms: 0,
            idle_ms: 0,
            deadline_ms: 0,
            grace_until_ms: 0,
            secret: Hash::whole([b'-'; 43]), // the rotation of a new session puts its own here
            previous: None,
            principal: None,
        }
    }

    fn change_fields(&self, fields: &mut Fields) -> Result<Vec<i64>, &'static str> {
        let mut sums = Vec::new();
        for change in &self.changes {
            match change {
                Change::Set(name, value) => drop(fields.insert(name.clone(), value.clone())),
                Change::Remove(name) => drop(fields.remove(name)),
                Change::Clear => fields.retain(|name, _| name.starts_with('@')),
                Change::Add(name, by) => {
                    let sum = add(fields.get(name).map(Vec::as_slice), *by).ok_or("type")?;
                    fields.insert(name.clone(), sum.to_string().into_bytes());
                    sums.push(sum);
                }
            }
        }
        let grows = self.changes.iter().any(|change| matches!(change, Change::Set(..) | Change::Add(..)));
        if grows && self.max_fields.is_some_and(|most| fields.len() + 1 > most) {
            Err("full")
        } else {
            Ok(sums)
        }
    }

    /// Whether the metadata changes, the idle timer included.
    fn change_lifecycle(&self, meta: &mut Meta, now_ms: u64) -> bool {
        let new = self.expected == Expected::New;
        let mut changed = new || self.lifetime.is_some() || self.principal.is_some();
        let by_current = self.presented.as_ref() == Some(&meta.secret);
        match &self.rotation {
            Rotation::Swap(secret) => {
                meta.generation += u64::from(!new);
                meta.renew(secret, None, now_ms);
                changed = true;
            }
            Rotation::Renew(secret)
                if by_current
                    || (meta.grace_until_ms == 0
                        && now_ms.saturating_sub(meta.renewed_ms) >= self.grace_ms) =>
            {
                meta.renew(secret, self.presented, now_ms);
                changed = true;
            }
            _ if meta.previous.is_some() && meta.grace_until_ms == 0 && by_current => {
                meta.grace_until_ms = now_ms.saturating_add(self.grace_ms);
                changed = true;
            }
            _ => {}
        }
        if let Some((idle_ms, absolute_ms)) = self.lifetime {
            meta.idle_ms = idle_ms;
            meta.deadline_ms = now_ms.saturating_add(absolute_ms);
        }
        if let Some(principal) = &self.principal {
            meta.principal.clone_from(principal);
            meta.authenticated_ms = principal.as_ref().map_or(0, |_| now_ms);
        }
        changed
            || now_ms < meta.seen_ms
            || self.touch_ms.is_some_and(|touch_ms| now_ms - meta.seen_ms >= touch_ms)
    }
}

impl Meta {
    fn renew(&mut self, secret: &Hash, previous: Option<Hash>, now_ms: u64) {
        self.secret = *secret;
        self.previous = previous;
        self.grace_until_ms = 0;
        self.renewed_ms = now_ms;
    }
}

impl Next {
    #[allow(clippy::type_complexity, reason = "the reply's items, taken apart by the only caller")]
    pub(super) fn write(
        mut self,
        key: &Key,
        db: &mut Db,
    ) -> Result<(&'static str, Option<String>, Vec<i64>), StoreError> {
        let line = self.meta.to_line();
        self.fields.insert(META.to_owned(), line.clone().into_bytes());
        let expires_ms = self.expires_ms.or_else(|| db.expires_ms(key)).unwrap_or(0);
        db.put(key, Value::Hash(self.fields), expires_ms)?;
        Ok(("ok", self.meta_changed.then_some(line), self.sums))
    }
}

fn add(value: Option<&[u8]>, by: i64) -> Option<i64> {
    let text = value.map_or(Some("0"), |value| std::str::from_utf8(value).ok())?;
    let canonical = |number: &i64| number.to_string() == text;
    let sum = text.parse().ok().filter(canonical)?.checked_add(by)?;
    (-MAX_INTEGER..=MAX_INTEGER).contains(&sum).then_some(sum)
}
