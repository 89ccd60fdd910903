//! What can be done to a connection.

/// What the proxy does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Passes everything on.
    None,
    /// Adds a reply `$2\r\nv0\r\n` before the next reply, once.
    ExtraReply,
    /// Adds bytes that are no RESP before the next reply, once.
    Garbage,
    /// Passes the next reply on twice, once.
    DoubleReply,
    /// Keeps the next reply to itself, once.
    LoseReply,
    /// Puts the end of a line into the middle of the next reply, once.
    SplitReply,
    /// One of the four that shift replies, now and then: at one in `one_in` pieces that come from the server, chosen by `seed`.
    Drift {
        /// How seldom.
        one_in: usize,
        /// The same seed makes the same choices.
        seed: u64,
    },
    /// Holds everything back, both ways, with the sockets open.
    BlackHole,
    /// The same to connections that are opened from now on: their handshakes are not answered.
    HoldNew,
    /// Ends connections with a reset, those that are open and those that come.
    Reset,
    /// Says the end instead of the next reply, and goes on listening, once.
    HalfClose,
    /// Closes the connection after so many bytes from the server.
    CutAfter(u64),
    /// The same, to one connection only.
    CutOnce(u64),
    /// Passes each piece from the server on after so many milliseconds.
    Delay(u64),
    /// Passes each piece from the server on after `ms`, give or take up to `jitter_ms`, in slices of 1 byte to 1 KiB.
    Slices {
        /// The delay in the middle, in milliseconds.
        ms: u64,
        /// How much more or less, in milliseconds.
        jitter_ms: u64,
    },
    /// Holds replies back until so many commands have come, group by group. Whoever waits for the reply to one command of a
    /// group before sending the next waits for ever: groups of commands that get through make one round trip each.
    Groups(&'static [u64]),
}

impl Fault {
    /// Whether it is done to one reply and is over then.
    pub(super) const fn is_to_one_reply(self) -> bool {
        matches!(
            self,
            Self::ExtraReply | Self::Garbage | Self::DoubleReply | Self::LoseReply | Self::SplitReply
        )
    }

    /// What becomes of a reply.
    pub(super) fn applied(self, reply: &[u8]) -> Vec<u8> {
        let (begin, end) = reply.split_at(reply.len() / 2);
        let parts: [&[u8]; 3] = match self {
            Self::ExtraReply => [b"$2\r\nv0\r\n", reply, b""],
            Self::Garbage => [b"?what\r\n", reply, b""],
            Self::DoubleReply => [reply, reply, b""],
            Self::LoseReply => [b"", b"", b""],
            Self::SplitReply => [begin, b"\r\n", end],
            _ => [reply, b"", b""],
        };
        parts.concat()
    }
}
