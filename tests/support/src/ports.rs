//! Ports on the loopback interface, which no two tests are given at once.
//!
//! To bind port 0 and let go of it again is not enough: before a server has taken that port, another test's server or
//! an outgoing connection may have it.

use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// Below the ports that systems give to outgoing connections: Linux from 32768, others from 49152.
const FIRST: u16 = 10_000;
/// The ports of one block. The first is listened on by the process whose block it is, until its end.
const SIZE: u16 = 100;
const BLOCKS: u16 = 100;
/// A cluster's node listens on this many ports further up as well.
const BUS: u16 = SIZE * BLOCKS;

/// This process's blocks; the last one has ports left.
static BLOCKS_HELD: Mutex<Vec<Block>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Block {
    held: TcpListener,
    given: u16,
}

impl Block {
    /// A block that no other process has.
    fn reserve() -> Self {
        let begin = std::process::id() % u32::from(BLOCKS);
        let held = (0..BLOCKS).find_map(|step| {
            let number = (u16::try_from(begin).unwrap() + step) % BLOCKS;
            bind(FIRST + number * SIZE)
        });
        Self { held: held.expect("no free block of ports from 10000 to 19999"), given: 0 }
    }

    fn next(&mut self) -> Option<u16> {
        let first = self.held.local_addr().unwrap().port();
        loop {
            self.given += 1;
            let port = first + self.given;
            if self.given >= SIZE {
                return None;
            }
            if bind(port).is_some() && bind(port + BUS).is_some() {
                return Some(port);
            }
        }
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).ok()
}

/// A port that nobody listens on, and that no other test is given while this process runs. A cluster's bus may use the
/// port 10000 further up.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let mut blocks = BLOCKS_HELD.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(port) = blocks.last_mut().and_then(Block::next) {
            return port;
        }
        blocks.push(Block::reserve());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_not_even_across_blocks() {
        let ports: std::collections::BTreeSet<_> = (0..2 * SIZE).map(|_| free_port()).collect();
        assert_eq!(ports.len(), usize::from(2 * SIZE));
        assert!(ports.iter().all(|&port| bind(port).is_some()), "a server can have it");
        let blocks = BLOCKS_HELD.lock().unwrap();
        let firsts = blocks.iter().map(|block| block.held.local_addr().unwrap().port());
        for first in firsts {
            assert!(bind(first).is_none(), "no other process gets this block");
        }
    }
}
