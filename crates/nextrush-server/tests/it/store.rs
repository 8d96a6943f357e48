//! The store: posts, chats and channels after a restart.

use std::path::Path;

use nextrush::Server;
use nextrush_server::{Store, app};
use serde_json::{Value, json};

use crate::support::{Http, SECRET, config, serve, token};

async fn serve_from(store: Store) -> Server {
    let mut config = config(&["--dev", "--no-store", "--jwt-secret", SECRET]);
    config.store = store;
    let app = app(&config).await.unwrap();
    app.listen("127.0.0.1:0").start().await.unwrap()
}

async fn create(server: &Server, title: &str) -> Value {
    let http = Http::with(server, &token("ada"));
    let (status, saved) = http.post("/api/posts", json!({ "title": title })).await;
    assert_eq!(status, 200, "{saved}");
    saved["post"].clone()
}

async fn posts(server: &Server) -> Value {
    let (_, listed) = Http::with(server, &token("ada")).get("/api/posts").await;
    listed["posts"].clone()
}

#[tokio::test]
async fn posts_are_there_again_and_ids_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = ["--store", directory.path().to_str().unwrap()];
    let server = serve(&store).await;
    create(&server, "first").await;
    create(&server, "second").await;
    let change = json!({ "body": "changed" });
    let http = Http::with(&server, &token("ada"));
    assert_eq!(http.call("PUT", "/api/posts/1", &change).await.0, 200);
    let before = posts(&server).await;
    assert_eq!(before[1]["body"], "changed");
    assert_eq!(before[1]["version"], 2);
    server.close().await;

    let server = serve(&store).await;
    assert_eq!(posts(&server).await, before);
    // The change has a number, too.
    assert_eq!(create(&server, "third").await["id"], 4);
}

#[tokio::test]
async fn without_a_store_posts_begin_anew() {
    let server = serve(&[]).await;
    create(&server, "first").await;
    server.close().await;
    let server = serve(&[]).await;
    assert_eq!(posts(&server).await, json!([]));
}

#[tokio::test]
async fn a_second_server_of_development_mode_does_without_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::DirectoryIfFree(directory.path().to_owned());
    let first = serve_from(store.clone()).await;
    let second = serve_from(store.clone()).await;
    create(&first, "kept").await;
    create(&second, "gone").await;
    second.close().await;
    first.close().await;
    let third = serve_from(store).await;
    assert_eq!(posts(&third).await[0]["title"], "kept");
}

#[tokio::test]
async fn a_server_that_was_told_its_store_does_not_start_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::Directory(directory.path().to_owned());
    let _first = serve_from(store.clone()).await;
    let mut config = config(&["--dev", "--no-store"]);
    config.store = store;
    let refused = app(&config).await.unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(source, "the store is in use by another process");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn development_mode_keeps_its_store_with_the_users_data() {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
    use tokio::process::Command;

    use crate::support::within;

    let home = tempfile::tempdir().unwrap();
    let start = async |more: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nextrush"))
            .args(["--dev", "--listen", "127.0.0.1:0"])
            .args(more)
            .env_clear()
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(line) = within(lines.next_line()).await.unwrap() {
            if line.starts_with("Open ") {
                return child;
            }
        }
        panic!("it did not start");
    };
    let end = async |mut child: tokio::process::Child| {
        child.start_kill().unwrap();
        let mut log = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).await.unwrap();
        log
    };
    let is_there = |path: &Path| path.join("data/nextrush").is_dir();

    let in_memory = start(&["--no-store"]).await;
    assert!(!is_there(home.path()));
    let first = start(&[]).await;
    assert!(is_there(home.path()));
    let second = start(&[]).await;
    let told = end(second).await;
    assert!(told.contains("another server uses"), "{told}");
    let told = end(first).await;
    assert!(told.contains("are kept in"), "{told}");
    let told = end(in_memory).await;
    assert!(!told.contains("store") && !told.contains("kept"), "{told}");
}
