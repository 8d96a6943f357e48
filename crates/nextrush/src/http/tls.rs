//! The server's certificate.

use std::error::Error;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore, ServerConfig};

use crate::message::Timestamp;

/// The time before the end of a certificate from which on its end is logged at the start.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The certificate and settings of a server that speaks TLS; for
/// [`Listen::tls`](crate::Listen::tls).
///
/// TLS 1.2 and 1.3 by rustls. Clients may choose between HTTP/2 and HTTP/1.1 (ALPN). Made
/// from an `Arc<rustls::ServerConfig>`, it uses that as it is, with its own list of protocols:
/// HTTP/2 is spoken only if the list names `h2`.
///
/// [Read from files](Self::from_pem_files) it follows them: a server looks at them each minute and with
/// SIGHUP, and connections from then on get the new certificate. If that cannot be read, or is not that of
/// the key, the old one stays, and the log says why.
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
pub struct TlsConfig {
    config: Arc<ServerConfig>,
    files: Option<Arc<Files>>,
}

/// The files of a certificate, and what was read from them.
struct Files {
    certificates: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    /// The files as they were at the last reading, right or wrong.
    seen: Mutex<Option<[Stamp; 2]>>,
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

/// The things by which a file is known to have changed; a link is followed.
#[derive(Debug, Eq, PartialEq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// The inode, by which a file is known that was moved into the place of the other.
    number: u64,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            number: number(&metadata),
        })
    }
}

#[cfg(unix)]
fn number(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> u64 {
    0
}

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
        let files = [certificates.as_ref(), key.as_ref()];
        let seen = stamps(files);
        let current = Arc::new(Current(RwLock::new(Arc::new(read_files(files)?))));
        let mut config = Self::of(Arc::clone(&current))?;
        let [certificates, key] = files.map(Path::to_owned);
        config.files = Some(Arc::new(Files {
            certificates,
            key,
            current,
            seen: Mutex::new(seen),
        }));
        Ok(config)
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
        let pair = certified(certificates.as_ref(), key.as_ref())?;
        Self::of(Arc::new(Current(RwLock::new(Arc::new(pair)))))
    }

    fn of(current: Arc<Current>) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }

    /// Reads the files again that this was [made from](Self::from_pem_files), for all that use it and its
    /// clones; a server does so by itself. Returns whether there is another certificate now, which
    /// there is not if it was made in another way. Blocks while the files are read.
    ///
    /// # Errors
    ///
    /// As when it was made; then the old certificate stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.files else {
            return Ok(false);
        };
        let paths = files.paths();
        // Before they are read: who changes them meanwhile is noticed the next time.
        *files.seen.lock() = stamps(paths);
        let new = read_files(paths)?;
        let mut current = files.current.0.write();
        // The key of a certificate may not change without it.
        let is_new = current.cert != new.cert;
        *current = Arc::new(new);
        Ok(is_new)
    }

    /// Reads the files again, and logs what has come of it.
    pub(crate) fn reload_and_log(&self) {
        match self.reload() {
            Ok(true) => tracing::info!("new connections get a new certificate"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                error = &error as &dyn Error,
                "the certificate is as before, since the new one cannot be used"
            ),
        }
    }

    pub(crate) fn is_of_files(&self) -> bool {
        self.files.is_some()
    }

    /// Returns whether the files are not as they were at the last reading.
    pub(crate) fn has_changed(&self) -> bool {
        let files = self.files.as_ref();
        files.is_some_and(|files| *files.seen.lock() != stamps(files.paths()))
    }

    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

impl Files {
    fn paths(&self) -> [&Path; 2] {
        [&self.certificates, &self.key]
    }
}

/// The files as they are; `None` if one of them cannot be looked at.
fn stamps(files: [&Path; 2]) -> Option<[Stamp; 2]> {
    let [certificates, key] = files.map(Stamp::of);
    Some([certificates.ok()?, key.ok()?])
}

fn read_files(files: [&Path; 2]) -> Result<CertifiedKey, TlsError> {
    let read = |path: &Path| {
        let unreadable = |source| TlsError::File {
            path: path.to_owned(),
            source,
        };
        std::fs::read(path).map_err(unreadable)
    };
    let [certificates, key] = files;
    certified(&read(certificates)?, &read(key)?)
}

/// A certificate with those of its authorities, and its key, from PEM.
fn certified(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        .map_err(TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::Certificate(pem::Error::NoItemsFound));
    }
    for (certificate, place) in chain.iter().zip(1..) {
        warn_of_dates(place, certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    Ok(CertifiedKey::from_der(
        chain,
        key,
        &ring::default_provider(),
    )?)
}

/// Logs that a certificate is not valid now, or will soon not be. It is served all the same:
/// the clock of this machine may be wrong. The first one in a file is the server's own, those behind it
/// are of authorities.
fn warn_of_dates(place: usize, certificate: &CertificateDer<'_>) {
    let now = UnixTime::now();
    let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + EXPIRES_SOON);
    match (fault_at(certificate, now), fault_at(certificate, soon)) {
        (Some(CertificateError::ExpiredContext { not_after, .. }), _) => {
            let until = timestamp(not_after);
            tracing::error!(
                place,
                "THE CERTIFICATE HAS EXPIRED: it was valid until {until}, and clients refuse it"
            );
        }
        (Some(CertificateError::NotValidYetContext { not_before, .. }), _) => {
            let from = timestamp(not_before);
            tracing::error!(
                place,
                "THE CERTIFICATE IS NOT YET VALID: it is valid from {from}, and clients refuse it"
            );
        }
        (_, Some(CertificateError::ExpiredContext { not_after, .. })) => {
            let until = timestamp(not_after);
            tracing::warn!(
                place,
                "the certificate expires soon: it is valid until {until}"
            );
        }
        _ => {}
    }
}

/// The fault that a client finds in a certificate at some time. It looks at the dates before it looks for the
/// authority, so this one, which trusts nobody, has an answer that tells them.
fn fault_at(certificate: &CertificateDer<'_>, time: UnixTime) -> Option<CertificateError> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let nobody = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], time, &[]) {
        Err(rustls::Error::InvalidCertificate(fault)) => Some(fault),
        _ => None,
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_unix_ms(time.as_secs().saturating_mul(1_000))
}

impl From<Arc<ServerConfig>> for TlsConfig {
    fn from(config: Arc<ServerConfig>) -> Self {
        let files = None;
        Self { config, files }
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
        source: io::Error,
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_is_judged_by_its_dates_whoever_has_signed_it() {
        const FROM: u64 = 1_577_836_800;
        const UNTIL: u64 = 1_893_456_000;
        // Those of authorities stand behind the server's own.
        for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2030, 1, 1);
            params.is_ca = is_ca;
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let at = |seconds| {
                let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
                match fault_at(certificate.der(), time) {
                    Some(CertificateError::NotValidYetContext { not_before, .. }) => {
                        format!("from {}", not_before.as_secs())
                    }
                    Some(CertificateError::ExpiredContext { not_after, .. }) => {
                        format!("until {}", not_after.as_secs())
                    }
                    _ => String::new(),
                }
            };
            assert_eq!(at(FROM - 1), format!("from {FROM}"));
            assert_eq!([at(FROM), at(UNTIL)], ["", ""]);
            assert_eq!(at(UNTIL + 1), format!("until {UNTIL}"));
        }
    }
}
