//! The requests: what is asked, and what each answer may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use keep_testing::Rng;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use crate::client::{Answer, Client, Nothing};
use crate::judge::Judge;
use crate::site::{Told, body};
use crate::users::{Shown, User};

const USERS: usize = 500;
const PAGES: u64 = 60;
const LANGUAGES: [&str; 4] = ["en", "fr", "de", "none"];
const BUCKETS: u64 = 12;
/// Requests under way at most: as many sockets as the usual limit on open files has room for.
const AT_ONCE: usize = 400;
/// Requests to windows of one key: more than it admits.
const TRIES: u64 = 40;

pub struct Load {
    pub client: Client,
    judge: Arc<Judge>,
    users: Vec<User>,
    asked: AtomicU64,
}

impl Load {
    pub fn new(client: Client, judge: Arc<Judge>) -> Self {
        let users = (0..USERS).map(|n| User::new(format!("user{n}"))).collect();
        Self { client, judge, users, asked: AtomicU64::new(0) }
    }

    pub async fn everybody_signs_in(&self) {
        let all = futures_util::stream::iter(&self.users);
        all.for_each_concurrent(20, async |user| self.login(user, false).await).await;
        assert!(self.users.iter().all(|user| user.session().is_some()), "the site does not serve");
    }

    /// As many requests at once as there will ever be, so that the connections for them are there from the beginning.
    pub async fn everybody_comes_at_once(&self) {
        let all = futures_util::stream::iter(0..AT_ONCE as u64);
        all.for_each_concurrent(AT_ONCE, async |n| {
            self.write(&self.users[n as usize % USERS], n, 1_000).await
        })
        .await;
    }

    /// At the end, with nothing broken: whoever is signed in is so as themselves.
    pub async fn everybody_is_themselves(&self) {
        let all = futures_util::stream::iter(&self.users);
        all.for_each_concurrent(20, async |user| self.me(user).await).await;
        let signed_in = self.users.iter().filter(|user| user.session().is_some()).count();
        println!("at the end {signed_in} of {USERS} users are signed in");
    }

    /// Sends so many requests a second, whether or not they are answered.
    pub async fn run(self: &Arc<Self>, time: Duration, rate: u64) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut ticks = tokio::time::interval(Duration::from_nanos(1_000_000_000 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let end = Instant::now() + time;
        while Instant::now() < end {
            ticks.tick().await;
            let Ok(turn) = Arc::clone(&room).try_acquire_owned() else {
                self.judge.unsent();
                continue;
            };
            let load = Arc::clone(self);
            tokio::spawn(async move {
                load.one().await;
                drop(turn);
            });
        }
        let _all = room.acquire_many(AT_ONCE as u32).await.unwrap();
    }

    async fn one(&self) {
        let n = self.asked.fetch_add(1, Ordering::Relaxed);
        let chance = Rng(n).number();
        let user = &self.users[(chance >> 32) as usize % USERS];
        if chance % 100 < 51 && user.session().is_none() {
            return self.login(user, false).await;
        }
        match chance % 100 {
            0..30 => self.me(user).await,
            30..40 => self.count(user).await,
            40..48 => self.write(user, n, 0).await,
            48..51 => self.write(user, n, chance >> 40 & 255).await,
            51..55 => self.login(user, chance >> 20 & 1 == 0).await,
            55..57 => self.logout(user).await,
            57..60 => self.come_back(user, chance >> 24).await,
            60..85 => self.page(chance >> 8).await,
            85..92 => self.limited("/bucket", (chance >> 8) % BUCKETS).await,
            _ => self.limited("/window", n / (TRIES * 100 / 8)).await,
        }
    }

    async fn ask(
        &self,
        what: &'static str,
        method: &str,
        path: &str,
        cookie: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Nothing> {
        let begun = Instant::now();
        let answer = self.client.send(method, path, cookie, fields).await;
        self.judge.answered(what, begun, &answer);
        if let Ok(answer) = &answer
            && matches!(answer.status, 500 | 502)
        {
            self.judge.wrong(format!("{method} {path}: status {}", answer.status));
        }
        answer
    }

    /// Asks as a user who is signed in, and keeps a renewed cookie.
    async fn as_user(
        &self,
        what: &'static str,
        method: &str,
        path: &str,
        user: &User,
    ) -> Option<(Shown, Answer)> {
        let shown = user.session()?;
        let answer = self.ask(what, method, path, Some(&shown.cookie), &[]).await.ok()?;
        if let Some(cookie) = &answer.cookie {
            user.renewed(&shown.cookie, cookie.clone());
        }
        if answer.status == 401 {
            self.gone(user, &shown).await;
        }
        Some((shown, answer))
    }

    /// The site took somebody for a stranger: for a reason, for a moment, or wrongly.
    async fn gone(&self, user: &User, shown: &Shown) {
        let (mixed_up, losses) = (self.judge.replies_are_mixed_up(), self.judge.losses());
        if !user.is_gone(shown, losses) {
            return self.judge.excuse();
        }
        if mixed_up && self.is_known(user, shown).await {
            return self.judge.stranger_for_a_moment();
        }
        if self.judge.losses() == losses {
            self.judge.wrong(format!("{} was signed out, though the store had lost nothing", user.name));
        }
    }

    /// Whether the site knows the session after all.
    async fn is_known(&self, user: &User, shown: &Shown) -> bool {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let answer = self.ask("me again", "GET", "/me", Some(&shown.cookie), &[]).await;
            if let Ok(Answer { status: 200, body, .. }) = answer {
                let told: Told = serde_json::from_slice(&body).unwrap();
                if told.user.as_ref() == Some(&user.name) {
                    return true;
                }
            }
        }
        false
    }

    async fn me(&self, user: &User) {
        let Some((shown, answer)) = self.as_user("me", "GET", "/me", user).await else { return };
        if answer.status == 200 {
            let told: Told = serde_json::from_slice(&answer.body).unwrap();
            match &told.user {
                Some(name) => self.is_of(user, name, &told),
                None => self.gone(user, &shown).await,
            }
        }
    }

    fn is_of(&self, user: &User, name: &str, told: &Told) {
        let own = told.own.as_ref() == Some(&user.name);
        let value = told.value.as_ref().is_none_or(|value| value.split('-').next() == Some(&user.name));
        if *name != user.name || !own || !value {
            self.judge.wrong(format!("{} was told {told:?}", user.name));
        }
    }

    async fn count(&self, user: &User) {
        let Some((shown, answer)) = self.as_user("count", "POST", "/count", user).await else { return };
        if answer.status == 200 {
            let number = String::from_utf8_lossy(&answer.body).parse().unwrap();
            if !user.is_new(&shown.cookie, number) {
                self.judge.wrong(format!("{} was told {number} twice", user.name));
            }
        }
    }

    async fn write(&self, user: &User, n: u64, ms: u64) {
        let path = format!("/value/{}-{n}?ms={ms}", user.name);
        self.as_user("write", "PUT", &path, user).await;
    }

    /// Signs in: anew, or on top of the session, whose cookies are then over.
    async fn login(&self, user: &User, on_top: bool) {
        let (losses, before) = (self.judge.losses(), user.take());
        let shown = before.last().filter(|_| on_top).map(String::as_str);
        let answer = self.ask("login", "POST", &format!("/login/{}", user.name), shown, &[]).await;
        let Ok(answer) = answer else { return };
        match (answer.status, answer.cookie) {
            (204, Some(cookie)) => {
                user.signed_in(cookie, losses);
                if on_top && !self.judge.replies_are_mixed_up() {
                    user.ended(before);
                }
            }
            // The session ended between load and save, and was not brought back.
            (204, None) if self.judge.losses() != losses => self.judge.excuse(),
            (204, None) => self.judge.wrong(format!("{} signed in and got no cookie", user.name)),
            _ => {}
        }
    }

    async fn logout(&self, user: &User) {
        let family = user.take();
        let Some(cookie) = family.last() else { return };
        if self
            .ask("logout", "POST", "/logout", Some(cookie), &[])
            .await
            .is_ok_and(|answer| answer.status == 204)
        {
            user.ended(family);
        }
    }

    /// With a cookie that is over.
    async fn come_back(&self, user: &User, choice: u64) {
        let Some(cookie) = user.dead(choice) else { return };
        let answer = self.ask("come back", "GET", "/me", Some(&cookie), &[]).await;
        if let Ok(Answer { status: 200, body, .. }) = answer {
            let told: Told = serde_json::from_slice(&body).unwrap();
            if told.user.is_some() {
                self.judge.wrong(format!("a session of {} came back: {told:?}", user.name));
            }
        }
    }

    async fn page(&self, chance: u64) {
        let (name, language) = (format!("p{}", chance % PAGES), LANGUAGES[(chance >> 16) as usize % 4]);
        let asked = [("accept-language", language)];
        let fields = if language == "none" { &[][..] } else { &asked };
        let answer = self.ask("page", "GET", &format!("/page/{name}"), None, fields).await;
        if let Ok(Answer { status: 200, body: told, .. }) = answer
            && told != body(&name, language)
        {
            let begin = String::from_utf8_lossy(&told[..told.len().min(40)]).into_owned();
            self.judge.wrong(format!("{name} in {language} was {begin:?}, {} bytes", told.len()));
        }
    }

    async fn limited(&self, path: &'static str, key: u64) {
        let begun = Instant::now();
        let answer = self.ask(&path[1..], "GET", path, None, &[("x-client", &key.to_string())]).await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            self.judge.admitted(path == "/window", key, begun);
        }
    }
}
