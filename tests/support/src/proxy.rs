//! A proxy between a store and its server that breaks things.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::frame::frame_len;

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
    /// Holds everything back, both ways, with the sockets open.
    BlackHole,
    /// Closes the connection after so many bytes from the server.
    CutAfter(u64),
    /// The same, to one connection only.
    CutOnce(u64),
    /// Passes each piece from the server on after so many milliseconds.
    Delay(u64),
    /// Holds replies back until so many commands have come, group by group. Whoever waits for the reply to one command of a
    /// group before sending the next waits for ever: groups of commands that get through make one round trip each.
    Groups(&'static [u64]),
}

/// A TCP proxy on a free loopback port.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    fault: watch::Sender<Fault>,
    accepted: AtomicU64,
    /// Commands since the fault was set.
    commands: AtomicU64,
}

impl Proxy {
    /// Starts a proxy to a local port.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = watch::channel(Fault::None).0;
        let shared = Arc::new(Shared { fault, accepted: AtomicU64::new(0), commands: AtomicU64::new(0) });
        let all = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                all.accepted.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&all);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await {
                        Carrier { shared, client, server, sent: 0 }.carry().await;
                    }
                });
            }
        });
        Self { port, shared, task }
    }

    /// Sets what is done from now on, to open connections as well.
    pub fn set(&self, fault: Fault) {
        self.shared.commands.store(0, Ordering::SeqCst);
        self.shared.fault.send_replace(fault);
    }

    /// What is being done: a fault that happens once has happened when this is [`Fault::None`] again.
    #[must_use]
    pub fn fault(&self) -> Fault {
        *self.shared.fault.borrow()
    }

    /// The URL through the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections came so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection and its other half.
struct Carrier {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// Bytes to the client under [`Fault::CutAfter`].
    sent: u64,
}

impl Carrier {
    async fn carry(mut self) {
        let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        let mut faults = self.shared.fault.subscribe();
        loop {
            let _ = faults.wait_for(|fault| *fault != Fault::BlackHole).await;
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
                        let _ = faults.wait_for(|fault| *fault != Fault::BlackHole).await;
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

    fn count(&self, requests: &mut Vec<u8>) {
        while let Some(end) = frame_len(requests) {
            requests.drain(..end);
            self.shared.commands.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether replies must wait: a group of commands has begun and is not complete.
    fn holds(&self) -> bool {
        let Fault::Groups(groups) = *self.shared.fault.borrow() else { return false };
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
        if replies.is_empty() {
            return true;
        }
        let fault = *self.shared.fault.borrow();
        if let Fault::Delay(ms) = fault {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        if let Fault::CutAfter(most) | Fault::CutOnce(most) = fault {
            let left =
                usize::try_from(most.saturating_sub(self.sent)).unwrap_or(usize::MAX).min(replies.len());
            self.sent += left as u64;
            let alive = self.send(&replies[..left]).await && self.sent < most;
            replies.clear();
            if !alive && fault == Fault::CutOnce(most) {
                self.shared.fault.send_replace(Fault::None);
            }
            return alive;
        }
        let once =
            matches!(fault, Fault::ExtraReply | Fault::Garbage | Fault::DoubleReply | Fault::LoseReply);
        if once {
            let Some(end) = frame_len(replies) else { return true };
            self.shared.fault.send_replace(Fault::None);
            let reply: Vec<u8> = replies.drain(..end).collect();
            let parts: [&[u8]; 2] = match fault {
                Fault::ExtraReply => [b"$2\r\nv0\r\n", &reply],
                Fault::Garbage => [b"?what\r\n", &reply],
                Fault::DoubleReply => [&reply, &reply],
                _ => [b"", b""],
            };
            if !self.send(&parts.concat()).await {
                return false;
            }
        }
        let whole = std::mem::take(replies);
        self.send(&whole).await
    }

    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.client.write_all(bytes).await.is_ok()
    }
}
