//! The connection that subscribes: one for each store, outside of the pool, only while somebody listens.
//!
//! It speaks version 2 of the protocol, in which messages are replies; what the server must say is kept equal to what the
//! listeners want.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redis::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::backend::Redis;
use super::connect::{handshake, open};
use super::driver::BoxedSocket;
use super::manager::Connector;
use super::monitor::jittered;
use super::resp::{self, Replies, Scanner};
use crate::race::{First, race};
use crate::store::channels::{Channels, Listener, Standing, Topic};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Blob, Reply, desync};

/// After so long without a sound the server is asked whether it is there, and after as long again it is not.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How much is read at once.
const CHUNK: usize = 16 << 10;

impl Redis {
    /// Listens to a topic from the moment on in which this returns.
    pub(in crate::store) async fn listen(
        &self,
        topic: Topic,
        capacity: usize,
    ) -> Result<Listener, StoreError> {
        let connector = self.0.checkout.connector().ok_or(StoreErrorKind::Unsupported)?;
        let (listener, mut standing) = self.0.channels.enter(topic, capacity);
        if self.0.channels.begin() {
            self.0.runtime.spawn(serve(connector, self.0.channels.clone()));
        }
        let told = standing.wait_for(|standing| !matches!(standing, Standing::Asked));
        match timeout(self.0.settings.connect_timeout + self.0.settings.deadline, told).await? {
            Ok(standing) => match &*standing {
                Standing::Refused(error) => Err(error.clone()),
                _ => Ok(listener),
            },
            Err(_) => Err(StoreErrorKind::Unavailable.into()),
        }
    }
}

/// Subscribes, and after each loss again, until nobody listens any more.
async fn serve(connector: Arc<Connector>, channels: Channels) {
    let mut pause = FIRST_PAUSE;
    while !channels.is_done() {
        let opened = timeout(connector.timeout, Session::open(&connector, &channels)).await;
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
    Login,
    Subscribe(Topic),
    /// An answer that changes nothing.
    Other,
}

struct Session<'a> {
    socket: BoxedSocket,
    channels: &'a Channels,
    limit: Duration,
    asked: BTreeSet<Topic>,
    awaited: VecDeque<Awaited>,
    out: Vec<u8>,
    received: BytesMut,
    scanner: Scanner,
    /// The server has confirmed something.
    heard: bool,
}

impl<'a> Session<'a> {
    async fn open(connector: &Connector, channels: &'a Channels) -> Result<Self, StoreError> {
        let mut session = Self {
            socket: open(connector).await?,
            channels,
            limit: connector.timeout,
            asked: BTreeSet::new(),
            awaited: VecDeque::new(),
            out: Vec::new(),
            received: BytesMut::new(),
            scanner: Scanner::default(),
            heard: false,
        };
        // Channels belong to the server, not to a database.
        let login = connector.target.login.clone().set_protocol(ProtocolVersion::RESP2).set_db(0);
        for words in handshake(&login) {
            session.say(Awaited::Login, words.iter().map(String::as_bytes));
        }
        Ok(session)
    }

    /// Until nobody listens any more, or the connection ends.
    async fn run(&mut self) -> Result<(), StoreError> {
        let mut asked_for_life = false;
        loop {
            self.reconcile();
            self.flush().await?;
            if self.asked.is_empty() && self.awaited.is_empty() && self.channels.wanted().is_empty() {
                return Ok(());
            }
            self.received.reserve(CHUNK.max(self.scanner.missing(&self.received)));
            let read = self.socket.read_buf(&mut self.received);
            match timeout(SILENCE, race(read, self.channels.changed())).await {
                Ok(First::Left(Ok(1..))) => {
                    asked_for_life = false;
                    self.take_in()?;
                }
                Ok(First::Left(_)) => return Err(StoreErrorKind::Disconnected.into()),
                Ok(First::Right(())) => {}
                Err(elapsed) if asked_for_life => return Err(elapsed.into()),
                Err(_) => {
                    asked_for_life = true;
                    self.say(Awaited::Other, [&b"PING"[..]]);
                }
            }
        }
    }

    fn say<'w>(
        &mut self,
        awaited: Awaited,
        words: impl IntoIterator<Item = &'w [u8], IntoIter: ExactSizeIterator>,
    ) {
        let words = words.into_iter();
        resp::begin(&mut self.out, words.len());
        words.for_each(|word| resp::word(&mut self.out, word));
        self.awaited.push_back(awaited);
    }

    /// Each topic is a command of its own, so that one that is refused refuses no other.
    fn reconcile(&mut self) {
        let wanted: BTreeSet<Topic> = self.channels.wanted().into_iter().collect();
        for topic in wanted.difference(&self.asked.clone()) {
            let [verb, name] = topic.words(["PSUBSCRIBE", "SUBSCRIBE"]);
            self.say(Awaited::Subscribe(topic.clone()), [verb.as_bytes(), name.as_bytes()]);
        }
        for topic in self.asked.clone().difference(&wanted) {
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
            let reply = Replies::shared(&frame).next().ok_or_else(desync)?;
            self.hear(reply)?;
        }
        Ok(())
    }

    fn hear(&mut self, reply: Result<Reply<'_>, StoreError>) -> Result<(), StoreError> {
        if let Ok(Reply::Array(items)) = &reply
            && let Some((topic, channel, message)) = message(items)
        {
            self.channels.deliver(&topic, &channel, &message);
            return Ok(());
        }
        match (self.awaited.pop_front().ok_or_else(desync)?, reply) {
            (Awaited::Subscribe(topic), Ok(_)) => {
                self.heard = true;
                self.channels.confirm(&topic);
            }
            (Awaited::Subscribe(topic), Err(error)) => {
                self.asked.remove(&topic);
                self.channels.refuse(&topic, &error);
            }
            (Awaited::Login, Err(error)) => return Err(error),
            (Awaited::Login | Awaited::Other, _) => {}
        }
        Ok(())
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

/// A message, if this is one: `message CHANNEL TEXT` or `pmessage PATTERN CHANNEL TEXT`.
fn message(items: &[Reply<'_>]) -> Option<(Topic, String, Bytes)> {
    let (kind, rest) = items.split_first()?;
    let (topic, channel, message) = match (&*bytes(kind)?, rest) {
        (b"message", [channel, message]) => (Topic::Channel(text(channel)?), text(channel)?, message),
        (b"pmessage", [pattern, channel, message]) => {
            (Topic::Pattern(text(pattern)?), text(channel)?, message)
        }
        _ => return None,
    };
    Some((topic, channel, bytes(message)?.into_bytes()))
}

fn bytes<'a>(item: &Reply<'a>) -> Option<Blob<'a>> {
    item.clone().bytes().ok()
}

fn text(item: &Reply<'_>) -> Option<String> {
    String::from_utf8(bytes(item)?.into_owned()).ok()
}
