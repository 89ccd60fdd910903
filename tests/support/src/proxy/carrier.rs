//! One connection through the proxy.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Fault, Shared};
use crate::frame::frame_len;

/// One connection and its other half.
pub(super) struct Carrier {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// Bytes to the client under [`Fault::CutAfter`].
    sent: u64,
    /// Opened under [`Fault::HoldNew`].
    is_held: bool,
    /// The client has been told the end.
    has_ended: bool,
}

impl Carrier {
    pub(super) fn new(shared: Arc<Shared>, client: TcpStream, server: TcpStream) -> Self {
        let is_held = *shared.fault.borrow() == Fault::HoldNew;
        Self { shared, client, server, sent: 0, is_held, has_ended: false }
    }

    pub(super) async fn carry(mut self) {
        let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        let mut faults = self.shared.fault.subscribe();
        let _ = self.client.set_nodelay(true);
        let _ = self.server.set_nodelay(true);
        loop {
            self.wait_in_hole(&mut faults).await;
            if self.fault() == Fault::Reset {
                let _ = self.client.set_zero_linger();
                return;
            }
            let alive = tokio::select! {
                read = self.client.read(&mut up) => match read {
                    Ok(n) if n > 0 => {
                        requests.extend_from_slice(&up[..n]);
                        self.count(&mut requests);
                        self.server.write_all(&up[..n]).await.is_ok()
                    }
                    _ => false,
                },
                read = self.server.read(&mut down) => match read {
                    Ok(n) if n > 0 => {
                        replies.extend_from_slice(&down[..n]);
                        self.wait_in_hole(&mut faults).await;
                        true
                    }
                    _ => false,
                },
                changed = faults.changed() => changed.is_ok(),
            };
            if !alive || !(self.holds() || self.pass(&mut replies).await) {
                return;
            }
        }
    }

    fn fault(&self) -> Fault {
        *self.shared.fault.borrow()
    }

    async fn wait_in_hole(&self, faults: &mut watch::Receiver<Fault>) {
        let holds = |fault: &Fault| match fault {
            Fault::BlackHole => true,
            Fault::HoldNew => self.is_held,
            _ => false,
        };
        let _ = faults.wait_for(|fault| !holds(fault)).await;
    }

    /// What a connection says of itself (`HELLO … SETNAME`) is nobody's command.
    fn count(&self, requests: &mut Vec<u8>) {
        while let Some(end) = frame_len(requests) {
            let command = requests.drain(..end).collect::<Vec<_>>();
            if !command.windows(7).any(|word| word == b"\nHELLO\r") {
                self.shared.commands.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// Whether replies must wait: a group of commands has begun and is not complete.
    fn holds(&self) -> bool {
        let Fault::Groups(groups) = self.fault() else { return false };
        let mut rest = self.shared.commands.load(Ordering::SeqCst);
        for group in groups {
            if rest < *group {
                return rest > 0;
            }
            rest -= group;
        }
        false
    }

    /// Passes on what came; `false` ends the connection.
    async fn pass(&mut self, replies: &mut Vec<u8>) -> bool {
        if self.has_ended {
            replies.clear();
        }
        if replies.is_empty() {
            return true;
        }
        match self.fault() {
            Fault::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Fault::Slices { ms, jitter_ms } => return self.slice(replies, ms, jitter_ms).await,
            fault @ (Fault::CutAfter(most) | Fault::CutOnce(most)) => {
                return self.cut(replies, most, fault == Fault::CutOnce(most)).await;
            }
            Fault::HalfClose => {
                self.shared.fault.send_replace(Fault::None);
                replies.clear();
                self.has_ended = true;
                return self.client.shutdown().await.is_ok();
            }
            Fault::Drift { one_in, .. } => return self.drift(replies, one_in).await,
            fault if fault.is_to_one_reply() => {
                let Some(end) = frame_len(replies) else { return true };
                self.shared.fault.send_replace(Fault::None);
                let shifted = fault.applied(&replies.drain(..end).collect::<Vec<_>>());
                replies.splice(..0, shifted);
            }
            _ => {}
        }
        self.send(&std::mem::take(replies)).await
    }

    async fn cut(&mut self, replies: &mut Vec<u8>, most: u64, once: bool) -> bool {
        let left = usize::try_from(most.saturating_sub(self.sent)).unwrap_or(usize::MAX).min(replies.len());
        self.sent += left as u64;
        let alive = self.send(&replies[..left]).await && self.sent < most;
        replies.clear();
        if !alive && once {
            self.shared.fault.send_replace(Fault::None);
        }
        alive
    }

    async fn slice(&mut self, replies: &mut Vec<u8>, ms: u64, jitter_ms: u64) -> bool {
        let below = |most: u64| self.shared.rng.lock().unwrap().below(usize::try_from(most).unwrap());
        let more = below(2 * jitter_ms + 1) as u64;
        tokio::time::sleep(Duration::from_millis((ms + more).saturating_sub(jitter_ms))).await;
        while !replies.is_empty() {
            let most = self.shared.rng.lock().unwrap().below(1024) + 1;
            let slice: Vec<u8> = replies.drain(..most.min(replies.len())).collect();
            if !self.send(&slice).await {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// Shifts one of the replies of this piece, now and then.
    async fn drift(&mut self, replies: &mut Vec<u8>, one_in: usize) -> bool {
        let faults = [Fault::ExtraReply, Fault::DoubleReply, Fault::LoseReply, Fault::SplitReply];
        let whole = frames(replies);
        let chosen = {
            let mut rng = self.shared.rng.lock().unwrap();
            (!whole.is_empty() && rng.below(one_in) == 0).then(|| (rng.of(&faults), rng.below(whole.len())))
        };
        if let Some((fault, at)) = chosen {
            let shifted = fault.applied(&replies[whole[at].clone()]);
            replies.splice(whole[at].clone(), shifted);
            self.shared.shifts.fetch_add(1, Ordering::Relaxed);
        }
        self.send(&std::mem::take(replies)).await
    }

    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.client.write_all(bytes).await.is_ok()
    }
}

/// Where the complete replies at the beginning of a piece are.
fn frames(piece: &[u8]) -> Vec<Range<usize>> {
    let mut frames: Vec<Range<usize>> = Vec::new();
    let mut begin = 0;
    while let Some(length) = frame_len(&piece[begin..]) {
        frames.push(begin..begin + length);
        begin += length;
    }
    frames
}
