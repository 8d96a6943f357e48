//! The log of the program.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::support::{Client, SECRET, free_port, signal, token, within};

/// The program with these arguments, and the lines of its log.
fn start(port: u16, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .env_clear()
        .env("NEXTRUSH_CONFIG", "/dev/null")
        .env("JWT_SECRET", SECRET)
        // Misspelt, which the log has as a warning.
        .env("NEXTRUSH_STOR", "x")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines();
    (server, lines)
}

/// Tells the program to end, as soon as it listens to that: when it has said its addresses, which is after the
/// line of the log that it listens there.
async fn end(server: &mut Child) {
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
    within(said.next_line()).await.unwrap().unwrap();
    signal(server, "TERM").await;
}

/// The next line with a text.
async fn line_with(lines: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    loop {
        let line = within(lines.next_line()).await.unwrap().unwrap();
        if line.contains(text) {
            return line;
        }
    }
}

#[tokio::test]
async fn every_line_is_json_where_that_is_asked_for_and_says_where_the_program_listens() {
    let port = free_port();
    let (mut server, mut lines) = start(port, &["--log-format", "json"]);
    let address = format!("127.0.0.1:{port}");
    let is_listening = |line: &Value| line["message"] == "listening" && line["address"] == address;
    let mut all = Vec::new();
    while !all.iter().any(|line: &Value| line["message"] == "closing") {
        let line = within(lines.next_line()).await.unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert!(
            line["timestamp"].is_string() && line["target"].is_string(),
            "{line}"
        );
        if is_listening(&line) {
            end(&mut server).await;
        }
        all.push(line);
        if all.len() > 20 {
            break;
        }
    }
    let warns = all.iter().filter(|line| line["level"] == "WARN");
    assert!(
        warns
            .clone()
            .any(|line| line["message"].to_string().contains("NEXTRUSH_STOR")),
        "{all:?}"
    );
    assert!(all.iter().any(is_listening), "{all:?}");
}

#[tokio::test]
async fn what_ends_the_program_is_json_as_well() {
    let arguments = [
        "--log-format",
        "json",
        "--store",
        "/proc/none",
        "--log",
        "error",
    ];
    let (mut server, mut lines) = start(free_port(), &arguments);
    let line = within(lines.next_line()).await.unwrap().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["message"].as_str().unwrap().starts_with("nextrush: "),
        "{line}"
    );
    assert_eq!(within(server.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_file_of_lines_has_no_colours_and_nothing_of_the_libraries_of_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, mut lines) = start(
        free_port(),
        &["--store", directory.path().to_str().unwrap()],
    );
    let mut text = line_with(&mut lines, "listening address=").await;
    end(&mut server).await;
    within(lines.get_mut().read_to_string(&mut text))
        .await
        .unwrap();
    within(server.wait()).await.unwrap();
    assert!(text.contains("closing"), "{text}");
    for unwanted in ["\u{1b}", "lsm_tree", "fjall"] {
        assert!(!text.contains(unwanted), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_has_a_line_of_its_own_without_its_token() {
    let port = free_port();
    let filter = "info,nextrush::connections=debug";
    let (_server, mut lines) = start(port, &["--log-format", "json", "--log", filter]);
    line_with(&mut lines, "\"listening\"").await;
    let token = token("ada");
    let mut client = Client::connect_to(port, &format!("/live?token={token}")).await;
    client
        .send(json!({ "type": "subscribe", "channel": "news" }))
        .await;
    client.json_of("subscribed").await;
    client.close().await;
    let line = line_with(&mut lines, "a connection closed").await;
    assert!(!line.contains(&token) && !line.contains("token"), "{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["target"], "nextrush::connections");
    assert_eq!(
        (&line["endpoint"], &line["user"]),
        (&json!("/live"), &json!("\"ada\""))
    );
    assert_eq!(
        (&line["clean"], &line["address"]),
        (&json!(true), &json!("127.0.0.1"))
    );
    assert!(
        line["bytes_in"].as_u64() > Some(40) && line["bytes_out"].as_u64() > Some(60),
        "{line}"
    );
    assert!(
        line["seconds"].is_u64() && line["code"].is_u64() && line["opened"].is_string(),
        "{line}"
    );
}
