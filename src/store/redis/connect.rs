//! Opening a connection: socket, handshake, scripts.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::classify::{classify, classify_io};
use super::link::Link;
use super::manager::Connector;
use super::script;
use super::target::Address;
use crate::store::error::{StoreError, StoreErrorKind};

/// Requests that may wait inside one connection before senders wait for room.
const SEND_BUFFER: usize = 256;

pub(super) trait Socket: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Socket for T {}
pub(super) type BoxedSocket = Pin<Box<dyn Socket>>;

/// Opens one connection on the current runtime. The caller bounds the time; dropping the future closes the socket.
pub(super) async fn connect(connector: &Connector) -> Result<Link, StoreError> {
    let socket = open(connector).await.map_err(classify_io)?;
    // The deadline of a request covers its reply, so the client's own response timeout would only be paid twice.
    let config =
        AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(SEND_BUFFER);
    let login = &connector.target.login;
    let (conn, driver) = MultiplexedConnection::new_with_config(login, socket, config)
        .await
        .map_err(|error| classify(&error))?;
    let ended = Arc::new(AtomicBool::new(false));
    let driver = tokio::spawn({
        let ended = Arc::clone(&ended);
        async move {
            driver.await;
            ended.store(true, Ordering::Release);
        }
    });
    let mut link = Link::own(conn, ended, driver.abort_handle());
    link.by(Instant::now() + connector.timeout, prepare).await?;
    Ok(link)
}

/// Loads the scripts. A user who may not load them still may run them: then they go out in full.
async fn prepare(link: &mut Link) -> Result<(), StoreError> {
    let mut pipeline = redis::pipe();
    for source in script::sources() {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
    }
    let replies = link.many(&pipeline, script::sources().len()).await.map_err(|error| classify(&error))?;
    for reply in replies {
        if let Value::ServerError(error) = reply {
            let error = classify(&error.into());
            if error.is_outage() {
                return Err(error);
            }
            tracing::debug!(kind = error.kind().as_str(), "redis does not let scripts be loaded ahead");
        }
    }
    Ok(())
}

async fn open(connector: &Connector) -> std::io::Result<BoxedSocket> {
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
