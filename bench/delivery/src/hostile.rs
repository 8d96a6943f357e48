//! The time of a bystander's echo while hostile clients are at work.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hdrhistogram::Histogram;
use socket2::{SockAddr, Socket, Type};
use tungstenite::{Message, WebSocket};

use crate::error::Error;
use crate::server::Program;
use crate::token;

/// The threads of a hostile client.
const THREADS: usize = 2;
/// The user of the bystander.
const BYSTANDER: usize = 1_000_000;
/// The receive buffer of clients that read nothing, in bytes; the kernel doubles it.
const RECEIVE_BUFFER: usize = 4096;
/// The longest echo that is told from longer ones, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest pause between two acts of a hostile client.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The options of this scenario.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The time of each phase, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// The hostile clients; all kinds if absent.
    #[arg(long)]
    kind: Vec<Kind>,
}

/// A way to be hostile.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// A user joins a room and leaves it, without end.
    Joins,
    /// A user sends 60 KiB privately to a user with many sockets, without end.
    Private,
    /// Users join a room with a long history and read nothing.
    Unread,
    /// Bodies of posts stop after their first bytes.
    Bodies,
    /// Bodies of 2 MB are sent where 64 KiB are taken.
    LargeBodies,
    /// Clients end their connections and go on sending.
    Lingering,
    /// A user posts without end.
    Posts,
    /// A user subscribes with ever new sockets to a channel with presence, and says 4 kB of itself.
    Devices,
}

impl Kind {
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

type Socketed = WebSocket<Socket>;

pub(crate) fn run(program: &Program, settings: &Settings) -> Result<(), Error> {
    let kinds = match settings.kind.as_slice() {
        [] => Kind::value_variants(),
        kinds => kinds,
    };
    println!(
        "\n{:<14}{:>14}{:>16}{:>16}{:>14}{:>14}",
        "hostile", "before p50", "meanwhile p50", "meanwhile p99", "after p50", "after p99"
    );
    for kind in kinds {
        // A new server for each: nothing of the last one is left.
        let server = program.start()?;
        let phase = Duration::from_secs(settings.seconds);
        let addr = SockAddr::from(server.addr);
        let mut bystander = Bystander::connect(&addr)?;
        let before = bystander.measure(phase)?;
        let hostile = Hostile::begin(*kind, addr, THREADS, 1.0);
        let meanwhile = bystander.measure(phase)?;
        hostile.end();
        let after = bystander.measure(phase)?;
        let ratio = |times: &Histogram<u64>, quantile: f64| {
            let before = before.value_at_quantile(quantile);
            times.value_at_quantile(quantile) as f64 / before as f64
        };
        println!(
            "{:<14}{:>11} µs{:>15.1}x{:>15.1}x{:>13.1}x{:>13.1}x",
            kind.name(),
            before.value_at_quantile(0.5) / 1000,
            ratio(&meanwhile, 0.5),
            ratio(&meanwhile, 0.99),
            ratio(&after, 0.5),
            ratio(&after, 0.99),
        );
    }
    Ok(())
}

/// A client that asks one thing after the other.
#[derive(Debug)]
pub(crate) struct Bystander(Socketed);

impl Bystander {
    pub(crate) fn connect(addr: &SockAddr) -> Result<Self, Error> {
        let path = format!("/live?token={}", token::of_user(BYSTANDER)?);
        Ok(Self(connect(addr, &path)?))
    }

    /// The times of its echoes, in nanoseconds.
    pub(crate) fn measure(&mut self, phase: Duration) -> Result<Histogram<u64>, Error> {
        let mut times = Histogram::new_with_max(LONGEST, 3)
            .map_err(|error| Error::Broken(error.to_string()))?;
        let begun = Instant::now();
        while begun.elapsed() < phase {
            let asked = Instant::now();
            self.0
                .send(Message::text(r#"{"type":"ping","id":"echo"}"#))
                .map_err(Box::new)?;
            while !self.0.read().map_err(Box::new)?.is_text() {}
            let taken = u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
            times.saturating_record(taken);
            // A socket may ask 100 times a second.
            thread::sleep(Duration::from_millis(12).saturating_sub(asked.elapsed()));
        }
        Ok(times)
    }
}

/// Hostile clients at work.
#[derive(Debug)]
pub(crate) struct Hostile {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Hostile {
    /// Begins to be hostile on some threads, each of which is at work for a share of the time.
    pub(crate) fn begin(kind: Kind, addr: SockAddr, threads: usize, share: f64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..threads)
            .map(|number| {
                let (is_over, addr) = (Arc::clone(&is_over), addr.clone());
                thread::spawn(move || {
                    let mut held = Vec::new();
                    let mut round = number;
                    while !is_over.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        // Whatever the server does about it: refusing is its right.
                        let done = act(kind, &addr, round, &mut held);
                        if done.is_err() || held.len() > 1_000 {
                            held.clear();
                        }
                        round += THREADS;
                        let pause = begun.elapsed().mul_f64(1.0 / share - 1.0);
                        thread::sleep(pause.min(LONGEST_PAUSE));
                    }
                })
            })
            .collect();
        Self { is_over, threads }
    }

    pub(crate) fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that panicked has printed why.
            let _ = thread.join();
        }
    }
}

/// Does one hostile thing. What is held goes with the hostile client.
fn act(kind: Kind, addr: &SockAddr, round: usize, held: &mut Vec<Socket>) -> Result<(), Error> {
    let chat = |user: usize| token::of_user(user).map(|token| format!("/chat/den?token={token}"));
    match kind {
        Kind::Joins => {
            let mut socket = connect(addr, &chat(1)?)?;
            socket.read().map_err(Box::new)?;
            // It has heard of it, or is gone.
            let _ = socket.close(None);
        }
        Kind::Private => {
            while held.len() < 50 {
                held.push(unread(addr, &chat(2)?)?);
            }
            let mut socket = connect(addr, &chat(1)?)?;
            let text = "x".repeat(60_000);
            let message = format!(r#"{{"type":"private","targetUserId":2,"text":"{text}"}}"#);
            for _ in 0..100 {
                socket.send(Message::text(&*message)).map_err(Box::new)?;
            }
        }
        Kind::Unread => {
            if round < THREADS {
                let mut socket = connect(addr, &chat(1)?)?;
                let text = "x".repeat(20_000);
                for _ in 0..25 {
                    let message = format!(r#"{{"type":"chat","text":"{text}"}}"#);
                    socket.send(Message::text(message)).map_err(Box::new)?;
                    socket.read().map_err(Box::new)?;
                }
            }
            held.push(unread(addr, &chat(round)?)?);
        }
        Kind::Bodies => {
            let mut stream = post(addr, round, 60_000)?;
            write(&mut stream, b"{\"title\":\"")?;
            held.push(stream);
        }
        Kind::LargeBodies => {
            let mut stream = post(addr, round, 2_000_000)?;
            write(&mut stream, &vec![b' '; 2_000_000])?;
        }
        Kind::Lingering => {
            let mut stream = unread(addr, &chat(round)?)?;
            write(&mut stream, &[0x88, 0x80, 0, 0, 0, 0])?;
            let flood = vec![0; 64 * 1024];
            while stream.write_all(&flood).is_ok() {}
        }
        Kind::Posts => {
            let body = br#"{"title":"mine","body":""}"#;
            let mut stream = post(addr, 1, body.len())?;
            write(&mut stream, body)?;
            let mut answer = [0; 12];
            stream
                .read_exact(&mut answer)
                .map_err(Error::io("an answer"))?;
        }
        Kind::Devices => {
            let path = format!("/live?token={}", token::of_user(1)?);
            let mut socket = connect(addr, &path)?;
            let channel = r#""channel":"presence-desk""#;
            let data = format!("[{}0]", r#"{"a":{"":{"":0}}},"#.repeat(200));
            let subscribe = format!(r#"{{"type":"subscribe",{channel}}}"#);
            let update = format!(r#"{{"type":"presence-update",{channel},"data":{data}}}"#);
            for message in [subscribe, update] {
                socket.send(Message::text(message)).map_err(Box::new)?;
            }
            held.push(
                socket
                    .get_ref()
                    .try_clone()
                    .map_err(Error::io("a socket"))?,
            );
        }
    }
    Ok(())
}

fn connect(addr: &SockAddr, path: &str) -> Result<Socketed, Error> {
    let (socket, _) = tungstenite::client(format!("ws://localhost{path}"), open(addr, None)?)
        .map_err(|error| Error::Broken(error.to_string()))?;
    Ok(socket)
}

/// Asks for an upgrade and reads nothing.
fn unread(addr: &SockAddr, path: &str) -> Result<Socket, Error> {
    let mut stream = open(addr, Some(RECEIVE_BUFFER))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    write(&mut stream, request.as_bytes())?;
    Ok(stream)
}

/// The head of a user's new post with a body of so many bytes.
fn post(addr: &SockAddr, user: usize, length: usize) -> Result<Socket, Error> {
    let mut stream = open(addr, None)?;
    let head = format!(
        "POST /api/posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        token::of_user(user)?
    );
    write(&mut stream, head.as_bytes())?;
    Ok(stream)
}

fn open(addr: &SockAddr, receive_buffer: Option<usize>) -> Result<Socket, Error> {
    let open = || {
        let socket = Socket::new(addr.domain(), Type::STREAM, None)?;
        // A server that neither reads nor answers does not hold up the end.
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect(addr)?;
        Ok(socket)
    };
    open().map_err(Error::io("connecting"))
}

fn write(stream: &mut Socket, bytes: &[u8]) -> Result<(), Error> {
    stream.write_all(bytes).map_err(Error::io("sending"))
}
