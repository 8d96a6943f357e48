use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

// It is no part of the framework's public face.
#[path = "../../crates/nextrush/src/http/proxy_header.rs"]
mod read;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Any bytes at the beginning of a connection of a proxy that speaks the PROXY protocol.
///
/// Promises: a header is accepted, with the client that it names, exactly if a plain reading of
/// the specification finds one; the same for every cut; not a byte behind it is read.
///
/// An input is the size of the pieces in which the bytes come, and the bytes.
pub fn proxy_header(input: &[u8]) {
    let Some((piece, sent)) = input.split_first() else {
        return;
    };
    let expected = by_the_book(sent);
    for piece in [usize::from(*piece).max(1), usize::MAX] {
        let mut stream = Pieces { left: sent, piece };
        let mut reading = Box::pin(read::read(&mut stream));
        let read = reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        drop(reading);
        let Poll::Ready(read) = read else {
            panic!("what has come is never waited for");
        };
        match (&expected, read) {
            (Some((client, length)), Ok(told)) => {
                assert_eq!(told, *client);
                assert_eq!(sent.len() - stream.left.len(), *length);
            }
            (None, Err(_)) => {}
            (expected, read) => panic!("expected {expected:?}, read {read:?}"),
        }
    }
}

/// The client and the length of a header; `None` without one.
fn by_the_book(sent: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    if sent.starts_with(SIGNATURE) {
        return version_2(sent);
    }
    // The longest line of version 1 has 107 characters, with its end.
    let end = sent.windows(2).take(106).position(|two| two == b"\r\n")?;
    let line = &sent[..end];
    if line.starts_with(b"PROXY UNKNOWN") {
        // Whatever follows up to the end of the line is not looked at.
        return (!line.contains(&b'\r')).then_some((None, end + 2));
    }
    let client = match str::from_utf8(line).ok()?.split(' ').collect::<Vec<_>>()[..] {
        ["PROXY", "TCP4", source, target, port, target_port] => {
            target.parse::<Ipv4Addr>().ok()?;
            target_port.parse::<u16>().ok()?;
            (source.parse::<Ipv4Addr>().ok()?, port.parse::<u16>().ok()?).into()
        }
        ["PROXY", "TCP6", source, target, port, target_port] => {
            target.parse::<Ipv6Addr>().ok()?;
            target_port.parse::<u16>().ok()?;
            (source.parse::<Ipv6Addr>().ok()?, port.parse::<u16>().ok()?).into()
        }
        _ => return None,
    };
    Some((Some(client), end + 2))
}

fn version_2(sent: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let [command, family, high, low] = *sent.get(12..16)?.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let rest = sent.get(16..16 + length)?;
    if 16 + length > 4096 {
        return None;
    }
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    let client = match (command, family) {
        // The proxy speaks for itself; the rest is to be ignored, whatever it is.
        (0x20, _) | (0x21, 0) => None,
        (0x21, 0x11 | 0x12) => {
            rest.get(..12)?;
            let ip = IpAddr::from(*rest.first_chunk::<4>()?);
            Some((ip, port(8)?).into())
        }
        (0x21, 0x21 | 0x22) => {
            rest.get(..36)?;
            let ip = IpAddr::from(*rest.first_chunk::<16>()?);
            Some((ip, port(32)?).into())
        }
        // Two paths of Unix sockets.
        (0x21, 0x31 | 0x32) => rest.get(..216).map(|_| None)?,
        _ => return None,
    };
    Some((client, 16 + length))
}

/// Bytes that come in pieces.
struct Pieces<'a> {
    left: &'a [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.piece.min(self.left.len()).min(buffer.remaining());
        let (some, left) = self.left.split_at(count);
        buffer.put_slice(some);
        self.left = left;
        Poll::Ready(Ok(()))
    }
}
