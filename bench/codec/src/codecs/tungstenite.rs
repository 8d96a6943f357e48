use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use crate::codec::{Codec, Connection};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Arrival, Direction, Work};

/// `tungstenite`: `WebSocket` over a blocking stream.
#[derive(Debug)]
pub struct Tungstenite;

impl Codec for Tungstenite {
    const NAME: &'static str = "tungstenite";
    type Connection = WebSocket<Socket>;

    fn connect(work: &Work, socket: Socket) -> Self::Connection {
        let role = match work.direction {
            Direction::ServerReceives | Direction::ServerSends => Role::Server,
            Direction::ClientReceives | Direction::ClientSends => Role::Client,
        };
        // Before each read it writes zeros over what is free of its read buffer.
        let read_buffer = match work.arrival {
            Arrival::Bulk => 128 * 1024,
            Arrival::OneByOne => 4 * 1024,
        };
        let config = WebSocketConfig::default().read_buffer_size(read_buffer);
        WebSocket::from_raw_socket(socket, role, Some(config))
    }
}

impl Connection for WebSocket<Socket> {
    type Outgoing = Message;

    fn receive(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        for _ in 0..count {
            match self.read().expect("valid frames") {
                Message::Text(text) => each(text.as_bytes()),
                Message::Binary(data) => each(&data),
                other => unreachable!("only messages are sent: {other:?}"),
            }
        }
    }

    fn outgoing(sample: &Sample) -> Self::Outgoing {
        if sample.kind().is_text() {
            Message::Text(Utf8Bytes::try_from(sample.payload()).expect("text"))
        } else {
            Message::Binary(sample.payload())
        }
    }

    fn send(&mut self, message: &Self::Outgoing, count: usize) {
        for _ in 0..count {
            self.write(message.clone()).expect("in memory");
        }
        self.flush().expect("in memory");
    }

    fn into_socket(self) -> Option<Socket> {
        Some(self.into_inner())
    }
}
