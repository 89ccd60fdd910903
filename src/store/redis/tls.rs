//! TLS by rustls: certificates are always checked.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::driver::BoxedSocket;
use crate::store::error::ConfigError;

/// Whom to trust and how to show who we are, for `rediss://` URLs.
///
/// Without roots of your own the platform's are used. There is no switch that turns the checks off.
#[derive(Clone, Default)]
#[must_use]
pub struct TlsConfig {
    roots: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl TlsConfig {
    /// The platform's roots, no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this PEM text, and no others.
    pub fn with_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Shows this certificate chain, with its private key, both PEM.
    pub fn with_client(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client = Some((chain.into(), key.into()));
        self
    }

    fn build(&self) -> Result<ClientConfig, ConfigError> {
        let roots = self.root_store()?;
        // A provider of its own: a process-wide default would depend on who else is linked in.
        let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_root_certificates(roots);
        let Some((chain, key)) = &self.client else { return Ok(builder.with_no_client_auth()) };
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(refused)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(refused)?;
        builder.with_client_auth_cert(chain, key).map_err(refused)
    }

    fn root_store(&self) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    roots.add(certificate.map_err(refused)?).map_err(refused)?;
                }
                if roots.is_empty() {
                    return Err(ConfigError::Tls("no certificate in the given roots".to_owned()));
                }
            }
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        Ok(roots)
    }
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (roots, client) = (self.roots.is_some(), self.client.is_some());
        f.debug_struct("TlsConfig").field("own_roots", &roots).field("client_certificate", &client).finish()
    }
}

fn refused(error: impl std::fmt::Display) -> ConfigError {
    ConfigError::Tls(error.to_string())
}

/// The settings, checked once when the store is built.
#[derive(Clone)]
pub(super) struct TlsConnector(tokio_rustls::TlsConnector);

impl TlsConnector {
    pub(super) fn new(config: &TlsConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(config.build()?).into()))
    }

    pub(super) async fn wrap(&self, host: &str, stream: TcpStream) -> io::Result<BoxedSocket> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::pin(self.0.connect(name, stream).await?))
    }
}

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}
