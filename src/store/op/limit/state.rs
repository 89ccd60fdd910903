//! What is stored of a limit: `USED:SINCE[:BEFORE][!LEFT:FROM]`, whole decimal numbers.

/// The state of one limit for one subject. Times are microseconds since the Unix epoch by the store's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What is taken, in the rule's units.
    pub used: u64,
    /// The time of which `used` speaks (bucket), or when the window began.
    pub since_us: u64,
    /// What was counted in the window before; sliding windows only.
    pub before: u64,
    /// A ban, while there is one.
    pub ban: Option<Ban>,
}

/// A time in which everything is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// How long it lasts, microseconds.
    pub length_us: u64,
    /// From when.
    pub from_us: u64,
}

impl State {
    /// The state of who has taken nothing.
    #[must_use]
    pub const fn empty(now_us: u64) -> Self {
        Self { used: 0, since_us: now_us, before: 0, ban: None }
    }

    /// Whether it says no more than a missing key.
    pub(super) const fn is_empty(self) -> bool {
        self.used == 0 && self.before == 0 && self.ban.is_none()
    }

    /// Whether it speaks of a time that has not come: then the clock stepped back.
    pub(super) fn is_ahead_of(self, now_us: u64) -> bool {
        self.since_us > now_us || self.ban.is_some_and(|ban| ban.from_us > now_us)
    }

    /// How long the ban lasts from now, microseconds.
    pub(super) const fn banned_us(self, now_us: u64) -> u64 {
        match self.ban {
            Some(ban) => ban.from_us.saturating_add(ban.length_us).saturating_sub(now_us),
            None => 0,
        }
    }

    /// Reads the stored form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text.as_bytes())
    }

    /// The same as it comes from the store: this is read for each request.
    pub(super) fn read(mut text: &[u8]) -> Option<Self> {
        let text = &mut text;
        let used = number(text)?;
        let since_us = sign(text, b':').then(|| number(text))??;
        let before = if sign(text, b':') { number(text)? } else { 0 };
        let ban = if sign(text, b'!') {
            let length_us = number(text)?;
            Some(Ban { length_us, from_us: sign(text, b':').then(|| number(text))?? })
        } else {
            None
        };
        text.is_empty().then_some(Self { used, since_us, before, ban })
    }

    /// The stored form.
    #[must_use]
    pub fn to_text(self) -> String {
        let Self { used, since_us, before, ban } = self;
        let before = if before > 0 { format!(":{before}") } else { String::new() };
        let ban = ban.map_or_else(String::new, |ban| format!("!{}:{}", ban.length_us, ban.from_us));
        format!("{used}:{since_us}{before}{ban}")
    }
}

/// Takes a number of 1 to 16 digits from the front.
fn number(text: &mut &[u8]) -> Option<u64> {
    let digits = text.iter().take(16).take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    *text = rest;
    let value = |sum, digit: &u8| sum * 10 + u64::from(digit - b'0'); // 16 digits fit
    (digits > 0).then(|| number.iter().fold(0, value))
}

/// Takes this byte from the front, if it stands there.
fn sign(text: &mut &[u8], sign: u8) -> bool {
    text.strip_prefix(&[sign]).map(|rest| *text = rest).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: u64 = 1 << 53;

    proptest! {
        #[test]
        fn what_is_written_is_read(used in 0..MOST, since_us in 0..MOST, before in 0..MOST, length_us in 1..MOST, from_us in 0..MOST) {
            for ban in [None, Some(Ban { length_us, from_us })] {
                let state = State { used, since_us, before, ban };
                prop_assert_eq!(State::parse(&state.to_text()), Some(state));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9:!x-]{0,40}") {
            if let Some(state) = State::parse(&text) {
                prop_assert!(State::parse(&state.to_text()).is_some());
            }
        }
    }

    #[test]
    fn what_says_nothing_is_not_written() {
        let ban = Some(Ban { length_us: 4, from_us: 5 });
        for (before, ban, text) in
            [(0, None, "1:2"), (3, None, "1:2:3"), (0, ban, "1:2!4:5"), (3, ban, "1:2:3!4:5")]
        {
            assert_eq!(State { used: 1, since_us: 2, before, ban }.to_text(), text);
        }
    }

    #[test]
    fn all_of_an_empty_state_is_empty_and_any_part_can_be_ahead() {
        let empty = State::empty(7);
        let banned = |from_us| State { ban: Some(Ban { length_us: 1, from_us }), ..empty };
        for (state, is_empty, is_ahead_of_6) in [
            (empty, true, true),
            (State { since_us: 6, ..empty }, true, false),
            (State { used: 1, ..empty }, false, true),
            (State { before: 1, ..empty }, false, true),
            (State { since_us: 6, ..banned(7) }, false, true),
            (State { since_us: 6, ..banned(6) }, false, false),
        ] {
            assert_eq!((state.is_empty(), state.is_ahead_of(6)), (is_empty, is_ahead_of_6), "{state:?}");
        }
    }

    #[test]
    fn foreign_texts_are_refused() {
        for text in
            ["", "1", "1:", ":1", "+1:2", "1:2:3:4", "1:2!", "1:2!3", "99999999999999999:1", "1:2:x", " 1:2"]
        {
            assert_eq!(State::parse(text), None, "{text:?}");
        }
    }
}
