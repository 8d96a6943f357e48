//! The time of a bystander's echo while hostile clients are at work.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hdrhistogram::Histogram;
use socket2::{Domain, Socket, Type};
use tungstenite::{Message, WebSocket};

use crate::error::Error;
use crate::server::{Program, Server};
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
enum Kind {
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

type Socketed = WebSocket<TcpStream>;

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
        let mut bystander = Bystander::connect(&server)?;
        let before = bystander.measure(phase)?;
        let hostile = Hostile::begin(*kind, server.addr);
        let meanwhile = bystander.measure(phase)?;
        hostile.end();
        let after = bystander.measure(phase)?;
        let ratio = |times: &Histogram<u64>, quantile: f64| {
            let before = before.value_at_quantile(quantile);
            times.value_at_quantile(quantile) as f64 / before as f64
        };
        println!(
            "{:<14}{:>11} µs{:>15.1}x{:>15.1}x{:>13.1}x{:>13.1}x",
            kind.to_possible_value()
                .map_or_else(String::new, |value| value.get_name().to_owned()),
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
struct Bystander(Socketed);

impl Bystander {
    fn connect(server: &Server) -> Result<Self, Error> {
        let path = format!("/live?token={}", token::of_user(BYSTANDER)?);
        let socket = connect(server.addr, &path)?;
        socket
            .get_ref()
            .set_read_timeout(Some(PATIENCE))
            .map_err(Error::io("the time of a read"))?;
        Ok(Self(socket))
    }

    /// The times of its echoes, in nanoseconds.
    fn measure(&mut self, phase: Duration) -> Result<Histogram<u64>, Error> {
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
struct Hostile {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Hostile {
    fn begin(kind: Kind, addr: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..THREADS)
            .map(|number| {
                let is_over = Arc::clone(&is_over);
                thread::spawn(move || {
                    let mut held = Vec::new();
                    let mut round = number;
                    while !is_over.load(Ordering::Relaxed) {
                        // Whatever the server does about it: refusing is its right.
                        let done = act(kind, addr, round, &mut held);
                        if done.is_err() || held.len() > 1_000 {
                            held.clear();
                        }
                        round += THREADS;
                    }
                })
            })
            .collect();
        Self { is_over, threads }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that panicked has printed why.
            let _ = thread.join();
        }
    }
}

/// Does one hostile thing. What is held goes with the hostile client.
fn act(kind: Kind, addr: SocketAddr, round: usize, held: &mut Vec<TcpStream>) -> Result<(), Error> {
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

fn connect(addr: SocketAddr, path: &str) -> Result<Socketed, Error> {
    let stream = TcpStream::connect(addr).map_err(Error::io("connecting"))?;
    let (socket, _) = tungstenite::client(format!("ws://{addr}{path}"), stream)
        .map_err(|error| Error::Broken(error.to_string()))?;
    Ok(socket)
}

/// Asks for an upgrade and reads nothing.
fn unread(addr: SocketAddr, path: &str) -> Result<TcpStream, Error> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(Error::io("a socket"))?;
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .map_err(Error::io("a small receive buffer"))?;
    socket
        .connect(&addr.into())
        .map_err(Error::io("connecting"))?;
    let mut stream = TcpStream::from(socket);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    write(&mut stream, request.as_bytes())?;
    Ok(stream)
}

/// The head of a user's new post with a body of so many bytes.
fn post(addr: SocketAddr, user: usize, length: usize) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(addr).map_err(Error::io("connecting"))?;
    let head = format!(
        "POST /api/posts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        token::of_user(user)?
    );
    write(&mut stream, head.as_bytes())?;
    Ok(stream)
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Error> {
    stream.write_all(bytes).map_err(Error::io("sending"))
}
