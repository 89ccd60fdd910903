//! A proxy between a store and its server that breaks things.

mod carrier;
mod fault;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::rng::Rng;
use carrier::Carrier;
pub use fault::Fault;

/// A TCP proxy on a free loopback port.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    fault: watch::Sender<Fault>,
    accepted: AtomicU64,
    /// Commands since the fault was set.
    commands: AtomicU64,
    /// Replies that were shifted so far.
    shifts: AtomicU64,
    rng: Mutex<Rng>,
}

impl Proxy {
    /// Starts a proxy to a local port.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(to: u16) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), to).await
    }

    /// The same at an address of your choice.
    ///
    /// # Panics
    ///
    /// When it is not free.
    pub async fn start_at(address: SocketAddr, to: u16) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            fault: watch::channel(Fault::None).0,
            accepted: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            shifts: AtomicU64::new(0),
            rng: Mutex::new(Rng(1)),
        });
        let all = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                all.accepted.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&all);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await {
                        Carrier::new(shared, client, server).carry().await;
                    }
                });
            }
        });
        Self { address, shared, task }
    }

    /// Sets what is done from now on, to open connections as well.
    ///
    /// # Panics
    ///
    /// When a connection's task has panicked.
    pub fn set(&self, fault: Fault) {
        if let Fault::Drift { seed, .. } = fault {
            *self.shared.rng.lock().unwrap() = Rng(seed);
        }
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
        format!("redis://{}", self.address)
    }

    /// How many connections came so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many replies [`Fault::Drift`] has shifted so far.
    #[must_use]
    pub fn shifts(&self) -> u64 {
        self.shared.shifts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
