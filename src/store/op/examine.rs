//! What the server is, and what its user may do.

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Asks the server about itself and this user: one script, which writes nothing.
#[derive(Clone, Debug)]
pub(crate) struct Examine(pub Vec<&'static str>);

/// The answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Examined {
    /// Empty before 7.0.
    pub version: String,
    /// Empty where this user may not ask.
    pub policy: String,
    /// Which of the commands are refused.
    pub refused: Vec<&'static str>,
}

/// What is never read nor written: it stands for all keys.
fn any(prefix: &KeyPrefix) -> Key {
    Key::new(prefix, "probe", "0")
}

/// The command with arguments by which a permission can be judged: a key or channel under the prefix, where it takes one.
fn sample(name: &str, prefix: &KeyPrefix) -> String {
    let key = any(prefix);
    let key = key.as_str();
    match name {
        "EVAL" | "EVALSHA" => format!("{name} x 1 {key}"),
        // Patterns are compared with the user's letter by letter, so none can stand for all.
        "TIME" | "PING" | "PSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" => name.to_owned(),
        "PUBLISH" | "SUBSCRIBE" => format!("{name} {}", Key::new(prefix, "channel", "0").as_str()),
        "WAIT" => "WAIT 1 1".to_owned(),
        "SCAN" => "SCAN 0".to_owned(),
        _ => format!("{name} {key}"),
    }
}

impl Sealed for Examine {}

impl Operation for Examine {
    type Output = Examined;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        let command = Command::script(ScriptId::SelfCheck, any(prefix)).reading();
        self.0.iter().fold(command, |command, name| command.arg(sample(name, prefix)))
    }

    fn apply(&self, prefix: &KeyPrefix, _: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Array([any(prefix).as_str(), "", ""].map(Reply::from).to_vec()))
    }

    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<Examined, StoreError> {
        let mut items = reply.echoed(&any(prefix))?;
        let mut text = || items.next().ok_or_else(desync)?.text();
        let (version, policy) = (text()?, text()?);
        let refused = items.map(|number| {
            let place = usize::try_from(number.int()?).ok().and_then(|n| n.checked_sub(1));
            place.and_then(|place| self.0.get(place).copied()).ok_or_else(desync)
        });
        Ok(Examined { version, policy, refused: refused.collect::<Result<_, _>>()? })
    }
}
