//! The signals that end the program, and the one that does not.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{SECRET, signal, within};

#[tokio::test]
async fn sighup_does_not_end_the_program_and_the_others_end_it_in_order() {
    for name in ["QUIT", "TERM", "INT"] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .env("NEXTRUSH_CONFIG", "/dev/null")
            .env("JWT_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        within(lines.next_line()).await.unwrap().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
        let mut said = async |text: &str| {
            while !within(log.next_line())
                .await
                .unwrap()
                .unwrap()
                .contains(text)
            {}
        };
        signal(&server, "HUP").await;
        said("the configuration was read again: nothing changed").await;
        signal(&server, name).await;
        said("closing").await;
        let status = within(server.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{name}: {status}");
    }
}
