//! The files of a store, which hold what people wrote to each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{Client, SECRET, signal, token, within};

/// Each path below a directory, with the directory itself, and its permissions.
fn modes(path: &Path, found: &mut Vec<(String, bool, u32)>) {
    let metadata = fs::metadata(path).unwrap();
    let name = path.display().to_string();
    let mode = metadata.permissions().mode() & 0o777;
    found.push((name, metadata.is_dir(), mode));
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            modes(&entry.unwrap().path(), found);
        }
    }
}

#[tokio::test]
async fn the_files_of_a_store_are_for_its_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    for store in [old, directory.path().join("new")] {
        // As most systems have it: everybody may read.
        let mut server = Command::new("/bin/sh")
            .args(["-c", "umask 022; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_nextrush"))
            .args(["--listen", "127.0.0.1:0", "--store"])
            .arg(&store)
            .env_clear()
            .env("JWT_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let port = loop {
            let line = within(lines.next_line()).await.unwrap().unwrap();
            if let Some((_, port)) = line.trim_end_matches('/').rsplit_once("localhost:") {
                break port.parse().unwrap();
            }
        };
        let mut client =
            Client::connect_to(port, &format!("/chat/den?token={}", token("ada"))).await;
        client.json_of("room-history").await;
        client
            .send(serde_json::json!({ "type": "chat", "text": "secret" }))
            .await;
        client.json_of("chat-message").await;
        signal(&server, "INT").await;
        assert!(within(server.wait()).await.unwrap().success());

        let mut found = Vec::new();
        modes(&store, &mut found);
        assert!(found.iter().any(|(_, is_directory, _)| !is_directory));
        for (name, is_directory, mode) in found {
            let expected = if is_directory { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{name}: {mode:o}");
        }
    }
}
