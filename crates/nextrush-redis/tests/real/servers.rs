//! Real servers for tests, each in a directory of its own and on free ports.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nextrush_redis::RedisUrl;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Value};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The programs that tests run, so that no promise rests on the ways of one of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Redis,
    Valkey,
}

impl Program {
    fn path(self) -> Option<PathBuf> {
        let (variable, name) = match self {
            Self::Redis => ("NEXTRUSH_REDIS_SERVER", "redis-server"),
            Self::Valkey => ("NEXTRUSH_VALKEY_SERVER", "valkey-server"),
        };
        if let Some(path) = std::env::var_os(variable) {
            return Some(path.into());
        }
        let paths = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&paths).map(|path| path.join(name));
        found.into_iter().find(|path| path.is_file())
    }
}

/// The programs that this machine has. Without one the tests say so and are skipped, unless
/// `NEXTRUSH_REQUIRE_SERVERS` is set, as `./test nodes` does. `./test rust` sets
/// `NEXTRUSH_SKIP_SERVERS`, so that they run once and not twice.
pub(crate) fn programs() -> Vec<Program> {
    if std::env::var_os("NEXTRUSH_SKIP_SERVERS").is_some() {
        eprintln!("SKIPPED: `./test nodes` runs what needs a Redis");
        return Vec::new();
    }
    let (found, missing): (Vec<_>, Vec<_>) = [Program::Redis, Program::Valkey]
        .into_iter()
        .partition(|program| program.path().is_some());
    if !missing.is_empty() {
        let required = std::env::var_os("NEXTRUSH_REQUIRE_SERVERS").is_some();
        assert!(
            !required,
            "no {missing:?} on this machine: `./test nodes` installs them"
        );
        eprintln!("SKIPPED: there is no {missing:?} on this machine; `./test nodes` installs them");
    }
    found
}

/// The time in which whatever has to happen some time happens also on a busy machine; no test waits
/// for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so, for at most a minute.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A port that nobody listens at: each once, and none of those that the system itself gives to
/// whoever asks for any, as it could give this one away before it is used.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(101) + TAKEN.fetch_add(1, Ordering::Relaxed);
        // The port of the bus of a cluster is 10,000 higher by default, but may be set.
        let port = 20_000 + (number % 10_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server that runs.
pub(crate) struct Server {
    program: Program,
    pub(crate) port: u16,
    directory: TempDir,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// Starts a server in memory with more settings, as `--name value`.
    pub(crate) async fn start(program: Program, settings: &[&str]) -> Self {
        let mut server = Self {
            program,
            port: free_port(),
            directory: tempfile::tempdir().unwrap(),
            settings: settings.iter().map(|one| (*one).to_owned()).collect(),
            process: None,
        };
        server.run(&[]).await;
        server
    }

    async fn run(&mut self, more: &[&str]) {
        let path = self.program.path().expect("the program was found before");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("log"))
            .unwrap();
        let mut command = Command::new(path);
        if more.contains(&"--sentinel") {
            command.arg(self.directory.path().join("sentinel.conf"));
        }
        command.args(["--port", &self.port.to_string()]);
        command.args(["--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(self.directory.path());
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.args(more).args(&self.settings);
        command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while !self.is_ready().await {
            let process = self.process.as_mut().expect("it was started");
            let has_ended = process.try_wait().unwrap().is_some();
            assert!(
                !has_ended && begun.elapsed() < PATIENCE,
                "{:?} does not start on port {}",
                self.program,
                self.port
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        match self.try_connect().await {
            Some(mut connection) => {
                let pong = redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await;
                // With a password the server is there all the same.
                pong.map_or_else(|error| error.code() == Some("NOAUTH"), |_| true)
            }
            None => false,
        }
    }

    async fn try_connect(&self) -> Option<MultiplexedConnection> {
        let client = redis::Client::open(("127.0.0.1", self.port).to_url()).ok()?;
        // By default an answer may take half a second.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .ok()
    }

    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        self.try_connect().await.unwrap()
    }

    pub(crate) fn url(&self) -> RedisUrl {
        url(self.port)
    }

    /// Asks the server itself, without a proxy.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let reply = self.try_ask(words).await.unwrap();
        redis::from_redis_value(reply).unwrap()
    }

    pub(crate) async fn try_ask(&self, words: &[&str]) -> redis::RedisResult<Value> {
        let mut connection = self.try_connect().await.ok_or_else(|| {
            redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected))
        })?;
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut connection).await
    }

    pub(crate) async fn info(&self, section: &str, name: &str) -> Option<String> {
        let info = self.try_ask(&["INFO", section]).await.ok()?;
        let info: String = redis::from_redis_value(info).ok()?;
        let prefix = format!("{name}:");
        let value = info.lines().find_map(|line| line.strip_prefix(&prefix));
        value.map(|value| value.trim().to_owned())
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        let pid = i32::try_from(process.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Stops the server without ending it.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends the server at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts the server again without what it has on disk.
    pub(crate) async fn restart_empty(&mut self) {
        self.kill();
        let log = self.directory.path().join("appendonlydir");
        if log.exists() {
            std::fs::remove_dir_all(log).unwrap();
        }
        self.run(&[]).await;
    }

    /// The number of bytes that were written to replicas, or read from the master.
    pub(crate) async fn replicated(&self) -> Option<u64> {
        self.info("replication", "master_repl_offset")
            .await?
            .parse()
            .ok()
    }

    /// Starts the server again with what it has on disk.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.run(&[]).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

trait ToUrl {
    fn to_url(&self) -> String;
}

impl ToUrl for (&str, u16) {
    fn to_url(&self) -> String {
        let (host, port) = self;
        format!("redis://{host}:{port}")
    }
}

/// The address of a server or proxy on this machine.
pub(crate) fn url(port: u16) -> RedisUrl {
    ("127.0.0.1", port).to_url().parse().unwrap()
}

/// A master and its replica, which follows over `line`, a port of a proxy.
pub(crate) async fn replica(program: Program, line: u16) -> Server {
    let line = line.to_string();
    let settings = ["--replicaof", "127.0.0.1", &line];
    let replica = Server::start(program, &settings).await;
    eventually("the replica follows", async || {
        let status = replica.info("replication", "master_link_status").await;
        status.as_deref() == Some("up")
    })
    .await;
    replica
}

/// Three Sentinels that watch over the master of this port.
pub(crate) async fn sentinels(program: Program, master: u16) -> Vec<Server> {
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let configuration = format!(
            "sentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 2000\n"
        );
        std::fs::write(directory.path().join("sentinel.conf"), configuration).unwrap();
        let mut sentinel = Server {
            program,
            port: free_port(),
            directory,
            settings: Vec::new(),
            process: None,
        };
        sentinel.run(&["--sentinel"]).await;
        sentinels.push(sentinel);
    }
    for sentinel in &sentinels {
        eventually(
            "the Sentinels know each other and the replica",
            async || {
                let master = sentinel.try_ask(&["SENTINEL", "MASTER", "main"]).await;
                let Ok(Ok(master)) = master.map(redis::from_redis_value) else {
                    return false;
                };
                let master: std::collections::HashMap<String, String> = master;
                master["num-other-sentinels"] == "2" && master["num-slaves"] == "1"
            },
        )
        .await;
    }
    sentinels
}

/// A cluster of three masters.
pub(crate) struct ClusterOfThree {
    pub(crate) servers: Vec<Server>,
}

impl ClusterOfThree {
    pub(crate) async fn start(program: Program) -> Self {
        Self::start_with(program, &[]).await
    }

    /// Starts a cluster whose members have more settings.
    pub(crate) async fn start_with(program: Program, more: &[&str]) -> Self {
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(Self::member(program, more).await);
        }
        for (index, server) in servers.iter().enumerate() {
            let first = index * 16_384 / 3;
            let last = (index + 1) * 16_384 / 3 - 1;
            let [first, last] = [first, last].map(|slot| slot.to_string());
            server
                .ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                .await;
            for other in &servers[..index] {
                Self::introduce(server, other).await;
            }
        }
        let cluster = Self { servers };
        for server in &cluster.servers {
            eventually("the cluster is up", async || {
                let info: String = server.ask(&["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
            .await;
        }
        cluster
    }

    /// A member that knows of no others.
    async fn member(program: Program, more: &[&str]) -> Server {
        let bus = free_port().to_string();
        let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        Server::start(program, &[&settings, more].concat()).await
    }

    async fn introduce(server: &Server, other: &Server) {
        let (port, bus) = (other.port.to_string(), &other.settings[3]);
        let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, bus];
        server.ask::<()>(&meet).await;
    }

    /// A replica of one of the masters, which takes its place when it dies.
    pub(crate) async fn replica_of(&self, master: usize) -> Server {
        let master = &self.servers[master];
        let more: Vec<_> = master.settings[4..].iter().map(String::as_str).collect();
        let replica = Self::member(master.program, &more).await;
        Self::introduce(&replica, master).await;
        eventually("the replica knows all", async || {
            let info: String = replica.ask(&["CLUSTER", "INFO"]).await;
            info.contains("cluster_known_nodes:4")
        })
        .await;
        let id: String = master.ask(&["CLUSTER", "MYID"]).await;
        replica.ask::<()>(&["CLUSTER", "REPLICATE", &id]).await;
        eventually("the replica follows", async || {
            let status = replica.info("replication", "master_link_status").await;
            status.as_deref() == Some("up")
        })
        .await;
        let follower = format!("slave {id}");
        for server in &self.servers {
            eventually("all know the replica", async || {
                let nodes: String = server.ask(&["CLUSTER", "NODES"]).await;
                nodes.contains(&follower)
            })
            .await;
        }
        replica
    }

    pub(crate) fn url(&self) -> RedisUrl {
        let hosts: Vec<_> = self
            .servers
            .iter()
            .map(|one| format!("127.0.0.1:{}", one.port))
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
            .parse()
            .unwrap()
    }

    /// The one key of this pattern, and its slot.
    pub(crate) async fn find(&self, pattern: &str) -> (String, u16) {
        let mut keys = Vec::new();
        for server in &self.servers {
            keys.extend(server.ask::<Vec<String>>(&["KEYS", pattern]).await);
        }
        let [key] = <[String; 1]>::try_from(keys).unwrap();
        let slot = self.servers[0].ask(&["CLUSTER", "KEYSLOT", &key]).await;
        (key, slot)
    }

    /// The number of the server that has a slot.
    pub(crate) async fn owner(&self, slot: u16) -> usize {
        let slots: Vec<(u16, u16, Vec<Value>)> = self.servers[0].ask(&["CLUSTER", "SLOTS"]).await;
        let range = slots
            .into_iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot));
        let (_, _, master) = range.expect("each slot has an owner");
        let port: u16 = redis::from_redis_value(master[1].clone()).unwrap();
        self.servers
            .iter()
            .position(|server| server.port == port)
            .unwrap()
    }

    /// Moves a slot to a server as `redis-cli --cluster reshard` does. `midway` runs when keys
    /// are moving.
    pub(crate) async fn move_slot(&self, slot: u16, to: usize, midway: impl AsyncFnOnce()) {
        let from = self.owner(slot).await;
        let id = async |index: usize| {
            self.servers[index]
                .ask::<String>(&["CLUSTER", "MYID"])
                .await
        };
        let (source, target) = (id(from).await, id(to).await);
        let number = slot.to_string();
        let set = ["CLUSTER", "SETSLOT", &number];
        let importing = [&set[..], &["IMPORTING", &source]].concat();
        self.servers[to].ask::<()>(&importing).await;
        let migrating = [&set[..], &["MIGRATING", &target]].concat();
        self.servers[from].ask::<()>(&migrating).await;
        midway().await;
        loop {
            let list = ["CLUSTER", "GETKEYSINSLOT", &number, "100"];
            let keys: Vec<String> = self.servers[from].ask(&list).await;
            if keys.is_empty() {
                break;
            }
            let port = self.servers[to].port.to_string();
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            self.servers[from].ask::<()>(&migrate).await;
        }
        let owner = [&set[..], &["NODE", &target]].concat();
        self.servers[to].ask::<()>(&owner).await;
        self.servers[from].ask::<()>(&owner).await;
        for (index, server) in self.servers.iter().enumerate() {
            if index != to && index != from {
                server.ask::<()>(&owner).await;
            }
        }
    }
}
