//! What is kept of a response's freshness: numbers alone.

/// A stored response's freshness, computed when it was stored. All times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// When the response came, or was last validated, since the Unix epoch (`response_time`).
    pub received_ms: u64,
    /// How old it was then (`corrected_initial_age`).
    pub age_ms: u64,
    /// For how long it is fresh (`freshness_lifetime`).
    pub lifetime_ms: u64,
    /// For how long beyond that it may be sent while it is refreshed (RFC 5861 §3).
    pub stale_while_revalidate_ms: u64,
    /// For how long beyond that it may stand in for an error (RFC 5861 §4).
    pub stale_if_error_ms: u64,
    /// What else its directives say.
    pub flags: StoredFlags,
}

/// Something that a stored response's directives say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoredFlag {
    /// It must be validated before each use: `no-cache`.
    NoCache,
    /// It must not be sent stale: `must-revalidate`, `proxy-revalidate` or `s-maxage` (RFC 9111 §4.2.4).
    MustRevalidate,
    /// It answers requests with `Authorization` too: `public`, `must-revalidate` or `s-maxage` (RFC 9111 §3.5).
    Public,
    /// Its lifetime was guessed (RFC 9111 §4.2.2).
    Heuristic,
    /// It has `ETag` or `Last-Modified`.
    Validator,
}

/// A set of [`StoredFlag`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoredFlags(u8);

impl StoredFlags {
    /// The bits that mean something.
    const ALL: u8 = 0b1_1111;

    /// As one byte, to be stored.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From that byte. `None` if a bit is set that means nothing here: a later version wrote it.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL == 0 { Some(Self(bits)) } else { None }
    }

    /// With a flag where a condition holds.
    #[must_use]
    pub const fn with_if(self, flag: StoredFlag, condition: bool) -> Self {
        if condition { Self(self.0 | 1 << flag as u8) } else { self }
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(self, flag: StoredFlag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }
}

impl Stored {
    /// How old the response is (`current_age`, RFC 9111 §4.2.3), in milliseconds. A clock that stepped back makes it no younger than it
    /// came.
    #[must_use]
    pub const fn age_at(&self, now_ms: u64) -> u64 {
        self.age_ms.saturating_add(now_ms.saturating_sub(self.received_ms))
    }

    /// The value of `Age`: whole seconds, at most 2^31 (RFC 9111 §1.2.2).
    #[must_use]
    pub fn age_seconds(&self, now_ms: u64) -> u64 {
        (self.age_at(now_ms) / 1000).min(1 << 31)
    }

    /// For how long the response is still fresh, in milliseconds: 0 or less when it is stale.
    #[must_use]
    pub fn ttl_at(&self, now_ms: u64) -> i64 {
        let (lifetime, age) = (self.lifetime_ms, self.age_at(now_ms));
        let difference = i64::try_from(lifetime.abs_diff(age)).unwrap_or(i64::MAX);
        if lifetime >= age { difference } else { -difference }
    }

    /// For how long the entry is of any use, in milliseconds: while it is fresh, may be sent stale, or, for `validation_ms` more, can be
    /// validated.
    #[must_use]
    pub fn keep_ms(&self, now_ms: u64, validation_ms: u64) -> u64 {
        let validation_ms = if self.flags.has(StoredFlag::Validator) { validation_ms } else { 0 };
        let beyond = self.stale_while_revalidate_ms.max(self.stale_if_error_ms).max(validation_ms);
        self.lifetime_ms.saturating_add(beyond).saturating_sub(self.age_at(now_ms))
    }

    /// Makes the response stale from now on, as a soft purge does. What may be done with a stale one may still be done.
    pub fn expire(&mut self, now_ms: u64) {
        self.lifetime_ms = self.lifetime_ms.min(self.age_at(now_ms));
    }
}
