use futures_util::{SinkExt, StreamExt};
use tokio_websockets::{ClientBuilder, Message, Payload, ServerBuilder, WebSocketStream};

use crate::codec::{Codec, Connection, run};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Direction, Work};

/// `tokio-websockets`: `WebSocketStream`, a stream and sink of messages.
#[derive(Debug)]
pub struct TokioWebSockets;

impl Codec for TokioWebSockets {
    const NAME: &'static str = "tokio-websockets";
    type Connection = WebSocketStream<Socket>;

    fn connect(work: &Work, socket: Socket) -> Self::Connection {
        match work.direction {
            Direction::ServerReceives | Direction::ServerSends => {
                ServerBuilder::new().serve(socket)
            }
            Direction::ClientReceives | Direction::ClientSends => {
                ClientBuilder::new().take_over(socket)
            }
        }
    }
}

impl Connection for WebSocketStream<Socket> {
    type Outgoing = Message;

    fn receive(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let message = self.next().await.expect("endless").expect("valid frames");
                assert!(message.is_text() || message.is_binary());
                each(&message.into_payload());
            }
        });
    }

    fn outgoing(sample: &Sample) -> Self::Outgoing {
        if sample.kind().is_text() {
            Message::text(Payload::from(sample.payload()))
        } else {
            Message::binary(Payload::from(sample.payload()))
        }
    }

    fn send(&mut self, message: &Self::Outgoing, count: usize) {
        run(async {
            for _ in 0..count {
                self.feed(message.clone()).await.expect("in memory");
            }
            self.flush().await.expect("in memory");
        });
    }

    fn into_socket(self) -> Option<Socket> {
        Some(self.into_inner())
    }
}
