//! The HTTP API and the operators' view of several servers.

use std::collections::BTreeSet;

use nextrush::Server;
use serde_json::{Value, json};

use crate::KEY;
use crate::away::Node;
use crate::servers::{Program, Server as Redis, eventually, programs};
use crate::support::{Client, Http, serve, signal, token};

const ADMIN_KEY: &str = "the key of operators, also of 32 bytes or more";

/// A server with a name.
async fn named(redis: &Redis, node: &str) -> Server {
    let url = redis.url().to_string();
    serve(&[
        "--redis",
        &url,
        "--node",
        node,
        "--api-key",
        KEY,
        "--admin-key",
        ADMIN_KEY,
    ])
    .await
}

async fn two(program: Program) -> (Redis, [Server; 2]) {
    let redis = Redis::start(program, &[]).await;
    let servers = [named(&redis, "one").await, named(&redis, "two").await];
    (redis, servers)
}

/// A client that is subscribed to channels.
async fn subscribed(server: &Server, user: &str, channels: &[&str]) -> Client {
    let mut client = Client::connect(server, &format!("/live?token={}", token(user))).await;
    for channel in channels {
        client
            .send(json!({ "type": "subscribe", "channel": channel }))
            .await;
        client.json_of("subscribed").await;
    }
    client
}

async fn ticket(server: &Server) -> String {
    let http = Http::with(server, ADMIN_KEY);
    let (status, minted) = http.post("/api/inspect/token", Value::Null).await;
    assert_eq!(status, 201, "{minted}");
    minted["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn channels_and_disconnecting_are_of_all_servers() {
    for program in programs() {
        let (_redis, [one, two]) = two(program).await;
        let mut ada = [
            subscribed(&one, "ada", &["posts"]).await,
            subscribed(&two, "ada", &["a", "posts"]).await,
        ];
        let _bob = subscribed(&two, "bob", &["posts"]).await;
        let expected = json!({ "channels": [
            { "channel": "a", "subscribers": 1 },
            { "channel": "posts", "subscribers": 3 },
        ] });
        for server in [&one, &two] {
            let channels = Http::with(server, KEY).get("/api/v1/channels").await;
            assert_eq!(channels, (200, expected.clone()));
        }
        let body = json!({ "userId": "ada" });
        let http = Http::with(&one, KEY);
        let disconnected = http.post("/api/v1/disconnect", body).await;
        assert_eq!(disconnected, (200, json!({ "disconnected": 2 })));
        for client in &mut ada {
            assert_eq!(client.end().await, (1008, "Disconnected".into()));
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let one = named(&redis, "one").await;
        let stopped = Node::named(&redis, "stopped").await;
        let mut ada = subscribed(&one, "ada", &["posts"]).await;
        let http = Http::with(&one, KEY);
        eventually("the nodes know each other", async || {
            let (_, channels) = http.get("/api/v1/channels").await;
            channels.get("unanswered").is_none()
        })
        .await;
        signal(&stopped.program, "STOP").await;
        let channels = json!({
            "channels": [{ "channel": "posts", "subscribers": 1 }],
            "unanswered": ["stopped"],
        });
        assert_eq!(http.get("/api/v1/channels").await, (200, channels));
        let body = json!({ "userId": "ada" });
        let disconnected = json!({ "disconnected": 1, "unanswered": ["stopped"] });
        let answer = http.post("/api/v1/disconnect", body).await;
        assert_eq!(answer, (200, disconnected));
        assert_eq!(ada.end().await.0, 1008);
        let http = Http::with(&one, &ticket(&one).await);
        let path = "/api/inspect/connections?node=stopped";
        let (status, connections) = http.get(path).await;
        assert_eq!(status, 200);
        let nobody = json!({ "connections": [], "total": 0, "unanswered": ["stopped"] });
        assert_eq!(connections, nobody);
    }
}

#[tokio::test]
async fn every_answer_says_that_the_others_are_unknown_when_redis_goes_after_the_start() {
    for program in programs() {
        let (mut redis, [one, two]) = two(program).await;
        let _ada = subscribed(&two, "ada", &["posts"]).await;
        let ticket = ticket(&one).await;
        redis.kill();
        for (key, post, path) in [
            (KEY, true, "/api/v1/disconnect"),
            (KEY, false, "/api/v1/channels"),
            (&ticket, true, "/api/inspect/disconnect"),
            (&ticket, false, "/api/inspect/nodes"),
        ] {
            let http = Http::with(&one, key);
            let (status, answer) = match post {
                true => http.post(path, json!({ "userId": "ada" })).await,
                false => http.get(path).await,
            };
            assert_eq!(status, 200, "{path}: {answer}");
            assert_eq!(answer["othersUnknown"], true, "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_operator_sees_all_servers_and_each_with_one_ticket() {
    for program in programs() {
        let (_redis, [one, two]) = two(program).await;
        let mut ada = subscribed(&one, "ada", &["posts"]).await;
        let _bob = subscribed(&two, "bob", &["posts"]).await;
        // Also of the server that did not mint it.
        let ticket = ticket(&one).await;
        let http = Http::with(&two, &ticket);
        eventually("both have a sample", async || {
            let (_, listed) = http.get("/api/inspect/nodes").await;
            assert_eq!(listed["node"], "two", "{listed}");
            let nodes = listed["nodes"].as_array().unwrap();
            let names: Vec<_> = nodes.iter().map(|node| &node["node"]).collect();
            names == ["one", "two"] && nodes.iter().all(|node| node["sample"]["connections"] == 1)
        })
        .await;

        let mut inspector = Client::connect(&two, &format!("/inspect?token={ticket}")).await;
        inspector
            .send(json!({ "type": "subscribe", "channel": "metrics" }))
            .await;
        inspector.json_of("subscribed").await;
        let mut seen = BTreeSet::new();
        while seen.len() < 2 {
            let update = inspector.json_of("update").await;
            seen.insert(update["data"]["node"].as_str().unwrap().to_owned());
        }
        let of = async |query: &str| {
            let (_, kept) = http.get(&format!("/api/inspect/metrics{query}")).await;
            let samples = kept["samples"].as_array().unwrap().clone();
            samples
                .iter()
                .map(|sample| sample["node"].as_str().unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(of("").await, seen);
        assert_eq!(of("?node=one").await, ["one".to_owned()].into());
        assert_eq!(http.get("/api/inspect/metrics?node=a%20b").await.0, 400);

        let list = async |query: &str| {
            let path = format!("/api/inspect/connections{query}");
            let (status, listed) = http.get(&path).await;
            assert_eq!(status, 200, "{listed}");
            let connections = listed["connections"].as_array().unwrap().clone();
            assert_eq!(listed["total"], connections.len(), "{query}");
            connections
        };
        // Two users and the inspector.
        assert_eq!(list("").await.len(), 3);
        assert_eq!(list("?node=two").await.len(), 2);
        let of_one = list("?node=one").await;
        assert_eq!(
            (&of_one[0]["node"], &of_one[0]["user"]["id"]),
            (&json!("one"), &json!("ada"))
        );
        assert_eq!(list("?user=ada").await, of_one);
        let channels = async |query: &str| {
            let path = format!("/api/inspect/channels{query}");
            http.get(&path).await.1["channels"][0]["subscribers"].clone()
        };
        assert_eq!(channels("").await, 2);
        assert_eq!(channels("?node=one").await, 1);

        // The same id may be another connection on each server.
        let id = &of_one[0]["id"];
        let body = json!({ "connectionId": id, "node": "one" });
        let disconnected = http.post("/api/inspect/disconnect", body).await;
        assert_eq!(disconnected, (200, json!({ "disconnected": 1 })));
        assert_eq!(ada.end().await.0, 1008);
        let body = json!({ "connectionId": id, "node": "three" });
        let (status, refusal) = http.post("/api/inspect/disconnect", body).await;
        assert_eq!((status, &refusal["code"]), (503, &json!("unavailable")));
    }
}

#[tokio::test]
async fn in_development_mode_a_ticket_of_one_server_holds_on_the_other() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let url = redis.url().to_string();
        let arguments = ["--dev", "--redis", &url];
        let [one, two] = [serve(&arguments).await, serve(&arguments).await];
        let (status, minted) = Http::of(&one).post("/api/inspect/token", Value::Null).await;
        assert_eq!(status, 201, "{minted}");
        let ticket = minted["token"].as_str().unwrap();
        for server in [&one, &two] {
            let (status, listed) = Http::with(server, ticket).get("/api/inspect/nodes").await;
            assert_eq!(status, 200, "{listed}");
            let path = format!("/inspect?token={ticket}");
            let mut inspector = Client::connect(server, &path).await;
            inspector
                .send(json!({ "type": "subscribe", "channel": "metrics" }))
                .await;
            inspector.json_of("subscribed").await;
        }
    }
}
