//! The program with a certificate of its own.

use std::process::Stdio;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{signal, within};

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
async fn a_certificate_that_is_not_valid_now_is_an_error_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    for (from, until, expected) in [
        (2000, 2001, Some("THE CERTIFICATE HAS EXPIRED")),
        (4000, 4001, Some("THE CERTIFICATE IS NOT YET VALID")),
        (2000, 4001, None),
    ] {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
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
        let said = log.lines().find(|line| line.contains("THE CERTIFICATE"));
        assert_eq!(said.is_some(), expected.is_some(), "{log}");
        if let (Some(said), Some(expected)) = (said, expected) {
            assert!(said.contains("ERROR") && said.contains(expected), "{said}");
        }
    }
}
