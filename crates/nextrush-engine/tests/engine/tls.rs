//! The engine on sockets with TLS, with the client's side of rustls.

use std::io::ErrorKind;
use std::sync::Arc;

use futures_util::SinkExt;
use nextrush_engine::Transport;
use nextrush_protocol::{Frame, Opcode};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::Message;

use crate::real::{
    PATIENCE, client, drains_as_the_client_reads, echo, echoes_long_messages, engine,
    is_closed_as_a_slow_reader, next, serve, shut_down, tcp_pair,
};
use crate::support::{Log, Script, masked};

/// Both ends after the handshake, and after the client has sent `sent` and the server's
/// side of TLS has decrypted it.
async fn tls_pair(sent: &[u8]) -> (TlsStream<TcpStream>, Transport) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let (stream, Transport::Tcp(accepted)) = tcp_pair().await else {
        panic!("a TCP pair was asked for");
    };
    accepted.set_nonblocking(true).unwrap();
    let accepted = TcpStream::from_std(accepted).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let (ours, theirs) = tokio::join!(
        TlsConnector::from(Arc::new(client)).connect(name, stream),
        TlsAcceptor::from(Arc::new(server)).accept(accepted),
    );
    let mut ours = ours.unwrap();
    ours.write_all(sent).await.unwrap();
    ours.flush().await.unwrap();
    let (stream, mut session) = theirs.unwrap().into_inner();
    while session
        .process_new_packets()
        .unwrap()
        .plaintext_bytes_to_read()
        < sent.len()
    {
        stream.readable().await.unwrap();
        let stream = stream.try_io(tokio::io::Interest::READABLE, || {
            session.read_tls(&mut Socket(&stream))
        });
        match stream {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    let stream = stream.into_std().unwrap();
    (ours, Transport::Tls(stream, Box::new(session)))
}

struct Socket<'a>(&'a TcpStream);

impl std::io::Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.try_read(buffer)
    }
}

#[tokio::test]
async fn messages_are_echoed_and_the_end_is_said_in_tls_too() {
    let engine = engine(1);
    let log = Log::default();
    let (stream, transport) = tls_pair(&[]).await;
    let script = echo().options(|options| {
        options.limits = nextrush_protocol::Limits::message(4 << 20);
    });
    serve(&engine, transport, script, log.clone()).await;
    let mut client = client(stream).await;
    let long = "long ".repeat(500_000);
    for text in ["hello", "größer", long.as_str()] {
        client.send(Message::text(text)).await.unwrap();
        // Not `assert_eq`: a failure would print all of it.
        assert!(next(&mut client).await == Message::text(text));
    }
    client.send(Message::Close(None)).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Close(None));
    let mut stream = client.into_inner();
    let mut rest = Vec::new();
    // rustls fails here if the TCP connection ends before TLS does.
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert_eq!(read.unwrap().unwrap(), 0);
    drop(stream);
    shut_down(&engine).await;
    assert_eq!(log.take().last().unwrap(), "close 1005 '' clean");
}

#[tokio::test]
async fn what_was_decrypted_before_the_engine_came_is_received() {
    let engine = engine(1);
    let frames: Vec<u8> = (0..100)
        .flat_map(|number: u32| masked(Opcode::Text, number.to_string().as_bytes()))
        .collect();
    let (stream, transport) = tls_pair(&frames).await;
    serve(&engine, transport, echo(), Log::default()).await;
    let mut client = client(stream).await;
    for number in 0..100 {
        assert_eq!(next(&mut client).await, Message::text(number.to_string()));
    }
}

#[tokio::test]
async fn long_messages_are_echoed() {
    let (stream, transport) = tls_pair(&[]).await;
    echoes_long_messages(stream, transport).await;
}

#[tokio::test]
async fn a_large_backlog_drains_as_the_client_reads() {
    let (stream, transport) = tls_pair(&[]).await;
    drains_as_the_client_reads(stream, transport).await;
}

/// Tests that the rest of a record goes out which the kernel did not take, though the shard has
/// nothing more to write.
#[tokio::test]
async fn the_rest_of_a_message_follows_when_the_client_reads() {
    let engine = engine(1);
    let (stream, transport) = tls_pair(&[]).await;
    let Transport::Tls(socket, _) = &transport else {
        panic!("a TLS pair was asked for");
    };
    // Together they hold less than one record.
    SockRef::from(socket).set_send_buffer_size(2048).unwrap();
    let ours = SockRef::from(stream.get_ref().0);
    ours.set_recv_buffer_size(2048).unwrap();
    let connection = serve(&engine, transport, Script::default(), Log::default()).await;
    let mut client = client(stream).await;
    for number in 0..10 {
        let frame = Frame::binary(&[number; 16_000]);
        connection.send(frame);
        // Counted as written, and not all of it is.
        timeout(PATIENCE, async {
            while connection.buffered() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(next(&mut client).await == Message::binary(vec![number; 16_000]));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let (_stream, transport) = tls_pair(&[]).await;
    is_closed_as_a_slow_reader(transport).await;
}

#[tokio::test]
async fn what_is_no_tls_breaks_the_transport_behind_what_came_before() {
    let engine = engine(1);
    let log = Log::default();
    let hello = masked(Opcode::Text, b"hello");
    let (stream, transport) = tls_pair(&hello).await;
    let (mut stream, _) = stream.into_inner();
    stream.write_all(&[0xff; 100]).await.unwrap();
    serve(&engine, transport, Script::default(), log.clone()).await;
    let mut rest = Vec::new();
    // An alert, and the end; or a reset, as not all was read.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap();
    shut_down(&engine).await;
    let log = log.take();
    assert_eq!(log[..2], ["open", "hello"]);
    assert!(log[2].starts_with("error: transport"), "{log:?}");
    assert!(log[3].starts_with("close 1006"), "{log:?}");
}

#[tokio::test]
async fn an_end_below_tls_and_one_within_it_are_both_noticed() {
    for within_tls in [true, false] {
        let engine = engine(1);
        let log = Log::default();
        let (mut stream, transport) = tls_pair(&[]).await;
        let connection = serve(&engine, transport, Script::default(), log.clone()).await;
        if within_tls {
            // The TCP connection stays open until the server has closed.
            stream.get_mut().1.send_close_notify();
            stream.flush().await.unwrap();
        } else {
            stream.get_mut().0.shutdown().await.unwrap();
        }
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .unwrap();
        shut_down(&engine).await;
        assert_eq!(log.take(), ["open", "close 1006 '' unclean"]);
        drop(connection);
    }
}
