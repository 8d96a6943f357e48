use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use yawc::{CompressionLevel, Frame, OpCode, Options, Role, WebSocket};

use crate::codec::{Codec, Connection, run};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Direction, Work};

/// `yawc`: `WebSocket`, a stream and sink of messages, the one peer that compresses.
#[derive(Debug)]
pub struct Yawc;

/// The peers' default for messages.
const LIMIT: usize = 64 * 1024 * 1024;

impl Codec for Yawc {
    const NAME: &'static str = "yawc";
    type Connection = YawcConnection;

    fn connect(work: &Work, socket: Socket) -> Self::Connection {
        let role = match work.direction {
            Direction::ServerReceives | Direction::ServerSends => Role::Server,
            Direction::ClientReceives | Direction::ClientSends => Role::Client,
        };
        let options = Options::default()
            .with_compression_level(CompressionLevel::fast())
            .server_no_context_takeover()
            .client_no_context_takeover()
            .with_limits(LIMIT, 2 * LIMIT)
            .with_utf8();
        let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let socket = WebSocket::from_stream_with_extensions(socket, role, Some(agreed), options);
        YawcConnection(socket.expect("right options"))
    }
}

/// A `WebSocket` of `yawc`.
pub struct YawcConnection(WebSocket<Socket>);

impl std::fmt::Debug for YawcConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("YawcConnection")
    }
}

impl Connection for YawcConnection {
    type Outgoing = (bool, Bytes);

    fn receive(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let frame = self.0.next().await.expect("endless");
                assert!(matches!(frame.opcode(), OpCode::Text | OpCode::Binary));
                each(frame.payload());
            }
        });
    }

    fn outgoing(sample: &Sample) -> Self::Outgoing {
        (sample.kind().is_text(), sample.payload())
    }

    fn send(&mut self, (is_text, payload): &Self::Outgoing, count: usize) {
        run(async {
            for _ in 0..count {
                let frame = if *is_text {
                    Frame::text(payload.clone())
                } else {
                    Frame::binary(payload.clone())
                };
                self.0.feed(frame).await.expect("in memory");
            }
            self.0.flush().await.expect("in memory");
        });
    }

    fn into_socket(self) -> Option<Socket> {
        None
    }
}
