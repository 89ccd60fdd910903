//! A proxy between a store and its server that breaks things.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the proxy does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Passes everything on.
    None,
    /// Adds a reply `$2\r\nv0\r\n` before the next bytes from the server, once.
    ExtraReply,
    /// Holds everything back, both ways, with the sockets open.
    BlackHole,
    /// Closes the connection after so many bytes from the server.
    CutAfter(u64),
    /// Passes each piece from the server on after so many milliseconds.
    Delay(u64),
}

/// A TCP proxy on a free loopback port.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    fault: Arc<tokio::sync::watch::Sender<Fault>>,
    accepted: Arc<AtomicU64>,
    task: JoinHandle<()>,
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
        let fault = Arc::new(tokio::sync::watch::channel(Fault::None).0);
        let accepted = Arc::new(AtomicU64::new(0));
        let (faults, count) = (Arc::clone(&fault), Arc::clone(&accepted));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let faults = Arc::clone(&faults);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await {
                        carry(client, server, &faults).await;
                    }
                });
            }
        });
        Self { port, fault, accepted, task }
    }

    /// Sets what is done from now on, to open connections as well.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// The URL through the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections came so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, faults: &tokio::sync::watch::Sender<Fault>) {
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut sent = 0;
    loop {
        wait_while_black(faults).await;
        let alive = tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(n) if n > 0 => server.write_all(&up[..n]).await.is_ok(),
                _ => false,
            },
            read = server.read(&mut down) => match read {
                Ok(n) if n > 0 => pass(&mut client, &down[..n], &mut sent, faults).await,
                _ => false,
            },
        };
        if !alive {
            return;
        }
    }
}

async fn wait_while_black(faults: &tokio::sync::watch::Sender<Fault>) {
    let mut faults = faults.subscribe();
    let _ = faults.wait_for(|fault| *fault != Fault::BlackHole).await;
}

async fn pass(
    client: &mut TcpStream,
    bytes: &[u8],
    sent: &mut u64,
    faults: &tokio::sync::watch::Sender<Fault>,
) -> bool {
    wait_while_black(faults).await;
    let fault = *faults.borrow();
    match fault {
        Fault::ExtraReply => {
            faults.send_replace(Fault::None);
            client.write_all(b"$2\r\nv0\r\n").await.is_ok() && client.write_all(bytes).await.is_ok()
        }
        Fault::CutAfter(most) => {
            let left = usize::try_from(most.saturating_sub(*sent)).unwrap_or(usize::MAX).min(bytes.len());
            *sent += left as u64;
            client.write_all(&bytes[..left]).await.is_ok() && *sent < most
        }
        Fault::Delay(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            client.write_all(bytes).await.is_ok()
        }
        _ => client.write_all(bytes).await.is_ok(),
    }
}
