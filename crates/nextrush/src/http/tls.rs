//! The server's certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

/// The time before the end of a certificate from which on its end is logged at the start.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The certificate and settings of a server that speaks TLS; for
/// [`Listen::tls`](crate::Listen::tls).
///
/// TLS 1.2 and 1.3 by rustls. Clients may choose between HTTP/2 and HTTP/1.1 (ALPN). Made
/// from an `Arc<rustls::ServerConfig>`, it uses that as it is, with its own list of protocols:
/// HTTP/2 is spoken only if the list names `h2`.
///
/// ```no_run
/// # async fn example() -> nextrush::Result {
/// use nextrush::App;
/// use nextrush::server::TlsConfig;
///
/// let tls = TlsConfig::from_pem_files("certificate.pem", "key.pem")?;
/// App::new().listen(443).tls(tls).await
/// # }
/// ```
#[derive(Clone)]
pub struct TlsConfig(Arc<ServerConfig>);

impl TlsConfig {
    /// Reads a certificate, followed by those of the authorities between it and the root,
    /// and its private key (PKCS #8, PKCS #1 or SEC 1), from PEM files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, holds no certificate or key, or they do not belong together.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            let unreadable = |source| TlsError::File {
                path: path.to_owned(),
                source,
            };
            std::fs::read(path).map_err(unreadable)
        };
        Self::from_pem(read(certificates.as_ref())?, read(key.as_ref())?)
    }

    /// Reads the contents of such files; see [`from_pem_files`](Self::from_pem_files).
    ///
    /// # Errors
    ///
    /// There is no certificate or key in the texts, or they do not belong together.
    pub fn from_pem(
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates.as_ref())
            .collect::<Result<_, _>>()
            .map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::Certificate(pem::Error::NoItemsFound));
        }
        chain.iter().for_each(warn_of_dates);
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn into_acceptor(self) -> tokio_rustls::TlsAcceptor {
        self.0.into()
    }
}

/// Logs that a certificate is not valid now, or will soon not be. It is served all the same:
/// the clock of this machine may be wrong.
fn warn_of_dates(certificate: &CertificateDer<'_>) {
    // rustls refuses what it cannot read.
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return;
    };
    let subject = certificate.subject();
    let validity = certificate.validity();
    let now = ASN1Time::now();
    let (from, until) = (validity.not_before, validity.not_after);
    if now > until {
        tracing::error!(
            "THE CERTIFICATE HAS EXPIRED: that of {subject} was valid until {until}, and clients \
             refuse it"
        );
    } else if now < from {
        tracing::error!(
            "THE CERTIFICATE IS NOT YET VALID: that of {subject} is valid from {from}, and clients \
             refuse it"
        );
    } else if until.timestamp() - now.timestamp() < EXPIRES_SOON.as_secs() as i64 {
        tracing::warn!("the certificate of {subject} expires soon: it is valid until {until}");
    }
}

impl From<Arc<ServerConfig>> for TlsConfig {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}

/// The reason why no [`TlsConfig`] could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// There is no certificate, or one is malformed.
    #[error("no valid certificates")]
    Certificate(#[source] pem::Error),
    /// There is no private key, or it is malformed.
    #[error("no valid private key")]
    Key(#[source] pem::Error),
    /// The key is not that of the certificate, or of no kind that can be used.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}
