//! Where in a command its first key stands.

use redis::{Arg, Cmd};

/// Commands without a key.
const KEYLESS: [&str; 22] = [
    "ACL",
    "COMMAND",
    "CLUSTER",
    "CONFIG",
    "DBSIZE",
    "ECHO",
    "EXEC",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION",
    "INFO",
    "KEYS",
    "LATENCY",
    "MULTI",
    "PING",
    "PUBLISH",
    "PUBSUB",
    "RANDOMKEY",
    "ROLE",
    "SCAN",
    "SCRIPT",
    "TIME",
];
/// Commands that begin with how many keys there are.
const COUNTED: [&str; 9] =
    ["LMPOP", "SINTERCARD", "ZDIFF", "ZINTER", "ZINTERCARD", "ZMPOP", "ZUNION", "BLMPOP", "BZMPOP"];
/// Commands whose key comes after a subcommand or an operator.
const SECOND: [&str; 5] = ["BITOP", "MEMORY", "OBJECT", "XGROUP", "XINFO"];
/// A script or a function, how many keys, the keys.
const CALLS: [&str; 6] = ["EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO"];

/// The command's name.
pub(super) fn verb(cmd: &Cmd) -> &[u8] {
    word(cmd, 0).unwrap_or_default()
}

/// The first key, if the command has any.
pub(super) fn first(cmd: &Cmd) -> Option<&[u8]> {
    let verb = verb(cmd);
    let is_in = |names: &[&str]| names.iter().any(|name| verb.eq_ignore_ascii_case(name.as_bytes()));
    if is_in(&KEYLESS) {
        None
    } else if is_in(&CALLS) {
        (word(cmd, 2)? != b"0").then(|| word(cmd, 3)).flatten()
    } else if is_in(&COUNTED) || is_in(&SECOND) {
        word(cmd, 2)
    } else if is_in(&["XREAD", "XREADGROUP"]) {
        let streams = (0..).map_while(|place| Some((place, word(cmd, place)?)));
        let (place, _) = streams.into_iter().find(|(_, word)| word.eq_ignore_ascii_case(b"STREAMS"))?;
        word(cmd, place + 1)
    } else {
        word(cmd, 1)
    }
}

fn word(cmd: &Cmd, place: usize) -> Option<&[u8]> {
    match cmd.args_iter().nth(place)? {
        Arg::Simple(word) => Some(word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_found() {
        for (line, key) in [
            ("GET a", Some("a")),
            ("mset a 1 b 2", Some("a")),
            ("PING", None),
            ("SCRIPT LOAD x", None),
            ("EVALSHA x 2 a b", Some("a")),
            ("EVAL x 0 a", None),
            ("EVAL x", None),
            ("XREAD COUNT 1 STREAMS a 0", Some("a")),
            ("XREAD COUNT 1", None),
            ("OBJECT ENCODING a", Some("a")),
            ("ZUNION 2 a b", Some("a")),
            ("BITOP AND a b", Some("a")),
            ("GET", None),
        ] {
            let mut cmd = Cmd::new();
            line.split(' ').for_each(|word| {
                cmd.arg(word);
            });
            assert_eq!(first(&cmd), key.map(str::as_bytes), "{line}");
        }
    }
}
