//! The commands for those who run a server, as the built program.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use nextrush::Server;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Http, SECRET, serve, serve_with, token, within};

const KEY: &str = "the key of the API, also of 32 bytes or more";

fn program(arguments: &[&str]) -> Command {
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

/// Runs to the end; its exit code, output and errors.
async fn run(arguments: &[&str]) -> (i32, String, String) {
    finished(program(arguments), "").await
}

async fn finished(mut program: Command, input: &str) -> (i32, String, String) {
    let mut child = program.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = async {
        // A program that reads nothing may be gone.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let ((), output) = tokio::join!(written, within(child.wait_with_output()));
    let Output {
        status,
        stdout,
        stderr,
    } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn path(directory: &Path) -> &str {
    directory.to_str().unwrap()
}

async fn create(server: &Server, title: &str) {
    let http = Http::with(server, &token("ada"));
    let (status, saved) = http.post("/api/posts", json!({ "title": title })).await;
    assert_eq!(status, 200, "{saved}");
}

async fn posts(server: &Server) -> Value {
    let (_, listed) = Http::with(server, &token("ada")).get("/api/posts").await;
    listed["posts"].clone()
}

/// The epoch and offset of the channel of posts, which clients know.
async fn position(server: &Server) -> (Value, Value) {
    let http = Http::with(server, KEY);
    let (_, mut history) = http.get("/api/v1/history?channel=posts").await;
    (history["epoch"].take(), history["offset"].take())
}

#[tokio::test]
async fn a_store_moves_by_lines_of_json_and_clients_find_their_positions() {
    let directory = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| directory.path().join(name));
    let server = serve(&["--store", path(&old), "--api-key", KEY]).await;
    create(&server, "first").await;
    create(&server, "second").await;
    let before = (posts(&server).await, position(&server).await);
    // Not while a server has it.
    let (code, _, errors) = run(&["store", "export", path(&old)]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("in use by another process"), "{errors}");
    server.close().await;

    let (code, lines, notes) = run(&["store", "export", path(&old)]).await;
    assert_eq!(code, 0, "{notes}");
    assert!(lines.starts_with("{\"type\":\"export\",\"format\":1}\n"));
    assert!(notes.starts_with("exported "), "{notes}");
    let (code, _, notes) = finished(program(&["store", "import", path(&new)]), &lines).await;
    assert_eq!(code, 0, "{notes}");
    // An export that was cut off leaves nothing, and a store is not written over.
    let cut = lines.rsplit_once("{\"type\":\"end\"").unwrap().0;
    let third = directory.path().join("third");
    let (code, _, errors) = finished(program(&["store", "import", path(&third)]), cut).await;
    assert_eq!(code, 1);
    assert!(errors.contains("cut off"), "{errors}");
    assert_eq!(fs::read_dir(&third).unwrap().count(), 0);
    let (code, _, errors) = finished(program(&["store", "import", path(&new)]), &lines).await;
    assert_eq!(code, 1);
    assert!(errors.contains("is not empty"), "{errors}");

    let server = serve(&["--store", path(&new), "--api-key", KEY]).await;
    assert_eq!((posts(&server).await, position(&server).await), before);
    server.close().await;
}

#[tokio::test]
async fn a_store_is_checked_measured_and_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let store = path(directory.path());
    let server = serve(&["--store", store]).await;
    create(&server, "first").await;
    server.close().await;
    // The place comes from the configuration as well.
    let mut check = program(&["store", "check"]);
    check.env("NEXTRUSH_STORE", store);
    let (code, output, errors) = finished(check, "").await;
    assert_eq!((code, &*errors), (0, ""));
    assert!(
        output.starts_with(&format!("{store} is whole: ")),
        "{output}"
    );
    // As in an image from nothing.
    let mut check = program(&["store", "check", store]);
    check.env("TMPDIR", "/no/place");
    let (code, _, errors) = finished(check, "").await;
    assert_eq!(code, 1);
    assert!(
        errors.contains("the copy of its journals in /no/place: "),
        "{errors}"
    );
    let (code, output, _) = run(&["store", "stats", store, "--largest", "1"]).await;
    assert_eq!(code, 0);
    for row in [
        "topics",
        "publications",
        "oldest",
        "  journals",
        "largest topics",
    ] {
        assert!(
            output.lines().any(|line| line.starts_with(row)),
            "{row}: {output}"
        );
    }
    let (_, output, _) = run(&["store", "stats", store, "--json"]).await;
    let stats: Value = serde_json::from_str(&output).unwrap();
    assert!(stats["topics"].as_u64().unwrap() >= 2, "{stats}");
    assert!(stats["files"]["journals"].as_u64().unwrap() > 0, "{stats}");
    let (code, output, errors) = run(&["store", "compact", store]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        output.contains(" took ") && output.contains(" and takes "),
        "{output}"
    );

    let journal = fs::read_dir(directory.path().join("data")).unwrap();
    let journal = journal
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "jnl"))
        .unwrap();
    fs::remove_file(&journal).unwrap();
    let (code, output, _) = run(&["store", "check", store]).await;
    assert_eq!(code, 1, "{output}");
    let name = journal.file_name().unwrap().to_str().unwrap();
    let damage = format!("damaged: data/{name} is missing\n   lost: the latest publications");
    assert!(output.contains(&damage), "{output}");
    assert!(output.contains("no server opens it"), "{output}");

    for arguments in [&["store", "check"][..], &["store", "export"]] {
        let (code, _, errors) = run(arguments).await;
        assert_eq!(code, 1);
        assert!(errors.contains("names no store"), "{errors}");
    }
}

#[tokio::test]
async fn a_running_server_backs_up_into_its_own_directory_only() {
    let directory = tempfile::tempdir().unwrap();
    let [store, backups] = ["store", "backups"].map(|name| directory.path().join(name));
    let server = serve(&[
        "--store",
        path(&store),
        "--backup-dir",
        path(&backups),
        "--api-key",
        KEY,
    ])
    .await;
    create(&server, "first").await;
    let before = (posts(&server).await, position(&server).await);
    let url = format!("http://{}", server.address());
    let backup = ["store", "backup", "--url", &url, "--api-key", KEY];
    let mut names = Vec::new();
    for _ in 0..2 {
        let (code, output, errors) = run(&backup).await;
        assert_eq!(code, 0, "{errors}");
        names.push(output.trim_end().to_owned());
    }
    let mut found: Vec<_> = fs::read_dir(&backups)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
    assert!(names[0].starts_with("nextrush-20"), "{names:?}");
    // Nobody else gets one, and nobody chooses the place.
    let elsewhere = json!({ "directory": directory.path().join("elsewhere") });
    let (status, _) = Http::of(&server)
        .post("/api/v1/backup", elsewhere.clone())
        .await;
    assert_eq!(status, 401);
    let (status, made) = Http::with(&server, KEY)
        .post("/api/v1/backup", elsewhere)
        .await;
    assert_eq!(status, 200);
    assert!(backups.join(made["name"].as_str().unwrap()).is_dir());
    assert!(!directory.path().join("elsewhere").exists());
    create(&server, "later").await;
    server.close().await;

    let restored = backups.join(&names[0]);
    let server = serve(&["--store", path(&restored), "--api-key", KEY]).await;
    let after = (posts(&server).await, position(&server).await);
    assert_eq!((&after.0, &after.1.1), (&before.0, &before.1.1));
    // What came since is lost, so nobody recovers by mistake.
    assert_ne!(after.1.0, before.1.0);
    server.close().await;

    let server = serve(&["--store", path(&store), "--api-key", KEY]).await;
    let (status, refusal) = Http::with(&server, KEY)
        .post("/api/v1/backup", json!({}))
        .await;
    assert_eq!((status, &refusal["code"]), (404, &json!("not-found")));
    server.close().await;
}

#[tokio::test]
async fn health_is_an_exit_code() {
    let server = serve(&[]).await;
    let url = format!("http://{}", server.address());
    for arguments in [&["health", &url][..], &["health", "--ready", &url]] {
        assert_eq!(run(arguments).await, (0, "ok\n".to_owned(), String::new()));
    }
    let mut configured = program(&["health"]);
    configured.env("NEXTRUSH_LISTEN", server.address().to_string());
    assert_eq!(finished(configured, "").await.0, 0);
    server.close().await;
    let (code, output, errors) = run(&["health", &url]).await;
    assert_eq!((code, &*output), (1, ""));
    assert!(errors.contains("does not answer"), "{errors}");
}

#[tokio::test]
async fn the_doctor_tells_what_will_go_wrong_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let good = "KmtCoVfTdZSKYJzYEqpQq1O1HgKA3VYN7GJ0AxlAtHs=";
    let server = serve_with(&["--jwt-secret", good]).await;
    let url = format!("http://{}", server.address());
    let listen = server.address().to_string();
    let (code, output, errors) = run(&[
        "doctor",
        "--jwt-secret",
        good,
        "--store",
        path(&store),
        "--listen",
        "127.0.0.1:0",
        "--url",
        &url,
    ])
    .await;
    assert_eq!((code, &*errors), (0, ""), "{output}");
    for line in [
        "ok    configuration: no file",
        "ok    secret: 44 bytes",
        "ok    port: 127.0.0.1:0 is free",
        "ok    proxy: /version is answered by the server",
        "ok    proxy: a WebSocket opens, for a page of the address",
    ] {
        assert!(
            output.lines().any(|found| found == line),
            "{line}: {output}"
        );
    }
    assert!(output.contains(&format!("ok    store: {} will be made", store.display())));
    assert!(output.contains("open files: ") && output.contains("ok    disk of store: "));
    // A server of this kind may be there already, and nothing was made.
    let (code, output, _) = run(&["doctor", "--jwt-secret", good, "--listen", &listen]).await;
    assert_eq!(code, 0, "{output}");
    assert!(
        output.contains(&format!("a server of this kind is at {listen}")),
        "{output}"
    );
    assert!(output.contains("warn  store: none"), "{output}");
    assert!(!store.exists());

    // A port that something else has, which answers nothing, and a server for other pages.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let refusing = std::thread::spawn(move || drop(other.accept()));
    let strict = serve(&["--allow-origin", "https://chat.example.com"]).await;
    let strict_url = format!("http://{}", strict.address());
    let (code, output, _) = run(&[
        "doctor",
        "--jwt-secret",
        SECRET,
        "--listen",
        &taken,
        "--url",
        &strict_url,
    ])
    .await;
    refusing.join().unwrap();
    assert_eq!(code, 1, "{output}");
    for finding in [
        format!("fail  port: another process listens at {taken}\n      -> "),
        "warn  secret: it does not look random\n      -> ".to_owned(),
        "fail  proxy: pages of the address are refused (403)\n      -> ".to_owned(),
    ] {
        assert!(output.contains(&finding), "{finding}: {output}");
    }
    strict.close().await;
    let (code, output, _) = run(&["doctor", "--lisen", "3000"]).await;
    assert_eq!((code, &*output), (2, ""));
    let (code, output, _) = run(&["doctor"]).await;
    assert_eq!(code, 1);
    assert!(
        output.contains("fail  configuration: JWT_SECRET is not set"),
        "{output}"
    );
    server.close().await;
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    let (code, bash, _) = run(&["completions", "bash"]).await;
    assert_eq!(code, 0);
    let (code, page, _) = run(&["man"]).await;
    assert_eq!(code, 0);
    let commands = [
        "serve",
        "config",
        "store",
        "doctor",
        "health",
        "bench",
        "publish",
        "tail",
        "completions",
        "man",
    ];
    for command in commands {
        assert!(bash.contains(&format!("nextrush,{command})")), "{command}");
        assert!(
            page.contains(&format!("nextrush\\-{command}(1)")),
            "{command}"
        );
    }
    assert!(
        page.starts_with(".") && page.contains("\\-\\-backup\\-dir"),
        "{page}"
    );
    let directory = tempfile::tempdir().unwrap();
    let (code, output, errors) = run(&["man", path(directory.path())]).await;
    assert_eq!((code, &*output, &*errors), (0, "", ""));
    for name in [
        "nextrush",
        "nextrush-store",
        "nextrush-store-backup",
        "nextrush-doctor",
    ] {
        let page = fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&name.replace('-', "\\-")), "{name}: {page}");
    }
    for shell in ["zsh", "fish"] {
        assert!(run(&["completions", shell]).await.1.contains("backup"));
    }
    assert_eq!(run(&["completions", "tcsh"]).await.0, 2);
}

#[tokio::test]
async fn a_misspelt_command_or_flag_is_answered_with_what_was_meant() {
    for (wrong, meant) in [
        (&["docter"][..], "doctor"),
        (&["store", "exprt"], "export"),
        (&["--prot", "80"], "--listen"),
        (&["store", "stats", "--larges", "2"], "--largest"),
    ] {
        let (code, output, errors) = run(wrong).await;
        assert_eq!((code, &*output), (2, ""), "{wrong:?}");
        assert!(
            errors.contains(&format!("'{meant}'")),
            "{wrong:?}: {errors}"
        );
    }
}
