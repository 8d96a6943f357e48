//! The limit: what epoll and `write` cost, with no protocol beyond the upgrade.
//!
//! It trusts its clients: frames are whole, short and not fragmented. What one read brings
//! goes out in one write per receiver.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use nextrush_protocol::handshake::server;

const LISTENER: Token = Token(usize::MAX);

struct Socket {
    stream: TcpStream,
    place: Place,
}

enum Place {
    Opening,
    Idle,
    Echo,
    Room(usize),
}

#[derive(Default)]
struct Rooms {
    by_name: HashMap<String, usize>,
    members: Vec<Vec<usize>>,
}

fn main() -> io::Result<()> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listener = TcpListener::bind(addr)?;
    println!("listening on port {}", listener.local_addr()?.port());
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut sockets: Vec<Option<Socket>> = Vec::new();
    let mut rooms = Rooms::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut out = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let token = Token(sockets.len());
                    poll.registry()
                        .register(&mut stream, token, Interest::READABLE)?;
                    sockets.push(Some(Socket {
                        stream,
                        place: Place::Opening,
                    }));
                }
                continue;
            }
            let index = event.token().0;
            let Some(socket) = &mut sockets[index] else {
                continue;
            };
            let count = match socket.stream.read(&mut buffer) {
                Ok(count) if count > 0 => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                // What a room has of it is skipped from now on.
                _ => {
                    sockets[index] = None;
                    continue;
                }
            };
            let bytes = &mut buffer[..count];
            match socket.place {
                Place::Opening => {
                    let (path, answer) = answer(bytes).ok_or(io::ErrorKind::InvalidData)?;
                    socket.place = rooms.enter(&path, index);
                    socket.stream.write_all(&answer)?;
                }
                Place::Idle => {}
                Place::Echo => {
                    unmask(bytes, &mut out);
                    socket.stream.write_all(&out)?;
                }
                Place::Room(room) => {
                    unmask(bytes, &mut out);
                    for &member in &rooms.members[room] {
                        if let Some(member) = &mut sockets[member] {
                            member.stream.write_all(&out)?;
                        }
                    }
                }
            }
        }
    }
}

impl Rooms {
    fn enter(&mut self, path: &str, socket: usize) -> Place {
        let Some(name) = path.strip_prefix("/room/") else {
            return if path == "/echo" {
                Place::Echo
            } else {
                Place::Idle
            };
        };
        let next = self.members.len();
        let room = *self.by_name.entry(name.to_owned()).or_insert(next);
        if room == next {
            self.members.push(Vec::new());
        }
        self.members[room].push(socket);
        Place::Room(room)
    }
}

/// The path of a request, and its answer.
fn answer(request: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(request).ok()?;
    let headers: HeaderMap = parsed
        .headers
        .iter()
        .filter_map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(header.value).ok()?))
        })
        .collect();
    let accepted = server::accept(&Method::GET, Version::HTTP_11, &headers).ok()?;
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    for (name, value) in &accepted.headers() {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend(b"\r\n");
    Some((parsed.path?.to_owned(), answer))
}

/// The frames of one read, as a server sends them.
fn unmask(mut bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    while let [first, length, rest @ ..] = bytes {
        let (length, header, rest) = match (length & 0x7f, rest) {
            (126, [high, low, rest @ ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                (length, vec![*first, 126, *high, *low], rest)
            }
            (short, rest) => (usize::from(short), vec![*first, short], rest),
        };
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
            return;
        };
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            return;
        };
        out.extend_from_slice(&header);
        let start = out.len();
        out.extend_from_slice(payload);
        for (byte, mask) in out[start..].iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        bytes = rest;
    }
}
