//! The program below a path, as a proxy passes it on.

use std::collections::BTreeSet;

use nextrush::Server;
use nextrush_server::{app, listen};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::command_line::{KEY, program, run};
use crate::support::{Client, SECRET, config, token, within};

const BASE: &str = "/team/chat";

async fn server() -> Server {
    let config = config(&[
        "--jwt-secret",
        SECRET,
        "--api-key",
        KEY,
        "--listen",
        "127.0.0.1:0",
        "--base-path",
        BASE,
    ]);
    let app = app(&config).await.unwrap();
    listen(app, &config).start().await.unwrap()
}

/// The status and the rest of an answer.
async fn get(server: &Server, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (status, rest) = answer.strip_prefix("HTTP/1.1 ").unwrap().split_at(3);
    (status.parse().unwrap(), rest.to_owned())
}

/// The addresses that a file of the page loads, as a browser resolves them.
fn loaded(file: &str, text: &str) -> Vec<String> {
    let begins: &[&str] = match file.ends_with(".js") {
        true => &["from '", "import '", "import('"],
        false => &["src=\"", "href=\""],
    };
    let found = begins.iter().flat_map(|begin| text.split(begin).skip(1));
    let found = found.filter_map(|rest| rest.split(['\'', '"', '#']).next());
    let found = found.filter(|address| !address.is_empty() && !address.contains(' '));
    let folder = file.rsplit_once('/').unwrap().0;
    found
        .map(|address| {
            if address.starts_with('/') {
                return address.to_owned();
            }
            let mut parts: Vec<&str> = folder.split('/').collect();
            for part in address.split('/') {
                match part {
                    "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            parts.join("/")
        })
        .collect()
}

#[tokio::test]
async fn all_that_the_page_loads_is_below_the_path() {
    let server = server().await;
    let (status, rest) = get(&server, BASE).await;
    assert_eq!(status, 308);
    assert!(rest.contains("location: /team/chat/\r\n"), "{rest}");
    let start = format!("{BASE}/");
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(address) = open.pop() {
        assert!(address.starts_with("/team/chat/"), "{address}");
        let (status, rest) = get(&server, &address).await;
        assert_eq!(status, 200, "{address}");
        if address.ends_with('/') || address.ends_with(".js") {
            for address in loaded(&address, &rest) {
                if seen.insert(address.clone()) {
                    open.push(address);
                }
            }
        }
    }
    for loaded in ["page/main.js", "page/place.js", "client/live-client.js"] {
        assert!(seen.contains(&format!("{BASE}/{loaded}")), "{loaded}");
    }
}

#[tokio::test]
async fn sockets_the_api_and_the_commands_are_below_the_path_and_health_at_both() {
    let server = server().await;
    for path in ["/healthz", "/team/chat/healthz"] {
        assert_eq!(get(&server, path).await.0, 200, "{path}");
    }
    assert_eq!(get(&server, "/team/chats/healthz").await.0, 404);
    let port = server.address().port();
    let path = format!("{BASE}/live?token={}", token("ada"));
    let mut socket = Client::connect_to(port, &path).await;
    let subscribe = json!({ "type": "subscribe", "channel": "post-7" });
    socket.send(subscribe).await;
    socket.json_of("subscribed").await;

    let url = format!("http://{}{BASE}/", server.address());
    let arguments = ["publish", "post-7", "1", "--url", &url, "--api-key", KEY];
    let (is_published, _, errors) = run(program(&arguments)).await;
    assert!(is_published, "{errors}");
    assert_eq!(socket.json_of("update").await["data"], 1);
    within(server.close()).await;
}
