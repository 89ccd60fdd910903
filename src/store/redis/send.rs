//! From commands to the wire and back: one command, or one pipeline, is one round trip.

use super::classify::classify;
use super::driver::{Answer, Received};
use super::foreign::ForeignConnection;
use super::link::{Conn, Link};
use super::resp::{self, Replies};
use super::script;
use crate::store::error::StoreError;
use crate::store::wire::{Command, Reply, ScriptId, Verb, desync};

/// Replies of this length are shared; a shorter one is copied for less.
const SHARED: usize = 4 << 10;

/// One reply that needs no buffer.
pub(super) type Owned = Result<Reply<'static>, StoreError>;

/// The replies of one round trip.
pub(in crate::store) enum Answers {
    /// As they were received; none of them is an error.
    Received(Received),
    Read(Vec<Owned>),
}

impl Answers {
    /// Hands each reply to `read`, one after another.
    pub(in crate::store) fn read<T>(
        self,
        read: impl FnOnce(&mut dyn Iterator<Item = Result<Reply<'_>, StoreError>>) -> T,
    ) -> T {
        match self {
            Self::Received(Received::Whole(bytes)) => read(&mut Replies::shared(&bytes)),
            Self::Received(Received::Gathered(bytes)) if bytes.len() >= SHARED => {
                read(&mut Replies::shared(&bytes.into()))
            }
            Self::Received(bytes) => read(&mut Replies::new(&bytes)),
            Self::Read(replies) => read(&mut replies.into_iter()),
        }
    }

    /// The errors of single commands.
    pub(in crate::store) fn errors(&self) -> impl Iterator<Item = &StoreError> {
        let replies = match self {
            Self::Received(_) => &[][..],
            Self::Read(replies) => replies,
        };
        replies.iter().filter_map(|reply| reply.as_ref().err())
    }
}

/// Sends all commands in one round trip. Scripts that the server has lost (`SCRIPT FLUSH`, a restart) did not run, so
/// they alone are sent again, in full, which also loads them: one round trip more.
pub(super) async fn send(link: &Link, commands: &[Command]) -> Result<Answers, StoreError> {
    match round_trip(link, commands.iter().map(Form::ByHash), commands.len()).await? {
        // Seldom, so the usual future need not have room for it.
        Answers::Read(replies) => Box::pin(send_lost(link, commands, replies)).await,
        received => Ok(received),
    }
}

/// The same with scripts in full, so that whatever the server has forgotten, what is asked next comes after them.
pub(super) async fn send_in_full(link: &Link, commands: &[Command]) -> Result<Answers, StoreError> {
    round_trip(link, commands.iter().map(Form::InFull), commands.len()).await
}

async fn send_lost(
    link: &Link,
    commands: &[Command],
    mut replies: Vec<Owned>,
) -> Result<Answers, StoreError> {
    let lost: Vec<usize> = (0..replies.len()).filter(|i| is_lost(&replies[*i])).collect();
    if !lost.is_empty() {
        let again = lost.iter().filter_map(|i| commands.get(*i)).map(Form::InFull);
        let answers = round_trip(link, again, lost.len()).await?;
        let again = answers.read(|replies| replies.map(owned).collect::<Vec<_>>());
        for (i, reply) in lost.into_iter().zip(again) {
            replies[i] = reply;
        }
    }
    Ok(Answers::Read(replies))
}

/// Sends one command without a key.
pub(super) async fn ask(link: &Link, word: &'static str) -> Result<Answers, StoreError> {
    round_trip(link, std::iter::once(Form::Word(word)), 1).await
}

fn is_lost(reply: &Owned) -> bool {
    reply.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"))
}

fn owned(reply: Result<Reply<'_>, StoreError>) -> Owned {
    reply.map(Reply::into_owned)
}

async fn round_trip<'a>(
    link: &Link,
    forms: impl Iterator<Item = Form<'a>>,
    count: usize,
) -> Result<Answers, StoreError> {
    match link.conn() {
        Conn::Own(requests) => {
            let encode = |out: &mut Vec<u8>| forms.for_each(|form| form.encode(out));
            received(requests.send(count, encode).await?, count)
        }
        Conn::Foreign(conn) => {
            let mut pipeline = redis::Pipeline::with_capacity(count);
            for form in forms {
                pipeline.add_command(form.cmd());
            }
            Box::pin(foreign(conn.clone(), pipeline, count)).await
        }
    }
}

fn received(answer: Answer, count: usize) -> Result<Answers, StoreError> {
    if !answer.has_error {
        return Ok(Answers::Received(answer.bytes));
    }
    let replies: Vec<_> = Replies::new(&answer.bytes).map(owned).collect();
    if replies.len() == count { Ok(Answers::Read(replies)) } else { Err(desync()) }
}

async fn foreign(
    mut conn: Box<dyn ForeignConnection>,
    pipeline: redis::Pipeline,
    count: usize,
) -> Result<Answers, StoreError> {
    let values = conn.req_packed_commands(&pipeline, 0, count).await.map_err(|error| classify(&error))?;
    if values.len() != count {
        return Err(desync());
    }
    values.into_iter().map(neutral).collect::<Result<_, _>>().map(Answers::Read)
}

/// How a command goes out.
#[derive(Clone, Copy)]
enum Form<'a> {
    ByHash(&'a Command),
    InFull(&'a Command),
    Word(&'static str),
}

impl Form<'_> {
    /// Calls `begin` with the number of the command's words, then `put` with each.
    fn words<C>(self, to: &mut C, begin: impl FnOnce(&mut C, usize), put: impl Fn(&mut C, &[u8])) {
        let (command, verb, script) = match self {
            Self::ByHash(command) => (command, "EVALSHA", script::hash as fn(ScriptId) -> &'static str),
            Self::InFull(command) => (command, "EVAL", script::source as fn(ScriptId) -> &'static str),
            Self::Word(word) => {
                begin(to, 1);
                return put(to, word.as_bytes());
            }
        };
        let keys = command.keys().len();
        match command.verb {
            Verb::Plain(verb) => {
                begin(to, 1 + keys + command.args.len());
                put(to, verb.as_bytes());
            }
            Verb::Script(id) => {
                begin(to, 3 + keys + command.args.len());
                put(to, verb.as_bytes());
                put(to, script(id).as_bytes());
                put(to, keys.to_string().as_bytes());
            }
            Verb::Scan { cursor, count } => {
                begin(to, 6);
                let (cursor, count) = (cursor.to_string(), count.to_string());
                let words = ["SCAN", &cursor, "MATCH", command.key.as_str(), "COUNT", &count];
                return words.into_iter().for_each(|word| put(to, word.as_bytes()));
            }
        }
        command.keys().for_each(|key| put(to, key.as_str().as_bytes()));
        command.args.iter().for_each(|arg| put(to, arg));
    }

    fn encode(self, out: &mut Vec<u8>) {
        self.words(out, resp::begin, resp::word);
    }

    fn cmd(self) -> redis::Cmd {
        let mut cmd = redis::Cmd::new();
        self.words(
            &mut cmd,
            |_, _| {},
            |cmd, word| {
                cmd.arg(word);
            },
        );
        cmd
    }
}

/// Both protocol versions give the same neutral reply: a RESP3 map is its flat RESP2 list. The outer error concerns the
/// connection, the inner one this command alone.
fn neutral(value: redis::Value) -> Result<Owned, StoreError> {
    use redis::Value;
    Ok(Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(n) => Reply::Int(n),
        Value::BulkString(bytes) => bytes.into(),
        Value::SimpleString(text) => text.as_str().into(),
        Value::Okay => "OK".into(),
        Value::Double(number) => number.to_string().as_str().into(),
        Value::Array(items) | Value::Set(items) => match items.into_iter().map(neutral).collect() {
            Ok(items) => return Ok(all(items)),
            Err(error) => return Err(error),
        },
        Value::Map(pairs) => {
            let items = pairs.into_iter().flat_map(|(name, value)| [name, value]);
            return Ok(all(items.map(neutral).collect::<Result<_, _>>()?));
        }
        Value::ServerError(error) => return Ok(Err(classify(&error.into()))),
        _ => return Err(desync()),
    }))
}

fn all(items: Vec<Owned>) -> Owned {
    items.into_iter().collect::<Result<_, _>>().map(Reply::Array)
}
