//! The board in virtual time: clients on a simulated network, and a database in memory.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use nextrush::testing::{Client, Network};
use serde_json::{Value, json};

use crate::app;
use crate::store::Store;

fn network() -> Network {
    Network::new(app(Store::open(":memory:").unwrap()))
}

/// Somebody who has signed in.
struct Person {
    id: String,
    cookie: String,
    client: Client,
    asked: usize,
}

impl Person {
    async fn sign_in(network: &Network, name: &str) -> Self {
        let request = Request::post("/api/session")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(json!(name).to_string()));
        let response = network.request(request.unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        let me: Value = serde_json::from_slice(&body).unwrap();
        let request = Request::get("/live").header(COOKIE, &cookie).body(());
        let client = network.connect_with(request.unwrap()).await.unwrap();
        let id = me["id"].as_str().unwrap().to_owned();
        let mut person = Self {
            id,
            cookie,
            client,
            asked: 0,
        };
        let joined = person.next(|message| message["joined"] == true).await;
        assert_eq!(joined["data"], json!([]));
        person
    }

    /// The answer to a message; what comes before it is passed over.
    async fn ask(&mut self, mut message: Value) -> Value {
        self.asked += 1;
        let id = self.asked.to_string();
        message["id"] = json!(id);
        self.client.send_json(&message);
        self.next(|message| message["id"] == *id).await
    }

    /// The next message of a kind; others before it are passed over.
    async fn next(&mut self, is_meant: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.client.json().await;
            if is_meant(&message) {
                return message;
            }
        }
    }

    async fn update(&mut self, channel: &str) -> Value {
        let update =
            self.next(|message| message["type"] == "update" && message["channel"] == channel);
        update.await["data"].take()
    }

    async fn subscribe(&mut self, board: &str) -> Value {
        self.ask(json!({ "type": "subscribe", "channel": format!("board-{board}") }))
            .await
    }

    async fn create_board(&mut self) -> String {
        let create = json!({ "type": "create-board", "name": "Garden" });
        self.client.send_json(&create);
        let boards = self.update(&format!("user:{}", self.id)).await;
        boards[0]["id"].as_str().unwrap().to_owned()
    }
}

fn add(board: &str, text: &str) -> Value {
    json!({ "type": "add-card", "board": board, "list": "todo", "text": text })
}

#[tokio::test(start_paused = true)]
async fn members_see_the_board_and_what_others_do_on_it() {
    let network = network();
    let mut ada = Person::sign_in(&network, "Ada").await;
    let mut bob = Person::sign_in(&network, "Bob").await;
    let board = ada.create_board().await;
    assert_eq!(ada.subscribe(&board).await["data"]["cards"], json!([]));
    // Bob is no member, and the database says so.
    assert_eq!(bob.subscribe(&board).await["code"], "subscribe-refused");
    assert_eq!(bob.ask(add(&board, "Weeds")).await["code"], "forbidden");

    let invite = json!({ "type": "invite", "board": board, "name": "bob" });
    assert_eq!(ada.ask(invite).await["type"], "reply");
    let boards = bob.update(&format!("user:{}", bob.id)).await;
    assert_eq!(boards, json!([{ "id": board, "name": "Garden" }]));
    assert_eq!(ada.ask(add(&board, "Dig")).await["type"], "reply");
    let state = bob.subscribe(&board).await["data"].take();
    let card = json!({ "id": 1, "list": "todo", "place": 1.0, "text": "Dig" });
    assert_eq!(state["cards"], json!([card]));
    assert_eq!(state["members"][1]["name"], "Bob");

    let channel = format!("board-{board}");
    let to_done =
        json!({ "type": "move-card", "board": board, "card": 1, "list": "done", "place": 0.5 });
    bob.ask(to_done).await;
    let moved = ada
        .next(|message| message["data"]["card"]["list"] == "done")
        .await;
    assert_eq!(moved["data"]["card"]["place"], 0.5);
    bob.ask(json!({ "type": "move-card", "board": board, "card": 1, "list": "doing" }))
        .await;
    let card = json!({ "id": 1, "list": "doing", "place": 1.5, "text": "Dig" });
    assert_eq!(ada.update(&channel).await, json!({ "card": card }));
    bob.ask(json!({ "type": "delete-card", "board": board, "card": 1 }))
        .await;
    let deleted = json!({ "card": { "id": 1, "list": null } });
    assert_eq!(ada.update(&channel).await, deleted);
}

#[tokio::test(start_paused = true)]
async fn what_the_schema_refuses_is_told_and_changes_nothing() {
    let network = network();
    let mut ada = Person::sign_in(&network, "Ada").await;
    let board = ada.create_board().await;
    for (command, code) in [
        (add(&board, ""), "invalid"),
        (add(&board, &"x".repeat(501)), "invalid"),
        (
            json!({ "type": "add-card", "board": board, "list": "never", "text": "x" }),
            "invalid",
        ),
        (
            json!({ "type": "delete-card", "board": board, "card": 7 }),
            "not-found",
        ),
        (
            json!({ "type": "invite", "board": board, "name": "nobody" }),
            "not-found",
        ),
        (
            json!({ "type": "remove", "board": board, "user": ada.id }),
            "forbidden",
        ),
        (
            json!({ "type": "add-card", "board": board }),
            "invalid-format",
        ),
    ] {
        assert_eq!(ada.ask(command.clone()).await["code"], code, "{command}");
    }
    assert_eq!(ada.subscribe(&board).await["data"]["cards"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn names_and_pictures_are_shown_15_s_longer_than_a_lost_connection_lasts() {
    let network = network();
    let mut ada = Person::sign_in(&network, "Ada").await;
    let mut bob = Person::sign_in(&network, "Bob").await;
    let board = ada.create_board().await;
    ada.ask(json!({ "type": "invite", "board": board, "name": "Bob" }))
        .await;
    ada.subscribe(&board).await;
    bob.subscribe(&board).await;
    let came = ada
        .next(|message| message["joined"][0]["user"]["name"] == "Bob")
        .await;
    assert_eq!(came["joined"][0]["user"]["picture"], "/pictures/1.svg");

    bob.client.cut();
    network.advance(Duration::from_secs(14)).await;
    let channel = format!("board-{board}");
    let presence = json!({ "type": "presence", "channel": channel });
    assert_eq!(
        ada.ask(presence).await["members"].as_array().unwrap().len(),
        2
    );
    network.advance(Duration::from_secs(2)).await;
    let left = ada.next(|message| message["type"] == "presence-diff").await;
    assert_eq!(left["left"][0]["user"]["name"], "Bob");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_removed_is_told_and_does_not_come_back() {
    let network = network();
    let mut ada = Person::sign_in(&network, "Ada").await;
    let mut bob = Person::sign_in(&network, "Bob").await;
    let board = ada.create_board().await;
    ada.ask(json!({ "type": "invite", "board": board, "name": "Bob" }))
        .await;
    bob.subscribe(&board).await;
    let remove = |user: &str| json!({ "type": "remove", "board": board, "user": user });
    assert_eq!(bob.ask(remove(&ada.id)).await["code"], "forbidden");

    assert_eq!(ada.ask(remove(&bob.id)).await["type"], "reply");
    let told = bob.next(|message| message["type"] == "unsubscribed").await;
    assert_eq!(told["code"], "kicked");
    assert_eq!(bob.update(&format!("user:{}", bob.id)).await, json!([]));
    assert_eq!(bob.subscribe(&board).await["code"], "subscribe-refused");
    assert_eq!(bob.ask(add(&board, "Weeds")).await["code"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_sent_again_is_executed_once() {
    let network = network();
    let mut ada = Person::sign_in(&network, "Ada").await;
    let board = ada.create_board().await;
    let answer = ada.ask(add(&board, "Dig")).await;
    ada.asked -= 1;
    assert_eq!(ada.ask(add(&board, "Dig")).await, answer);
    let cards = ada.subscribe(&board).await["data"]["cards"].take();
    assert_eq!(cards.as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn signing_out_ends_the_sockets_of_the_session_and_no_others() {
    let network = network();
    let mut ada = Person::sign_in(&network, "Ada").await;
    let phone = Person::sign_in(&network, "ada").await;
    assert_eq!(ada.id, phone.id);
    let request = Request::delete("/api/session").header(COOKIE, &ada.cookie);
    let response = network.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(u16::from(ada.client.closed().await.unwrap().code()), 1008);
    assert!(!phone.client.is_closed());
    let request = Request::get("/live").header(COOKIE, &ada.cookie).body(());
    let refused = network.connect_with(request.unwrap()).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}
