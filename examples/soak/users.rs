//! Who browses, and what they know to be theirs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

/// How many ended cookies a user remembers, to try them again.
const REMEMBERED: usize = 64;

pub struct User {
    pub name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// All cookies of the session that is under way, the newest last; none when signed out.
    family: Vec<String>,
    /// How often the store had lost everything when the session began.
    losses: u64,
    /// The numbers that this session's counter told.
    told: BTreeSet<u64>,
    /// Cookies that must never open anything again.
    ended: VecDeque<String>,
}

/// A session as it was when a request was sent.
#[derive(Clone, Debug)]
pub struct Shown {
    pub cookie: String,
    pub losses: u64,
}

impl User {
    pub fn new(name: String) -> Self {
        Self { name, state: Mutex::default() }
    }

    pub fn session(&self) -> Option<Shown> {
        let state = self.state.lock().unwrap();
        state.family.last().map(|cookie| Shown { cookie: cookie.clone(), losses: state.losses })
    }

    /// Takes the session's cookies, before they are ended: what becomes of them is unclear until the answer is there.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().family)
    }

    /// A sign-in that was answered.
    pub fn signed_in(&self, cookie: String, losses: u64) {
        let mut state = self.state.lock().unwrap();
        if handle(&cookie) != state.family.last().map_or("", |cookie| handle(cookie)) {
            state.told.clear();
        }
        (state.family, state.losses) = (vec![cookie], losses);
    }

    /// These are over: that was answered.
    pub fn ended(&self, cookies: Vec<String>) {
        let mut state = self.state.lock().unwrap();
        state.ended.extend(cookies);
        let surplus = state.ended.len().saturating_sub(REMEMBERED);
        state.ended.drain(..surplus);
    }

    /// A cookie that is over.
    pub fn dead(&self, choice: u64) -> Option<String> {
        let state = self.state.lock().unwrap();
        let index = usize::try_from(choice).ok()?.checked_rem(state.ended.len())?;
        state.ended.get(index).cloned()
    }

    /// A cookie that came with an answer to a request that showed another one: of the same session, and as alive as that one.
    pub fn renewed(&self, shown: &str, cookie: String) {
        let mut state = self.state.lock().unwrap();
        if state.family.iter().any(|own| own == shown) {
            state.family.push(cookie);
        } else if state.ended.iter().any(|own| own == shown) {
            state.ended.push_back(cookie);
        }
    }

    /// Whether a number is new to this session; it counts if the session is still under way.
    pub fn is_new(&self, shown: &str, number: u64) -> bool {
        let mut state = self.state.lock().unwrap();
        !state.family.iter().any(|own| own == shown) || state.told.insert(number)
    }

    /// The site does not know this session any more. Whether somebody here would have to know why.
    pub fn is_gone(&self, shown: &Shown, losses: u64) -> bool {
        let mut state = self.state.lock().unwrap();
        if !state.family.contains(&shown.cookie) {
            return false;
        }
        state.family.clear();
        shown.losses == losses
    }
}

fn handle(cookie: &str) -> &str {
    cookie.split('.').next().unwrap_or_default()
}
