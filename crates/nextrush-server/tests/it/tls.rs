//! The program with a certificate of its own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, CertifiedKey, DnType, KeyPair, date_time_ymd, generate_simple_self_signed,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{Client, signal, within};

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_nextrush"));
    program
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .env_clear()
        .env("JWT_SECRET", "a secret of tests, thirty-two bytes and more")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    program
}

#[tokio::test]
async fn the_program_serves_tls_with_a_certificate() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("certificate.pem", cert.pem());
    let key = file("key.pem", signing_key.serialize_pem());
    let api_key = "the key of the API, also of 32 bytes or more";
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let mut server = program(&[&tls[..], &["--api-key", api_key]].concat())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = loop {
        let line = within(lines.next_line()).await.unwrap().unwrap();
        if let Some(rest) = line.strip_prefix("Open https://localhost:") {
            break rest.trim_end_matches('/').parse::<u16>().unwrap();
        }
    };

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = within(connector.connect(name, stream)).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");

    let url = format!("https://localhost:{port}");
    for (trusted, is_success) in [(Some(&certificate), true), (None, false)] {
        let mut publish = Command::new(env!("CARGO_BIN_EXE_nextrush"));
        publish
            .args(["publish", "posts", "1", "--url", &url, "--api-key", api_key])
            .env_clear()
            .envs(trusted.map(|file| ("SSL_CERT_FILE", file)));
        let output = within(publish.output()).await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), is_success, "{errors}");
        assert_eq!(errors.contains("cannot connect to localhost"), !is_success);
    }
}

#[tokio::test]
async fn half_of_what_tls_needs_is_refused() {
    for (arguments, expected) in [
        (&["--tls-cert", "certificate.pem"][..], "tls-key"),
        (
            &["--tls-cert", "no-such.pem", "--tls-key", "no-such.pem"],
            "no-such.pem",
        ),
    ] {
        let output = within(program(arguments).output()).await.unwrap();
        assert!(!output.status.success());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(expected), "{errors}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_or_soon_will_not_be_is_told_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let in_a_week = since + Duration::from_secs(7 * 24 * 60 * 60);
    let year = |year| date_time_ymd(year, 1, 1);
    for (from, until, expected) in [
        (
            year(2000),
            year(2001),
            Some("ERROR THE CERTIFICATE HAS EXPIRED: it was valid until 2001-01-01T00:00:00.000Z"),
        ),
        (
            year(4000),
            year(4001),
            Some(
                "ERROR THE CERTIFICATE IS NOT YET VALID: it is valid from 4000-01-01T00:00:00.000Z",
            ),
        ),
        (
            year(2000),
            year(1970) + in_a_week,
            Some("WARN the certificate expires soon: it is valid until "),
        ),
        (year(2000), year(4001), None),
    ] {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = from;
        params.not_after = until;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = |name: &str, content: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let certificate = file("certificate.pem", certificate.pem());
        let key = file("key.pem", key.serialize_pem());
        let mut server = program(&["--tls-cert", &certificate, "--tls-key", &key])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        // It is served all the same. Nothing is read behind the first line.
        within(lines.next_line()).await.unwrap().unwrap();
        signal(&server, "INT").await;
        let _unread = lines;
        let output = within(server.wait_with_output()).await.unwrap();
        assert!(output.status.success());
        let log = String::from_utf8(output.stderr).unwrap();
        let is_of_it = |line: &&str| line.to_lowercase().contains("the certificate");
        let said = log.lines().find(is_of_it);
        assert_eq!(said.is_some(), expected.is_some(), "{log}");
        if let (Some(said), Some(expected)) = (said, expected) {
            let (level, text) = expected.split_once(' ').unwrap();
            assert!(said.contains(level) && said.contains(text), "{said}");
        }
    }
}

/// Serves the set of keys of the library's tests over TLS, with this certificate.
async fn issuer(key: CertifiedKey<KeyPair>) -> u16 {
    let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let body = include_str!("../../../nextrush/tests/fixtures/keys/set.json");
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust it ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /keys HTTP/1.1\r\n"));
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn keys_of_an_issuer_come_over_tls_of_an_authority_that_is_trusted() {
    let tokens = include_str!("../../../nextrush/tests/fixtures/keys/tokens.json");
    let tokens: serde_json::Value = serde_json::from_str(tokens).unwrap();
    let token = tokens["ES256"].as_str().unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (name, is_trusted, expected) in [
        ("localhost", true, None),
        ("localhost", false, Some("UnknownIssuer")),
        ("example.com", true, Some("not valid for name")),
    ] {
        let own = generate_simple_self_signed([name.to_owned()]).unwrap();
        // Of another name than the issuer's: that is how a chain is followed.
        let mut other = CertificateParams::new([name.to_owned()]).unwrap();
        other
            .distinguished_name
            .push(DnType::CommonName, "another authority");
        let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let trusted = directory.path().join("trusted.pem");
        let trust = if is_trusted {
            own.cert.pem()
        } else {
            other.pem()
        };
        std::fs::write(&trusted, trust).unwrap();
        let url = format!("https://localhost:{}/keys", issuer(own).await);
        let mut server = program(&["--jwks-url", &url])
            .env("SSL_CERT_FILE", &trusted)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let port = loop {
            let line = within(lines.next_line()).await.unwrap().unwrap();
            if let Some(rest) = line.strip_prefix("Open http://localhost:") {
                break rest.trim_end_matches('/').parse::<u16>().unwrap();
            }
        };
        let mut client = Client::connect_to(port, &format!("/live?token={token}")).await;
        client
            .send(serde_json::json!({ "type": "hello", "id": "1" }))
            .await;
        let answer = client.json().await;
        let Some(expected) = expected else {
            assert_eq!(answer["type"], "hello", "{answer}");
            continue;
        };
        assert_eq!(answer["code"], "unavailable", "{answer}");
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
        let said = loop {
            let line = within(log.next_line()).await.unwrap().unwrap();
            if line.contains("the keys of tokens could not be fetched") {
                break line;
            }
        };
        assert!(
            said.contains("WARN") && said.contains("localhost"),
            "{said}"
        );
        assert!(
            said.contains("certificate") && said.contains(expected),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_new_certificate_that_is_wrong_leaves_all_settings_as_they_were() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (certificate, key, file) = (path("certificate.pem"), path("key.pem"), path("file"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let settings = |connections: u32| {
        format!(
            "tls-cert = {certificate:?}\ntls-key = {key:?}\nconnections-per-address = {connections}\n"
        )
    };
    std::fs::write(&file, settings(100)).unwrap();
    let mut server = program(&["--config", file.to_str().unwrap()])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    within(lines.next_line()).await.unwrap().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut reload = async |expected: &str| {
        signal(&server, "HUP").await;
        loop {
            let line = within(log.next_line()).await.unwrap().unwrap();
            if line.contains("the configuration ") {
                assert!(line.contains(expected), "{line}");
                return line;
            }
        }
    };
    std::fs::write(&file, settings(200)).unwrap();
    std::fs::write(&certificate, "no certificate").unwrap();
    let said = reload("is as before, since the new one is wrong").await;
    assert!(said.contains("certificate.pem"), "{said}");
    // Once it is right, the rest of the file holds too.
    std::fs::write(&certificate, cert.pem()).unwrap();
    reload("read again: connections-per-address changed").await;
}
