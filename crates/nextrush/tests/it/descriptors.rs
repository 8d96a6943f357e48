//! A server that runs out of file descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use nextrush::{App, Message, Socket};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;

use crate::support::within;

const IN_CHILD: &str = "NEXTRUSH_TEST_FEW_DESCRIPTORS";
const NAME: &str = "descriptors::a_server_without_descriptors_goes_on_when_it_has_some_again";

/// Runs in a process of its own, which may have few descriptors: says where it listens, then
/// what it logs, until its standard input ends.
async fn serve_in_child() {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stdout)
        .init();
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let server = app.listen("127.0.0.1:0").start().await.unwrap();
    println!("\nlistening on {}", server.address());
    std::io::stdout().flush().unwrap();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_server_without_descriptors_goes_on_when_it_has_some_again() {
    if std::env::var_os(IN_CHILD).is_some() {
        return serve_in_child().await;
    }
    let test = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 48; exec \"$@\"", "sh"])
        .arg(test)
        .args(["--exact", NAME, "--nocapture"])
        .env(IN_CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line_with = move |text: &'static str| {
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains(text)));
        let line = line.unwrap_or_else(|| panic!("the server has not said {text:?}"));
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let address = line_with("listening on");
    let url = format!("ws://{address}/");
    let (mut early, _) = within(connect_async(&url)).await.unwrap();

    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(within(TcpStream::connect(&address)).await.unwrap());
    }
    line_with("cannot accept a connection");
    // Who is there already does not notice.
    for _ in 0..3 {
        early.send("hello".into()).await.unwrap();
        let echo = within(early.next()).await.unwrap().unwrap();
        assert_eq!(echo, "hello".into());
    }

    drop(crowd);
    let (mut late, _) = within(connect_async(&url)).await.unwrap();
    late.send("hello".into()).await.unwrap();
    let echo = within(late.next()).await.unwrap().unwrap();
    assert_eq!(echo, "hello".into());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
