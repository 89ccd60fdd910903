//! The order of revocations and sign-ins within one process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The revocations of all sessions of a principal that this process made last: whose index, when by the store's clock, and
/// when their answer was here. They tell the order of a revocation and a sign-in of one process exactly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revocations(Arc<Mutex<VecDeque<(String, u64, Instant)>>>);

const MAX_REVOCATIONS: usize = 256;

impl Revocations {
    pub(crate) fn note(&self, index: String, at_us: u64) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(MAX_REVOCATIONS - 1);
        last.push_front((index, at_us, Instant::now()));
    }

    /// When the answer to the revocation that the store made at `at_us` was here, if this process made it.
    pub(crate) fn answered(&self, index: &str, at_us: u64) -> Option<Instant> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = last.iter().find(|(name, at, _)| *at == at_us && name == index)?;
        Some(found.2)
    }
}
