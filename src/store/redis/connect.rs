//! Opening a connection: socket, handshake, scripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{ProtocolVersion, RedisConnectionInfo};
use tokio::net::TcpStream;

use super::classify::classify_io;
use super::driver::{BoxedSocket, Driver, Requests};
use super::link::Link;
use super::manager::Connector;
use super::resp::{self, Replies};
use super::script;
use super::target::Address;
use crate::store::error::{StoreError, StoreErrorKind};

/// Opens one connection on the current runtime. The caller bounds the time; dropping the future closes the socket.
pub(super) async fn connect(connector: &Connector) -> Result<Link, StoreError> {
    let socket = open(connector).await.map_err(classify_io)?;
    let desyncs = Arc::clone(&connector.desyncs);
    let out_of_step = Arc::<AtomicBool>::default();
    let stray = {
        let out_of_step = Arc::clone(&out_of_step);
        move || {
            if !out_of_step.swap(true, Ordering::Relaxed) {
                desyncs.found();
            }
        }
    };
    let (requests, driver) = Driver::new(socket, Box::new(stray));
    let link = Link::own(requests.clone(), tokio::spawn(driver).abort_handle(), out_of_step);
    prepare(&requests, &connector.target.login).await?;
    Ok(link)
}

/// Signs in, chooses the database and loads the scripts, in one round trip. A user who may not load scripts still may run
/// them: then they go out in full.
async fn prepare(requests: &Requests, login: &RedisConnectionInfo) -> Result<(), StoreError> {
    let hello = handshake(login);
    let scripts = script::sources();
    let answer = requests.send(hello.len() + scripts.len(), |out| {
        for words in &hello {
            resp::begin(out, words.len());
            words.iter().for_each(|word| resp::word(out, word.as_bytes()));
        }
        for source in scripts {
            resp::begin(out, 3);
            [b"SCRIPT", &b"LOAD"[..], source.as_bytes()].iter().for_each(|word| resp::word(out, word));
        }
    });
    let bytes = answer.await?.bytes;
    for (i, reply) in Replies::new(&bytes).enumerate() {
        let Err(error) = reply else { continue };
        match hello.get(i) {
            // "no password is set" has no code of its own, yet the credentials are what is wrong.
            Some(words) if words.contains(&"AUTH".to_owned()) && error.kind() == StoreErrorKind::Server => {
                return Err(StoreError::with_source(StoreErrorKind::Auth, error));
            }
            None if !error.is_outage() => {
                tracing::debug!(kind = error.kind().as_str(), "redis does not let scripts be loaded ahead");
            }
            _ => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn handshake(login: &RedisConnectionInfo) -> Vec<Vec<String>> {
    let credentials = login.password().map(|password| (login.username(), password));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut commands = Vec::new();
    match (login.protocol(), credentials) {
        (ProtocolVersion::RESP2, None) => {}
        (ProtocolVersion::RESP2, Some((None, password))) => commands.push(words(&["AUTH", password])),
        (ProtocolVersion::RESP2, Some((Some(user), password))) => {
            commands.push(words(&["AUTH", user, password]));
        }
        (_, None) => commands.push(words(&["HELLO", "3"])),
        (_, Some((user, password))) => {
            commands.push(words(&["HELLO", "3", "AUTH", user.unwrap_or("default"), password]));
        }
    }
    if login.db() != 0 {
        commands.push(words(&["SELECT", &login.db().to_string()]));
    }
    commands
}

pub(super) async fn open(connector: &Connector) -> std::io::Result<BoxedSocket> {
    match &connector.target.address {
        Address::Tcp { host, port } => Ok(Box::pin(tcp(host, *port).await?)),
        #[cfg(feature = "tls")]
        Address::Tls { host, port } => connector.tls.wrap(host, tcp(host, *port).await?).await,
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::pin(tokio::net::UnixStream::connect(path).await?)),
    }
}

async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl From<tokio::time::error::Elapsed> for StoreError {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::new(StoreErrorKind::Timeout)
    }
}
