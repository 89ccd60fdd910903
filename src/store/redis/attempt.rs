//! One try to carry out commands on one server: a connection, one round trip, and what its outcome says of the connection.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::classify::ends_connection;
use super::lasting::Lasted;
use super::link::Link;
use super::node::{Inner, Settings};
use super::send::{Answers, Outgoing, ask, send};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Class, desync};

/// Until when a request waits, and whose limit that is. That the store's passed says something about the server and the connection. That
/// a caller's shorter one passed does not: the probe finds out.
#[derive(Clone, Copy)]
pub(super) struct Until {
    pub(super) at: Instant,
    pub(super) is_callers: bool,
}

impl Until {
    /// The store's deadline, or the caller's where that is shorter.
    pub(super) fn within(settings: &Settings, deadline: Option<Duration>) -> Self {
        let deadline = deadline.filter(|deadline| *deadline < settings.deadline);
        Self { at: Instant::now() + deadline.unwrap_or(settings.deadline), is_callers: deadline.is_some() }
    }
}

/// The store's own deadline.
impl From<Instant> for Until {
    fn from(at: Instant) -> Self {
        Self { at, is_callers: false }
    }
}

/// The replies of one round trip, and the connection that gave them.
pub(super) struct Used {
    pub(super) answers: Answers,
    pub(super) link: Link,
    /// False where replicas were to confirm it and too few did in time.
    pub(super) is_replicated: bool,
}

impl Inner {
    pub(super) async fn attempt(&self, commands: Outgoing<'_>, until: Until) -> Result<Used, StoreError> {
        // A connection that ended during its handshake has not been sent anything.
        let link =
            again(self.checkout.size(), || self.link(commands.class(), until.at)).await.map_err(|error| {
                match error.kind() {
                    StoreErrorKind::Disconnected => StoreError::with_source(StoreErrorKind::Refused, error),
                    _ => error,
                }
            })?;
        match commands.class() {
            Class::Read => self.attempt_read(link, commands, until).await,
            Class::Write => self.attempt_on(link, commands, until).await,
        }
    }

    pub(super) fn must_last(&self, commands: Outgoing<'_>) -> bool {
        self.lasting.is_some() && commands.iter().any(|command| command.lasts)
    }

    /// With the wait for a connection, and for replicas where something must last.
    pub(super) async fn attempt_fully(
        &self,
        commands: Outgoing<'_>,
        until: Until,
    ) -> Result<Used, StoreError> {
        let Some(lasting) = self.lasting.as_ref().filter(|_| self.must_last(commands)) else {
            return self.attempt(commands, until).await;
        };
        let Lasted { answers, link, is_replicated } =
            lasting.execute(commands, self.probed(), until.at).await?;
        if let Some(error) = answers.errors().find(|error| ends_connection(error.kind())) {
            self.judge(&link, error.kind());
        }
        Ok(Used { answers, link, is_replicated })
    }

    pub(super) async fn link(&self, class: Class, until: Instant) -> Result<Link, StoreError> {
        flat(timeout_at(until, self.checkout.link(class, until)).await)
    }

    pub(super) async fn attempt_on(
        &self,
        link: Link,
        commands: Outgoing<'_>,
        until: Until,
    ) -> Result<Used, StoreError> {
        let write = (commands.class() == Class::Write).then(|| link.write());
        let sent = flat(timeout_at(until.at, send(&link, commands)).await);
        if let (Ok(_), Some(write)) = (&sent, write) {
            write.answered();
        }
        self.conclude(link, sent, until)
    }

    /// A read that waits behind writes which the server holds back is asked on another connection, too. Whichever answers first counts.
    pub(super) async fn attempt_read(
        &self,
        link: Link,
        commands: Outgoing<'_>,
        until: Until,
    ) -> Result<Used, StoreError> {
        let patience =
            if self.checkout.is_held_up(&link) { Duration::ZERO } else { self.checkout.patience() };
        let early = until.at.min(Instant::now() + patience);
        let sent = {
            let mut sending = pin!(send(&link, commands));
            match timeout_at(early, &mut sending).await {
                Ok(sent) => sent,
                Err(_) if self.checkout.is_held_up(&link) => {
                    match select(sending, Box::pin(self.attempt_aside(commands, until))).await {
                        Either::Left((sent, _)) => sent,
                        Either::Right((Some(Ok(used)), _)) => return Ok(used),
                        Either::Right((_, sending)) => flat(timeout_at(until.at, sending).await),
                    }
                }
                Err(_) => flat(timeout_at(until.at, sending).await),
            }
        };
        self.conclude(link, sent, until)
    }

    async fn attempt_aside(&self, commands: Outgoing<'_>, until: Until) -> Option<Result<Used, StoreError>> {
        let link = self.checkout.aside(until.at).await?;
        Some(self.attempt_on(link, commands, until).await)
    }

    fn conclude(
        &self,
        link: Link,
        sent: Result<Answers, StoreError>,
        until: Until,
    ) -> Result<Used, StoreError> {
        match sent {
            Ok(answers) => {
                if let Some(error) = answers.errors().find(|error| ends_connection(error.kind())) {
                    self.judge(&link, error.kind());
                }
                Ok(Used { answers, link, is_replicated: true })
            }
            Err(error) if until.is_callers && error.kind() == StoreErrorKind::Timeout => Err(error),
            Err(error) => {
                self.judge(&link, error.kind());
                Err(error)
            }
        }
    }

    /// Asks for the server's time: shows that it answers reads, and how far our clock is off.
    pub(super) async fn ask_time(&self, until: Instant) -> Result<(), StoreError> {
        let open = self.checkout.counts().connections;
        again(open, async || self.ask_time_on(&self.link(Class::Read, until).await?, until).await).await
    }

    pub(super) async fn ask_time_on(&self, link: &Link, until: Instant) -> Result<(), StoreError> {
        match flat(timeout_at(until, time(link)).await) {
            Ok((seconds, micros)) => {
                self.clock.observe(seconds.saturating_mul(1000).saturating_add(micros / 1000));
                Ok(())
            }
            Err(error) => {
                self.judge(link, error.kind());
                Err(error)
            }
        }
    }
}

async fn time(link: &Link) -> Result<(u64, u64), StoreError> {
    ask(link, &["TIME"]).await?.read(|replies| {
        let mut items = replies.next().ok_or_else(desync)??.array()?.into_iter();
        let mut number = || items.next().ok_or_else(desync)?.text()?.parse().map_err(|_| desync());
        Ok((number()?, number()?))
    })
}

fn flat<T>(result: Result<Result<T, StoreError>, Elapsed>) -> Result<T, StoreError> {
    result.unwrap_or_else(|elapsed| Err(elapsed.into()))
}

/// Repeats what may be repeated while connections end under it, up to `most` times: each time uses one up.
pub(super) async fn again<T, F>(most: u32, attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut result = attempt().await;
    for _ in 0..most {
        match result {
            Err(error) if error.kind() == StoreErrorKind::Disconnected => result = attempt().await,
            _ => break,
        }
    }
    result
}
