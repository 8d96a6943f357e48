//! Private messages over servers.

use serde_json::json;

use crate::away::Node;
use crate::servers::{Server as Redis, programs};
use crate::support::signal;

#[tokio::test]
async fn a_private_message_that_is_tried_again_while_a_server_hangs_is_delivered_once() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let one = Node::named(&redis, "one").await;
        let two = Node::named(&redis, "two").await;
        let mut ada = one.client("/chat/lobby", "ada").await;
        ada.json_of("room-history").await;
        let mut bob = two.client("/chat/lobby", "bob").await;
        bob.json_of("room-history").await;
        ada.json_of("user-joined").await;
        let private =
            json!({ "type": "private", "targetUserId": "bob", "text": "once", "id": "1" });

        signal(&two.program, "STOP").await;
        ada.send(private.clone()).await;
        let refused = ada.json_of("error").await;
        assert_eq!(refused["code"], "unavailable", "{refused}");
        signal(&two.program, "CONT").await;
        let got = bob.json_of("private-message").await;
        assert_eq!(got["text"], "once");
        let sent = loop {
            ada.send(private.clone()).await;
            let answer = ada.json().await;
            if answer["code"] != "unavailable" {
                break answer;
            }
        };
        assert_eq!(sent["type"], "private-message-sent", "{sent}");
        // The next one that he gets is the next one.
        let next = json!({ "type": "private", "targetUserId": "bob", "text": "next", "id": "2" });
        ada.send(next).await;
        assert_eq!(bob.json_of("private-message").await["text"], "next");
    }
}
