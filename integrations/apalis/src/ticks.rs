//! When a worker looks for jobs.

use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use tokio::time::{Interval, MissedTickBehavior};

/// A look at each tick. apalis' own interval (1.0.0) is not polled again after it fired within a poll, so nobody wakes the worker until
/// its next heartbeat.
#[derive(Debug)]
pub(crate) struct Ticks(Interval);

impl Ticks {
    pub(crate) fn new(every: Duration) -> Self {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(interval)
    }
}

impl PollStrategy for Ticks {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        // Until it is pending, so that the next tick wakes.
        while self.0.poll_tick(cx).is_ready() {}
        Poll::Pending
    }
}
