//! `nextrush publish`, `nextrush tail` and `nextrush trace`, as the built program.

use std::process::{Output, Stdio};

use nextrush::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Client, SECRET, serve, serve_at, token, within};

pub(crate) const KEY: &str = "the key of the API, also of 32 bytes or more";
/// A channel that has a history.
const CHANNEL: &str = "post-7";

async fn server() -> Server {
    serve(&["--api-key", KEY]).await
}

pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_nextrush"));
    program
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    program
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

/// Runs to the end; its success, output and errors.
pub(crate) async fn run(mut program: Command) -> (bool, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = within(program.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

async fn publish(server: &Server, data: &str, more: &[&str]) -> (bool, String, String) {
    let url = url(server);
    let arguments = [
        &["publish", CHANNEL, data, "--url", &url, "--api-key", KEY],
        more,
    ]
    .concat();
    run(program(&arguments)).await
}

/// Publishes; the position of the publication.
async fn published(server: &Server, data: &str) -> (String, u64) {
    let (is_success, printed, errors) = publish(server, data, &[]).await;
    assert!(is_success, "{errors}");
    let (epoch, offset) = printed.trim_end().split_once(':').unwrap();
    (epoch.to_owned(), offset.parse().unwrap())
}

/// A running `nextrush tail`.
struct Tail {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Tail {
    fn start(server: &Server, more: &[&str]) -> Self {
        let url = url(server);
        let arguments = [&["tail", CHANNEL, "--url", &url], more].concat();
        let mut child = program(&arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = within(self.lines.next_line()).await.unwrap();
        line.expect("a further line")
    }

    /// Ends it; its standard error.
    async fn stop(mut self) -> String {
        self.child.start_kill().unwrap();
        let mut notes = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut notes).await.unwrap();
        notes
    }
}

#[tokio::test]
async fn what_is_published_is_printed_from_a_position_on() {
    let server = server().await;
    let (epoch, offset) = published(&server, r#"{"n":1}"#).await;
    assert_eq!(offset, 1);
    assert_eq!(published(&server, r#""two""#).await, (epoch.clone(), 2));
    let since = format!("{epoch}:0");
    let mut tail = Tail::start(&server, &["--api-key", KEY, "--since", &since]);
    assert_eq!(tail.line().await, r#"{"n":1}"#);
    assert_eq!(tail.line().await, r#""two""#);
    published(&server, "3").await;
    assert_eq!(tail.line().await, "3");
    assert_eq!(tail.stop().await, "");
}

#[tokio::test]
async fn a_user_may_follow_too_and_see_whole_updates() {
    let server = server().await;
    let (epoch, _) = published(&server, "[1]").await;
    let token = token("ada");
    let since = format!("{epoch}:0");
    let mut tail = Tail::start(&server, &["--token", &token, "--since", &since, "--json"]);
    let mut update: Value = serde_json::from_str(&tail.line().await).unwrap();
    let timestamp = update.as_object_mut().unwrap().remove("timestamp");
    let timestamp = timestamp
        .unwrap()
        .as_str()
        .unwrap()
        .parse::<nextrush::message::Timestamp>();
    assert!(timestamp.is_ok());
    let expected = json!({
        "type": "update", "channel": CHANNEL, "epoch": epoch, "offset": 1, "data": [1],
    });
    assert_eq!(update, expected);
}

#[tokio::test]
async fn lines_of_standard_input_are_publications() {
    let server = server().await;
    let url = url(&server);
    let arguments = ["publish", CHANNEL, "-", "--url", &url, "--api-key", KEY];
    let mut child = program(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"1\n\n{\"two\": 2}\nno json\n4\n")
        .await
        .unwrap();
    drop(input);
    let output = within(child.wait_with_output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let positions = String::from_utf8(output.stdout).unwrap();
    let offsets: Vec<_> = positions
        .lines()
        .map(|line| line.split_once(':').unwrap().1)
        .collect();
    // The lines after the refused one are not published.
    assert_eq!(offsets, ["1", "2"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("nextrush: line 4: the data is no JSON"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_not_published_again() {
    let server = server().await;
    let key = ["--idempotency-key", "order-1"];
    let first = publish(&server, "1", &key).await;
    assert!(first.0, "{}", first.2);
    assert_eq!(publish(&server, "1", &key).await, first);
    let (_, offset) = published(&server, "1").await;
    assert_eq!(offset, 2);
}

#[tokio::test]
async fn after_a_restart_of_a_server_with_a_store_nothing_is_missing() {
    let store = tempfile::tempdir().unwrap();
    let store = store.path().to_str().unwrap();
    let arguments = ["--jwt-secret", SECRET, "--api-key", KEY, "--store", store];
    let server = serve_at("127.0.0.1:0", &arguments).await;
    let (epoch, _) = published(&server, "1").await;
    let since = format!("{epoch}:0");
    let mut tail = Tail::start(&server, &["--api-key", KEY, "--since", &since]);
    assert_eq!(tail.line().await, "1");

    let address = server.address().to_string();
    server.close().await;
    let server = serve_at(&address, &arguments).await;
    assert_eq!(published(&server, "2").await, (epoch, 2));
    published(&server, "3").await;
    assert_eq!(tail.line().await, "2");
    assert_eq!(tail.line().await, "3");
    let notes = tail.stop().await;
    assert!(
        notes.contains("coming back") && !notes.contains("gap"),
        "{notes}"
    );
}

#[tokio::test]
async fn what_a_restart_has_lost_is_told() {
    let arguments = ["--jwt-secret", SECRET, "--api-key", KEY];
    let server = serve_at("127.0.0.1:0", &arguments).await;
    let (epoch, _) = published(&server, "1").await;
    let since = format!("{epoch}:0");
    let mut tail = Tail::start(&server, &["--api-key", KEY, "--since", &since, "--json"]);
    tail.line().await;

    let address = server.address().to_string();
    server.close().await;
    let server = serve_at(&address, &arguments).await;
    let gap: Value = serde_json::from_str(&tail.line().await).unwrap();
    let expected = json!({ "type": "gap", "channel": CHANNEL, "from": 2, "reason": "epoch" });
    assert_eq!(gap, expected);
    published(&server, "2").await;
    let update: Value = serde_json::from_str(&tail.line().await).unwrap();
    assert_eq!((&update["offset"], &update["data"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn it_ends_well_when_nobody_reads_it_any_more() {
    let server = server().await;
    let (epoch, _) = published(&server, "1").await;
    let since = format!("{epoch}:0");
    let mut tail = Tail::start(&server, &["--api-key", KEY, "--since", &since]);
    tail.line().await;
    let Tail { mut child, lines } = tail;
    drop(lines);
    published(&server, "2").await;
    let status = within(child.wait()).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn refusals_are_told_and_fail() {
    let server = server().await;
    let url = url(&server);
    let wrong = "another key, also of 32 bytes or more, but wrong";
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let no_name = "x".repeat(256);
    for (arguments, code, expected) in [
        (
            vec!["publish", "a", "1", "--url", &url, "--api-key", wrong],
            1,
            "Invalid API key",
        ),
        (
            vec!["publish", "", "1", "--url", &url, "--api-key", KEY],
            1,
            "invalid channel name",
        ),
        (
            vec!["publish", "a", "1", "--url", &nobody, "--api-key", KEY],
            1,
            "cannot connect to",
        ),
        (
            vec!["publish", "a", "1", "--url", "ftp://x", "--api-key", KEY],
            2,
            "only http:// and https:// are",
        ),
        (vec!["publish", "a", "1", "--url", &url], 2, "--api-key"),
        (
            vec!["tail", "a", "--url", &url, "--api-key", wrong],
            1,
            "Invalid API key",
        ),
        (
            vec!["tail", "a", "--url", &url, "--token", "x"],
            1,
            "Invalid token",
        ),
        (
            vec!["tail", &no_name, "--url", &url, "--api-key", KEY],
            1,
            "Invalid channel name",
        ),
        (
            vec!["tail", "a", "--url", &nobody, "--token", "x"],
            1,
            "cannot connect to",
        ),
        (vec!["tail", "a", "--url", &url], 2, "--token"),
        (
            vec!["tail", "a", "--token", "x", "--since", "7"],
            2,
            "a position looks like",
        ),
    ] {
        let output = within(program(&arguments).output()).await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}

async fn trace(server: &Server, position: &str, more: &[&str]) -> (bool, String, String) {
    let url = url(server);
    let arguments = [
        &["trace", CHANNEL, position, "--url", &url, "--api-key", KEY],
        more,
    ]
    .concat();
    run(program(&arguments)).await
}

#[tokio::test]
async fn a_trace_has_a_line_for_each_socket_and_says_who_was_never_there() {
    let server = server().await;
    let mut ada = Client::connect(&server, &format!("/live?token={}", token("ada"))).await;
    ada.send(json!({ "type": "subscribe", "channel": CHANNEL }))
        .await;
    assert_eq!(ada.json().await["type"], "subscribed");
    let (epoch, offset) = published(&server, "1").await;
    let position = format!("{epoch}:{offset}");
    assert_eq!(ada.json().await["offset"], offset);

    let (is_success, printed, errors) = trace(&server, &position, &["--user", "ada"]).await;
    assert!(is_success, "{errors}");
    let lines: Vec<_> = printed.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{position}: published at ")),
        "{printed}"
    );
    assert!(
        lines[1].starts_with("ada ") && lines[1].contains(": sent at "),
        "{printed}"
    );
    assert!(lines[2].starts_with("the record of "), "{printed}");

    let (_, printed, _) = trace(&server, &position, &["--user", "eve"]).await;
    assert!(printed.contains("eve: never connected"), "{printed}");
    let (_, printed, _) = trace(&server, &position, &["--json"]).await;
    let traced: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(traced["counts"], json!({ "sent": 1 }));
    let (_, printed, _) = trace(&server, &position, &["--room"]).await;
    assert!(printed.contains("of another epoch"), "{printed}");
    let (_, printed, _) = trace(&server, &format!("{epoch}:99"), &[]).await;
    assert!(printed.contains("not published yet"), "{printed}");
    let (is_success, _, errors) = trace(&server, &format!("{epoch}:0"), &[]).await;
    assert!(
        !is_success && errors.contains("invalid-position"),
        "{errors}"
    );
}
