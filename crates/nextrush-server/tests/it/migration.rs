//! The store of a program in which chats and channels had numbers.
//!
//! `fixtures/store-2` was written by the last such program: five messages in the room `lobby`, one
//! in `den`, two posts of which the first was changed, and publications to `presence-desk`. Its
//! journal is without the zeros at the end. The channels' positions end after 30 days without a
//! publication: `app.rs` looks for them at the time of the fixture.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nextrush::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Http, SECRET, serve, token};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// A writable copy of the fixture.
fn old_store() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-2");
    copy(&fixture, directory.path());
    directory
}

fn format(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join("FORMAT")).unwrap();
    text.lines().next().unwrap().to_owned()
}

/// Joins a room; the history that it sends.
async fn history(server: &Server, room: &str, since: &str) -> Value {
    let token = token("eve");
    let mut client = Client::connect(server, &format!("/chat/{room}?token={token}{since}")).await;
    let history = client.json_of("room-history").await;
    client.close().await;
    history
}

/// The offset, id, sender and text of each message.
fn messages(history: &Value) -> Value {
    let messages = history["messages"].as_array().unwrap().iter();
    messages
        .map(|message| {
            let user = &message["user"]["id"];
            json!([message["offset"], message["id"], user, message["text"]])
        })
        .collect()
}

/// Checks that everything is where it was, and has a part that serves it.
async fn check(server: &Server) {
    const LOBBY: &str = "01a22262-4c5c-77d3-b782-0ab03036d308";
    let lobby = history(server, "lobby", "").await;
    assert_eq!(
        (&lobby["epoch"], &lobby["offset"]),
        (&json!(LOBBY), &json!(5))
    );
    let expected = json!([
        [1, 1_795_873_197_149_u64, "ada", "message 1"],
        [2, 1_795_873_197_150_u64, "ada", "message 2"],
        [3, 1_795_873_197_151_u64, "ada", "message 3"],
        [4, 1_795_873_197_152_u64, "ada", "message 4"],
        [5, 1_795_873_197_153_u64, "ada", "message 5"],
    ]);
    assert_eq!(messages(&lobby), expected);
    let missed = history(server, "lobby", &format!("&epoch={LOBBY}&offset=4")).await;
    assert_eq!(missed["recovered"], true);
    assert_eq!(messages(&missed), json!([expected[4]]));

    let den = history(server, "den", "").await;
    let position = (&den["epoch"], &den["offset"]);
    assert_eq!(
        position,
        (&json!("01a22262-4c5c-77bb-a8b3-9fbf0ac9bd6f"), &json!(1))
    );
    assert_eq!(
        messages(&den),
        json!([[1, 1_795_873_197_149_u64, 7, "hello, den"]])
    );

    let (_, listed) = Http::with(server, &token("eve")).get("/api/posts").await;
    let author = json!({ "id": "ada", "email": "ada@example.com" });
    let expected = json!([
        {
            "id": 2,
            "title": "Second",
            "body": "The Second post",
            "author": author,
            "createdAt": "2026-11-28T13:39:58.707Z",
            "updatedAt": "2026-11-28T13:39:58.707Z",
            "version": 1,
        },
        {
            "id": 1,
            "title": "First, changed",
            "body": "The First post",
            "author": author,
            "createdAt": "2026-11-28T13:39:58.699Z",
            "updatedAt": "2026-11-28T13:39:58.716Z",
            "version": 2,
        },
    ]);
    assert_eq!(listed["posts"], expected);

    let unclaimed = server.handle().unclaimed_topics().await.unwrap();
    assert!(unclaimed.is_empty(), "{unclaimed:?}");
}

#[tokio::test]
async fn a_store_with_numbers_opens_with_everything_in_its_place_and_is_migrated_once() {
    let store = old_store();
    let arguments = ["--store", store.path().to_str().unwrap()];
    assert_eq!(format(store.path()), "nextrush store 2");
    let server = serve(&arguments).await;
    check(&server).await;
    server.close().await;

    assert_eq!(format(store.path()), "nextrush store 4");
    let migrated = || {
        fs::metadata(store.path().join("FORMAT"))
            .unwrap()
            .modified()
    };
    let before = migrated().unwrap();
    let server = serve(&arguments).await;
    check(&server).await;
    server.close().await;
    assert_eq!(migrated().unwrap(), before);
}

/// Runs the program, which is to end by itself.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .env_clear()
        .args(["--listen", "127.0.0.1:0", "--jwt-secret", SECRET])
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_operator_reads_why_a_store_is_refused() {
    let store = tempfile::tempdir().unwrap();
    let directory = store.path().display();
    let id = "01a22262-4c5c-77d3-b782-0ab03036d308";
    for (text, expected) in [
        (
            format!("nextrush store 999\n{id}\n"),
            format!("the store in {directory} has format 999, this program knows formats up to "),
        ),
        (
            "a letter\n".to_owned(),
            format!(
                "the directory holds no store that this program can read: {directory}/FORMAT \
                 says \"a letter\\n\"\n"
            ),
        ),
    ] {
        fs::write(store.path().join("FORMAT"), text).unwrap();
        let ended = run(&["--store", store.path().to_str().unwrap()]);
        assert_eq!(ended.status.code(), Some(1));
        let said = String::from_utf8_lossy(&ended.stderr);
        let expected = format!("nextrush: cannot open the store in {directory}: {expected}");
        assert!(said.starts_with(&expected), "{said}");
    }
}
