//! The program started from a configuration file alone.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use nextrush::Jwt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};

use crate::support::{Client, Http, SECRET, signal, unix_seconds, within};

const KEY: &str = "the key of the API, also of 32 bytes or more";
const CHANNELS: &str = r#"
[[channel]]
pattern = "board-:id"
subscribe = { claim = "boards", contains = ":id" }
publish = [{ claim = "role", is = ["admin", "editor"] }, { user = ["root"] }]
history = 10
presence = true

[[channel]]
pattern = "inbox-:user"
subscribe = { user = ":user" }

[[channel]]
pattern = "team:{name}"
subscribe = { claim = "/groups/teams", contains = ":name" }

[[channel]]
pattern = "closed"
subscribe = "nobody"

[[channel]]
pattern = "lobby"
publish = "signed-in"
latest-value = true
"#;

/// A program that serves with a file.
struct Served {
    child: Child,
    port: u16,
    log: Lines<BufReader<ChildStderr>>,
    directory: TempDir,
}

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

/// The settings of every file.
fn usual(directory: &Path) -> String {
    let jwt = directory.join("jwt");
    std::fs::write(&jwt, format!("{SECRET}\n")).unwrap();
    format!(
        "listen = [\"127.0.0.1:0\", \"unix:{}\"]\njwt-secret-file = {jwt:?}\napi-key = {KEY:?}\n",
        directory.join("n.sock").display()
    )
}

impl Served {
    async fn start(channels: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nextrush.toml");
        std::fs::write(&file, usual(directory.path()) + channels).unwrap();
        // Found in the directory in which the program is started.
        let mut child = program(&["serve"])
            .current_dir(directory.path())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = within(lines.next_line()).await.unwrap().unwrap();
            if let Some(rest) = line.strip_prefix("Open http://localhost:") {
                break rest.trim_end_matches('/').parse().unwrap();
            }
        };
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            port,
            log,
            directory,
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("nextrush.toml")
    }

    /// Writes the file anew, and waits for the line of the log that tells of it.
    async fn reload(&mut self, contents: &str, expected: &str) {
        std::fs::write(self.file(), contents).unwrap();
        signal(&self.child, "HUP").await;
        self.said(expected).await;
    }

    async fn said(&mut self, expected: &str) -> String {
        loop {
            let line = within(self.log.next_line()).await.unwrap().unwrap();
            if line.contains(expected) {
                return line;
            }
        }
    }

    async fn live(&self, id: &str, claims: Value) -> Client {
        let token = signed(id, claims, SECRET);
        Client::connect_to(self.port, &format!("/live?token={token}")).await
    }
}

/// A token with further claims.
fn signed(id: &str, mut claims: Value, secret: &str) -> String {
    let map = claims.as_object_mut().unwrap();
    map.insert("id".to_owned(), json!(id));
    map.insert("email".to_owned(), json!(format!("{id}@example.com")));
    map.insert("exp".to_owned(), json!(unix_seconds() + 600));
    Jwt::hs256(secret).sign(&claims).unwrap()
}

/// The type of the answer to a subscription, or its code.
async fn subscribe(client: &mut Client, channel: &str) -> String {
    client
        .send(json!({ "type": "subscribe", "channel": channel }))
        .await;
    outcome(client, &["subscribed", "error"]).await
}

async fn publish(client: &mut Client, channel: &str) -> String {
    client
        .send(json!({ "type": "publish", "channel": channel, "data": 7, "id": format!("p-{channel}") }))
        .await;
    outcome(client, &["ack", "error"]).await
}

async fn outcome(client: &mut Client, kinds: &[&str]) -> String {
    loop {
        let answer = client.json().await;
        let kind = answer["type"].as_str().unwrap();
        if kinds.contains(&kind) {
            return answer["code"].as_str().unwrap_or(kind).to_owned();
        }
    }
}

#[tokio::test]
async fn a_file_alone_says_who_may_subscribe_and_publish_and_what_is_kept() {
    let served = Served::start(CHANNELS).await;
    let refused = "subscribe-refused";
    let mut ada = served
        .live(
            "ada",
            json!({ "boards": [7, "x"], "role": "editor", "groups": { "teams": "red blue" } }),
        )
        .await;
    for (channel, expected) in [
        ("board-7", "subscribed"),
        ("board-x", "subscribed"),
        ("board-8", refused),
        ("board-", refused),
        ("inbox-ada", "subscribed"),
        ("inbox-bob", refused),
        ("team:red", "subscribed"),
        ("team:re", refused),
        ("team:red blue", refused),
        ("closed", refused),
        ("lobby", "subscribed"),
        // No pattern fits.
        ("elsewhere", refused),
        // What the page needs.
        ("posts", "subscribed"),
    ] {
        assert_eq!(subscribe(&mut ada, channel).await, expected, "{channel}");
    }
    for (channel, expected) in [
        ("board-8", "ack"),
        ("lobby", "ack"),
        ("inbox-ada", "publish-refused"),
        ("elsewhere", "publish-refused"),
    ] {
        assert_eq!(publish(&mut ada, channel).await, expected, "{channel}");
    }

    let mut bob = served
        .live("bob", json!({ "boards": "8 9", "role": ["admin"] }))
        .await;
    assert_eq!(subscribe(&mut bob, "board-7").await, refused);
    // The history is there: what was published before comes behind its start.
    bob.send(json!({ "type": "subscribe", "channel": "board-8" }))
        .await;
    let position = bob.json_of("subscribed").await;
    assert_eq!(position["offset"], 1);
    // An updated state of presence shows the subscriber.
    bob.send(json!({ "type": "presence", "channel": "board-8" }))
        .await;
    let presence = bob.json_of("presence").await;
    assert_eq!(presence["members"][0]["user"]["id"], "bob");
    // `is` compares the whole claim, and a list is none of the values.
    assert_eq!(publish(&mut bob, "board-8").await, "publish-refused");
    bob.send(json!({ "type": "subscribe", "channel": "lobby" }))
        .await;
    assert_eq!(bob.json_of("update").await["data"], 7);

    let mut root = served.live("root", json!({})).await;
    assert_eq!(subscribe(&mut root, "board-7").await, refused);
    assert_eq!(publish(&mut root, "board-7").await, "ack");

    // A new token counts from then on.
    let token = signed("root", json!({ "boards": ["7"] }), SECRET);
    root.send(json!({ "type": "refresh", "token": token }))
        .await;
    root.json_of("refreshed").await;
    assert_eq!(subscribe(&mut root, "board-7").await, "subscribed");
    let token = signed("root", json!({}), SECRET);
    root.send(json!({ "type": "refresh", "token": token }))
        .await;
    let taken_out = root.json_of("unsubscribed").await;
    assert_eq!(taken_out["channel"], "board-7");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_lists_a_port_and_a_unix_socket_and_both_serve_the_page() {
    let mut served = Served::start("").await;
    let (status, _) = Http::at(served.port, KEY).get("/healthz").await;
    assert_eq!(status, 200);
    let path = served.directory.path().join("n.sock");
    // The files of a store are private; a socket is for whoever its directory lets through.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("<html"),
        "{answer}"
    );
    signal(&served.child, "INT").await;
    assert!(within(served.child.wait()).await.unwrap().success());
    assert!(!path.exists());
}

#[tokio::test]
async fn sighup_takes_what_it_can_and_keeps_everything_if_anything_is_wrong() {
    let mut served = Served::start(CHANNELS).await;
    let usual = usual(served.directory.path());
    let mut ada = served.live("ada", json!({ "boards": ["7"] })).await;
    let mut editor = served.live("eve", json!({ "role": "editor" })).await;
    assert_eq!(subscribe(&mut ada, "board-7").await, "subscribed");
    assert_eq!(subscribe(&mut ada, "inbox-ada").await, "subscribed");

    // Wrong: nothing changes, and the log says where.
    let wrong = CHANNELS
        .replace("boards", "other")
        .replace("\"nobody\"", "\"nobdy\"");
    served
        .reload(
            &format!("{usual}{wrong}"),
            "is as before, since the new one is wrong: nextrush.toml:",
        )
        .await;
    assert_eq!(subscribe(&mut ada, "board-7").await, "subscribed");

    // New rules: who may no longer be there is taken out, and others are let in.
    let changed = CHANNELS
        .replace("boards", "other")
        .replace("\"editor\"", "\"author\"");
    served
        .reload(&format!("{usual}{changed}"), "read again: channel changed")
        .await;
    let taken_out = ada.json_of("unsubscribed").await;
    assert_eq!(taken_out["channel"], "board-7");
    assert_eq!(subscribe(&mut ada, "board-7").await, "subscribe-refused");
    assert_eq!(subscribe(&mut ada, "inbox-ada").await, "subscribed");
    assert_eq!(publish(&mut editor, "board-7").await, "publish-refused");

    // A channel that keeps more, and another address, take a restart.
    let more = changed
        .replace("history = 10", "history = 11")
        .replace("other", "third");
    let moved = usual.replace("127.0.0.1:0", "127.0.0.1:1");
    served
        .reload(
            &format!("{moved}{more}"),
            "a restart is needed for listen, channel",
        )
        .await;
    let mut bob = served.live("bob", json!({})).await;
    assert_eq!(subscribe(&mut bob, "inbox-bob").await, "subscribed");

    // The key of tokens, out of its own file.
    let other = "another secret of tests, thirty-two bytes and more";
    std::fs::write(served.directory.path().join("jwt"), other).unwrap();
    let now = format!("{usual}{changed}");
    served.reload(&now, "read again: jwt-secret changed").await;
    let path = |secret| format!("/live?token={}", signed("ada", json!({}), secret));
    let mut new = Client::connect_to(served.port, &path(other)).await;
    assert_eq!(subscribe(&mut new, "inbox-ada").await, "subscribed");
    let mut old = Client::connect_to(served.port, &path(SECRET)).await;
    assert_eq!(old.json_of("error").await["code"], "invalid-token");
    // A socket that is open takes tokens of the new key, and of no other.
    for (secret, kind) in [(SECRET, "error"), (other, "refreshed")] {
        let token = signed("bob", json!({}), secret);
        bob.send(json!({ "type": "refresh", "token": token })).await;
        assert_eq!(bob.json().await["type"], kind);
    }

    served
        .reload(
            &format!("log = \"info,nextrush=debug\"\n{now}"),
            "read again: log changed",
        )
        .await;
    served
        .said("the log has the lines of info,nextrush=debug from now on")
        .await;
    // A reload without a change says so.
    served
        .reload(
            &format!("log = \"info,nextrush=debug\"\n{now}"),
            "read again: nothing changed",
        )
        .await;
}

/// A file of keys of the library's tests.
fn keys(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nextrush/tests/fixtures/keys");
    fixtures.join(name).canonicalize().unwrap()
}

#[tokio::test]
async fn files_of_keys_serve_beside_the_secret_and_are_read_again_with_sighup() {
    let mut served = Served::start("").await;
    let file = served.directory.path().join("keys");
    let usual = usual(served.directory.path());
    let with_keys = format!("jwt-key = [{file:?}, {:?}]\n{usual}", keys("public.pem"));
    std::fs::write(&file, std::fs::read(keys("set.json")).unwrap()).unwrap();
    let tokens = std::fs::read(keys("tokens.json")).unwrap();
    let tokens: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(&tokens).unwrap();
    let port = served.port;
    let is_accepted = async |token: &str| {
        let mut client = Client::connect_to(port, &format!("/live?token={token}")).await;
        client
            .send(json!({ "type": "subscribe", "channel": "posts" }))
            .await;
        outcome(&mut client, &["subscribed", "error"]).await == "subscribed"
    };

    assert!(!is_accepted(&tokens["PS384"]).await);
    served
        .reload(&with_keys, "read again: jwt-key changed")
        .await;
    for (algorithm, token) in &tokens {
        assert!(is_accepted(token).await, "{algorithm}");
    }
    assert!(is_accepted(&signed("ada", json!({}), SECRET)).await);

    // Something that is no key: all is as before.
    std::fs::write(&file, "no key").unwrap();
    served
        .reload(&with_keys, "is as before, since the new one is wrong")
        .await;
    assert!(is_accepted(&tokens["PS384"]).await);

    // Without the keys that were in the file.
    let other = json!({ "kty": "oct", "kid": "other", "k": "b".repeat(44) });
    std::fs::write(&file, other.to_string()).unwrap();
    served
        .reload(&with_keys, "read again: jwt-key changed")
        .await;
    assert!(!is_accepted(&tokens["PS384"]).await);
    assert!(is_accepted(&signed("ada", json!({}), SECRET)).await);
    served
        .reload(&with_keys, "read again: nothing changed")
        .await;

    // The keys alone, without a secret.
    let alone = with_keys.replace("jwt-secret-file", "# ");
    served
        .reload(&alone, "read again: jwt-secret changed")
        .await;
    assert!(!is_accepted(&signed("ada", json!({}), SECRET)).await);
}

#[tokio::test]
async fn several_keys_of_the_api_are_for_what_the_file_says_and_change_with_sighup() {
    let other = "another key of the API, of 32 bytes or more";
    let tables = |channels: &str| {
        format!(
            "[[api-key]]\nname = \"boards\"\nvalue = {KEY:?}\nchannels = {channels}\nmay = [\"publish\"]\n\
             [[api-key]]\nname = \"past\"\nvalue = {other:?}\nexpires = 2020-01-01\n"
        )
    };
    let mut served = Served::start("").await;
    let usual = usual(served.directory.path()).replace("api-key =", "# ");
    let body = json!({ "channel": "board-1", "data": 1 });
    let publish = async |port, key| {
        Http::at(port, key)
            .post("/api/v1/publish", body.clone())
            .await
            .0
    };
    assert_eq!(publish(served.port, KEY).await, 200);
    served
        .reload(
            &format!("{usual}{}", tables("[\"board-:id\"]")),
            "read again: api-key changed",
        )
        .await;
    assert_eq!(publish(served.port, KEY).await, 200);
    assert_eq!(publish(served.port, other).await, 401);
    served
        .reload(
            &format!("{usual}{}", tables("[\"other\"]")),
            "read again: api-key changed",
        )
        .await;
    assert_eq!(publish(served.port, KEY).await, 403);
    served.said("nextrush::audit").await;
    served
        .reload(&usual, "a restart is needed for api-key")
        .await;
    assert_eq!(publish(served.port, KEY).await, 403);
}

/// Answers each request with the set of keys of this moment.
async fn issuer(set: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /keys HTTP/1.1\r\n"));
            let body = set.lock().unwrap().clone();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn keys_that_an_issuer_publishes_are_fetched_once_a_token_needs_them() {
    let set = std::fs::read_to_string(keys("set.json")).unwrap();
    let issuer = issuer(Arc::new(Mutex::new(set))).await;
    let mut served = Served::start("").await;
    let usual = usual(served.directory.path());
    let with = format!("jwks-url = \"http://127.0.0.1:{issuer}/keys\"\n{usual}");
    served.reload(&with, "read again: jwks-url changed").await;
    let tokens = std::fs::read(keys("tokens.json")).unwrap();
    let tokens: Value = serde_json::from_slice(&tokens).unwrap();
    for (name, expected) in [
        ("ES256", "subscribed"),
        ("RS512", "subscribed"),
        ("HS256", "invalid-token"),
    ] {
        let token = tokens[name].as_str().unwrap();
        let mut client = Client::connect_to(served.port, &format!("/live?token={token}")).await;
        client
            .send(json!({ "type": "subscribe", "channel": "posts" }))
            .await;
        let found = outcome(&mut client, &["subscribed", "error"]).await;
        assert_eq!(found, expected, "{name}");
    }
    let remote = with.replace("127.0.0.1:", "example.com:");
    served
        .reload(&remote, "http:// is for this machine only")
        .await;
    let audience = format!("jwt-audience = [\"chat\"]\n{with}");
    served
        .reload(&audience, "read again: jwt-audience changed")
        .await;
    let path = format!("/live?token={}", tokens["ES256"].as_str().unwrap());
    let mut refused = Client::connect_to(served.port, &path).await;
    assert_eq!(refused.json_of("error").await["code"], "invalid-token");
}

#[tokio::test]
async fn tokens_of_an_identity_provider_name_their_users_by_the_claim_that_is_set() {
    let mut served = Served::start(CHANNELS).await;
    let file = usual(served.directory.path()) + CHANNELS;
    let claims = json!({ "sub": "auth0|7", "exp": unix_seconds() + 600 });
    let token = Jwt::hs256(SECRET).sign(&claims).unwrap();
    let path = format!("/live?token={token}");
    let mut refused = Client::connect_to(served.port, &path).await;
    assert_eq!(refused.json_of("error").await["code"], "invalid-token");
    let with = format!("jwt-id-claim = \"sub\"\n{file}");
    served
        .reload(&with, "read again: jwt-id-claim changed")
        .await;
    let mut client = Client::connect_to(served.port, &path).await;
    assert_eq!(subscribe(&mut client, "inbox-auth0|7").await, "subscribed");
    let mut guide = served.live("ada", json!({ "sub": "auth0|7" })).await;
    assert_eq!(subscribe(&mut guide, "inbox-ada").await, "subscribed");
}

#[tokio::test]
async fn listed_origins_change_with_sighup() {
    let origins = |name: &str| format!("allow-origin = [\"https://{name}.example\"]\n");
    let mut served = Served::start(&origins("one")).await;
    let usual = usual(served.directory.path());
    let allowed = async |served: &Served, name: &str| {
        let http = Http::at(served.port, KEY);
        let origin = format!("https://{name}.example");
        let headers = http.headers_for(&origin, "GET", "/healthz").await;
        headers
            .get("access-control-allow-origin")
            .is_some_and(|it| *it == *origin)
    };
    assert!(allowed(&served, "one").await && !allowed(&served, "two").await);
    served
        .reload(
            &(usual.clone() + &origins("two")),
            "read again: allow-origin changed",
        )
        .await;
    assert!(!allowed(&served, "one").await && allowed(&served, "two").await);
    served
        .reload(&usual, "a restart is needed for allow-origin")
        .await;
    assert!(allowed(&served, "two").await);
}

/// Runs a command to its end: the exit code, the output, the errors.
async fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = within(program(arguments).output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test]
async fn a_configuration_is_written_checked_and_printed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("n.toml");
    let path = file.to_str().unwrap();
    let (code, said, _) = run(&["config", "init", path]).await;
    assert_eq!((code, said), (0, format!("wrote {path}\n")));
    let (code, _, errors) = run(&["config", "init", path]).await;
    assert_eq!(code, 1);
    assert!(
        errors.starts_with(&format!("nextrush: cannot write {path}: ")),
        "{errors}"
    );
    let (code, said, errors) = run(&["config", "check", path]).await;
    assert_eq!((code, said), (0, format!("{path} is right\n")));
    assert!(errors.contains("JWT_SECRET is not set"), "{errors}");

    std::fs::write(&file, "lisen = 1\n\n[[channel]]\n").unwrap();
    let (code, said, errors) = run(&["config", "check", "--config", path]).await;
    assert_eq!((code, &*said), (1, ""));
    assert_eq!(
        errors,
        format!(
            "nextrush: 3 faults in the configuration:\n  \
             {path}:1:1: there is no setting \"lisen\": did you mean \"listen\"?\n  \
             {path}:3:1: a channel has a pattern, as in pattern = \"board-:id\"\n  \
             JWT_SECRET is not set: set it to the key that your tokens are signed with, name keys with \
             --jwt-key or --jwks-url, or try the \
             server with --dev\n"
        )
    );
    // The server refuses the same.
    let (code, _, serving) = run(&["--config", path]).await;
    assert_eq!((code, serving), (1, errors));

    std::fs::write(&file, "shards = 2\n").unwrap();
    let (code, printed, _) = run(&[
        "config",
        "print",
        "--config",
        path,
        "--listen",
        "1",
        "--jwt-secret",
        SECRET,
    ])
    .await;
    assert_eq!(code, 0);
    assert!(
        printed.contains("\nlisten = [\"1\"]  # --listen\n"),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("\nshards = 2  # {path}:1\n")),
        "{printed}"
    );
    assert!(!printed.contains(SECRET), "{printed}");
}

#[tokio::test]
async fn wrong_usages_are_answered_with_what_to_do() {
    for (arguments, code, expected) in [
        (
            &["--listen", "80443"][..],
            2,
            "--listen: \"80443\" is no port: ports are whole numbers from 0 to 65535",
        ),
        (
            &["--shards", "0", "--dev"],
            2,
            "--shards: \"0\" is no whole number of 1 or more",
        ),
        (&["--prot", "80"], 2, "'--listen'"),
        (&["serv"], 2, "'serve'"),
        (
            &[
                "--listen",
                "no-such-host.invalid:1",
                "--dev=false",
                "--jwt-secret",
                SECRET,
            ],
            1,
            "cannot listen on no-such-host.invalid:1: ",
        ),
        (&["--dev", "--store", "/proc/nope"], 1, "/proc/nope"),
    ] {
        let (exit, _, errors) = run(arguments).await;
        assert_eq!(exit, code, "{errors}");
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
}

#[tokio::test]
async fn the_admin_key_and_the_limit_of_an_address_are_read_again() {
    let with = |key: &str, limit: usize| {
        format!("admin-key = \"{key}\"\nconnections-per-address = {limit}\n")
    };
    let (first, second) = (SECRET, "another key of operators, of 32 bytes or more");
    let mut served = Served::start(&with(first, 100)).await;
    let usual = usual(served.directory.path());
    let port = served.port;
    let mint = async |key: &str| {
        let http = Http::at(port, key);
        http.post("/api/inspect/token", json!({})).await
    };
    let look = async |ticket: &Value| {
        let http = Http::at(port, ticket["token"].as_str().unwrap());
        http.get("/api/inspect/nodes").await.0
    };
    let (status, old) = mint(first).await;
    assert_eq!((status, look(&old).await), (201, 200));

    let now = usual.clone() + &with(second, 100);
    served.reload(&now, "read again: admin-key changed").await;
    assert_eq!(look(&old).await, 401);
    assert_eq!(mint(first).await.0, 401);
    let (status, new) = mint(second).await;
    assert_eq!((status, look(&new).await), (201, 200));

    let _ada = served.live("ada", json!({})).await;
    let _bob = served.live("bob", json!({})).await;
    for (limit, expected) in [(2, 429), (100, 200)] {
        let now = usual.clone() + &with(second, limit);
        let told = "read again: connections-per-address changed";
        served.reload(&now, told).await;
        assert_eq!(Http::at(port, "").get("/healthz").await.0, expected);
    }
}
