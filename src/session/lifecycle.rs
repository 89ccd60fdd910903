//! The timers of a session: pure rules, the time is an argument.

use std::time::Duration;

use super::error::SessionConfigError;
use crate::clock::millis;
use crate::store::op::{Hash, Meta};

const MAX_LIFETIME: Duration = Duration::from_secs(400 * 86_400);

/// How long sessions live. All timers run together (OWASP Session Management: idle, absolute and renewal timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Lifetimes {
    pub(super) idle: Duration,
    pub(super) absolute: Duration,
    pub(super) renewal: Duration,
    pub(super) grace: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(24 * 3600),
            absolute: Duration::from_secs(14 * 86_400),
            renewal: Duration::from_secs(3600),
            grace: Duration::from_secs(60),
        }
    }
}

impl Lifetimes {
    /// The defaults: idle 24 hours, absolute 14 days, renewal every hour, grace one minute.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends a session that nobody used for so long. Default 24 hours.
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Ends a session so long after the sign-in (or its beginning), used or not. At most 400 days. Default 14 days.
    pub const fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// Changes the cookie's secret so often, so that a stolen one does not live long. Default one hour.
    pub const fn renewal(mut self, renewal: Duration) -> Self {
        self.renewal = renewal;
        self
    }

    /// How long the secret before a renewal still counts once the new one has been seen, for requests under way. Default
    /// one minute. A sign-in has no grace.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(super) fn check(&self) -> Result<(), SessionConfigError> {
        for (name, value) in [
            ("idle", self.idle),
            ("absolute", self.absolute),
            ("renewal", self.renewal),
            ("grace", self.grace),
        ] {
            if millis(value) == 0 || value > MAX_LIFETIME {
                return Err(SessionConfigError::OutOfRange(name));
            }
        }
        if self.idle > self.absolute {
            return Err(SessionConfigError::IdleBeyondAbsolute);
        }
        Ok(())
    }

    pub(super) fn pair_ms(&self) -> (u64, u64) {
        (millis(self.idle), millis(self.absolute))
    }
}

/// The idle timer is moved at most this often, so that reading costs no write: a twentieth of it, 1 s to 5 min.
pub(super) fn touch_interval_ms(idle_ms: u64) -> u64 {
    (idle_ms / 20).clamp(1000.min(idle_ms / 2), 300_000)
}

/// What a request that only read a session owes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing: no write.
    Nothing,
    /// The idle timer is to be moved, or the first use of a renewed secret to be noted.
    Touch,
    /// The secret is to be renewed.
    Renewal,
}

/// Decides what is due. `presented` is the hash of the secret that the request showed.
pub(super) fn due(meta: &Meta, presented: Option<&Hash>, renewal_ms: u64, now_ms: u64) -> Due {
    let by_current = presented == Some(&meta.secret);
    let unconfirmed = meta.previous.is_some() && meta.grace_until_ms == 0;
    let may_renew = presented.is_some() && (by_current || unconfirmed);
    if may_renew && now_ms.saturating_sub(meta.renewed_ms) >= renewal_ms {
        return Due::Renewal;
    }
    let first_use = by_current && unconfirmed;
    let idle = now_ms.saturating_sub(meta.seen_ms) >= touch_interval_ms(meta.idle_ms);
    if first_use || idle { Due::Touch } else { Due::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> Hash {
        Hash::new(text).unwrap()
    }

    fn meta() -> Meta {
        Meta {
            handle: "h".to_owned(),
            generation: 0,
            created_ms: 0,
            seen_ms: 0,
            renewed_ms: 0,
            authenticated_ms: 0,
            idle_ms: 1_000_000,
            deadline_ms: 9_000_000,
            grace_until_ms: 0,
            secret: hash("current"),
            previous: None,
            principal: None,
        }
    }

    #[test]
    fn a_read_owes_nothing_until_a_timer_is_due() {
        let current = hash("current");
        for (now, expected) in [
            (0, Due::Nothing),
            (49_999, Due::Nothing),
            (50_000, Due::Touch),
            (599_999, Due::Touch),
            (600_000, Due::Renewal),
        ] {
            assert_eq!(due(&meta(), Some(&current), 600_000, now), expected, "{now}");
        }
        assert_eq!(
            due(&meta(), None, 600_000, 600_000),
            Due::Touch,
            "no cookie can be sent outside of a request"
        );
    }

    #[test]
    fn the_first_use_of_a_renewed_secret_is_noted_once() {
        let mut meta = meta();
        meta.previous = Some(hash("before"));
        assert_eq!(due(&meta, Some(&hash("current")), 600_000, 1), Due::Touch);
        assert_eq!(due(&meta, Some(&hash("before")), 600_000, 1), Due::Nothing);
        meta.grace_until_ms = 60_000;
        assert_eq!(due(&meta, Some(&hash("current")), 600_000, 1), Due::Nothing);
    }

    #[test]
    fn a_renewal_whose_cookie_was_lost_is_repeated() {
        let mut meta = meta();
        meta.previous = Some(hash("before"));
        assert_eq!(due(&meta, Some(&hash("before")), 600_000, 600_000), Due::Renewal);
        meta.grace_until_ms = 60_000;
        assert_eq!(due(&meta, Some(&hash("before")), 600_000, 600_000), Due::Touch);
    }

    #[test]
    fn lifetimes_are_checked() {
        let (hour, most) = (Duration::from_secs(3600), 400 * Duration::from_secs(86_400));
        let all = |time| Lifetimes::new().idle(time).absolute(time).renewal(time).grace(time);
        assert!(Lifetimes::new().check().is_ok() && all(hour).check().is_ok());
        assert!(all(most).check().is_ok() && all(Duration::from_millis(1)).check().is_ok());
        assert_eq!(
            Lifetimes::new().idle(15 * 24 * hour).check(),
            Err(SessionConfigError::IdleBeyondAbsolute)
        );
        for bad in [Duration::ZERO, Duration::from_micros(999), most + Duration::from_nanos(1), Duration::MAX]
        {
            for (name, lifetimes) in [
                ("idle", all(hour).idle(bad)),
                ("absolute", all(hour).absolute(bad)),
                ("renewal", all(hour).renewal(bad)),
                ("grace", all(hour).grace(bad)),
            ] {
                assert_eq!(lifetimes.check(), Err(SessionConfigError::OutOfRange(name)), "{bad:?}");
            }
        }
    }

    #[test]
    fn lifetimes_are_what_they_were_set_to() {
        let day = Duration::from_secs(86_400);
        let default = Lifetimes::new();
        assert_eq!(default, Lifetimes::default());
        assert_eq!((default.idle, default.absolute), (day, 14 * day));
        assert_eq!((default.renewal, default.grace), (day / 24, Duration::from_secs(60)));
        assert_eq!(default.idle(day / 2).absolute(7 * day).pair_ms(), (43_200_000, 604_800_000));
    }

    #[test]
    fn short_sessions_are_touched_in_time() {
        for (idle, interval) in [
            (1, 0),
            (2, 1),
            (500, 250),
            (1_998, 999),
            (2_000, 1_000),
            (20_000, 1_000),
            (20_020, 1_001),
            (5_999_980, 299_999),
            (6_000_000, 300_000),
            (86_400_000, 300_000),
        ] {
            assert_eq!(touch_interval_ms(idle), interval, "{idle}");
        }
    }
}
