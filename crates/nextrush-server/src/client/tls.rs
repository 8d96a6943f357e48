//! TLS to a server whose certificate an authority of the system has signed.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Shakes hands as a client of the server of this name.
pub(super) async fn connect(stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config()?).connect(name, stream).await
}

/// The configuration that trusts the system's authorities. It is made once: reading them
/// takes a while, and a load test has many connections.
///
/// # Errors
///
/// The system has none.
pub(crate) fn config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reason = found.errors.into_iter().next();
        return Err(reason.map_or_else(
            || io::Error::other("the system has no certificates of authorities"),
            io::Error::other,
        ));
    }
    let config = trusting(roots)?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// The configuration that trusts these authorities.
///
/// # Errors
///
/// There is no version of TLS.
pub(crate) fn trusting(roots: RootCertStore) -> io::Result<ClientConfig> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions();
    let config = versions.map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
