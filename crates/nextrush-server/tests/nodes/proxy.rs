//! The example of two nodes behind nginx, as it is in `examples/two-nodes`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nextrush::Jwt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::servers::{Server as Redis, eventually, programs};
use crate::support::{Client, Http, free_port, signal, unix_seconds, within};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/two-nodes");
    std::fs::read_to_string(path.join(name)).unwrap()
}

/// The variables of the file for the units, with another Redis.
fn environment(redis: &Redis) -> BTreeMap<String, String> {
    let file = example("nextrush.env");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let mut variables: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let url = variables.insert("NEXTRUSH_REDIS".into(), redis.url().to_string());
    assert_eq!(url.as_deref(), Some("redis://127.0.0.1:6379"));
    variables
}

/// Starts the program as the unit says, for a port.
async fn unit(port: u16, variables: &BTreeMap<String, String>) -> Child {
    let unit = example("nextrush@.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let start = start
        .unwrap()
        .replace("%i", &port.to_string())
        .replace("%H", "host");
    let (program, arguments) = start.split_once(' ').unwrap();
    assert_eq!(program, "/usr/local/bin/nextrush");
    let node = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args(arguments.split(' '))
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the node is ready", async || {
        let is_there = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok();
        is_there && Http::at(port, "").get("/readyz").await.0 == 200
    })
    .await;
    node
}

fn nginx() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let mut paths: Vec<_> = std::env::split_paths(&paths).collect();
    // Debian's, which are not in everybody's path.
    paths.push("/usr/sbin".into());
    let found = paths.into_iter().map(|path| path.join("nginx"));
    found.into_iter().find(|path| path.is_file())
}

struct Nginx {
    /// Ends with this.
    _program: Child,
    port: u16,
    _directory: TempDir,
}

impl Nginx {
    /// Starts nginx with the example's site in front of nodes on these ports.
    async fn start(program: &Path, nodes: [u16; 2]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        let port = free_port();
        let mut site = example("nginx.conf");
        for (from, to) in [
            ("listen 80;", format!("listen 127.0.0.1:{port};")),
            ("127.0.0.1:3001", format!("127.0.0.1:{}", nodes[0])),
            ("127.0.0.1:3002", format!("127.0.0.1:{}", nodes[1])),
        ] {
            assert_eq!(site.matches(from).count(), 1, "{from}");
            site = site.replace(from, &to);
        }
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .collect();
        let main = format!(
            "daemon off;\nmaster_process off;\npid {path}/pid;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}{site}\n}}\n"
        );
        let configuration = directory.path().join("nginx.conf");
        std::fs::write(&configuration, main).unwrap();
        let program = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("nginx listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        Self {
            _program: program,
            port,
            _directory: directory,
        }
    }
}

const USERS: [&str; 4] = ["ada", "bob", "cy", "dan"];

/// The users whose sockets a node has.
async fn users(port: u16, key: &str) -> Vec<String> {
    let (_, minted) = Http::at(port, key)
        .post("/api/inspect/token", Value::Null)
        .await;
    let http = Http::at(port, minted["token"].as_str().unwrap());
    let (_, listed) = http
        .get(&format!("/api/inspect/connections?node=host-{port}"))
        .await;
    let connections = listed["connections"].as_array().unwrap().iter();
    connections
        .map(|one| one["user"]["id"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn two_nodes_behind_nginx_are_one_and_either_may_be_restarted() {
    let (Some(nginx), Some(program)) = (nginx(), programs().into_iter().next()) else {
        let required = std::env::var_os("NEXTRUSH_REQUIRE_SERVERS").is_some();
        assert!(
            !required,
            "no nginx on this machine: `./test nodes` installs it"
        );
        return eprintln!("SKIPPED: there is no nginx on this machine; `./test nodes` installs it");
    };
    let redis = Redis::start(program, &[]).await;
    let variables = environment(&redis);
    let jwt = Jwt::hs256(&variables["JWT_SECRET"]);
    let token = |user: &str| {
        let email = format!("{user}@example.com");
        let claims = json!({ "id": user, "email": email, "exp": unix_seconds() + 600 });
        jwt.sign(&claims).unwrap()
    };
    let ports = [free_port(), free_port()];
    let [first, second] = [
        unit(ports[0], &variables).await,
        unit(ports[1], &variables).await,
    ];
    let front = Nginx::start(&nginx, ports).await;

    let key = &variables["NEXTRUSH_ADMIN_KEY"];

    // Clients are spread, and hear each other.
    let path = |user: &str, since: &str| format!("/chat/lobby?token={}{since}", token(user));
    let mut clients = Vec::new();
    for user in USERS {
        let mut client = Client::connect_to(front.port, &path(user, "")).await;
        let history = client.json_of("room-history").await;
        clients.push((client, history["epoch"].as_str().unwrap().to_owned()));
    }
    for port in ports {
        assert_eq!(users(port, key).await.len(), 2);
    }
    let (ada, _) = &mut clients[0];
    ada.send(json!({ "type": "chat", "text": "hello" })).await;
    for (client, _) in &mut clients {
        assert_eq!(client.json_of("chat-message").await["text"], "hello");
    }
    // So do requests, whichever node each of them gets.
    let http = Http::at(front.port, &token("ada"));
    for number in 1..=4 {
        let (status, saved) = http.post("/api/posts", json!({ "title": "a" })).await;
        assert_eq!((status, &saved["post"]["id"]), (200, &json!(number)));
        eventually("the post is on the other node", async || {
            let (_, listed) = http.get("/api/posts").await;
            listed["posts"][0]["id"] == number
        })
        .await;
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http.get(path).await.0, 403, "{path}");
    }

    // A node ends: its clients are told, and come back on the other without having missed anything.
    let of_first = users(ports[0], key).await;
    signal(&first, "INT").await;
    let epoch = clients[0].1.clone();
    for (user, (client, _)) in USERS.iter().zip(&mut clients) {
        if of_first.iter().any(|one| one == user) {
            assert_eq!(client.end().await.0, 1012);
        }
    }
    let since = format!("&epoch={epoch}&offset=1");
    let mut again = Client::connect_to(front.port, &path("ada", &since)).await;
    let history = again.json_of("room-history").await;
    assert_eq!(history["recovered"], true, "{history}");
    assert_eq!(http.get("/api/posts").await.0, 200);
    let mut first = first;
    assert_eq!(within(first.wait()).await.unwrap().code(), Some(0));

    // It comes back, and gets clients.
    let _first = unit(ports[0], &variables).await;
    let mut more = Vec::new();
    eventually("the node has clients again", async || {
        let mut client = Client::connect_to(front.port, &path("eve", "")).await;
        client.json_of("room-history").await;
        more.push(client);
        !users(ports[0], key).await.is_empty()
    })
    .await;

    // The other is killed.
    signal(&second, "KILL").await;
    eventually("requests go to the first", async || {
        http.get("/api/posts").await.0 == 200
    })
    .await;
    let mut again = Client::connect_to(front.port, &path("ada", &since)).await;
    let history = again.json_of("room-history").await;
    assert_eq!(history["recovered"], true, "{history}");
}
