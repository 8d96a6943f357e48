//! The guide's "Basic WebSocket Usage": a greeting and an echo.
//!
//! `cargo run -p nextrush --example basic_usage`, then connect to
//! `ws://localhost:3000/chat`. The program `nextrush` has it in `routes/guide/plain.rs`
//! and serves it with `--open-endpoints`.

use nextrush::{App, CloseReason, ConnectionError, Message, Socket};

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();

    app.ws("/chat", async |socket: Socket| {
        println!("Client connected");

        // Send welcome message
        socket.send("Welcome to the chat!");

        // Handle incoming messages
        socket.on_message(async |socket: Socket, message: Message| {
            println!("Received: {message}");
            socket.send(format!("Echo: {message}"));
        });

        // Handle client disconnect
        socket.on_close(|_: Socket, reason: CloseReason| {
            println!("Client disconnected: {reason}");
        });

        // Handle errors
        socket.on_error(|_: Socket, error: ConnectionError| {
            eprintln!("WebSocket error: {error}");
        });
    });

    app
}

#[tokio::main]
async fn main() -> nextrush::Result {
    println!("Server with WebSocket running on port 3000");
    app().listen(3000).await
}
