//! Two nodes of one application on a Redis, and a page that shows where each message came from.
//!
//! `cargo run -p nextrush --example two_nodes -- redis://localhost`, then open
//! `http://localhost:3001` and `http://localhost:3002` beside each other.

use axum::response::Html;
use nextrush::node::NodeName;
use nextrush::{App, BoxError, Message, Socket};
use nextrush_redis::{Redis, RedisOptions};
use serde_json::json;

/// A node: the application on a connection of its own to the Redis that all nodes share.
///
/// # Errors
///
/// Fails when the Redis cannot be used, and when `name` is not a node's.
pub async fn node(redis: &str, name: &str) -> Result<App, BoxError> {
    let options = RedisOptions::default().node(NodeName::try_from(name)?);
    let broker = Redis::with_options(&redis.parse()?, options).await?;
    let mut app = App::builder().broker(broker).build();

    app.ws("/lobby", async |socket: Socket| -> Result<(), BoxError> {
        // What is said goes through a topic, which all nodes share and Redis remembers.
        let lobby = socket.app().topic("lobby");
        socket.send_json(&json!({ "type": "hello", "node": socket.app().node().as_str() }))?;
        lobby.subscribe(&socket, None).await?;
        socket.on_message(async move |socket: Socket, message: Message| {
            let said = json!({ "text": message.to_string(), "node": socket.app().node().as_str() });
            lobby.publish(&said).await.map(drop)
        });
        Ok(())
    });
    app.get("/", async || Html(include_str!("two_nodes.html")));

    Ok(app)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let redis = std::env::args().nth(1);
    let redis = redis.as_deref().unwrap_or("redis://localhost");
    let [one, two] = [node(redis, "node-1").await?, node(redis, "node-2").await?];
    let _two = two.listen("127.0.0.1:3002").start().await?;
    one.listen("127.0.0.1:3001").await?;
    Ok(())
}
