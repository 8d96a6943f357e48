//! The example of two nodes and a page.

use serde_json::json;

#[expect(dead_code, reason = "the example is a program of its own")]
#[allow(unreachable_pub, reason = "the example is a program of its own")]
#[path = "../../../../examples/two_nodes.rs"]
mod two_nodes;

use crate::servers::{Server as Redis, programs};
use crate::support::Client;

#[tokio::test]
async fn each_message_says_on_which_node_it_was_written() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let url = redis.url().to_string();
        let mut clients = Vec::new();
        let mut servers = Vec::new();
        for name in ["node-1", "node-2"] {
            let app = two_nodes::node(&url, name).await.unwrap();
            let server = app.listen("127.0.0.1:0").start().await.unwrap();
            let mut client = Client::connect(&server, "/lobby").await;
            let hello = json!({ "type": "hello", "node": name });
            assert_eq!(client.json().await, hello);
            client.json_of("subscribed").await;
            clients.push(client);
            servers.push(server);
        }
        for (number, name) in ["node-1", "node-2"].into_iter().enumerate() {
            clients[number].say("hello").await;
            for client in &mut clients {
                let said = client.json_of("publication").await;
                assert_eq!(said["data"], json!({ "text": "hello", "node": name }));
            }
        }
    }
}
