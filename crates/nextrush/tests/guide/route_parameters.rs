//! The guide's "WebSocket with Route Parameters", as clients see it on the wire.

use serde_json::json;

use super::server;
use crate::support::Client;

#[tokio::test]
async fn a_room_message_goes_to_the_others_as_it_came() {
    let server = server().await;
    let mut ada = Client::connect(&server, "/rooms/lobby?userId=ada").await;
    let mut bob = Client::connect(&server, "/rooms/lobby").await;
    let mut elsewhere = Client::connect(&server, "/rooms/other").await;
    assert_eq!(ada.text().await, "Welcome to room lobby!");
    assert_eq!(bob.text().await, "Welcome to room lobby!");
    assert_eq!(elsewhere.text().await, "Welcome to room other!");

    ada.send("  any {text}  ").await;
    assert_eq!(bob.text().await, "  any {text}  ");

    // Had Ada got her own message, it would have come before this one.
    bob.send("answer").await;
    assert_eq!(ada.text().await, "answer");

    let mut near = Client::connect(&server, "/rooms/other").await;
    assert_eq!(near.text().await, "Welcome to room other!");
    near.send("only here").await;
    assert_eq!(elsewhere.text().await, "only here");
}

#[tokio::test]
async fn several_parameters_are_filled_in() {
    let server = server().await;
    let mut client = Client::connect(&server, "/games/chess/players/ada%20l").await;
    assert_eq!(
        client.json().await,
        json!({ "type": "connected", "gameId": "chess", "playerId": "ada l" })
    );
}
