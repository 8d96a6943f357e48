//! The echo for conformance suites, fuzzers and load generators: every text and binary
//! message goes back as it came.
//!
//! `cargo run --release -p nextrush --example echo -- --port 9001`, then connect to
//! `ws://localhost:9001/echo`; port 0 picks a free one. `tools/autobahn` says how it fares
//! in the Autobahn suite.

use clap::Parser;
use nextrush::limits::{Backlog, DeflateConfig, Limits, Origin};
use nextrush::{App, BoxError, Message, OriginPolicy, Socket, SocketOptions};

/// Echoes every WebSocket message at /echo.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The port to listen on, on every interface; 0 picks a free one.
    #[arg(long, default_value_t = 9001)]
    pub port: u16,

    /// The longest message that is taken, in bytes; a longer one is answered with 1009.
    ///
    /// The default is the longest that the Autobahn suite sends (case 9.1.6) and 256 times
    /// what an endpoint of the framework takes by default.
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub max_message: usize,

    /// An origin whose pages may connect; may be repeated. Without it those of the
    /// server's own origin may, and with it only those that are listed.
    #[arg(long, value_name = "URL")]
    pub allow_origin: Vec<Origin>,

    /// Compress nothing, whatever clients offer.
    #[arg(long)]
    pub no_deflate: bool,
}

/// The application, to be served or tested.
pub fn app(arguments: &Arguments) -> App {
    let mut app = App::new();

    if !arguments.allow_origin.is_empty() {
        app.origins(OriginPolicy::list(arguments.allow_origin.clone()));
    }
    app.options(
        SocketOptions::default()
            .limits(Limits::message(arguments.max_message))
            // One message of any length is always answered; this lets a client send a second
            // one before it has read the first.
            .backlog(Backlog::default().bytes(arguments.max_message.max(Backlog::default().bytes)))
            // Off by default: a message here holds no secret.
            .deflate((!arguments.no_deflate).then(DeflateConfig::default)),
    );

    app.ws("/echo", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });

    app
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let server = app(&arguments).listen(arguments.port).start().await?;
    println!("listening on port {}", server.address().port());
    server.run_until_signal().await?;
    Ok(())
}
