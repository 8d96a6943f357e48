//! The guide's "Testing WebSocket": the endpoint under test. The test itself is
//! in `crates/nextrush/tests/it/guide_testing.rs`, and once more in JavaScript in
//! `tests/node/guide.test.js`.
//!
//! `cargo run -p nextrush --example testing -- 3000`; port 0 picks a free one.

use nextrush::{App, BoxError, Message, Socket};

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();

    app.ws("/test", |socket: Socket| {
        socket.send("welcome");
        socket.on_message(|socket: Socket, message: Message| {
            socket.send(format!("echo: {message}"));
        });
    });

    app
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let port = std::env::args()
        .nth(1)
        .map_or(Ok(3000), |port| port.parse())?;
    let server = app().listen(port).start().await?;
    println!("listening on port {}", server.address().port());
    server.run_until_signal().await?;
    Ok(())
}
