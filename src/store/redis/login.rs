//! What a connection says first: who signs in, which database, and its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{ProtocolVersion, RedisConnectionInfo};
use tokio::time::Instant;

use super::driver::Requests;
use super::link::{Conn, Link};
use super::node::Settings;
use super::resp::{self, Replies};
use crate::random::up_to;
use crate::store::credentials::Provider;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Reply, desync};

/// What a connection is for, as `CLIENT LIST` shows it behind the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Requests,
    Probe,
    Subscribe,
    Sentinel,
    Lasting,
}

impl Purpose {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Requests => "",
            Self::Probe => ":probe",
            Self::Subscribe => ":subscribe",
            Self::Sentinel => ":sentinel",
            Self::Lasting => ":lasting",
        }
    }
}

/// Who signs in, and under which name connections go.
#[derive(Clone, Debug)]
pub(super) struct Logins {
    provider: Option<Provider>,
    name: Arc<str>,
    /// The last connection that was to be opened could not sign in.
    refused: Arc<AtomicBool>,
}

impl Logins {
    pub(super) fn new(settings: &Settings) -> Self {
        let (provider, name) = (settings.credentials.clone(), Arc::clone(&settings.client_name));
        Self { provider, name, refused: Arc::default() }
    }

    /// What a connection to the server says first. `login` has the database, and who signs in unless the provider says that.
    pub(super) async fn greeting(
        &self,
        login: &RedisConnectionInfo,
        purpose: Purpose,
    ) -> Result<Greeting, StoreError> {
        let Some(provider) = &self.provider else { return Ok(self.plain(login, purpose)) };
        let given = provider.ask().await.inspect_err(|error| self.note(Some(error)))?;
        let login = match &given.username {
            Some(username) => login.clone().set_username(username),
            None => login.clone(),
        };
        let greeting = self.plain(&login.set_password(&given.password), purpose);
        Ok(Greeting { until: given.life.map(replaced_at), ..greeting })
    }

    /// The same where nobody is asked who signs in.
    pub(super) fn plain(&self, login: &RedisConnectionInfo, purpose: Purpose) -> Greeting {
        Greeting { steps: steps(login, &self.client_name(purpose)), until: None }
    }

    fn client_name(&self, purpose: Purpose) -> String {
        format!("{}{}", self.name, purpose.suffix())
    }

    /// Has a connection that serves something else now go under that name. Nobody waits for it.
    pub(super) fn rename(&self, link: &Link, login: &RedisConnectionInfo, purpose: Purpose) {
        let (link, words) = (link.clone(), introduction(login.protocol(), &self.client_name(purpose)));
        tokio::spawn(async move {
            if let Conn::Own(requests) = link.conn() {
                drop(requests.send(1, |out| command(out, &words)).await); // a name is a courtesy
            }
        });
    }

    /// Says once that no connection can sign in: while older ones serve, nothing else would tell.
    pub(super) fn note(&self, error: Option<&StoreError>) {
        let is_refused = match error {
            Some(error) if error.kind() == StoreErrorKind::Auth => true,
            Some(_) => return,
            None => false,
        };
        if self.refused.swap(is_refused, Ordering::Relaxed) != is_refused && is_refused {
            tracing::warn!(
                "a new redis connection cannot sign in; check user, password and where they come from"
            );
        }
    }
}

/// Three quarters of a life and up to an eighth more, so that a fleet does not connect in step.
fn replaced_at(life: Duration) -> Instant {
    Instant::now() + life.mul_f64(0.75) + up_to(life / 8)
}

/// The first commands of a connection.
pub(super) struct Greeting {
    steps: Vec<(Step, Vec<String>)>,
    /// When another connection is to take its place.
    pub(super) until: Option<Instant>,
}

/// What one of them is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SignIn,
    Select,
    Introduce,
}

impl Step {
    pub(super) fn check(self, reply: Result<Reply<'_>, StoreError>) -> Result<(), StoreError> {
        match (self, reply) {
            // "no password is set" has no code of its own, yet the credentials are what is wrong.
            (Self::SignIn, Err(error)) if error.kind() == StoreErrorKind::Server => {
                Err(StoreError::with_source(StoreErrorKind::Auth, error))
            }
            // A server or proxy that does not know `HELLO` knows no names.
            (Self::Introduce, Err(error)) if !error.is_outage() => Ok(()),
            (_, reply) => reply.map(drop),
        }
    }
}

impl Greeting {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.steps.iter().for_each(|(_, words)| command(out, words));
    }

    /// The commands, word by word.
    pub(super) fn commands(&self) -> impl Iterator<Item = (Step, &[String])> {
        self.steps.iter().map(|(step, words)| (*step, &words[..]))
    }

    /// Takes the reply to the `i`-th command.
    pub(super) fn check(&self, i: usize, reply: Result<Reply<'_>, StoreError>) -> Result<(), StoreError> {
        self.steps.get(i).map_or_else(|| Err(desync()), |(step, _)| step.check(reply))
    }

    /// Says it and no more.
    pub(super) async fn say(&self, requests: &Requests) -> Result<(), StoreError> {
        let bytes = requests.send(self.len(), |out| self.encode(out)).await?.bytes;
        Replies::new(&bytes).enumerate().try_for_each(|(i, reply)| self.check(i, reply))
    }
}

pub(super) fn command(out: &mut Vec<u8>, words: &[impl AsRef<[u8]>]) {
    resp::begin(out, words.len());
    words.iter().for_each(|word| resp::word(out, word.as_ref()));
}

fn steps(login: &RedisConnectionInfo, name: &str) -> Vec<(Step, Vec<String>)> {
    let credentials = login.password().map(|password| (login.username(), password));
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut steps = Vec::new();
    match (login.protocol(), credentials) {
        (ProtocolVersion::RESP2, None) => {
            steps.push((Step::Introduce, introduction(ProtocolVersion::RESP2, name)))
        }
        (ProtocolVersion::RESP2, Some((user, password))) => {
            let words =
                own(&["AUTH"]).into_iter().chain(user.map(str::to_owned)).chain([password.to_owned()]);
            steps.push((Step::SignIn, words.collect()));
            steps.push((Step::Introduce, introduction(ProtocolVersion::RESP2, name)));
        }
        (_, credentials) => {
            let mut words = own(&["HELLO", "3"]);
            if let Some((user, password)) = credentials {
                words.extend(own(&["AUTH", user.unwrap_or("default"), password]));
            }
            words.extend(own(&["SETNAME", name]));
            steps.push((Step::SignIn, words));
        }
    }
    if login.db() != 0 {
        steps.push((Step::Select, own(&["SELECT", &login.db().to_string()])));
    }
    steps
}

/// `HELLO` takes a name from every user; `CLIENT SETNAME` needs a permission and fills `ACL LOG` without it.
fn introduction(protocol: ProtocolVersion, name: &str) -> Vec<String> {
    let version = if protocol == ProtocolVersion::RESP2 { "2" } else { "3" };
    ["HELLO", version, "SETNAME", name].map(str::to_owned).to_vec()
}
