//! What the server says of itself.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::backend::{Inner, Redis};
use super::send::ask;
use crate::store::error::StoreError;
use crate::store::wire::{Reply, desync};

/// The answer to `HELLO`, which every user may say and which changes nothing.
#[derive(Debug, Default)]
pub(in crate::store) struct Server {
    pub(in crate::store) version: String,
    pub(in crate::store) is_cluster: bool,
    pub(in crate::store) is_replica: bool,
}

/// The backend as long as somebody else holds it.
pub(in crate::store) struct WeakRedis(Weak<Inner>);

impl WeakRedis {
    pub(in crate::store) fn upgrade(&self) -> Option<Redis> {
        self.0.upgrade().map(Redis)
    }
}

impl Redis {
    pub(in crate::store) fn downgrade(&self) -> WeakRedis {
        WeakRedis(Arc::downgrade(&self.0))
    }

    /// Turns true when a probe has found everything well for the first time. `None` where nobody wants to know.
    pub(in crate::store) fn when_up(&self) -> Option<watch::Receiver<bool>> {
        self.0.settings.checks_itself.then(|| self.0.up.subscribe())
    }

    /// Whether replicas must confirm what must last.
    pub(in crate::store) fn has_replicas(&self) -> bool {
        self.0.settings.replicas.is_some()
    }

    /// The server's clock minus ours, as last seen, ms.
    pub(in crate::store) fn ahead_ms(&self) -> i64 {
        self.0.ahead_ms.load(Ordering::Relaxed)
    }

    /// What the server says of itself; nothing where it, or a proxy before it, does not know the question.
    pub(in crate::store) async fn introduced(&self) -> Result<Server, StoreError> {
        let until = Instant::now() + self.0.settings.deadline;
        let link = self.0.link(until).await?;
        let answers = timeout_at(until, ask(&link, "HELLO")).await??;
        answers.read(|replies| match replies.next().ok_or_else(desync)? {
            Err(error) if error.is_outage() => Err(error),
            Err(_) => Ok(Server::default()),
            Ok(reply) => read(reply),
        })
    }
}

/// Names and values, one after the other.
fn read(reply: Reply<'_>) -> Result<Server, StoreError> {
    let (mut items, mut server) = (reply.array()?.into_iter(), Server::default());
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        match &*name.bytes()? {
            b"version" => server.version = value.text()?,
            b"mode" => server.is_cluster = *value.bytes()? == *b"cluster",
            b"role" => server.is_replica = *value.bytes()? == *b"replica",
            _ => {}
        }
    }
    Ok(server)
}
