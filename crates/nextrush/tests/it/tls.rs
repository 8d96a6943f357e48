//! TLS by the server itself.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nextrush::server::{TlsConfig, TlsError};
use nextrush::{App, Message, Socket};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::within;

/// A certificate for localhost, and clients that trust it.
pub struct Certified {
    pub config: TlsConfig,
    certificate: String,
    key: String,
}

pub fn certified() -> &'static Certified {
    static CERTIFIED: LazyLock<Certified> = LazyLock::new(|| {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        Certified {
            config: TlsConfig::from_pem(&certificate, &key).unwrap(),
            certificate,
            key,
        }
    });
    &CERTIFIED
}

impl Certified {
    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    pub async fn connect(&self, stream: TcpStream, alpn: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.into()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// A TLS configuration with this certificate, made with rustls alone.
    pub fn server_config(&self) -> ServerConfig {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate()], key)
            .unwrap();
        config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
        config
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        Arc::new(self.server_config()).into()
    }
}

#[test]
fn a_certificate_is_read_from_files_and_a_wrong_one_is_told() {
    let directory = std::env::temp_dir().join(format!("nextrush-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let certified = certified();
    let certificate = write("certificate.pem", &certified.certificate);
    let key = write("key.pem", &certified.key);
    TlsConfig::from_pem_files(&certificate, &key).unwrap();

    let missing = TlsConfig::from_pem_files(directory.join("missing.pem"), &key);
    assert!(matches!(missing, Err(TlsError::File { .. })));
    let swapped = TlsConfig::from_pem_files(&key, &certificate);
    assert!(matches!(swapped, Err(TlsError::Certificate(_))));
    let keyless = TlsConfig::from_pem_files(&certificate, &certificate);
    assert!(matches!(keyless, Err(TlsError::Key(_))));
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let foreign = TlsConfig::from_pem(&certified.certificate, other.signing_key.serialize_pem());
    assert!(matches!(foreign, Err(TlsError::Unusable(_))));
    std::fs::remove_dir_all(directory).unwrap();
}

/// A certificate in files, of which each may be written anew.
struct InFiles {
    directory: tempfile::TempDir,
}

impl InFiles {
    fn write(&self, certificate: Option<&str>, key: Option<&str>) {
        for (name, text) in [("certificate.pem", certificate), ("key.pem", key)] {
            if let Some(text) = text {
                // As by a tool that puts a new file into the place of the old one.
                let written = self.directory.path().join("new");
                std::fs::write(&written, text).unwrap();
                std::fs::rename(&written, self.directory.path().join(name)).unwrap();
            }
        }
    }

    fn config(&self) -> TlsConfig {
        let path = |name| self.directory.path().join(name);
        TlsConfig::from_pem_files(path("certificate.pem"), path("key.pem")).unwrap()
    }
}

/// The certificate that a client is shown.
async fn shown(server: &nextrush::Server, trusted: &[&Certified]) -> CertificateDer<'static> {
    for certified in trusted {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        if certified.connect(stream, "http/1.1").await.is_ok() {
            return certified.certificate();
        }
    }
    panic!("the server has another certificate");
}

fn made() -> Certified {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
    Certified {
        config: TlsConfig::from_pem(&certificate, &key).unwrap(),
        certificate,
        key,
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_followed_and_the_old_one_kept_while_the_new_one_is_wrong() {
    let (old, new) = (made(), made());
    let files = InFiles {
        directory: tempfile::tempdir().unwrap(),
    };
    files.write(Some(&old.certificate), Some(&old.key));
    let config = files.config();
    let listen = App::new().listen("127.0.0.1:0").tls(config.clone());
    let server = listen.start().await.unwrap();
    let both = [&new, &old];
    let minute = Duration::from_secs(61);
    assert_eq!(shown(&server, &both).await, old.certificate());

    // The certificate is there, and its key not yet.
    files.write(Some(&new.certificate), None);
    tokio::time::sleep(minute).await;
    assert_eq!(shown(&server, &both).await, old.certificate());
    assert!(matches!(config.reload(), Err(TlsError::Unusable(_))));
    files.write(None, Some(&new.key));
    tokio::time::sleep(minute).await;
    assert_eq!(shown(&server, &both).await, new.certificate());

    for (certificate, key) in [("nonsense", &*old.key), ("", ""), (&*old.certificate, "")] {
        files.write(Some(certificate), Some(key));
        tokio::time::sleep(minute).await;
        assert_eq!(shown(&server, &both).await, new.certificate());
    }
    // By hand, as SIGHUP does.
    files.write(Some(&old.certificate), Some(&old.key));
    assert!(config.reload().unwrap());
    assert!(!config.reload().unwrap());
    assert_eq!(shown(&server, &both).await, old.certificate());
    assert!(!made().config.reload().unwrap());
}

// With the clock paused, time passes as soon as everybody waits.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_go_through_with_tls_is_not_waited_for() {
    let listen = App::new().listen("127.0.0.1:0");
    let server = listen
        .tls(certified().config.clone())
        .start()
        .await
        .unwrap();
    // The first bytes of a ClientHello, and none at all.
    for sent in [&[][..], &[22, 3, 1, 0, 200, 1]] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        // An error says that the connection was reset.
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty());
    }
    for alpn in ["h2", "http/1.1"] {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut stream = certified().connect(stream, alpn).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
    }
}

#[tokio::test]
async fn plain_http_on_a_port_with_tls_gets_nowhere() {
    let listen = App::new().listen("127.0.0.1:0");
    let server = listen
        .tls(certified().config.clone())
        .start()
        .await
        .unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"));
}

#[tokio::test]
async fn pages_of_the_server_itself_have_its_scheme() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| socket.send("welcome"));
    let listen = app.listen("127.0.0.1:0");
    let server = listen
        .tls(certified().config.clone())
        .start()
        .await
        .unwrap();
    let authority = format!("localhost:{}", server.address().port());
    for (scheme, is_own) in [("https", true), ("http", false)] {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let stream = certified().connect(stream, "http/1.1").await.unwrap();
        let request = format!("wss://{authority}/").into_client_request();
        let mut request = request.unwrap();
        let origin = format!("{scheme}://{authority}").parse().unwrap();
        request.headers_mut().insert("origin", origin);
        let connected = within(Box::pin(client_async(request, stream))).await;
        assert_eq!(connected.is_ok(), is_own, "{scheme}");
    }
}

#[tokio::test]
async fn a_configuration_of_ones_own_is_used_as_it_is() {
    let mut config = certified().server_config();
    config.alpn_protocols = vec!["http/1.1".into()];
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let listen = app
        .listen("127.0.0.1:0")
        .head_timeout(Duration::from_secs(20));
    let server = listen.tls(Arc::new(config)).start().await.unwrap();

    let stream = TcpStream::connect(server.address()).await.unwrap();
    assert!(certified().connect(stream, "h2").await.is_err());
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let stream = certified().connect(stream, "http/1.1").await.unwrap();
    let request = "wss://localhost/".into_client_request().unwrap();
    let (mut client, _) = within(Box::pin(client_async(request, stream)))
        .await
        .unwrap();
    client.send("hello".into()).await.unwrap();
    assert_eq!(
        within(client.next()).await.unwrap().unwrap(),
        "hello".into()
    );
}
