//! The program under a service manager.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use crate::support::{Http, SECRET, signal, token, within};

/// Starts the program with a socket, as its descriptor 3.
fn start(socket: TcpListener, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null";
    Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_nextrush")])
        .args(arguments)
        .env_clear()
        .env("NEXTRUSH_CONFIG", "/dev/null")
        .env("NEXTRUSH_DRAIN_DELAY", "0")
        .envs(environment.iter().copied())
        .stdin(OwnedFd::from(socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The next thing that the program tells its service manager, signs of life aside.
async fn told(socket: &UnixDatagram) -> String {
    loop {
        let mut said = vec![0; 4096];
        let length = within(socket.recv(&mut said)).await.unwrap();
        let said = String::from_utf8(said[..length].to_vec()).unwrap();
        if said != "WATCHDOG=1\n" {
            return said;
        }
    }
}

#[tokio::test]
async fn a_restart_behind_a_socket_of_the_service_manager_refuses_nobody() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let http = Http::at(port, &token("ada"));
    // Asked before there is a process, and served by the first one.
    let early =
        tokio::spawn(async move { Http::at(port, &token("ada")).get("/api/posts").await.0 });
    for _ in 0..2 {
        let socket = socket.try_clone().unwrap();
        let mut server = start(socket, &[], &[("JWT_SECRET", SECRET)]);
        // Signals are caught by the time that it says where it listens.
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        within(lines.next_line()).await.unwrap().unwrap();
        assert_eq!(http.get("/healthz").await.0, 200);
        signal(&server, "TERM").await;
        // No process accepts it until the next one does.
        let status = within(server.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0));
    }
    assert_eq!(within(early).await.unwrap(), 200);
}

#[tokio::test]
async fn the_service_manager_is_told_of_the_start_reloads_life_and_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let environment = [
        ("JWT_SECRET", SECRET),
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "20000"),
    ];
    let mut server = start(socket, &[], &environment);
    let ready = format!("READY=1\nSTATUS=serving on {address}\n");
    assert_eq!(told(&manager).await, ready);
    let mut signs = 0;
    while signs < 3 {
        let mut said = [0; 100];
        let length = within(manager.recv(&mut said)).await.unwrap();
        assert_eq!(&said[..length], b"WATCHDOG=1\n");
        signs += 1;
    }
    signal(&server, "HUP").await;
    let reloading = told(&manager).await;
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told(&manager).await, ready);
    signal(&server, "TERM").await;
    assert_eq!(
        told(&manager).await,
        "STOPPING=1\nSTATUS=sending clients away\n"
    );
    let status = within(server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn development_mode_is_refused_on_a_socket_for_everybody() {
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let server = start(socket, &["--dev", "--no-store"], &[]);
    let output = within(server.wait_with_output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("for loopback addresses only"), "{said}");

    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let _server = start(socket, &["--dev", "--no-store"], &[]);
    let (status, development) = Http::at(port, "").get("/api/dev").await;
    assert_eq!((status, development), (200, json!({ "development": true })));
}
