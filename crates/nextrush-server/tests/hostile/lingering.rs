//! Clients whose connections are closing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{serve, within};

/// A close frame without a code, masked with zeros.
const CLOSE: [u8; 6] = [0x88, 0x80, 0, 0, 0, 0];

#[tokio::test]
async fn a_client_that_only_sends_while_its_close_lingers_is_read_from_for_16_mib_at_most() {
    let server = serve(&["--open-endpoints"]).await;
    // Closed by the client, and by its violation of the protocol.
    for end in [&CLOSE[..], &[0xff; 10]] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        within(stream.read_exact(&mut [0; 12])).await.unwrap();
        stream.write_all(end).await.unwrap();
        let flood = vec![0; 64 * 1024];
        let mut sent = 0;
        // It is cut after 2 s in any case, in which time gigabytes come.
        while within(stream.write_all(&flood)).await.is_ok() {
            sent += flood.len();
        }
        // With what the buffers of both sides hold.
        assert!(sent < 32 << 20, "{sent} bytes");
    }
}
