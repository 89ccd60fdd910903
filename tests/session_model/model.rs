//! What should happen, in the simplest terms: no store, no secrets, no time.

use std::collections::BTreeMap;

/// One thing that a client, a handler or an administrator does.
#[derive(Clone, Debug)]
pub enum Step {
    Begin { slot: usize, client: usize },
    Insert { slot: usize, name: &'static str, value: i64 },
    Remove { slot: usize, name: &'static str },
    Clear { slot: usize },
    Increment { slot: usize, name: &'static str },
    Login { slot: usize, user: &'static str },
    Logout { slot: usize },
    Rotate { slot: usize },
    Save { slot: usize },
    Finish { slot: usize, delivered: bool },
    Delete { client: usize },
    RevokeAll { user: &'static str },
    RevokeOthers { user: &'static str, client: usize },
}

pub type Entries = BTreeMap<&'static str, i64>;

/// A session as it should stand in the store. A session's number and generation stand for its cookie.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub generation: u32,
    pub entries: Entries,
    pub user: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub enum Change {
    Set(&'static str, i64),
    Remove(&'static str),
    Clear,
}

/// A request under way.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The session it is bound to, and its generation when it was bound.
    pub bound: Option<(usize, u32)>,
    pub view: Entries,
    pub user: Option<&'static str>,
    pub changes: Vec<Change>,
    pub login: Option<u64>,
    pub rotate: bool,
    pub removal: Option<usize>,
    pub ended: bool,
    /// The client showed a cookie, of whatever session.
    pub showed_cookie: bool,
    /// What the response should carry so far.
    pub cookie: Cookie,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookie {
    #[default]
    Nothing,
    Remove,
    Set(usize, u32),
}

#[derive(Debug, Default)]
pub struct Model {
    pub sessions: BTreeMap<usize, Stored>,
    revoked: BTreeMap<&'static str, u64>,
    next: usize,
    pub time: u64,
}

impl Model {
    /// A request with a cookie, loaded.
    pub fn load(&self, cookie: Option<(usize, u32)>) -> Request {
        let found = cookie.and_then(|(number, generation)| {
            let stored = self.sessions.get(&number).filter(|stored| stored.generation == generation)?;
            Some(((number, generation), stored.clone()))
        });
        let request = Request { showed_cookie: cookie.is_some(), ..Request::default() };
        let Some((bound, stored)) = found else { return request };
        Request { bound: Some(bound), view: stored.entries, user: stored.user, ..request }
    }

    /// Writes what the request recorded; tells whether it was written.
    pub fn save(&mut self, request: &mut Request) -> bool {
        if let Some(number) = request.removal.take() {
            self.sessions.remove(&number);
            request.cookie = Cookie::Remove;
        }
        let login = request.login.take();
        let rotate = std::mem::take(&mut request.rotate) || login.is_some();
        let changes = std::mem::take(&mut request.changes);
        if changes.is_empty() && !rotate {
            return true;
        }
        let (number, generation) = match request.bound {
            Some(bound) => bound,
            None => {
                self.next += 1;
                self.sessions.insert(self.next, Stored::default());
                request.cookie = Cookie::Set(self.next, 0);
                (self.next, 0)
            }
        };
        let made = request.bound.is_none();
        let Some(stored) = self.sessions.get_mut(&number).filter(|stored| stored.generation == generation)
        else {
            end(request);
            return false;
        };
        for change in changes {
            apply(&mut stored.entries, &change);
        }
        if rotate && !made {
            stored.generation += 1;
            request.cookie = Cookie::Set(number, stored.generation);
        }
        request.bound = Some((number, stored.generation));
        if let Some(asked) = login {
            stored.user = request.user;
            let revoked = request.user.and_then(|user| self.revoked.get(user));
            if revoked.is_some_and(|revoked| asked < *revoked) {
                self.sessions.remove(&number);
                end(request);
                return false;
            }
        }
        true
    }

    /// Ends all of a user's sessions but one; counts them.
    pub fn revoke(&mut self, user: &'static str, keep: Option<usize>) -> usize {
        self.revoked.insert(user, self.time);
        let before = self.sessions.len();
        self.sessions.retain(|number, stored| stored.user != Some(user) || Some(*number) == keep);
        before - self.sessions.len()
    }
}

fn end(request: &mut Request) {
    *request = Request { ended: true, showed_cookie: request.showed_cookie, ..Request::default() };
}

pub fn apply(entries: &mut Entries, change: &Change) {
    match change {
        Change::Set(name, value) => drop(entries.insert(name, *value)),
        Change::Remove(name) => drop(entries.remove(name)),
        Change::Clear => entries.clear(),
    }
}
