//! The connection that subscribes: one for each store, outside of the pool, only while somebody listens.
//!
//! It speaks version 2 of the protocol, in which messages are replies; what the server must say is kept equal to what the
//! listeners want.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redis::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::open;
use super::driver::BoxedSocket;
use super::login::{Purpose, Step};
use super::manager::Connector;
use super::monitor::jittered;
use super::resp::{self, Replies, Scanner};
use super::supervise::supervise;
use crate::race::{First, race};
use crate::store::channels::{Channels, Generation, Listener, Standing, Topic};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Reply, desync};

/// After so long without a sound the server is asked whether it is there, and after as long again it is not.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How much is read at once. What is shorter is copied: a part of what was read would hold all of it.
const CHUNK: usize = 16 << 10;

/// Listens to a topic from the moment on in which this returns, within `limit`.
pub(super) async fn listen(
    connector: &Arc<Connector>,
    channels: &Channels,
    runtime: &Handle,
    limit: Duration,
    topic: Topic,
    capacity: usize,
) -> Result<Listener, StoreError> {
    if connector.is_closed() {
        return Err(StoreErrorKind::Unavailable.into());
    }
    let (listener, mut standing) = channels.enter(topic, capacity);
    if channels.begin() {
        let (connector, channels) = (Arc::clone(connector), channels.clone());
        supervise(runtime, "subscriber", move |panics| {
            if panics > 0 {
                channels.interrupted(&StoreErrorKind::Disconnected.into());
            }
            let (connector, channels) = (Arc::clone(&connector), channels.clone());
            async move { _ = race(serve(&connector, channels), connector.closing()).await }
        });
    }
    let told = standing.wait_for(|standing| !matches!(standing, Standing::Asked));
    match timeout(limit, told).await? {
        Ok(standing) => match &*standing {
            Standing::Refused(error) => Err(error.clone()),
            _ => Ok(listener),
        },
        Err(_) => Err(StoreErrorKind::Unavailable.into()),
    }
}

/// Subscribes, and after each loss again, until nobody listens any more.
async fn serve(connector: &Connector, channels: Channels) {
    let mut pause = FIRST_PAUSE;
    while !channels.is_done() {
        let opened = timeout(connector.timeout, Session::open(connector, &channels)).await;
        let error = match opened.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(mut session) => match session.run().await {
                Ok(()) => continue,
                Err(error) => {
                    pause = if session.heard { FIRST_PAUSE } else { pause };
                    error
                }
            },
            Err(error) => error,
        };
        tracing::warn!(
            kind = error.kind().as_str(),
            "subscriptions are interrupted; they are taken up again by themselves"
        );
        channels.interrupted(&error);
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whose answer comes next.
enum Awaited {
    Greeting(Step),
    Subscribe(Topic, Generation),
    /// An answer that changes nothing.
    Other,
}

struct Session<'a> {
    socket: BoxedSocket,
    channels: &'a Channels,
    limit: Duration,
    asked: BTreeMap<Topic, Generation>,
    awaited: VecDeque<Awaited>,
    /// Since when the server has been silent, or has owed an answer in silence.
    silent_since: Instant,
    /// When topics that were refused, though somebody listened to them before, are asked for again.
    again_at: Option<Instant>,
    out: Vec<u8>,
    received: BytesMut,
    scanner: Scanner,
    /// The server has confirmed something.
    heard: bool,
}

impl<'a> Session<'a> {
    async fn open(connector: &Connector, channels: &'a Channels) -> Result<Self, StoreError> {
        // Channels belong to the server, not to a database.
        let login = connector.target.login.clone().set_protocol(ProtocolVersion::RESP2).set_db(0);
        let greeting = connector.logins.greeting(&login, Purpose::Subscribe).await?;
        let mut session = Self::over(open(connector).await?, channels, connector.timeout);
        for (step, words) in greeting.commands() {
            session.say(Awaited::Greeting(step), words.iter().map(String::as_bytes));
        }
        Ok(session)
    }

    fn over(socket: BoxedSocket, channels: &'a Channels, limit: Duration) -> Self {
        Self {
            socket,
            channels,
            limit,
            asked: BTreeMap::new(),
            awaited: VecDeque::new(),
            silent_since: Instant::now(),
            again_at: None,
            out: Vec::new(),
            received: BytesMut::new(),
            scanner: Scanner::default(),
            heard: false,
        }
    }

    /// Until nobody listens any more, or the connection ends.
    async fn run(&mut self) -> Result<(), StoreError> {
        self.channels.ask_again();
        self.reconcile();
        loop {
            self.flush().await?;
            if self.asked.is_empty() && self.awaited.is_empty() && self.channels.is_empty() {
                return Ok(());
            }
            self.received.reserve(CHUNK.max(self.scanner.missing(&self.received)));
            let silent_until = self.silent_since + SILENCE;
            let until = self.again_at.map_or(silent_until, |at| at.min(silent_until));
            let read = self.socket.read_buf(&mut self.received);
            match timeout_at(until, race(read, self.channels.changed())).await {
                Ok(First::Left(Ok(1..))) => {
                    self.silent_since = Instant::now();
                    self.take_in()?;
                }
                Ok(First::Left(_)) => return Err(StoreErrorKind::Disconnected.into()),
                Ok(First::Right(())) => self.reconcile(),
                Err(_) => {}
            }
            self.keep_time()?;
        }
    }

    /// What is due, is done, whatever else has happened: listeners that come and go must not put it off.
    fn keep_time(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.channels.ask_again();
            self.reconcile();
        }
        if self.silent_since + SILENCE <= now {
            if !self.awaited.is_empty() {
                return Err(StoreErrorKind::Timeout.into());
            }
            self.say(Awaited::Other, [&b"PING"[..]]);
        }
        Ok(())
    }

    fn say<'w>(
        &mut self,
        awaited: Awaited,
        words: impl IntoIterator<Item = &'w [u8], IntoIter: ExactSizeIterator>,
    ) {
        if self.awaited.is_empty() {
            self.silent_since = Instant::now();
        }
        let words = words.into_iter();
        resp::begin(&mut self.out, words.len());
        words.for_each(|word| resp::word(&mut self.out, word));
        self.awaited.push_back(awaited);
    }

    /// Each topic is a command of its own, so that one that is refused refuses no other. One that is asked for a second time is confirmed
    /// a second time.
    fn reconcile(&mut self) {
        let wanted = self.channels.wanted();
        let asked = std::mem::take(&mut self.asked);
        for (topic, generation) in wanted.iter().filter(|(topic, new)| asked.get(topic) != Some(new)) {
            let [verb, name] = topic.words(["PSUBSCRIBE", "SUBSCRIBE"]);
            self.say(Awaited::Subscribe(topic.clone(), *generation), [verb.as_bytes(), name.as_bytes()]);
        }
        for topic in asked.keys().filter(|topic| !wanted.contains_key(topic)) {
            let [verb, name] = topic.words(["PUNSUBSCRIBE", "UNSUBSCRIBE"]);
            self.say(Awaited::Other, [verb.as_bytes(), name.as_bytes()]);
        }
        self.asked = wanted;
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        let written = async {
            self.socket.write_all(&out).await?;
            self.socket.flush().await
        };
        timeout(self.limit, written).await?.map_err(|_| StoreErrorKind::Disconnected.into())
    }

    fn take_in(&mut self) -> Result<(), StoreError> {
        while let Some((_, end)) = self.scanner.next(&self.received).map_err(|_| desync())? {
            let frame = self.received.split_to(end).freeze();
            let mut replies = if end < CHUNK { Replies::new(&frame) } else { Replies::shared(&frame) };
            self.hear(replies.next().ok_or_else(desync)?)?;
        }
        Ok(())
    }

    fn hear(&mut self, reply: Result<Reply<'_>, StoreError>) -> Result<(), StoreError> {
        if let Ok(Some(message)) = reply.as_ref().map(message) {
            let (topic, channel, message) = message?;
            self.channels.deliver(&topic, &channel, &message);
            return Ok(());
        }
        match (self.awaited.pop_front().ok_or_else(desync)?, reply) {
            (Awaited::Subscribe(topic, generation), Ok(_)) => {
                self.heard = true;
                self.channels.confirm(&topic, generation);
            }
            (Awaited::Subscribe(topic, generation), Err(error)) => self.refused(&topic, generation, &error),
            (Awaited::Greeting(step), reply) => step.check(reply)?,
            (Awaited::Other, _) => {}
        }
        Ok(())
    }

    /// A topic that is refused disturbs no other, so the connection goes on. Who listened to it before must hear again some day: a script
    /// ends, a permission comes back.
    fn refused(&mut self, topic: &Topic, generation: Generation, error: &StoreError) {
        if self.asked.get(topic) == Some(&generation) {
            self.asked.remove(topic);
        }
        if self.channels.refuse(topic, generation, error) {
            let kind = error.kind().as_str();
            tracing::warn!(kind, "a subscription is refused by redis now; it is asked for again");
            self.again_at.get_or_insert_with(|| Instant::now() + jittered(LONGEST_PAUSE));
        }
    }
}

impl Topic {
    fn words<'a>(&'a self, [pattern, channel]: [&'a str; 2]) -> [&'a str; 2] {
        match self {
            Self::Pattern(text) => [pattern, text],
            Self::Channel(text) => [channel, text],
        }
    }
}

/// What the server says by itself, as opposed to an answer: `message CHANNEL TEXT` or `pmessage PATTERN CHANNEL TEXT`, known by the first
/// word alone.
fn message(reply: &Reply<'_>) -> Option<Result<(Topic, String, Bytes), StoreError>> {
    let Reply::Array(items) = reply else { return None };
    let (Reply::Bytes(kind), rest) = items.split_first()? else { return None };
    Some(match (&**kind, rest) {
        (b"message", [channel, message]) => heard(Topic::Channel, channel, channel, message),
        (b"pmessage", [pattern, channel, message]) => heard(Topic::Pattern, pattern, channel, message),
        (b"message" | b"pmessage", _) => Err(desync()),
        _ => return None,
    })
}

fn heard(
    topic: fn(String) -> Topic,
    name: &Reply<'_>,
    channel: &Reply<'_>,
    message: &Reply<'_>,
) -> Result<(Topic, String, Bytes), StoreError> {
    Ok((topic(text(name)?), text(channel)?, message.clone().bytes()?.into_bytes()))
}

/// Whoever publishes may name a channel by any bytes. What is no text is none of our channels, and its listener is told so.
fn text(item: &Reply<'_>) -> Result<String, StoreError> {
    Ok(String::from_utf8_lossy(&item.clone().bytes()?).into_owned())
}

#[cfg(test)]
mod tests;
