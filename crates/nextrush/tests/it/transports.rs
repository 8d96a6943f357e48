//! The same behaviour, whatever the way that a client comes.

use std::time::Duration;

use nextrush::{App, CloseReason, Message, Socket, SocketOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Theirs;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::http2::{self, DATA};
use crate::support::within;
use crate::ways::{self, Http};

/// An application in which everything can be tried, and what its functions tell.
fn app() -> (App, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let mut app = App::new();
    app.ws("/", move |socket: Socket| {
        socket.join("lobby").unwrap();
        socket.on_message(|socket: Socket, message: Message| match message.as_text() {
            Some("close") => socket.close(4000, "as you like"),
            _ => socket.send(message),
        });
        let tell = tell.clone();
        socket.on_close(move |_: Socket, reason: CloseReason| {
            let reason = format!("{} {}", reason.code.as_u16(), reason.reason);
            tell.send(reason).unwrap();
        });
        socket.send("welcome");
    });
    (app, told)
}

#[tokio::test]
async fn texts_and_binaries_come_back_and_closing_is_in_order() {
    for way in ways::all() {
        println!("{way}");
        let (app, mut told) = app();
        let host = way.host(app).await;

        let mut client = host.connect("/").await;
        assert_eq!(client.next().await, Some("welcome".into()));
        for message in [
            Theirs::text("hello"),
            Theirs::binary(&b"\0\xff"[..]),
            Theirs::text(""),
            Theirs::text("x".repeat(60_000)),
            Theirs::binary(vec![7; 65_536]),
        ] {
            client.send(message.clone()).await;
            // Not `assert_eq`: a failure would print all of it.
            assert!(client.next().await == Some(message));
        }
        let frame = CloseFrame {
            code: 4321.into(),
            reason: "enough".into(),
        };
        client.send(Theirs::Close(Some(frame))).await;
        assert!(
            matches!(client.next().await, Some(Theirs::Close(Some(frame))) if frame.code == 4321.into())
        );
        assert_eq!(client.next().await, None);
        assert_eq!(within(told.recv()).await.unwrap(), "4321 enough");

        let mut client = host.connect("/").await;
        assert_eq!(client.next().await, Some("welcome".into()));
        client.send("close".into()).await;
        assert!(
            matches!(client.next().await, Some(Theirs::Close(Some(frame))) if frame.code == 4000.into())
        );
        assert_eq!(client.next().await, None);
        assert_eq!(within(told.recv()).await.unwrap(), "4000 as you like");

        // Without a close frame.
        let mut client = host.connect("/").await;
        assert_eq!(client.next().await, Some("welcome".into()));
        drop(client);
        assert_eq!(
            within(told.recv()).await.unwrap().split(' ').next(),
            Some("1006")
        );
    }
}

#[tokio::test]
async fn a_room_reaches_all_its_members_in_order() {
    for way in ways::all() {
        println!("{way}");
        let (app, _told) = app();
        let host = way.host(app).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = host.connect("/").await;
            assert_eq!(client.next().await, Some("welcome".into()));
            clients.push(client);
        }
        for number in 0..200 {
            host.handle.room("lobby").send(number.to_string());
        }
        for client in &mut clients {
            for number in 0..200 {
                assert_eq!(client.next().await, Some(Theirs::text(number.to_string())));
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_a_bounded_amount() {
    for way in ways::all() {
        println!("{way}");
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut app = App::new();
        let mut options = SocketOptions::default();
        options.backlog.bytes = 200_000;
        options.close_timeout = Duration::from_millis(10);
        app.options(options);
        app.ws("/slow", move |socket: Socket| {
            socket.join("news").unwrap();
            let tell = tell.clone();
            socket.on_close(move |_: Socket, reason: CloseReason| {
                tell.send(reason.code.as_u16()).unwrap();
            });
            socket.send("welcome");
        });
        let host = way.host(app).await;
        let mut slow = host.connect("/slow").await;
        assert_eq!(slow.next().await, Some("welcome".into()));
        let room = host.handle.room("news");
        let mut published = 0;
        let publishing = async {
            while room.has_local_members() {
                room.send("x".repeat(10_000));
                published += 10_000;
                tokio::task::yield_now().await;
            }
        };
        within(publishing).await;
        assert_eq!(within(told.recv()).await.unwrap(), 1013);
        // Nobody had this much in his buffers.
        assert!(published > 200_000);
    }
}

#[tokio::test]
async fn a_frame_right_behind_the_handshake_is_not_lost() {
    // "hello" and "close", masked with zeros.
    let frames = b"\x81\x85\0\0\0\0hello\x81\x85\0\0\0\0close";
    for way in ways::all() {
        println!("{way}");
        let (app, mut told) = app();
        let host = way.host(app).await;
        let mut stream = host.dial().await;
        let opening = match way.http {
            Http::One => {
                let head = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                            Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
                [head.as_bytes(), frames].concat()
            }
            Http::Two => [
                http2::preface(),
                http2::connect(1, "/"),
                http2::frame(DATA, 0, 1, frames),
            ]
            .concat(),
        };
        stream.write_all(&opening).await.unwrap();
        let expected = b"\x81\x07welcome\x81\x05hello\x88\x0d\x0f\xa0as you like";
        let mut received = Vec::new();
        while !ends_with(&received, way.http, expected) {
            let read = within(stream.read_buf(&mut received)).await.unwrap();
            assert!(read > 0, "the end after {}", received.escape_ascii());
        }
        drop(stream);
        within(told.recv()).await.unwrap();
    }
}

/// Returns whether the received bytes, without the frames of HTTP/2 around them, end with the
/// expected ones.
fn ends_with(received: &[u8], http: Http, expected: &[u8]) -> bool {
    match http {
        Http::One => received.ends_with(expected),
        Http::Two => {
            let data = http2::frames(received).filter(|frame| frame.kind == DATA);
            let payload: Vec<u8> = data.flat_map(|frame| frame.payload.to_vec()).collect();
            payload == expected
        }
    }
}
