//! The server's configuration file and certificates, which change while it runs.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use ureq::tls::Certificate;

use crate::api::{Api, KEY};
use crate::error::Error;
use crate::stream::Way;
use crate::token::SECRET;

/// The time in which a new configuration has to hold.
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(100);

/// The files, and what clients need to know of them.
#[derive(Debug)]
pub(super) struct Configuration {
    directory: TempDir,
    file: PathBuf,
    socket: PathBuf,
    store: PathBuf,
    addr: SocketAddr,
    backend: SocketAddr,
    issuer: CertifiedIssuer<'static, KeyPair>,
    authority: Certificate<'static>,
    client: Arc<ClientConfig>,
    /// The number of times that it was written.
    version: u64,
}

/// The effects of a configuration that the server has read.
#[derive(Debug)]
pub(super) struct Check {
    addr: SocketAddr,
    /// Without resumption, by which a client would see the certificate of before.
    client: ClientConfig,
    certificate: CertificateDer<'static>,
    with_new_key: Api,
    with_old_key: Api,
}

impl Configuration {
    pub(super) fn new(addr: SocketAddr, backend: SocketAddr) -> Result<Self, Error> {
        let directory = TempDir::new().map_err(Error::io("a directory for the server"))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone())?;
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let path = |name| directory.path().join(name);
        let mut configuration = Self {
            file: path("nextrush.toml"),
            socket: path("nextrush.sock"),
            store: path("store"),
            addr,
            backend,
            authority: Certificate::from_der(issuer.der()).to_owned(),
            issuer,
            client: Arc::new(client),
            version: 0,
            directory,
        };
        configuration.write()?;
        Ok(configuration)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The Unix socket at which the server speaks without TLS.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The authority of all certificates.
    pub(super) fn authority(&self) -> &Certificate<'static> {
        &self.authority
    }

    /// The ways to the server.
    pub(super) fn ways(&self) -> [Way; 2] {
        [
            Way::Tls(self.addr, Arc::clone(&self.client)),
            Way::Unix(self.socket.clone()),
        ]
    }

    /// Writes other settings and another certificate.
    pub(super) fn renew(&mut self, api: &Api) -> Result<Check, Error> {
        let old = key(self.version);
        self.version += 1;
        let certificate = self.write()?;
        let mut client = ClientConfig::clone(&self.client);
        client.resumption = Resumption::disabled();
        Ok(Check {
            addr: self.addr,
            client,
            certificate,
            with_new_key: api.with_key(key(self.version)),
            with_old_key: api.with_key(old),
        })
    }

    fn write(&mut self) -> Result<CertificateDer<'static>, Error> {
        let key = KeyPair::generate()?;
        let names = vec![self.addr.ip().to_string(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let path = |name| self.directory.path().join(name);
        let write = |path: &Path, text: &str| {
            // The server warns of secrets that everybody can read.
            let only_own = Permissions::from_mode(0o600);
            fs::write(path, text)
                .and_then(|()| fs::set_permissions(path, only_own))
                .map_err(Error::io("the server's configuration"))
        };
        write(&path("certificate.pem"), &certificate.pem())?;
        write(&path("key.pem"), &key.serialize_pem())?;
        write(&self.file, &self.text())?;
        Ok(certificate.der().clone())
    }

    fn text(&self) -> String {
        let Self {
            addr,
            backend,
            version,
            ..
        } = self;
        let directory = self.directory.path().display();
        let per_address = 9_000 + version % 2;
        // Another rule has everybody asked again, and nobody refused.
        let subscribe = ["any", "signed-in"][(version % 2) as usize];
        let new = key(*version);
        format!(
            r#"listen = ["{addr}", "unix:{directory}/nextrush.sock"]
jwt-secret = "{SECRET}"
tls-cert = "{directory}/certificate.pem"
tls-key = "{directory}/key.pem"
store = "{directory}/store"
connections-per-address = {per_address}
log = "info,nextrush::audit=warn"
hook-publish = "http://{backend}/"
hook-request = "http://{backend}/"
hook-secret = "a secret of hooks, of thirty-two bytes and more"

[[api-key]]
name = "publishers"
value = "{KEY}"

[[api-key]]
name = "this-minute"
value = "{new}"
may = ["read"]

[[channel]]
pattern = "news-:id"
subscribe = "{subscribe}"
history = 300

[[channel]]
pattern = "large-:id"
history = 300

[[channel]]
pattern = "desk-:id"
subscribe = "{subscribe}"
presence = true
history = 100

[[channel]]
pattern = "asked-:id"
hooks = ["publish"]
history = 100

[[channel]]
pattern = "passing-:id"
publish = "signed-in"
"#
        )
    }
}

impl Check {
    /// Waits until the configuration holds.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !self.holds()? {
            if Instant::now() > deadline {
                return Err(Error::Silence("a configuration was read again"));
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    fn holds(&self) -> Result<bool, Error> {
        if self.with_new_key.subscriptions().is_err() {
            return Ok(false);
        }
        match self.with_old_key.subscriptions() {
            Err(Error::Api(ureq::Error::StatusCode(401))) => {}
            other => {
                return Err(Error::Broken(format!(
                    "an old key is answered with {other:?}"
                )));
            }
        }
        Ok(self.certificate()?.as_ref() == Some(&self.certificate))
    }

    /// The certificate that the server shows now.
    fn certificate(&self) -> Result<Option<CertificateDer<'static>>, Error> {
        let name = ServerName::from(self.addr.ip());
        let session = ClientConnection::new(Arc::new(self.client.clone()), name)?;
        let stream = TcpStream::connect(self.addr).map_err(Error::io("connecting"))?;
        let mut stream = StreamOwned::new(session, stream);
        stream.flush().map_err(Error::io("a handshake of TLS"))?;
        let shown = stream.conn.peer_certificates();
        Ok(shown.and_then(|chain| Some(chain.first()?.clone().into_owned())))
    }
}

/// The key of the API that holds with a version of the configuration.
fn key(version: u64) -> String {
    format!("the key of the API that holds in minute {version}")
}
