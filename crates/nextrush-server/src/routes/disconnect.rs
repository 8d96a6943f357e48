//! Disconnecting sockets at the request of a server or an operator.

use nextrush::Socket;
use serde::Serialize;

/// The answer to a request to disconnect.
#[derive(Serialize)]
pub(super) struct Disconnected {
    disconnected: usize,
}

/// Closes the sockets with 1008. Their users can come back while their tokens are valid.
pub(super) fn disconnect(sockets: &[Socket]) -> Disconnected {
    for socket in sockets {
        socket.close(1008, "Disconnected");
    }
    Disconnected {
        disconnected: sockets.len(),
    }
}
