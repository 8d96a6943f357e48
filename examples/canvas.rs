//! A drawing to which everybody adds: each stroke is a few bytes, which the server checks and remembers.
//!
//! `cargo run -p nextrush --example canvas -- 3000`; port 0 picks a free one. In JavaScript:
//!
//! ```js
//! const canvas = live.subscribe('canvas');
//! canvas.on('update', ({ data }) => draw(data)); // a Uint8Array
//! await canvas.publish(new Uint8Array([x, y, colour]));
//! ```

use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, PublishContext};
use nextrush::{App, BoxError, ErrorMessage, LiveUpdates, Socket};

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();

    let canvas = ChannelPolicy::new()
        .history(1000, Duration::from_secs(3600))
        .on_publish(
            async |context: PublishContext| match context.bytes.as_deref() {
                Some([_x, _y, _colour]) => Ok(()),
                _ => Err(ErrorMessage::new("no-stroke", "A stroke has three bytes")),
            },
        );
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("canvas", canvas))
        .build(&app, "live");
    app.ws("/live", move |socket: Socket| live.connect(&socket));

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
