//! How long a value lives, said each time.

use std::time::Duration;

use super::error::KvError;
use crate::clock::millis;
use crate::random;
use crate::store::op::state::Lifetime;

/// Longer is not meant: a hundred years.
const MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How long something lives from a write on. There is no default: what nobody thought about would stay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ttl {
    /// For this time: at least 1 ms, at most 100 years, counted in whole milliseconds. Anything else, nothing above all, is
    /// [`KvError::Ttl`].
    After(Duration),
    /// As long as what it replaces would have lived. Where there is nothing, it is [`KvError::Missing`].
    KeepRemaining,
    /// Until it is removed.
    Never,
}

impl Ttl {
    pub(super) fn checked(self) -> Result<Lifetime, KvError> {
        match self {
            Self::After(time) if time < Duration::from_millis(1) || time > MAX => Err(KvError::Ttl),
            Self::After(time) => Ok(Lifetime::Millis(millis(time))),
            Self::KeepRemaining => Ok(Lifetime::Keep),
            Self::Never => Ok(Lifetime::Never),
        }
    }

    /// Up to a tenth more or less, so that what was fetched together does not end together.
    pub(super) fn jittered(self) -> Self {
        match self {
            Self::After(time) => Self::After(time.mul_f64(0.9) + random::up_to(time.mul_f64(0.2))),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_and_too_much_of_it_are_refused() {
        for (ttl, lifetime) in [
            (Ttl::After(Duration::ZERO), None),
            (Ttl::After(Duration::from_micros(999)), None),
            (Ttl::After(Duration::MAX), None),
            (Ttl::After(Duration::from_millis(1)), Some(Lifetime::Millis(1))),
            (Ttl::After(MAX), Some(Lifetime::Millis(MAX.as_millis() as u64))),
            (Ttl::KeepRemaining, Some(Lifetime::Keep)),
            (Ttl::Never, Some(Lifetime::Never)),
        ] {
            assert_eq!(ttl.checked().ok(), lifetime, "{ttl:?}");
        }
    }

    #[test]
    fn jitter_is_a_tenth() {
        for _ in 0..1000 {
            let Ttl::After(time) = Ttl::After(Duration::from_secs(100)).jittered() else { unreachable!() };
            assert!((90..=110).contains(&time.as_secs()));
        }
        assert_eq!(Ttl::Never.jittered(), Ttl::Never);
    }
}
