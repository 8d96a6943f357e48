//! New connections to servers: TCP, TLS, the first commands.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::NodeName;
use redis::{ProtocolVersion, RedisConnectionInfo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::failure::DialError;
use crate::url::{Address, Credentials, RedisUrl};

/// A connection of bytes, encrypted or not.
pub(crate) type Stream = Box<dyn Bidirectional>;

/// Both directions of a connection.
pub(crate) trait Bidirectional: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Bidirectional for S {}

/// The maker of connections for one [`RedisUrl`].
pub(crate) struct Dialer {
    tls: Option<TlsConnector>,
    credentials: Credentials,
    database: u16,
    /// The name that connections show in `CLIENT LIST`.
    pub(crate) node: String,
    pub(crate) deadline: Duration,
}

impl Dialer {
    /// The maker of connections to the servers of an address.
    ///
    /// # Errors
    ///
    /// An error if TLS is asked for and the authorities cannot be read.
    pub(crate) fn new(
        url: &RedisUrl,
        node: Option<&NodeName>,
        deadline: Duration,
    ) -> io::Result<Self> {
        let tls = if url.is_encrypted {
            let roots = match &url.authorities {
                Some(path) => read_authorities(path)?,
                None => system_authorities()?,
            };
            Some(TlsConnector::from(Arc::new(client_config(roots)?)))
        } else {
            None
        };
        Ok(Self {
            tls,
            credentials: url.credentials.clone(),
            database: url.database,
            node: node.map_or("nextrush", NodeName::as_str).to_owned(),
            deadline,
        })
    }

    /// Makes a connection of bytes within the deadline.
    pub(crate) async fn connect(&self, address: &Address) -> Result<Stream, DialError> {
        let late = |_| DialError::Late {
            address: address.to_string(),
            after: self.deadline,
        };
        timeout(self.deadline, self.connect_without_deadline(address))
            .await
            .map_err(late)?
    }

    async fn connect_without_deadline(&self, address: &Address) -> Result<Stream, DialError> {
        let tcp_error = |error| DialError::Tcp {
            address: address.to_string(),
            error,
        };
        let host = (address.host.as_str(), address.port);
        let stream = TcpStream::connect(host).await.map_err(tcp_error)?;
        // Commands are small and wait for each other.
        stream.set_nodelay(true).map_err(tcp_error)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(address.host.clone())
            .map_err(|_| DialError::ServerName(address.host.clone()))?;
        let stream = tls.connect(name, stream).await;
        match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(DialError::Tls {
                address: address.to_string(),
                error,
            }),
        }
    }

    /// The user and the password, if there are any.
    pub(crate) fn login(&self) -> (Option<&str>, Option<&str>) {
        let Credentials { user, password } = &self.credentials;
        (user.as_deref(), password.as_deref())
    }

    /// The first commands to a server: credentials, RESP3, the database.
    pub(crate) fn greeting(&self) -> RedisConnectionInfo {
        let database = i64::from(self.database);
        greeting(&self.credentials).set_db(database)
    }
}

/// The first commands with these credentials.
pub(crate) fn greeting(credentials: &Credentials) -> RedisConnectionInfo {
    let mut greeting = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_lib_name("nextrush", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &credentials.user {
        greeting = greeting.set_username(user);
    }
    if let Some(password) = &credentials.password {
        greeting = greeting.set_password(password);
    }
    greeting
}

fn client_config(roots: RootCertStore) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn read_authorities(path: &Path) -> io::Result<RootCertStore> {
    let invalid = |error| {
        let text = format!("{}: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(File::open(path)?)) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("no certificate in it".to_owned()));
    }
    Ok(roots)
}

fn system_authorities() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Systems have a few certificates that no verifier takes.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let text = "the system has no certificate authorities";
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(roots)
}
