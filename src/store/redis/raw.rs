//! The pool's connections for commands that are not this crate's.

mod keys;

use std::io;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Parser, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use tokio::time::{Instant, timeout_at};

use super::backend::Redis;
use super::classify::classify;
use super::link::{Conn, Link};
use super::monitor;
use super::node::{Inner, Node};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Class, desync};

/// How often a command is sent again because its slot has moved, at most.
const MOST_ROUNDS: u32 = 10;
/// The pause before that: by then it is known where the slot lies.
const PAUSE: Duration = Duration::from_millis(20);

/// What changes a connection for all who share it, holds it up, or has not exactly one reply.
const REFUSED: [&str; 34] = [
    "ASKING",
    "AUTH",
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "CLIENT",
    "DISCARD",
    "EXEC",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "READONLY",
    "READWRITE",
    "RESET",
    "SELECT",
    "SHUTDOWN",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "SYNC",
    "UNSUBSCRIBE",
    "UNWATCH",
    "WAIT",
    "WAITAOF",
    "WATCH",
];

/// The store's pool as a connection of the `redis` crate, for commands that this crate does not have and for other crates.
///
/// Each command or pipeline is one round trip on a connection that is shared with all other requests, under the store's deadline
/// (250 ms unless set) and behind its breaker. It is sent once: after a time-out or a lost connection it may or may not have run.
/// Clones are cheap and open nothing.
///
/// Keys are sent as they are: begin them with [`Store::prefix`](crate::store::Store::prefix) where that matters. The protocol is RESP2
/// unless the pool is yours. Pipelines with `atomic()` work. Refused without being sent are commands that change a shared connection or
/// hold it up: `SUBSCRIBE` and its like, `MONITOR`, `SELECT`, `AUTH`, `CLIENT`, `WATCH`, `MULTI` outside of such a pipeline, `WAIT`, and
/// those that block, `XREAD` and `XREADGROUP` with `BLOCK` among them.
///
/// On a Cluster a command goes to the node that has its first key, and a pipeline to the one that has the first key in it: its keys must
/// lie in one slot. `SCRIPT` goes to all masters. What the server answers `MOVED` to did not run and is sent again.
///
/// Errors are [`redis::RedisError`]s: those of the store are of kind `Io`, with the [`StoreError`] as their source.
#[derive(Clone, Debug)]
pub struct RawConnection(Redis);

impl RawConnection {
    pub(in crate::store) const fn new(redis: Redis) -> Self {
        Self(redis)
    }
}

impl ConnectionLike for RawConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut values = self.0.raw(What::One(cmd)).await?;
            values.pop().ok_or_else(|| failed(desync()))?.extract_error()
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut values = self.0.raw(What::Several(pipeline, offset.saturating_add(count))).await?;
            Ok(values.split_off(offset.min(values.len())))
        })
    }

    /// Always 0: which database the store uses is the URL's business, and nothing can change it here.
    fn get_db(&self) -> i64 {
        0
    }
}

#[derive(Clone, Copy)]
enum What<'a> {
    One(&'a Cmd),
    /// A pipeline, and how many replies it has with those of `MULTI` and of queueing.
    Several(&'a Pipeline, usize),
}

impl<'a> What<'a> {
    const fn replies(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(_, replies) => replies,
        }
    }

    fn is_refused(self) -> bool {
        match self {
            Self::One(cmd) => is_refused(cmd),
            Self::Several(pipeline, _) => pipeline.cmd_iter().any(is_refused),
        }
    }

    /// The key that says to which node of a Cluster it goes.
    fn key(self) -> Option<&'a [u8]> {
        match self {
            Self::One(cmd) => keys::first(cmd),
            Self::Several(pipeline, _) => pipeline.cmd_iter().find_map(keys::first),
        }
    }

    /// Whether each node of a Cluster must hear it: scripts are loaded for wherever they are called.
    fn is_for_all(self) -> bool {
        matches!(self, Self::One(cmd) if keys::verb(cmd).eq_ignore_ascii_case(b"SCRIPT"))
    }

    fn packed(self) -> Vec<u8> {
        match self {
            Self::One(cmd) => cmd.get_packed_command(),
            Self::Several(pipeline, _) => pipeline.get_packed_pipeline(),
        }
    }
}

fn is_refused(cmd: &Cmd) -> bool {
    let mut words = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        _ => &[],
    });
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let Some(verb) = words.next() else { return true };
    let reads_stream = is(verb, "XREAD") || is(verb, "XREADGROUP");
    REFUSED.iter().any(|name| is(verb, name))
        || cmd.is_no_response()
        || (reads_stream && words.take_while(|word| !is(word, "STREAMS")).any(|word| is(word, "BLOCK")))
}

impl Redis {
    async fn raw(&self, what: What<'_>) -> RedisResult<Vec<Value>> {
        if what.is_refused() {
            let refused = io::Error::new(
                io::ErrorKind::Unsupported,
                "this command would change or hold up a connection that others share; use a connection of your own",
            );
            return Err(refused.into());
        }
        if what.replies() == 0 {
            return Ok(Vec::new());
        }
        if what.is_for_all() {
            let mut last = Vec::new();
            for node in self.all_nodes().await.map_err(failed)? {
                last = node.raw(what).await.map_err(failed)?;
            }
            return Ok(last);
        }
        let mut rounds = 1..MOST_ROUNDS;
        loop {
            let node = self.node_of(what.key()).await.map_err(failed)?;
            let values = node.raw(what).await.map_err(failed)?;
            if !is_elsewhere(&values) || rounds.next().is_none() {
                return Ok(values);
            }
            self.look();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a node answered that it does not have the slot: nothing was carried out.
fn is_elsewhere(values: &[Value]) -> bool {
    let moved = |value: &Value| match value {
        Value::ServerError(error) => classify(&error.clone().into()).kind() == StoreErrorKind::Moved,
        _ => false,
    };
    let aborted = |value: &Value| matches!(value, Value::ServerError(error) if error.code() == "EXECABORT");
    values.iter().all(moved) || (values.last().is_some_and(aborted) && values.iter().any(moved))
}

impl Node {
    async fn raw(&self, what: What<'_>) -> Result<Vec<Value>, StoreError> {
        let until = Instant::now() + self.0.settings.deadline;
        self.0.breaker.admit(Class::Write, until)?;
        let result = self.0.raw(what, until).await;
        match &result {
            Ok(_) => self.0.breaker.succeeded(Class::Write),
            Err(error) if matches!(error.kind(), StoreErrorKind::Overloaded | StoreErrorKind::Desync) => {}
            Err(_) => {
                self.0.breaker.failed(Class::Write);
                monitor::start(&self.0);
            }
        }
        result
    }
}

impl Inner {
    async fn raw(&self, what: What<'_>, until: Instant) -> Result<Vec<Value>, StoreError> {
        let link = self.link(Class::Write, until).await?;
        let write = link.write();
        let sent = timeout_at(until, exchange(&link, what)).await;
        let sent = sent.unwrap_or_else(|elapsed| Err(elapsed.into())).inspect(|_| write.answered());
        let values = sent.inspect_err(|error| self.judge(&link, error.kind()))?;
        for value in &values {
            if let Value::ServerError(error) = value {
                self.judge(&link, classify(&error.clone().into()).kind());
            }
        }
        Ok(values)
    }
}

async fn exchange(link: &Link, what: What<'_>) -> Result<Vec<Value>, StoreError> {
    match link.conn() {
        Conn::Own(requests) => {
            let packed = what.packed();
            let answer = requests.send(what.replies(), |out| out.extend_from_slice(&packed)).await?;
            let (mut bytes, mut parser) = (&*answer.bytes, Parser::new());
            let values = (0..what.replies()).map(|_| parser.parse_value(&mut bytes));
            values.collect::<RedisResult<_>>().map_err(|_| desync())
        }
        Conn::Foreign(conn) => {
            let mut conn = conn.clone();
            let sent = match what {
                What::One(cmd) => conn.req_packed_command(cmd).await.map(|value| vec![value]),
                What::Several(pipeline, replies) => conn.req_packed_commands(pipeline, 0, replies).await,
            };
            sent.or_else(|error| match redis::ServerError::try_from(error) {
                Ok(error) => Ok(vec![Value::ServerError(error)]),
                Err(error) => Err(classify(&error)),
            })
        }
    }
}

fn failed(error: StoreError) -> RedisError {
    let kind = match error.kind() {
        StoreErrorKind::Timeout => io::ErrorKind::TimedOut,
        StoreErrorKind::Refused => io::ErrorKind::ConnectionRefused,
        StoreErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error).into()
}
