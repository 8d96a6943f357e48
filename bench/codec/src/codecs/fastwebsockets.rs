use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};

use crate::codec::{Codec, Connection, run};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Direction, Work};

/// `fastwebsockets`: `WebSocket`, which hands out frames. `FragmentCollector`, which hands
/// out messages as the others do, costs about 60 instructions more.
#[derive(Debug)]
pub struct FastWebSockets;

impl Codec for FastWebSockets {
    const NAME: &'static str = "fastwebsockets";
    type Connection = WebSocket<Socket>;

    fn connect(work: &Work, socket: Socket) -> Self::Connection {
        let role = match work.direction {
            Direction::ServerReceives | Direction::ServerSends => Role::Server,
            Direction::ClientReceives | Direction::ClientSends => Role::Client,
        };
        WebSocket::after_handshake(socket, role)
    }
}

impl Connection for WebSocket<Socket> {
    type Outgoing = (OpCode, Bytes);

    fn receive(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let frame = self.read_frame().await.expect("valid frames");
                match frame.opcode {
                    OpCode::Text | OpCode::Binary => each(&frame.payload),
                    other => unreachable!("only messages are sent: {other:?}"),
                }
            }
        });
    }

    fn outgoing(sample: &Sample) -> Self::Outgoing {
        let opcode = if sample.kind().is_text() {
            OpCode::Text
        } else {
            OpCode::Binary
        };
        (opcode, sample.payload())
    }

    fn send(&mut self, (opcode, payload): &Self::Outgoing, count: usize) {
        run(async {
            for _ in 0..count {
                let frame = Frame::new(true, *opcode, None, Payload::Borrowed(payload));
                self.write_frame(frame).await.expect("in memory");
            }
            self.flush().await.expect("in memory");
        });
    }

    fn into_socket(self) -> Option<Socket> {
        Some(self.into_inner())
    }
}
