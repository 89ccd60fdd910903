//! What the server says of itself.

use tokio::time::{Instant, timeout_at};

use super::backend::Redis;
use super::send::ask;
use crate::store::error::StoreError;
use crate::store::wire::{Class, Reply, desync};

/// The answer to `HELLO`, which every user may say and which changes nothing.
#[derive(Debug, Default)]
pub(in crate::store) struct Server {
    pub(in crate::store) version: String,
    pub(in crate::store) is_cluster: bool,
    pub(in crate::store) is_replica: bool,
}

impl Redis {
    /// What the server says of itself; nothing where it, or a proxy before it, does not know the question.
    pub(in crate::store) async fn introduced(&self) -> Result<Server, StoreError> {
        let node = self.node_of(None).await?;
        let until = Instant::now() + node.0.settings.deadline;
        let link = node.0.link(Class::Read, until).await?;
        let answers = timeout_at(until, ask(&link, &["HELLO"])).await??;
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
