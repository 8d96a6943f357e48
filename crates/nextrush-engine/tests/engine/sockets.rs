//! The engine on real sockets.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nextrush_engine::Transport;
use nextrush_protocol::{CloseCode, CloseFrame, Frame};
use tokio::io::AsyncReadExt;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as TheirCode;

use crate::real::{
    PATIENCE, client, drains_as_the_client_reads, echo, echoes_long_messages, engine,
    is_closed_as_a_slow_reader, next, serve, shut_down, tcp_pair,
};
use crate::support::{Log, Script};

#[tokio::test]
async fn messages_are_echoed_and_the_close_is_answered() {
    for shards in [1, 3] {
        let engine = engine(shards);
        let log = Log::default();
        let (stream, transport) = tcp_pair().await;
        serve(&engine, transport, echo(), log.clone()).await;
        let mut client = client(stream).await;
        let long = "long ".repeat(10_000);
        for text in ["hello", "größer", long.as_str()] {
            client.send(Message::text(text)).await.unwrap();
            assert_eq!(next(&mut client).await, Message::text(text));
        }
        client.close(None).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Close(None));
        assert!(timeout(PATIENCE, client.next()).await.unwrap().is_none());
        drop(client);
        shut_down(&engine).await;
        assert_eq!(log.take().last().unwrap(), "close 1005 '' clean");
    }
}

#[tokio::test]
async fn a_shard_at_work_does_not_wake_itself() {
    let engine = engine(1);
    let (stream, transport) = tcp_pair().await;
    serve(&engine, transport, echo(), Log::default()).await;
    let mut client = client(stream).await;
    let turns = || engine.metrics().shards[0].turns.count();
    let mut before = 0;
    for number in 0..210 {
        if number == 10 {
            before = turns();
        }
        client.send(Message::text("hello")).await.unwrap();
        assert_eq!(next(&mut client).await, Message::text("hello"));
    }
    // Each echo is sent in the turn that reads its message; a second one would find nothing to do.
    let turns = turns() - before;
    assert!((150..250).contains(&turns), "{turns} turns for 200 echoes");
    drop(client);
    shut_down(&engine).await;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn the_kernel_sends_at_once_and_holds_little_unsent() {
    let engine = engine(1);
    let (_client, transport) = tcp_pair().await;
    let Transport::Tcp(stream) = &transport else {
        panic!("a TCP pair was asked for");
    };
    let socket = stream.try_clone().unwrap();
    serve(&engine, transport, Script::default(), Log::default()).await;
    assert!(socket.nodelay().unwrap());
    let not_sent = socket2::SockRef::from(&socket).tcp_notsent_lowat();
    assert_eq!(not_sent.unwrap(), 16 * 1024);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_served_like_any_other() {
    let engine = engine(1);
    let (near, far) = UnixStream::pair().unwrap();
    let transport = Transport::from(far.into_std().unwrap());
    serve(&engine, transport, echo(), Log::default()).await;
    let mut client = client(near).await;
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("hello"));
}

#[tokio::test]
async fn a_room_over_several_shards_reaches_everybody_in_order() {
    let engine = engine(3);
    let room = engine.room("lobby");
    let mut clients = Vec::new();
    for _ in 0..9 {
        let (stream, transport) = tcp_pair().await;
        let connection = serve(&engine, transport, Script::default(), Log::default()).await;
        connection.join(&room).unwrap();
        clients.push(client(stream).await);
    }
    let publisher = tokio::task::spawn_blocking(move || {
        for number in 0..500 {
            room.publish(Frame::text(&number.to_string()));
        }
    });
    for client in &mut clients {
        for number in 0..500 {
            assert_eq!(next(client).await, Message::text(number.to_string()));
        }
    }
    publisher.await.unwrap();
}

#[tokio::test]
async fn work_of_handlers_may_use_the_runtime() {
    let engine = engine(1);
    let script = Script::default().on_message(|connection, text| {
        let (connection, text) = (connection.clone(), text.to_owned());
        Some(Box::pin(async move {
            let text = tokio::spawn(async move { text.to_uppercase() })
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            connection.send(Frame::text(&text));
        }))
    });
    let (stream, transport) = tcp_pair().await;
    let _made = serve(&engine, transport, script, Log::default()).await;
    let mut client = client(stream).await;
    for text in ["one", "two"] {
        client.send(Message::text(text)).await.unwrap();
    }
    assert_eq!(next(&mut client).await, Message::text("ONE"));
    assert_eq!(next(&mut client).await, Message::text("TWO"));
}

#[tokio::test]
async fn long_messages_are_echoed() {
    let (stream, transport) = tcp_pair().await;
    echoes_long_messages(stream, transport).await;
}

#[cfg(unix)]
#[tokio::test]
async fn long_messages_are_echoed_over_a_unix_socket() {
    let (near, far) = UnixStream::pair().unwrap();
    echoes_long_messages(near, Transport::from(far.into_std().unwrap())).await;
}

#[tokio::test]
async fn a_large_backlog_drains_as_the_client_reads() {
    let (stream, transport) = tcp_pair().await;
    drains_as_the_client_reads(stream, transport).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_before_the_kernel_holds_megabytes_for_it() {
    let (mut stream, transport) = tcp_pair().await;
    is_closed_as_a_slow_reader(transport).await;
    let mut rest = Vec::new();
    // It may end in a reset, as the connection was cut.
    match timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
    {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn a_shutdown_closes_clients_with_its_code() {
    let engine = engine(3);
    let mut clients = Vec::new();
    for _ in 0..6 {
        let (stream, transport) = tcp_pair().await;
        serve(&engine, transport, Script::default(), Log::default()).await;
        clients.push(client(stream).await);
    }
    let closing = {
        let engine = engine.clone();
        tokio::spawn(async move {
            let frame = CloseFrame::new(CloseCode::GOING_AWAY, "restart");
            engine.shutdown(frame, PATIENCE).await;
        })
    };
    for mut client in clients {
        let Message::Close(Some(frame)) = next(&mut client).await else {
            panic!("a close frame was due");
        };
        assert_eq!(
            (frame.code, frame.reason.as_str()),
            (TheirCode::Away, "restart")
        );
        // Sends the answer, and waits for the end of the stream.
        assert!(timeout(PATIENCE, client.next()).await.unwrap().is_none());
    }
    timeout(PATIENCE, closing).await.unwrap().unwrap();
    assert_eq!(engine.connections(), 0);
}

#[tokio::test]
async fn dropping_the_last_handle_of_an_engine_cuts_its_connections() {
    let engine = engine(2);
    let (mut stream, transport) = tcp_pair().await;
    let log = Log::default();
    serve(&engine, transport, Script::default(), log.clone()).await;
    drop(engine);
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest, b"");
    assert_eq!(
        log.take(),
        ["open", "close 1006 'the engine stopped' unclean"]
    );
}
