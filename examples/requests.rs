//! Requests with answers, both ways: a client asks for a sum, and the server asks who the client is.
//!
//! `cargo run -p nextrush --example requests -- 3000`; port 0 picks a free one. In JavaScript:
//!
//! ```js
//! client.handle('name', async () => 'Ada');
//! const sum = await client.request({ type: 'add', a: 1, b: 2 });
//! ```

use std::time::Duration;

use nextrush::{App, BoxError, ErrorMessage, Socket};

#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Command {
    Add { a: i32, b: i32 },
}

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();

    app.ws("/", |socket: Socket| {
        socket.on_request(async |_: Socket, Command::Add { a, b }: Command| {
            a.checked_add(b)
                .ok_or(ErrorMessage::new("overflow", "Too large"))
        });

        tokio::spawn(async move {
            match socket
                .request::<String>("name", &(), Duration::from_secs(10))
                .await
            {
                Ok(name) => socket.send(format!("Hello, {name}")),
                Err(error) => println!("nobody to greet: {error}"),
            }
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
