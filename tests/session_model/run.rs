//! Runs steps against the engine and the model side by side and compares what can be seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request as HttpRequest;
use tower_keep::session::{LazySession, Session, SessionError, SessionHandle, Sessions};
use tower_keep::store::Store;
use tower_keep::store::key::KeyPrefix;

use crate::model::{Change, Cookie, Model, Request, Step, apply};

/// A client's cookie, and what it stands for in the model.
#[derive(Clone, Default)]
struct Client {
    cookie: Option<String>,
    stands_for: Option<(usize, u32)>,
}

struct Slot {
    client: usize,
    lazy: LazySession,
    session: Session,
    request: Request,
}

struct World {
    sessions: Sessions,
    model: Model,
    clients: Vec<Client>,
    slots: BTreeMap<usize, Slot>,
    /// Handles by the model's numbers, as they became known.
    handles: BTreeMap<usize, SessionHandle>,
}

pub async fn run(store: &Store, steps: &[Step]) {
    static CASE: AtomicU64 = AtomicU64::new(0);
    // A prefix of its own, so that users of earlier cases are others.
    let prefix = KeyPrefix::new(&format!("case-{}", CASE.fetch_add(1, Ordering::Relaxed))).unwrap();
    let sessions = Sessions::new(store.with_prefix(prefix));
    let clients = vec![Client::default(); 3];
    let (slots, handles) = (BTreeMap::new(), BTreeMap::new());
    let mut world = World { sessions, model: Model::default(), clients, slots, handles };
    for step in steps {
        world.model.time += 1;
        world.step(step).await;
    }
    for slot in 0..4 {
        world.finish(slot, true).await;
    }
    for client in 0..3 {
        world.begin(0, client).await;
        world.finish(0, true).await;
    }
    for user in ["alice", "bob"] {
        world.compare_lists(user).await;
    }
}

impl World {
    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Begin { slot, client } => self.begin(slot, client).await,
            Step::Finish { slot, delivered } => self.finish(slot, delivered).await,
            Step::Delete { client } => self.delete(client).await,
            Step::RevokeAll { user } => {
                let ended = self.sessions.revoke_all(user).await.unwrap();
                assert_eq!(ended, self.model.revoke(user, None) as u64);
            }
            Step::RevokeOthers { user, client } => self.revoke_others(user, client).await,
            Step::Insert { slot, .. }
            | Step::Remove { slot, .. }
            | Step::Clear { slot }
            | Step::Increment { slot, .. }
            | Step::Login { slot, .. }
            | Step::Logout { slot }
            | Step::Rotate { slot }
            | Step::Save { slot } => {
                if let Some(mut found) = self.slots.remove(&slot) {
                    found.act(step, &mut self.model).await;
                    self.learn(&found);
                    self.slots.insert(slot, found);
                }
            }
        }
    }

    async fn begin(&mut self, slot: usize, client: usize) {
        self.finish(slot, true).await;
        let jar = &self.clients[client];
        let mut head = HttpRequest::builder();
        if let Some(cookie) = &jar.cookie {
            head = head.header("cookie", cookie);
        }
        let lazy = self.sessions.begin(&head.body(()).unwrap());
        let session = lazy.load().await.unwrap();
        let request = self.model.load(jar.stands_for);
        let found = Slot { client, lazy, session, request };
        found.compare();
        self.slots.insert(slot, found);
    }

    async fn finish(&mut self, slot: usize, delivered: bool) {
        let Some(mut found) = self.slots.remove(&slot) else { return };
        let finish = found.lazy.finish().await;
        self.model.save(&mut found.request);
        assert!(finish.failure.is_none(), "{:?}", finish.failure);
        found.compare();
        let jar = &mut self.clients[found.client];
        let cookie = finish.set_cookie.map(|line| line.split(';').next().unwrap().to_owned());
        match (found.request.cookie, cookie) {
            (Cookie::Nothing, None) => {}
            (Cookie::Remove, Some(cookie)) => {
                assert!(cookie.ends_with('='), "a removal has no value");
                if delivered {
                    *jar = Client::default();
                }
            }
            (Cookie::Set(number, generation), Some(cookie)) => {
                assert!(!cookie.ends_with('='));
                if delivered {
                    *jar = Client { cookie: Some(cookie), stands_for: Some((number, generation)) };
                }
            }
            (expected, found) => {
                panic!("the model says {expected:?}, the response has a cookie: {}", found.is_some())
            }
        }
        self.learn(&found);
    }

    /// As `redis-cli DEL` would.
    async fn delete(&mut self, client: usize) {
        let Some((number, _)) = self.clients[client].stands_for else { return };
        let lived = self.sessions.revoke(&self.handles[&number]).await.unwrap();
        assert_eq!(lived, self.model.sessions.remove(&number).is_some());
    }

    async fn revoke_others(&mut self, user: &'static str, client: usize) {
        let Some((number, _)) = self.clients[client].stands_for else { return };
        let ended = self.sessions.revoke_others(user, &self.handles[&number]).await.unwrap();
        assert_eq!(ended, self.model.revoke(user, Some(number)) as u64);
    }

    fn learn(&mut self, slot: &Slot) {
        if let (Some((number, _)), Some(handle)) = (slot.request.bound, slot.session.handle()) {
            assert_eq!(*self.handles.entry(number).or_insert_with(|| handle.clone()), handle);
        }
    }

    async fn compare_lists(&self, user: &str) {
        let listed = self.sessions.list(user).await.unwrap();
        let mut listed: Vec<_> = listed.into_iter().map(|info| info.handle).collect();
        let of_user = self.model.sessions.iter().filter(|(_, stored)| stored.user == Some(user));
        let mut expected: Vec<_> = of_user.map(|(number, _)| self.handles[number].clone()).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }
}

impl Slot {
    async fn act(&mut self, step: &Step, model: &mut Model) {
        match *step {
            Step::Insert { name, value, .. } => {
                let result = self.session.insert(name, &value);
                self.record(Change::Set(name, value), self.request.view.get(name) != Some(&value), result);
            }
            Step::Remove { name, .. } => {
                let result = self.session.remove(name).map(drop);
                self.record(Change::Remove(name), self.request.view.contains_key(name), result);
            }
            Step::Clear { .. } => {
                let result = self.session.clear();
                self.record(Change::Clear, !self.request.view.is_empty(), result);
            }
            Step::Increment { name, .. } => self.increment(name, model).await,
            Step::Login { user, .. } => self.login(user, model.time),
            Step::Logout { .. } => self.logout(),
            Step::Rotate { .. } => match self.session.rotate() {
                Ok(()) => self.request.rotate = self.request.bound.is_some(),
                Err(error) => assert!(self.request.ended && matches!(error, SessionError::Ended)),
            },
            Step::Save { .. } => {
                let saved = self.session.save().await;
                assert_eq!(model.save(&mut self.request), saved.is_ok());
            }
            _ => {}
        }
        self.compare();
    }

    fn record(&mut self, change: Change, changes: bool, result: Result<(), SessionError>) {
        if self.request.ended {
            assert!(matches!(result, Err(SessionError::Ended)));
            return;
        }
        result.unwrap();
        if changes {
            apply(&mut self.request.view, &change);
            self.request.changes.push(change);
        }
    }

    async fn increment(&mut self, name: &'static str, model: &mut Model) {
        let result = self.session.increment(name, 1).await;
        if self.request.ended {
            assert!(matches!(result, Err(SessionError::Ended)));
            return;
        }
        // What was recorded goes first, then the sum of what the store holds, others' changes included.
        if !model.save(&mut self.request) {
            assert!(matches!(result, Err(SessionError::Ended)));
            return;
        }
        let stored = self.request.bound.and_then(|(number, generation)| {
            model.sessions.get(&number).filter(|stored| stored.generation == generation)
        });
        let sum = stored.and_then(|stored| stored.entries.get(name)).copied().unwrap_or(0) + 1;
        self.request.changes.push(Change::Set(name, sum));
        match (model.save(&mut self.request), result) {
            (true, Ok(result)) => {
                assert_eq!(result, sum);
                self.request.view.insert(name, sum);
            }
            (false, Err(SessionError::Ended)) => {}
            (written, result) => panic!("the model says {written}, the session {result:?}"),
        }
    }

    fn login(&mut self, user: &'static str, time: u64) {
        self.session.login(user).unwrap();
        if self.request.ended || self.request.user.is_some_and(|earlier| earlier != user) {
            self.forget();
        }
        (self.request.user, self.request.login) = (Some(user), Some(time));
    }

    fn logout(&mut self) {
        self.session.logout().unwrap();
        if self.request.bound.is_none() && self.request.showed_cookie {
            self.request.cookie = Cookie::Remove;
        }
        self.forget();
    }

    fn forget(&mut self) {
        let earlier = std::mem::take(&mut self.request);
        let removal = earlier.bound.map(|(number, _)| number).or(earlier.removal);
        let (cookie, showed_cookie) = (earlier.cookie, earlier.showed_cookie);
        self.request = Request { removal, cookie, showed_cookie, ..Request::default() };
    }

    /// What the handler sees.
    fn compare(&self) {
        let entries = self.session.entries();
        let view: BTreeMap<String, serde_json::Value> =
            self.request.view.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        assert_eq!(entries, view);
        assert_eq!(self.session.principal().as_deref(), self.request.user);
        assert_eq!(self.session.is_stored(), self.request.bound.is_some());
    }
}
