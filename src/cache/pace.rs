//! Whether a client takes what it is given. One that does not must not keep a key from everybody else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How many pieces of a body the client was given, and up to which of them it asked for more.
#[derive(Debug, Default)]
pub(super) struct Pace {
    given: AtomicU64,
    taken: AtomicU64,
}

/// How long a client may leave a piece alone.
#[derive(Debug)]
pub(super) struct Patience {
    at_most: Duration,
    /// The piece that lies there, and since when.
    lies: Option<(u64, Instant)>,
}

impl Pace {
    pub(super) fn asked(&self) {
        self.taken.store(self.given.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(super) fn given(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    /// The piece that the client has not taken yet.
    fn lies(&self) -> Option<u64> {
        let given = self.given.load(Ordering::Relaxed);
        (given != self.taken.load(Ordering::Relaxed)).then_some(given)
    }
}

impl Patience {
    pub(super) const fn new(at_most: Duration) -> Self {
        Self { at_most, lies: None }
    }

    /// To be asked now and then.
    pub(super) fn is_over(&mut self, pace: &Pace) -> bool {
        let now = Instant::now();
        self.lies = match (pace.lies(), self.lies) {
            (Some(piece), Some((before, since))) if piece == before => Some((piece, since)),
            (piece, _) => piece.map(|piece| (piece, now)),
        };
        self.lies.is_some_and(|(_, since)| now - since >= self.at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_leaves_a_piece_alone_is_given_up() {
        let second = Duration::from_secs(1);
        let (pace, mut patience) = (Pace::default(), Patience::new(2 * second));
        let mut after = async |is_over, pace: &Pace| {
            tokio::time::advance(second).await;
            assert_eq!(patience.is_over(pace), is_over);
        };
        pace.asked();
        for _ in 0..5 {
            after(false, &pace).await; // the handler is slow, not the client
        }
        for _ in 0..5 {
            pace.given();
            after(false, &pace).await;
            pace.asked();
            after(false, &pace).await;
        }
        pace.given();
        for is_over in [false, false, true] {
            after(is_over, &pace).await;
        }
    }
}
