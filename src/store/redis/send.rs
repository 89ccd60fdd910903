//! From commands to the wire and back: one command, or one pipeline, is one round trip.

use redis::{Cmd, Pipeline, RedisError, Value};

use super::classify::classify;
use super::link::Link;
use super::script;
use crate::store::error::StoreError;
use crate::store::wire::{Command, Reply, Verb, desync};

/// Sends all commands in one round trip. Scripts that the server has lost (`SCRIPT FLUSH`, a restart) did not run, so
/// they alone are sent again, in full, which also loads them: one round trip more.
pub(super) async fn send(
    link: &mut Link,
    commands: &[Command],
) -> Result<Vec<Result<Reply, StoreError>>, StoreError> {
    let mut replies = round_trip(link, commands.iter().map(by_hash).collect()).await?;
    let lost: Vec<usize> = (0..replies.len()).filter(|i| is_lost(&replies[*i])).collect();
    if !lost.is_empty() {
        let again =
            round_trip(link, lost.iter().filter_map(|i| commands.get(*i)).map(in_full).collect()).await?;
        for (i, reply) in lost.into_iter().zip(again) {
            replies[i] = reply;
        }
    }
    Ok(replies.into_iter().map(|reply| reply.map_err(|error| classify(&error))).collect())
}

type Raw = Result<Reply, RedisError>;

fn is_lost(reply: &Raw) -> bool {
    reply.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"))
}

async fn round_trip(link: &mut Link, mut commands: Vec<Cmd>) -> Result<Vec<Raw>, StoreError> {
    if commands.len() == 1
        && let Some(command) = commands.pop()
    {
        return Ok(vec![one(link.one(&command).await)?]);
    }
    let mut pipeline = Pipeline::with_capacity(commands.len());
    let count = commands.len();
    for command in commands {
        pipeline.add_command(command);
    }
    let values = link.many(&pipeline, count).await.map_err(|error| classify(&error))?;
    if values.len() != count {
        return Err(desync());
    }
    values.into_iter().map(|value| one(Ok(value))).collect()
}

/// The outer error concerns the connection, the inner one this command alone.
fn one(result: Result<Value, RedisError>) -> Result<Raw, StoreError> {
    match result {
        Ok(Value::ServerError(error)) => Ok(Err(error.into())),
        Ok(value) => Ok(Ok(neutral(value)?)),
        Err(error) if error.code().is_some() => Ok(Err(error)),
        Err(error) => Err(classify(&error)),
    }
}

fn by_hash(command: &Command) -> Cmd {
    match command.verb {
        Verb::Plain(verb) => plain(verb, command),
        Verb::Script(id) => scripted("EVALSHA", script::hash(id), command),
    }
}

fn in_full(command: &Command) -> Cmd {
    match command.verb {
        Verb::Plain(verb) => plain(verb, command),
        Verb::Script(id) => scripted("EVAL", script::source(id), command),
    }
}

fn plain(verb: &str, command: &Command) -> Cmd {
    let mut cmd = redis::cmd(verb);
    with_keys(&mut cmd, command);
    with_args(cmd, command)
}

fn scripted(verb: &str, script: &str, command: &Command) -> Cmd {
    let mut cmd = redis::cmd(verb);
    cmd.arg(script).arg(command.keys().len());
    with_keys(&mut cmd, command);
    with_args(cmd, command)
}

fn with_keys(cmd: &mut Cmd, command: &Command) {
    for key in command.keys() {
        cmd.arg(key.as_str());
    }
}

fn with_args(mut cmd: Cmd, command: &Command) -> Cmd {
    for arg in &command.args {
        cmd.arg(&**arg);
    }
    cmd
}

/// Both protocol versions give the same neutral reply: a RESP3 map is its flat RESP2 list.
fn neutral(value: Value) -> Result<Reply, StoreError> {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(n) => Reply::Int(n),
        Value::BulkString(bytes) => Reply::Bytes(bytes),
        Value::SimpleString(text) => Reply::Bytes(text.into()),
        Value::Okay => "OK".into(),
        Value::Double(number) => Reply::Bytes(number.to_string().into_bytes()),
        Value::Array(items) | Value::Set(items) => {
            Reply::Array(items.into_iter().map(neutral).collect::<Result<_, _>>()?)
        }
        Value::Map(pairs) => {
            let items = pairs.into_iter().flat_map(|(name, value)| [name, value]);
            Reply::Array(items.map(neutral).collect::<Result<_, _>>()?)
        }
        _ => return Err(desync()),
    })
}
