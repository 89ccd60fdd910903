//! From commands to the wire and back: one command, or one pipeline, is one round trip.

use super::classify::classify;
use super::driver::{Answer, Received};
use super::foreign::ForeignConnection;
use super::link::{Conn, Link};
use super::resp::{self, Replies};
use super::script;
use crate::store::error::StoreError;
use crate::store::wire::{Class, Command, Reply, ScriptId, Verb, desync};

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

/// What goes to one server in one round trip.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    /// A whole batch.
    All(&'a [Command]),
    /// Those of a batch that one node of a Cluster shall carry out.
    Some(&'a [&'a Command]),
    /// A command on a slot that is on its way to the node.
    Asking(&'a Command),
}

impl<'a> Outgoing<'a> {
    const fn len(self) -> usize {
        match self {
            Self::All(commands) => commands.len(),
            Self::Some(commands) => commands.len(),
            Self::Asking(_) => 1,
        }
    }

    fn get(self, place: usize) -> Option<&'a Command> {
        match self {
            Self::All(commands) => commands.get(place),
            Self::Some(commands) => commands.get(place).copied(),
            Self::Asking(command) => (place == 0).then_some(command),
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a Command> {
        (0..self.len()).filter_map(move |place| self.get(place))
    }

    pub(super) const fn is_asking(self) -> bool {
        matches!(self, Self::Asking(_))
    }

    /// What it is as a whole: one that changes something makes all of it a write.
    pub(super) fn class(self) -> Class {
        if self.iter().all(|command| command.class == Class::Read) { Class::Read } else { Class::Write }
    }
}

/// Sends all commands in one round trip. Scripts that the server has lost (`SCRIPT FLUSH`, a restart) did not run, so
/// they alone are sent again, in full, which also loads them: one round trip more.
pub(super) async fn send(link: &Link, commands: Outgoing<'_>) -> Result<Answers, StoreError> {
    let forms = commands.iter().map(Form::ByHash);
    match round_trip(link, forms, commands.len(), commands.is_asking()).await? {
        // Seldom, so the usual future need not have room for it.
        Answers::Read(replies) => Box::pin(send_lost(link, commands, replies)).await,
        received => Ok(received),
    }
}

/// The same with scripts in full, so that whatever the server has forgotten, what is asked next comes after them.
pub(super) async fn send_in_full(
    link: &Link,
    commands: &[Command],
    asking: bool,
) -> Result<Answers, StoreError> {
    round_trip(link, commands.iter().map(Form::InFull), commands.len(), asking).await
}

async fn send_lost(
    link: &Link,
    commands: Outgoing<'_>,
    mut replies: Vec<Owned>,
) -> Result<Answers, StoreError> {
    let lost: Vec<usize> = (0..replies.len()).filter(|i| is_lost(&replies[*i])).collect();
    if !lost.is_empty() {
        let again = lost.iter().filter_map(|i| commands.get(*i)).map(Form::InFull);
        let answers = round_trip(link, again, lost.len(), commands.is_asking()).await?;
        let again = answers.read(|replies| replies.map(owned).collect::<Vec<_>>());
        for (i, reply) in lost.into_iter().zip(again) {
            replies[i] = reply;
        }
    }
    Ok(Answers::Read(replies))
}

/// Sends one command without a key.
pub(super) async fn ask(link: &Link, words: &'static [&'static str]) -> Result<Answers, StoreError> {
    round_trip(link, std::iter::once(Form::Words(words)), 1, false).await
}

fn is_lost(reply: &Owned) -> bool {
    reply.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"))
}

pub(super) fn owned(reply: Result<Reply<'_>, StoreError>) -> Owned {
    reply.map(Reply::into_owned)
}

/// `asking` says `ASKING` first, which holds for the next command alone; its own reply is left out.
async fn round_trip<'a>(
    link: &Link,
    forms: impl Iterator<Item = Form<'a>>,
    count: usize,
    asking: bool,
) -> Result<Answers, StoreError> {
    let forms = asking.then_some(Form::Words(&["ASKING"])).into_iter().chain(forms);
    let count = count + usize::from(asking);
    match link.conn() {
        Conn::Own(requests) => {
            let encode = |out: &mut Vec<u8>| forms.for_each(|form| form.encode(out));
            received(requests.send(count, encode).await?, count, asking)
        }
        Conn::Foreign(conn) => {
            let mut pipeline = redis::Pipeline::with_capacity(count);
            for form in forms {
                pipeline.add_command(form.cmd());
            }
            Box::pin(foreign(conn.clone(), pipeline, count, asking)).await
        }
    }
}

fn received(answer: Answer, count: usize, asking: bool) -> Result<Answers, StoreError> {
    if !answer.has_error && !asking {
        return Ok(Answers::Received(answer.bytes));
    }
    let mut replies: Vec<_> = Replies::new(&answer.bytes).map(owned).collect();
    if replies.len() != count {
        return Err(desync());
    }
    Ok(Answers::Read(replies.split_off(usize::from(asking))))
}

async fn foreign(
    mut conn: Box<dyn ForeignConnection>,
    pipeline: redis::Pipeline,
    count: usize,
    asking: bool,
) -> Result<Answers, StoreError> {
    let values = conn.req_packed_commands(&pipeline, 0, count).await.map_err(|error| classify(&error))?;
    if values.len() != count {
        return Err(desync());
    }
    let own = values.into_iter().skip(usize::from(asking));
    own.map(neutral).collect::<Result<_, _>>().map(Answers::Read)
}

/// How a command goes out.
#[derive(Clone, Copy)]
enum Form<'a> {
    ByHash(&'a Command),
    InFull(&'a Command),
    Words(&'static [&'static str]),
}

impl Form<'_> {
    /// Calls `begin` with the number of the command's words, then `put` with each.
    fn words<C>(self, to: &mut C, begin: impl FnOnce(&mut C, usize), put: impl Fn(&mut C, &[u8])) {
        let (command, verb, script) = match self {
            Self::ByHash(command) => (command, "EVALSHA", script::hash as fn(ScriptId) -> &'static str),
            Self::InFull(command) => (command, "EVAL", script::source as fn(ScriptId) -> &'static str),
            Self::Words(words) => {
                begin(to, words.len());
                return words.iter().for_each(|word| put(to, word.as_bytes()));
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
