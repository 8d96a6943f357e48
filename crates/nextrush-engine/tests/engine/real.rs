//! Real transports: an engine with threads, and tokio-tungstenite as the client.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nextrush_engine::{
    Backlog, Connection, Engine, EngineConfig, Handler, Handover, Incoming, SocketOptions,
    Transport, Work,
};
use nextrush_protocol::{CloseCode, CloseFrame, Frame, Limits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{Log, Script, handover};

/// Far more time than anything here takes; a test that hangs fails by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An engine with so many shards, each on a thread.
pub(crate) fn engine(shards: usize) -> Engine {
    Engine::new(EngineConfig::default().shards(NonZeroUsize::new(shards).unwrap()))
}

/// Lets the engine serve a transport. Returns when the connection is open.
pub(crate) async fn serve(
    engine: &Engine,
    transport: Transport,
    script: Script,
    log: Log,
) -> Connection {
    let (opened, open) = oneshot::channel();
    let script_open = handover().open.unwrap();
    let handover = Handover::default().open(|connection| {
        // Received below.
        let _ = opened.send(connection.clone());
        script_open(connection)
    });
    let options = Arc::new(script.options.clone());
    let handler = script.handler(log);
    engine
        .accept(transport, handover, options, handler)
        .unwrap();
    open.await.unwrap()
}

/// Both ends of a new TCP connection.
pub(crate) async fn tcp_pair() -> (TcpStream, Transport) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, Transport::Tcp(listener.accept().unwrap().0))
}

/// A client on a stream whose opening handshake counts as done.
pub(crate) async fn client<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

/// The next message for a client.
pub(crate) async fn next<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut WebSocketStream<S>,
) -> Message {
    timeout(PATIENCE, client.next())
        .await
        .expect("an answer")
        .expect("an open stream")
        .unwrap()
}

/// A script that sends each text back.
pub(crate) fn echo() -> Script {
    Script::default().on_message(|connection, text| {
        connection.send(Frame::text(text));
        None
    })
}

/// Checks that long messages come back, however they are connected: those that have a place in the read
/// buffer and longer ones.
pub(crate) async fn echoes_long_messages<S>(stream: S, transport: Transport)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let engine = engine(1);
    let options = SocketOptions::default()
        .limits(Limits::message(4 << 20))
        .backlog(Backlog::default().bytes(16 << 20));
    engine
        .accept(transport, Handover::default(), Arc::new(options), EchoAll)
        .unwrap();
    let mut client = client(stream).await;
    for length in [10_000, 16_384, 65_536, 200_000, 300_000, 3_000_000] {
        let text: String = "aé€😀".chars().cycle().take(length / 2).collect();
        let data: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        for message in [Message::text(text), Message::binary(data)] {
            client.feed(message.clone()).await.unwrap();
            client.send(Message::text("small")).await.unwrap();
            // Not `assert_eq`: a failure would print all of it.
            assert!(next(&mut client).await == message, "{length}");
            assert_eq!(next(&mut client).await, Message::text("small"));
        }
    }
    shut_down(&engine).await;
}

/// Sends each message back without a copy.
struct EchoAll;

impl Handler for EchoAll {
    fn message(&self, connection: &Connection, message: Incoming<'_>) -> Work {
        connection.send(match message {
            Incoming::Text(text) => Frame::from_text(text.into_owned()),
            Incoming::Binary(data) => Frame::from_binary(data.into_owned()),
        });
        None
    }
}

/// Ends the engine, with 1001 for all that are connected.
pub(crate) async fn shut_down(engine: &Engine) {
    engine
        .shutdown(CloseFrame::new(CloseCode::GOING_AWAY, ""), PATIENCE)
        .await;
}

/// Checks that a client that does not read is closed, however it is connected.
pub(crate) async fn is_closed_as_a_slow_reader(transport: Transport) {
    let engine = engine(1);
    let log = Log::default();
    let script = Script::default().options(|options| {
        options.backlog.bytes = 200_000;
        options.close_timeout = Duration::from_millis(10);
    });
    let connection = serve(&engine, transport, script, log.clone()).await;
    let room = engine.room("news");
    connection.join(&room).unwrap();
    // Each publication is a turn of the shard or a part of one; in the end it is too much.
    while !room.is_empty() {
        room.publish(Frame::binary(&[0; 10_000]));
        tokio::task::yield_now().await;
    }
    shut_down(&engine).await;
    assert_eq!(
        log.take(),
        [
            "open",
            "error: client reads too slowly",
            "close 1013 'client reads too slowly' unclean"
        ]
    );
}

/// Checks that a large backlog drains as the client reads, however it is connected.
pub(crate) async fn drains_as_the_client_reads<S>(stream: S, transport: Transport)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let engine = engine(1);
    let script = Script::default().options(|options| {
        options.backlog.bytes = 64 << 20;
        options.close_timeout = PATIENCE;
    });
    let connection = serve(&engine, transport, script, Log::default()).await;
    let data = |number: usize| vec![number as u8; 60_000 + number];
    for number in 0..300 {
        connection.send(Frame::binary(&data(number)));
    }
    connection.close(None);
    let mut client = client(stream).await;
    for number in 0..300 {
        // Not `assert_eq`: a failure would print all of it.
        assert!(next(&mut client).await == Message::binary(data(number)));
    }
    assert_eq!(next(&mut client).await, Message::Close(None));
}
