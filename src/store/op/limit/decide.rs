//! Deciding limits: one script for several of them, all or nothing.

use smallvec::SmallVec;

use super::rule::{MAX_BAN_US, Rule, Standing, Verdict};
use super::state::{Ban, State};
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// One limit of a request. [`Key::limit`] makes the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitUse {
    /// Under which the state lies.
    pub key: Key,
    /// How it counts.
    pub rule: Rule,
    /// What the request costs.
    pub cost: u64,
}

/// What to do with limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitVerb {
    /// Charges all limits, or none if one refuses.
    Take,
    /// Tells what [`Take`](Self::Take) would, and writes nothing.
    Peek,
    /// Gives the cost back; there is never more than a full limit.
    Refund,
    /// Charges the cost, or what is left if that is less.
    Penalise,
    /// Refuses everything for so many microseconds, at most [`MAX_BAN_US`], whatever is left; 0 lifts a ban.
    Ban(u64),
}

impl LimitVerb {
    /// Whether it asks for a verdict; else it changes what is counted, and is never refused.
    #[must_use]
    pub const fn is_decision(self) -> bool {
        matches!(self, Self::Take | Self::Peek)
    }
}

/// Decides or changes one or several limits: one script, one round trip. On a Cluster all keys must lie in one slot.
///
/// Takes `GET`, `SET`, `DEL` and `TIME`. No key may stand there twice.
#[derive(Clone, Debug)]
pub struct DecideLimits {
    verb: LimitVerb,
    first: LimitUse,
    more: Vec<LimitUse>,
}

/// One item for each limit, in the order in which they were asked. Most requests ask about one.
pub type PerLimit<T> = SmallVec<[T; 1]>;

/// The answer to [`DecideLimits`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// [`Admitted`](Verdict::Admitted) unless a limit refused; then the longest wait.
    pub verdict: Verdict,
    /// The store's time, microseconds since the Unix epoch.
    pub now_us: u64,
    /// The limits' states as they are now, in the order in which they were asked.
    pub states: PerLimit<State>,
    /// The same as standings, with each limit's own verdict.
    pub standings: PerLimit<Standing>,
}

/// What becomes of limits' states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether all limits admit the request; changes are never refused.
    pub admitted: bool,
    /// What becomes of each, in order.
    pub steps: PerLimit<Step>,
}

/// What becomes of one limit's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is stored stays. It says this now.
    Keep(State),
    /// This is stored; a state that says nothing is removed.
    Write(State),
}

impl Step {
    /// The state as it is now.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Keep(state) | Self::Write(state) => state,
        }
    }
}

impl DecideLimits {
    /// `None` when there are no limits: nothing is to be asked then.
    #[must_use]
    pub fn new(verb: LimitVerb, limits: impl IntoIterator<Item = LimitUse>) -> Option<Self> {
        let mut limits = limits.into_iter();
        Some(Self { verb, first: limits.next()?, more: limits.collect() })
    }

    /// About one limit.
    #[must_use]
    pub const fn of(verb: LimitVerb, limit: LimitUse) -> Self {
        Self { verb, first: limit, more: Vec::new() }
    }

    /// One limit more.
    pub fn push(&mut self, limit: LimitUse) {
        self.more.push(limit);
    }

    /// What is to be done.
    #[must_use]
    pub const fn verb(&self) -> LimitVerb {
        self.verb
    }

    /// The limits, in order.
    pub fn limits(&self) -> impl Iterator<Item = &LimitUse> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// The same, without the question.
    pub fn into_limits(self) -> impl Iterator<Item = LimitUse> {
        std::iter::once(self.first).chain(self.more)
    }

    fn want(&self, limit: &LimitUse) -> i64 {
        // Units stay below 2^53, and the longest ban as well.
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let units = signed(limit.rule.units(limit.cost));
        match self.verb {
            LimitVerb::Take | LimitVerb::Peek | LimitVerb::Penalise => units,
            LimitVerb::Refund => -units,
            LimitVerb::Ban(us) => signed(us.min(MAX_BAN_US)),
        }
    }

    /// What becomes of the limits' states at a time: the rules of `rate_limit.lua`, without a store. `stored` are the
    /// states in the limits' order.
    #[must_use]
    pub fn decide(&self, stored: &[Option<State>], now_us: u64) -> Outcome {
        let held: PerLimit<_> = self
            .limits()
            .zip(stored.iter().copied().chain(std::iter::repeat(None)))
            .map(|(limit, stored)| (limit, stored, limit.rule.at(stored, now_us)))
            .collect();
        let admits =
            |(limit, _, state): &(&LimitUse, _, State)| limit.rule.admits(*state, now_us, limit.cost);
        let admitted = !self.verb.is_decision() || held.iter().all(admits);
        let step = |(limit, stored, state): (&LimitUse, Option<State>, State)| {
            let stepped_back = stored.is_some_and(|stored| stored.is_ahead_of(now_us));
            match self.verb {
                LimitVerb::Peek => Step::Keep(state),
                LimitVerb::Take if !admitted || limit.cost == 0 => {
                    if stepped_back {
                        Step::Write(state)
                    } else {
                        Step::Keep(state)
                    }
                }
                _ => Step::Write(self.next(limit, state, now_us)),
            }
        };
        Outcome { admitted, steps: held.into_iter().map(step).collect() }
    }

    /// What a limit's state becomes when it is changed.
    fn next(&self, limit: &LimitUse, state: State, now_us: u64) -> State {
        let (units, most) = (limit.rule.units(limit.cost), limit.rule.most());
        match self.verb {
            LimitVerb::Peek => state,
            LimitVerb::Take | LimitVerb::Penalise => State { used: (state.used + units).min(most), ..state },
            LimitVerb::Refund => State { used: state.used.saturating_sub(units), ..state },
            LimitVerb::Ban(0) => State { ban: None, ..state },
            LimitVerb::Ban(us) => {
                State { ban: Some(Ban { length_us: us.min(MAX_BAN_US), from_us: now_us }), ..state }
            }
        }
    }

    /// The cost about which a standing speaks: of the request, or of one more after a change.
    fn asked(&self, limit: &LimitUse) -> u64 {
        if self.verb.is_decision() { limit.cost } else { 1 }
    }
}

impl Sealed for DecideLimits {}

impl Operation for DecideLimits {
    type Output = Decided;

    fn command(&self, _: &KeyPrefix) -> Command {
        let verb = match self.verb {
            LimitVerb::Take => "take",
            LimitVerb::Peek => "peek",
            LimitVerb::Refund | LimitVerb::Penalise => "add",
            LimitVerb::Ban(_) => "ban",
        };
        let mut command = Command::script(ScriptId::RateLimit, self.first.key.clone())
            .with_keys(self.more.iter().map(|limit| limit.key.clone()));
        command.args.reserve(5 + 4 * self.more.len());
        let mut digits = itoa::Buffer::new();
        let command = self.limits().fold(command.word(verb), |command, limit| {
            let (kind, most, rate) = limit.rule.script();
            let command = command.word(kind).arg(digits.format(most));
            command.arg(digits.format(self.want(limit))).arg(digits.format(rate))
        });
        if self.verb == LimitVerb::Peek { command.reading() } else { command }
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let (signed, states) = self.carry_out(db)?;
        let states = states.into_iter().map(|state| state.to_text().as_str().into());
        let head = [self.first.key.as_str().into(), Reply::Int(signed)];
        Ok(Reply::Array(head.into_iter().chain(states).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Decided, StoreError> {
        let mut items = reply.echoed(&self.first.key)?;
        let signed = items.next().ok_or_else(desync)?.int()?;
        let states = items.map(|item| State::read(&item.bytes()?).ok_or_else(desync));
        self.decided(signed, states.collect::<Result<_, _>>()?)
    }
}

impl DecideLimits {
    /// The answer of the embedded store, without the detour of a reply.
    pub(in crate::store) fn decide_on(&self, db: &mut Db) -> Result<Decided, StoreError> {
        let (signed, states) = self.carry_out(db)?;
        self.decided(signed, states)
    }

    /// Decides on the embedded store: its time, negative where a limit refused, and the states.
    fn carry_out(&self, db: &mut Db) -> Result<(i64, PerLimit<State>), StoreError> {
        let now_us = db.now_us();
        let stored: PerLimit<_> = self.limits().map(|limit| db.limit(&limit.key)).collect();
        let Outcome { admitted, steps } = self.decide(&stored, now_us);
        for (i, (limit, step)) in self.limits().zip(&steps).enumerate() {
            let Step::Write(state) = step else { continue };
            if let Err(error) = write(db, limit, *state) {
                // All or nothing: what was written before gets its old state back, which fitted.
                for (limit, stored) in self.limits().zip(&stored).take(i) {
                    let _ = write(db, limit, stored.unwrap_or(State::empty(now_us)));
                }
                return Err(error);
            }
        }
        let signed = i64::try_from(now_us).unwrap_or(i64::MAX);
        Ok((if admitted { signed } else { -signed }, steps.into_iter().map(Step::state).collect()))
    }

    fn decided(&self, signed: i64, states: PerLimit<State>) -> Result<Decided, StoreError> {
        if states.len() != 1 + self.more.len() {
            return Err(desync());
        }
        let now_us = signed.unsigned_abs();
        let standing = |(limit, state): (&LimitUse, &State)| self.standing(limit, *state, now_us, signed);
        let standings: PerLimit<_> = self.limits().zip(&states).map(standing).collect();
        let verdict = if signed >= 0 {
            Verdict::Admitted
        } else {
            let waits = standings.iter().filter_map(|standing| match standing.verdict {
                Verdict::Admitted => None,
                Verdict::Refused { retry_after_us } => Some(retry_after_us),
            });
            // The longest wait, and "never" is longer than any.
            let wait = waits.max_by_key(|wait| wait.unwrap_or(u64::MAX));
            Verdict::Refused { retry_after_us: wait.ok_or_else(desync)? }
        };
        Ok(Decided { verdict, now_us, states, standings })
    }

    /// After a charge the state no longer says that it was admitted; the script did.
    fn standing(&self, limit: &LimitUse, state: State, now_us: u64, signed: i64) -> Standing {
        let standing = limit.rule.standing(state, now_us, self.asked(limit));
        if self.verb == LimitVerb::Take && signed >= 0 {
            Standing { verdict: Verdict::Admitted, ..standing }
        } else {
            standing
        }
    }
}

fn write(db: &mut Db, limit: &LimitUse, state: State) -> Result<(), StoreError> {
    if state.is_empty() {
        db.remove(&limit.key);
        return Ok(());
    }
    let ends_us = db.now_us().saturating_add(limit.rule.keep_us(state, db.now_us()));
    db.put(&limit.key, Value::Limit(state), ends_us.div_ceil(1000))
}
