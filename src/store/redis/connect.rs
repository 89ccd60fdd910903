//! Opening a connection: socket, handshake, scripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpStream;

use super::classify::classify_io;
use super::driver::{BoxedSocket, Driver, Requests};
use super::link::Link;
use super::login::{Greeting, Purpose, command};
use super::manager::Connector;
use super::resp::Replies;
use super::script;
use super::sentinel::Era;
use super::target::Address;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::Reply;

/// Opens one connection on the current runtime. The caller bounds the time; dropping the future closes the socket.
pub(super) async fn connect(connector: &Connector, purpose: Purpose) -> Result<Link, StoreError> {
    let (logins, login) = (&connector.logins, &connector.target.login);
    let greeting = logins.greeting(login, purpose).await?;
    let (address, era) = server(connector).await?;
    let role = if era.is_some() { Role::Primary } else { Role::Any };
    let (requests, link) = dial(connector, &address, era).await?;
    let prepared = prepare(&requests, &greeting, role).await;
    logins.note(prepared.as_ref().err());
    prepared?;
    if let Some(until) = greeting.until {
        link.serves_until(until);
    }
    Ok(link)
}

/// Opens a socket and has it driven on the current runtime.
pub(super) async fn dial(
    connector: &Connector,
    address: &Address,
    era: Option<Era>,
) -> Result<(Requests, Link), StoreError> {
    let socket = open_at(connector, address).await.map_err(classify_io)?;
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
    let link = Link::own(requests.clone(), tokio::spawn(driver).abort_handle(), out_of_step, era);
    Ok((requests, link))
}

/// What a server must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Any,
    /// A Sentinel may not know yet that it is none any more.
    Primary,
}

/// Signs in, chooses the database, tells the name and loads the scripts, in one round trip. A user who may not load scripts still may
/// run them: then they go out in full.
async fn prepare(requests: &Requests, greeting: &Greeting, role: Role) -> Result<(), StoreError> {
    let asked = usize::from(role == Role::Primary);
    let scripts = script::sources();
    let answer = requests.send(greeting.len() + asked + scripts.len(), |out| {
        greeting.encode(out);
        if role == Role::Primary {
            command(out, &["ROLE"]);
        }
        scripts.iter().for_each(|source| command(out, &["SCRIPT", "LOAD", source]));
    });
    let bytes = answer.await?.bytes;
    for (i, reply) in Replies::new(&bytes).enumerate() {
        if i < greeting.len() {
            greeting.check(i, reply)?;
        } else if i < greeting.len() + asked {
            is_primary(reply)?;
        } else if let Err(error) = reply {
            if error.is_outage() {
                return Err(error);
            }
            tracing::debug!(kind = error.kind().as_str(), "redis does not let scripts be loaded ahead");
        }
    }
    Ok(())
}

/// A user who may not ask is trusted to have been sent to the right place: a write would be refused.
fn is_primary(reply: Result<Reply<'_>, StoreError>) -> Result<(), StoreError> {
    match reply {
        Err(error) if error.kind() == StoreErrorKind::Forbidden => Ok(()),
        reply => match reply?.array()?.into_iter().next() {
            Some(Reply::Bytes(role)) if *role == *b"master" => Ok(()),
            _ => Err(StoreErrorKind::ReadOnly.into()),
        },
    }
}

/// Where the server is: where the target says, the primary that Sentinels name, or any node of a Cluster.
async fn server(connector: &Connector) -> Result<(Address, Option<Era>), StoreError> {
    match &connector.target.address {
        Address::Sentinel(group) => group.primary().await.map(|(address, era)| (address, Some(era))),
        Address::Cluster(members) => Ok((members.any().ok_or(StoreErrorKind::Unavailable)?, None)),
        address => Ok((address.clone(), None)),
    }
}

/// Opens a socket there, and no more.
pub(super) async fn open(connector: &Connector) -> Result<BoxedSocket, StoreError> {
    let (address, _) = server(connector).await?;
    open_at(connector, &address).await.map_err(classify_io)
}

#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "only TLS needs the settings"))]
async fn open_at(connector: &Connector, address: &Address) -> std::io::Result<BoxedSocket> {
    match address {
        Address::Tcp { host, port } => Ok(Box::pin(tcp(host, *port).await?)),
        #[cfg(feature = "tls")]
        Address::Tls { host, port } => connector.tls.wrap(host, tcp(host, *port).await?).await,
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::pin(tokio::net::UnixStream::connect(path).await?)),
        // Where these point is a server.
        Address::Sentinel(_) | Address::Cluster(_) => Err(std::io::ErrorKind::Unsupported.into()),
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
